"""The pace at which a recording is played, where its clock was set."""

from __future__ import annotations

import time

import pytest

from evlayerseg_ros.events.types import Packet
from evlayerseg_ros.replay import play


class Clock:
    """Stands in for `time`: sleeping takes none."""

    def __init__(self) -> None:
        self.now = time.monotonic()

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def played(monkeypatch, steps, rate=1.0):
    """When (s) the messages go out whose stamps (s) make these steps, and what was played."""
    clock, at, stamp, packets = Clock(), [], 10**18, []
    begun = clock.now
    for step in (0, *steps):
        stamp += round(step * 1e9)
        packets.append(Packet("mono", 64, 48, stamp, b"", stamp))
    monkeypatch.setattr(play, "time", clock)
    found = play.Played("/events")

    def publish(packet: Packet) -> None:
        at.append(round(clock.now - begun, 6))

    play._play_once(packets, rate, publish, int, found, begun)
    return at, found


@pytest.mark.parametrize(("step", "told"), [(7e8, "700000000.0 s forth"), (-3600, "3600.0 s back")])
@pytest.mark.parametrize("rate", [1, 2])
def test_a_clock_that_was_set_is_told_and_not_waited_for(monkeypatch, capsys, step, told, rate):
    at, found = played(monkeypatch, [1, 1, step, 1, 1], rate)
    assert at == [k / rate for k in (0, 1, 2, 2, 3, 4)] and found.late < 1e-6
    assert f"Before message 3 the stamps go {told}" in (err := capsys.readouterr().err)
    assert err.count("\n") == 1


def test_one_stray_stamp_costs_no_time(monkeypatch, capsys):
    assert played(monkeypatch, [1, 1e6, -1e6, 1])[0] == [0, 1, 1, 1, 2]
    assert capsys.readouterr().err.count("not waited for") == 2


def test_a_pause_is_waited_for(monkeypatch, capsys):
    at, _ = played(monkeypatch, [1, 50, -0.5, 1])
    assert at == [0, 1, 51, 51, 51.5]
    assert not capsys.readouterr().err
