"""In shadow mode the old PanDB answers as ever, and what the new one does differently is seen."""

import threading

import pytest

from telemetry_core.pandb import PanDB
from telemetry_migrate.shadow import ShadowPanDB


class OldPanDB:
    """The old memory PanDB in short: records by id, and the current one of each collection."""

    def __init__(self):
        self.current = {}
        self.records = {}
        self.db_name = "panoptes"

    def insert_current(self, collection, obj, store_permanently=True):  # noqa: FBT002
        """Make it current."""
        self.current[collection] = self._record(collection, obj)
        return self.insert(collection, obj) if store_permanently else "old-0"

    def insert(self, collection, obj):
        """Keep it."""
        if isinstance(obj, object) and type(obj) is object:
            raise TypeError("not serialisable")
        obj_id = f"old-{len(self.records) + 1}"
        self.records[obj_id] = self._record(collection, obj)
        return obj_id

    def get_current(self, collection):
        """Return the current one."""
        return self.current.get(collection)

    def find(self, _collection, obj_id):
        """Return one by its id."""
        return self.records.get(obj_id)

    def clear_current(self, type):  # noqa: A002
        """Forget the current one."""
        self.current.pop(type, None)

    @staticmethod
    def _record(collection, obj):
        return {"_id": "x", "type": collection, "date": "2026-03-18T00:00:00", "data": obj}


@pytest.fixture
def old():
    """The PanDB that a site has."""
    return OldPanDB()


@pytest.fixture
def shadow(old, request):
    """The old PanDB with the new one in its shadow."""
    with ShadowPanDB(old, PanDB("memory", db_name=request.node.name)) as shadow:
        yield shadow


def seen(shadow):
    """Return the report once the new one is done."""
    assert shadow.settle()
    return shadow.report()


def test_both_get_everything_and_answer_the_same(shadow, old):
    """A site that uses all five calls can switch with evidence."""
    old_id = shadow.insert_current("weather", {"sky": "clear", "list": (1, 2)})
    assert shadow.get_current("weather") == old.get_current("weather")
    assert shadow.find("weather", old_id)["data"]["sky"] == "clear"
    shadow.insert("weather", 2)
    assert shadow.insert_current("safety", [True], store_permanently=False) == "old-0"
    assert shadow.get_current("safety")["data"] == [True]
    shadow.clear_current("weather")
    assert shadow.get_current("weather") is None
    report = seen(shadow)
    assert report.is_same, report
    assert report.compared == 8
    assert report.calls == {
        "insert_current": 2,
        "get_current": 3,
        "find": 1,
        "insert": 1,
        "clear_current": 1,
    }


def test_another_answer_is_a_difference(shadow, old):
    """It is counted and shown; the old one's stands."""
    shadow.insert_current("weather", 1)
    old.current["weather"]["data"] = 2
    assert shadow.get_current("weather")["data"] == 2
    report = seen(shadow)
    assert (report.compared, report.different, report.errors) == (2, 1, 0)
    (difference,) = report.differences
    assert (difference.call, difference.collection) == ("get_current", "weather")
    assert "2" in difference.old
    assert not report.is_same
    assert report.as_dict()["is_same"] is False


class Broken:
    """A new PanDB that is not there."""

    def __getattr__(self, name):
        raise ConnectionError(name)


def test_errors_of_the_new_one_are_its_own(old):
    """The program notices nothing; they are counted."""
    with ShadowPanDB(old, Broken()) as shadow:
        assert shadow.insert_current("weather", 1) == "old-1"
        assert shadow.get_current("weather")["data"] == 1
        report = seen(shadow)
    assert (report.different, report.errors) == (2, 2)
    assert "ConnectionError" in report.differences[0].new


def test_errors_of_the_old_one_win(shadow):
    """They reach the program; that the new one refuses the same is the same answer."""
    with pytest.raises(TypeError, match="not serialisable"):
        shadow.insert("weather", object())
    assert seen(shadow).is_same


def test_an_error_of_the_old_one_alone_is_a_difference(shadow, old):
    """The new one took what the old one did not."""
    old.insert = Broken().__getattr__
    with pytest.raises(TypeError):
        shadow.insert("weather", 1)
    report = seen(shadow)
    assert (report.different, report.errors) == (1, 0)


def test_a_new_one_that_hangs_is_not_waited_for(old):
    """Calls go on being answered; those that found no room are missed."""
    going = threading.Event()

    class Hangs:
        def __getattr__(self, name):
            going.wait()
            return lambda *_: None

    shadow = ShadowPanDB(old, Hangs(), max_pending=3)
    for number in range(10):
        shadow.insert("weather", number)
    assert len(old.records) == 10
    assert not shadow.settle(timeout=0.01)
    report = shadow.close(timeout=0.01)
    assert report.missed >= 6
    assert not report.is_same
    going.set()


def test_what_the_program_changes_later_is_not_compared(shadow):
    """Both see a value as it was at the call."""
    value = {"sky": "clear"}
    shadow.insert("weather", value)
    value["sky"] = object()
    assert seen(shadow).is_same


def test_the_rest_of_the_old_one_can_be_reached(shadow):
    """Programs use more of their PanDB than its five calls."""
    assert shadow.db_name == "panoptes"
    with pytest.raises(AttributeError):
        _ = shadow.no_such_thing


def test_many_threads_make_no_difference(shadow):
    """The order of each collection is the same on both sides."""

    def work(number):
        for each in range(50):
            shadow.insert_current(f"collection {number % 2}", (number, each))
            shadow.get_current(f"collection {number % 2}")

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    report = seen(shadow)
    assert report.is_same, report
    assert report.compared == 400


def test_both_see_the_calls_in_one_order(old):
    """A call that is under way in one thread comes before the next one, on both sides."""
    inside, passed = threading.Event(), threading.Event()
    insert_current = old.insert_current

    def slow(collection, obj, store_permanently=True):  # noqa: FBT002
        answer = insert_current(collection, obj, store_permanently)
        if obj == "first":
            inside.set()
            passed.wait(0.2)  # the second one passes here if nothing keeps it
        return answer

    old.insert_current = slow
    with ShadowPanDB(old, PanDB("memory", db_name="in one order")) as shadow:
        first = threading.Thread(target=shadow.insert_current, args=("weather", "first"))
        first.start()
        inside.wait()
        shadow.insert_current("weather", "second")
        passed.set()
        first.join()
        shadow.get_current("weather")
        assert seen(shadow).is_same


def test_only_the_first_differences_are_kept(old):
    """A site that runs for months does not fill its memory."""
    with ShadowPanDB(old, Broken()) as shadow:
        for number in range(150):
            shadow.insert("weather", number)
        report = seen(shadow)
    assert (report.different, len(report.differences)) == (150, 100)


def test_a_closed_shadow_still_answers(shadow):
    """The program goes on as without it, and the report says so."""
    shadow.close()
    assert shadow.insert("weather", 1) == "old-1"
    assert shadow.report().missed == 1


def test_an_answer_that_is_no_record_is_a_difference(old):
    """The new one cannot get in the way with what it returns, either."""

    class Odd:
        def __getattr__(self, name):
            return lambda *_: 17

    with ShadowPanDB(old, Odd()) as shadow:
        shadow.insert_current("weather", 1)
        shadow.get_current("weather")
        report = seen(shadow)
    assert (report.compared, report.different) == (2, 1)
    assert "TypeError" in report.differences[0].new


def test_what_was_inserted_elsewhere_is_not_searched(shadow, old):
    """Nobody can say which id it has in the new one."""
    old.records["elsewhere"] = {"_id": "x", "type": "weather", "data": 1}
    assert shadow.find("weather", "elsewhere")["data"] == 1
    assert seen(shadow).compared == 0
