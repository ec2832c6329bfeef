"""Tokens are read strictly, compared whole, and shown by nothing."""

import logging

import pytest

from telemetry_http import TokenError
from telemetry_http.tokens import NO_TOKENS, Permission, Tokens, read_tokens

SECRET = "a-secret-of-24-characters"


def write(path, text, mode=0o600):
    """Write a file of tokens and return its path."""
    path.write_text(text)
    path.chmod(mode)
    return path


def test_a_file_gives_each_token_what_its_line_says(tmp_path):
    """Comments and empty lines are passed over."""
    path = write(tmp_path / "tokens", f"# ours\n\nread  {SECRET}1\n write\t{SECRET}2\r\n")
    tokens = read_tokens(path, {})

    assert Permission.READ == tokens.permission_of(f"{SECRET}1".encode())
    assert Permission.WRITE == tokens.permission_of(f"{SECRET}2".encode())
    assert tokens.permission_of(SECRET.encode()) is None
    assert tokens.permission_of(b"") is None


def test_the_token_of_the_environment_may_do_all(tmp_path):
    """It stands beside those of the file."""
    path = write(tmp_path / "tokens", f"read {SECRET}\n")
    tokens = read_tokens(path, {"TELEMETRY_TOKEN": "another-secret-of-24-chars"})

    assert Permission.ADMIN == tokens.permission_of(b"another-secret-of-24-chars")
    assert Permission.READ == tokens.permission_of(SECRET.encode())


def test_without_a_file_and_a_variable_there_are_none():
    """An empty variable is no token."""
    assert not read_tokens(None, {"TELEMETRY_TOKEN": ""})
    assert not NO_TOKENS


def test_a_token_given_twice_may_do_the_more():
    """Whatever the order of the lines."""
    tokens = Tokens.of([(Permission.ADMIN, SECRET), (Permission.READ, SECRET)])
    assert Permission.ADMIN == tokens.permission_of(SECRET.encode())


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644, 0o610])
def test_a_file_that_others_can_open_is_refused(tmp_path, mode):
    """With what to do about it."""
    path = write(tmp_path / "tokens", f"read {SECRET}\n", mode)
    with pytest.raises(TokenError, match="chmod 600"):
        read_tokens(path, {})


@pytest.mark.parametrize(
    "line",
    [
        *(SECRET, f"{SECRET} read", f"root {SECRET}", f"read {SECRET} {SECRET}", "read"),
        *(f"READ {SECRET}", f"read {SECRET}é", f"read {SECRET}\x07", f"read:{SECRET}"),
    ],
)
def test_a_wrong_line_is_named_and_not_shown(tmp_path, line):
    """A token may stand anywhere in it."""
    path = write(tmp_path / "tokens", f"read {SECRET}-right\n{line}\n")
    with pytest.raises(TokenError, match="line 2") as raised:
        read_tokens(path, {})
    assert SECRET not in str(raised.value) + repr(raised.value)


def test_a_file_without_a_token_is_refused(tmp_path):
    """It was meant to hold one."""
    with pytest.raises(TokenError, match="holds no token"):
        read_tokens(write(tmp_path / "tokens", "# nothing\n"), {})


def test_nothing_shows_a_token(caplog):
    """Neither its `repr` nor the warning that it is short."""
    caplog.set_level(logging.DEBUG)
    tokens = read_tokens(None, {"TELEMETRY_TOKEN": "tiny-secret"})

    assert "16 characters" in caplog.text
    assert "tiny-secret" not in caplog.text + repr(tokens) + str(vars(type(tokens)))


@pytest.mark.parametrize("token", ["with space in", "tab\tinside", "ümlaut", "new\nline"])
def test_a_token_that_no_header_can_carry_is_refused(token):
    """The message names the variable."""
    with pytest.raises(TokenError, match="TELEMETRY_TOKEN") as raised:
        read_tokens(None, {"TELEMETRY_TOKEN": token})
    assert token not in str(raised.value)
