"""The error tree: what stands in it, what each error carries, and how each one reads."""

import builtins
import copy
import inspect
import pickle
import re

import pytest

import telemetry_core
from telemetry_core import Problem, Run, TelemetryError, errors

RUN = Run(run_id="001", started_at="2026-03-18T00:05:48.955Z", meta={"target": "M42"})
PROBLEMS = (Problem("$.data", "no JSON"), Problem("$.ts", "no time"))

SAMPLES = {
    errors.MalformedJSONError: ({"reason": "NaN is not JSON"}, "malformed JSON: NaN is not JSON"),
    errors.InvalidEventError: ({"problems": PROBLEMS}, "$.data: no JSON; $.ts: no time"),
    errors.InvalidSelectionError: ({"problems": PROBLEMS}, "$.data: no JSON; $.ts: no time"),
    errors.InvalidRunError: ({"problems": PROBLEMS}, "$.data: no JSON; $.ts: no time"),
    errors.SettingsError: ({"problems": PROBLEMS}, "$.data: no JSON; $.ts: no time"),
    errors.LaggedError: ({"after": 7}, "the follower fell too far behind; resume with after=7"),
    errors.RunActiveError: (
        {"run": RUN},
        "run '001' is active since 2026-03-18T00:05:48.955Z; stop it first",
    ),
    errors.NoActiveRunError: ({"run_id": "001"}, "run '001' is not active"),
    errors.UnknownRunError: ({"run_id": "001"}, "no run '001'"),
    errors.StorageClosedError: ({"place": "/data"}, "the storage '/data' is closed"),
    errors.StorageInUseError: (
        {"place": "/data", "pid": 41},
        "'/data' is being written by process 41; stop it first or open read-only",
    ),
    errors.StorageReadOnlyError: (
        {"place": "/data"},
        "the storage '/data' was opened read-only",
    ),
    errors.StorageFullError: (
        {"place": "/data", "reason": "No space left on device"},
        "no room to write '/data': No space left on device",
    ),
    errors.StorageUnavailableError: (
        {"place": "/data", "reason": "no answer", "retry_after_s": 1.5},
        "the storage '/data' cannot be used: no answer",
    ),
    errors.OutcomeUnknownError: (
        {"place": "/data", "reason": "no answer"},
        "the outcome at '/data' is unknown: no answer; retry with the same ids",
    ),
    errors.IdConflictError: (
        {"event_id": "a", "seq": 7},
        "id 'a' belongs to event 7, which is another; use a new id",
    ),
    errors.UnsupportedError: (
        {"place": "/data", "ability": "fly"},
        "the storage '/data' cannot fly",
    ),
    errors.UnknownStorageError: (
        {"scheme": "sqlte", "installed": ("ndjson", "postgresql")},
        "no storage named 'sqlte'; installed: 'ndjson', 'postgresql'",
    ),
    errors.PluginLoadError: (
        {"plugin": "mine", "reason": "ImportError: nope"},
        "plugin 'mine' cannot be loaded: ImportError: nope",
    ),
}
GROUPS = {errors.TelemetryError, errors.RunError, errors.StorageError, errors.PluginError}


def public_errors():
    """Return every public error class of the module."""
    return {
        value
        for name, value in vars(errors).items()
        if inspect.isclass(value) and issubclass(value, TelemetryError) and name[0] != "_"
    }


def drawn_tree():
    """Return the tree of the module's docstring: each error's name, parent and builtin."""
    found, above = {}, []
    for line in (errors.__doc__ or "").splitlines():
        match = re.fullmatch(r"( {4,})(\w+Error)(?: +(\w+Error))?(?:  .*)?", line)
        if match is None:
            continue
        depth = len(match[1]) // 4 - 1
        above[depth:] = [match[2]]
        found[match[2]] = (above[depth - 1] if depth else None, match[3])
    return found


def real_place(kind):
    """Return the public parent and the nearest builtin of an error class."""
    ancestors = kind.__mro__[1:]
    parent = next(
        (one for one in ancestors if issubclass(one, TelemetryError) and one.__name__[0] != "_"),
        None,
    )
    builtin = next((one for one in ancestors if vars(builtins).get(one.__name__) is one), None)
    return parent and parent.__name__, builtin and builtin.__name__


def test_the_tree_is_as_it_is_drawn():
    """The first thing a reader sees of the module is true."""
    drawn = drawn_tree()
    assert {kind.__name__ for kind in public_errors()} == set(drawn)
    for kind in public_errors():
        parent, builtin = real_place(kind)
        wanted = drawn[kind.__name__]
        assert wanted == (parent, builtin if kind not in GROUPS else None)


def test_every_error_is_a_public_name():
    """Whoever embeds the recorder catches it by `telemetry_core.…`."""
    assert {getattr(telemetry_core, kind.__name__) for kind in public_errors()} == public_errors()


def test_every_error_has_a_sample_here():
    """So that a new one is looked at as the others are."""
    assert set(SAMPLES) | GROUPS == public_errors()


@pytest.fixture(params=SAMPLES, ids=lambda kind: kind.__name__)
def kind(request):
    """Each error that is raised."""
    return request.param


def test_an_error_keeps_its_facts(kind):
    """As attributes of the names it is made from."""
    facts, _ = SAMPLES[kind]
    error = kind(**facts)
    assert facts == {name: getattr(error, name) for name in facts}
    assert list(facts) == list(inspect.signature(kind).parameters)


@pytest.mark.parametrize("remade", [lambda one: pickle.loads(pickle.dumps(one)), copy.copy])
def test_an_error_survives_pickling(kind, remade):
    """With its facts, its message and its place in the tree."""
    facts, message = SAMPLES[kind]
    error = remade(kind(**facts))
    assert type(error) is kind
    assert facts == {name: getattr(error, name) for name in facts}
    assert message == str(error)


def test_an_error_is_made_from_its_args(kind):
    """So that one caller's error can be made again for another."""
    facts, message = SAMPLES[kind]
    again = kind(*kind(**facts).args)
    assert facts == {name: getattr(again, name) for name in facts}
    assert message == str(again)


def test_a_message_is_a_plain_sentence_without_a_full_stop(kind):
    """Lower case: it stands behind a colon in somebody's log."""
    facts, message = SAMPLES[kind]
    assert message == str(kind(**facts))
    assert re.match(r"[a-z'$]", message)
    assert not message.endswith(".")


def test_facts_that_are_not_known_are_left_out():
    """The message does without them."""
    assert "no run is active" == str(errors.NoActiveRunError())
    assert "'/data' is being written by another process; stop it first or open read-only" == str(
        errors.StorageInUseError("/data")
    )
    assert errors.StorageUnavailableError("/data", "x").retry_after_s is None


def test_facts_may_come_from_a_generator():
    """They are kept as a tuple, to be looked at more than once."""
    error = errors.UnknownStorageError("x", (name for name in ("a", "b")))
    assert ("a", "b") == error.installed
    assert PROBLEMS == errors.InvalidEventError(one for one in PROBLEMS).problems


def test_an_error_of_a_plugin_reads_as_its_facts():
    """A subclass needs no message of its own."""

    class TapeError(errors.StorageError):
        pass

    assert "the tape is torn 7" == str(TapeError("the tape is torn", 7))
