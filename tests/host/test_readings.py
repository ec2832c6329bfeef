"""What is read of this machine is what psutil says of it, and nothing that fails costs the rest."""

import logging
import os
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from telemetry_host.readings import Host, ReadingError, as_text, by_sensor


def _sensor(label, current):
    return SimpleNamespace(label=label, current=current)


def _disk(mountpoint):
    return SimpleNamespace(mountpoint=mountpoint)


ALWAYS = ["host.cpu", "host.memory", "host.disk", "host.network"]
SENSORS = {"coretemp": [_sensor("Package", 51.0), _sensor("Core", 49.0)]}
SOURCES = {
    "cpu_percent": "host.cpu",
    "getloadavg": "host.cpu",
    "virtual_memory": "host.memory",
    "swap_memory": "host.memory",
    "disk_partitions": "host.disk",
    "net_io_counters": "host.network",
    "sensors_temperatures": "host.temperature",
}


def _read(host):
    return dict(host.read())


def test_memory_is_what_psutil_says():
    """Sizes exactly, what changes while we look at least in its bounds."""
    memory, ram, swap = _read(Host())["host.memory"], psutil.virtual_memory(), psutil.swap_memory()

    assert (ram.total, swap.total) == (memory["total_bytes"], memory["swap_total_bytes"])
    assert memory["available_bytes"] == pytest.approx(ram.available, rel=0.2)
    assert memory["used_percent"] == pytest.approx(ram.percent, abs=20)
    assert 0 <= memory["swap_used_bytes"] <= swap.total


def test_cpu_is_what_psutil_says():
    """A share of all processors, and how many of them there are."""
    host = Host()
    for cpu in (_read(host)["host.cpu"], _read(host)["host.cpu"]):
        assert 0 <= cpu["used_percent"] <= 100
        assert psutil.cpu_count() == cpu["count"]
        assert cpu["load_15min"] == pytest.approx(os.getloadavg()[2], abs=1)


def test_disks_are_what_psutil_says():
    """By path, each disk once, and the root among them."""
    disks = _read(Host())["host.disk"]

    assert "/" in disks
    for path, disk in disks.items():
        usage = psutil.disk_usage(path)
        assert usage.total == disk["total_bytes"]
        assert disk["used_percent"] == pytest.approx(usage.percent, abs=5)
        assert 0 <= disk["free_bytes"] <= disk["total_bytes"]


def test_the_network_is_what_psutil_says():
    """All interfaces but loopback, in sum; the counters only grow meanwhile."""
    before = psutil.net_io_counters(pernic=True)
    network = _read(Host())["host.network"]
    after = psutil.net_io_counters(pernic=True)

    for field, counter in (
        ("received_bytes", "bytes_recv"),
        ("sent_bytes", "bytes_sent"),
        ("received_packets", "packets_recv"),
        ("sent_packets", "packets_sent"),
    ):
        low, high = (
            sum(getattr(each, counter) for name, each in found.items() if name != "lo")
            for found in (before, after)
        )
        assert low <= network[field] <= high


def test_a_rate_is_told_from_the_second_reading_on(machine):
    """The first one has nothing to compare with."""
    packets = {"packets_recv": 1, "packets_sent": 1}
    counted = iter(
        {"eth0": SimpleNamespace(bytes_recv=received, bytes_sent=sent, **packets)}
        for received, sent in ((100, 10), (500, 20))
    )
    times = iter([100.0, 102.0])
    host = Host(machine(net_io_counters=lambda **_: next(counted)), lambda: next(times))
    first, second = _read(host)["host.network"], _read(host)["host.network"]

    rates = ("received_bytes_per_s", "sent_bytes_per_s")
    assert [None, None] == [first[rate] for rate in rates]
    assert [200.0, 5.0] == [second[rate] for rate in rates]


@pytest.mark.parametrize(("source", "lost"), SOURCES.items())
def test_a_reading_that_fails_costs_no_other(machine, source, lost):
    """The others are there, and the error comes last and says what failed."""
    given = {"sensors_temperatures": lambda: SENSORS, source: PermissionError(13, "not yours")}
    found = []
    with pytest.raises(ReadingError) as caught:
        found.extend(Host(machine(**given)).read())

    assert [type_ for type_ in [*ALWAYS, "host.temperature"] if type_ != lost] == [
        type_ for type_, _ in found
    ]
    assert f"{lost}: PermissionError: [Errno 13] not yours" == str(caught.value)


def test_all_that_fails_is_named(machine):
    """In one error, which is the same as long as the same things fail."""
    errors = []
    host = Host(machine(virtual_memory=OSError("a"), net_io_counters=RuntimeError("b")))
    for _ in range(2):
        with pytest.raises(ReadingError) as caught:
            _read(host)
        errors.append(repr(caught.value))

    assert errors[0] == errors[1]
    assert "host.memory: OSError: a; host.network: RuntimeError: b" in errors[0]


@pytest.mark.parametrize("sensors", [AttributeError, dict, lambda: {"acpi": []}])
def test_a_machine_without_sensors_has_no_temperature(machine, sensors):
    """Whether the system knows no sensors, finds none, or finds a chip without any."""
    assert ALWAYS == list(_read(Host(machine(sensors_temperatures=sensors))))


def test_temperatures_stand_by_their_sensor(machine):
    """With the hottest one beside them."""
    read = _read(Host(machine(sensors_temperatures=lambda: SENSORS)))
    assert {
        "max_celsius": 51.0,
        "celsius": {"coretemp/Package": 51.0, "coretemp/Core": 49.0},
    } == read["host.temperature"]


@pytest.mark.parametrize("nothing", [None, float("nan"), float("inf")])
def test_a_sensor_that_says_nothing_is_left_out(nothing):
    """A broken one has no figure, and costs the others none."""
    assert {"a/x": 1.0} == by_sensor({"a": [_sensor("x", 1.0), _sensor("y", nothing)]})


def test_sensors_of_one_label_are_numbered():
    """None is lost, also where a number is a label already."""
    chips = {
        "nvme": [_sensor("", 1.0), _sensor("", 2.0), _sensor("a", 3.0)],
        "x": [_sensor("y 2", 4.0), _sensor("y", 5.0), _sensor("y", 6.0)],
    }
    assert {
        "nvme": 1.0,
        "nvme 2": 2.0,
        "nvme/a": 3.0,
        "x/y 2": 4.0,
        "x/y": 5.0,
        "x/y 3": 6.0,
    } == by_sensor(chips)


def test_a_disk_that_cannot_be_read_costs_no_other(machine, tmp_path, caplog):
    """It is named once, however often it is read."""
    host = Host(machine(disk_partitions=lambda: [_disk(str(tmp_path / "gone")), _disk("/")]))
    with caplog.at_level(logging.WARNING):
        first, second = _read(host), _read(host)

    assert {"/"} == set(first["host.disk"]) == set(second["host.disk"])
    assert 1 == len([record for record in caplog.records if "gone" in record.getMessage()])


def test_a_disk_stands_once_however_often_it_is_mounted(machine):
    """And a file that something is mounted over is no disk."""
    mounts = [_disk("/"), _disk("/usr"), _disk(__file__), _disk("/")]
    read = _read(Host(machine(disk_partitions=lambda: mounts)))

    assert len({Path(path).stat().st_dev for path in read["host.disk"]}) == len(read["host.disk"])
    assert __file__ not in read["host.disk"]


def test_a_path_that_is_no_text_becomes_one():
    """Its odd bytes are replaced, and every other path stays as it is."""
    assert "/data/\ufffd" == as_text(os.fsdecode(b"/data/\xff"))
    assert "/data/ünï ☃" == as_text("/data/ünï ☃")
