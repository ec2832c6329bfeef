"""docs/storage.md lists the promises of the conformance kit, word for word."""

from pathlib import Path

import pytest

from telemetry_core.testing import PROMISES

DOCUMENT = Path(__file__).parents[2] / "docs" / "storage.md"


@pytest.fixture
def lines():
    """The lines of docs/storage.md from the list of promises on."""
    return DOCUMENT.read_text().partition("\n## The promises\n")[2].splitlines()


def listed(promise):
    """Return the line that the document has for *promise*."""
    needs = "" if promise.needs is None else f" Needs `{promise.needs}`."
    return f"- `{promise.id}`: {promise.sentence}{needs}"


def test_every_promise_is_documented_as_it_is_tested(lines):
    """Id, sentence and capability are those of the kit; the message has the lines to write."""
    wanted = [listed(promise) for promise in PROMISES.values()]
    missing = [line for line in wanted if line not in lines]
    assert not missing, "write into docs/storage.md:\n" + "\n".join(missing)


def test_no_other_promise_is_documented(lines):
    """A promise that the kit does not test, or one that stands there twice, is none."""
    left = list(lines)
    for promise in PROMISES.values():
        if listed(promise) in left:
            left.remove(listed(promise))
    surplus = [line for line in left if line.startswith("- ")]
    assert not surplus, "take out of docs/storage.md:\n" + "\n".join(surplus)


def test_promises_stand_in_their_group(lines):
    """A promise `group.fact` stands under the heading of its group."""
    heading = ""
    for line in lines:
        if line.startswith("### "):
            heading = line.removeprefix("### ")
        elif line.startswith("- "):
            assert heading == f"`{line.removeprefix('- `').partition('.')[0]}`", line
