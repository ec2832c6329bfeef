"""Rates over counters that grow, begin anew, appear and vanish."""

from types import SimpleNamespace

import pytest

from telemetry_host.traffic import Traffic


def _traffic(at_s, **counters):
    return Traffic.of(
        {name: SimpleNamespace(bytes_recv=count) for name, count in counters.items()}, at_s
    )


@pytest.mark.parametrize(
    ("before", "now", "rate"),
    [
        ({"eth0": 1000}, {"eth0": 1500}, 250.0),
        ({"eth0": 1000}, {"eth0": 1000}, 0.0),
        ({"eth0": 0, "eth1": 100}, {"eth0": 10, "eth1": 100}, 5.0),
        ({"eth0": 2**32 - 1}, {"eth0": 5}, None),
        ({"eth0": 10**12}, {"eth0": 0}, None),
        ({"eth0": 10, "eth1": 100}, {"eth0": 200, "eth1": 0}, None),
        ({"eth0": 10}, {"eth0": 20, "vpn": 10**12}, 5.0),
        ({"eth0": 10, "vpn": 10**12}, {"eth0": 20}, 5.0),
        ({}, {}, 0.0),
        ({"lo": 0}, {"lo": 10**12}, 0.0),
        ({"eth0": 0}, {"eth0": 1}, 0.5),
    ],
)
def test_a_rate_is_the_growth_of_what_was_there_both_times(before, now, rate):
    """In two seconds; what wrapped, was reset or was plugged in tells no growth."""
    assert rate == _traffic(12.0, **now).rate("bytes_recv", _traffic(10.0, **before))


@pytest.mark.parametrize("at_s", [10.0, 9.0])
def test_no_time_is_no_rate(at_s):
    """Two readings at once have nothing between them."""
    assert None is _traffic(at_s, eth0=20).rate("bytes_recv", _traffic(10.0, eth0=10))


def test_the_first_traffic_has_no_rate():
    """There is nothing before it."""
    assert None is _traffic(10.0, eth0=20).rate("bytes_recv", None)


def test_loopback_is_no_traffic():
    """What a machine says to itself went nowhere."""
    assert 20 == _traffic(0.0, lo=5, lo0=5, eth0=20).sum("bytes_recv")
