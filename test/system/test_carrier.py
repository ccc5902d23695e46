"""Carrier: the newest answer at a rate, with instants that rise; it rests without newer ones."""

from __future__ import annotations

import queue
import threading

import numpy as np
import pytest

from evlayerseg_ros.events.types import Events, Window
from evlayerseg_ros.node.carrier import OTHER_CLOCK, STALE, Carrier
from evlayerseg_ros.segmentation.segmentation import Segmentation

TIMEOUT = 60.0
PERIOD = 1 / 64  # s, without a rounding error
STAMP = 1_700_000_000_000_000_000


def answer(stamp):
    window = Window(Events.empty(8, 6), 0, 0, stamp)
    return Segmentation(window, np.zeros((6, 8), np.uint8), np.zeros((1, 2, 3)))


class Carried:
    """A carrier whose clocks the test sets; what it publishes waits in `got`."""

    def __init__(self, rate=1 / PERIOD):
        self.now, self.ros = 0.0, STAMP
        self.got, self.faults = queue.Queue(), queue.Queue()
        self.carrier = Carrier(
            self.publish, lambda: self.ros, self.faults.put, rate, clock=lambda: self.now
        )
        self.carrier.start()

    def publish(self, segmentation, stamp, frame_id):
        self.got.put((segmentation, stamp, frame_id))

    def take(self):
        return self.got.get(timeout=TIMEOUT)

    def pass_time(self, periods=1):
        self.ros += round(periods * PERIOD * 1e9)
        self.now += periods * PERIOD


@pytest.fixture
def carried():
    made = Carried()
    yield made
    made.carrier.stop()


def test_the_newest_answer_is_given_out_at_each_instant(carried):
    first, second = answer(STAMP - 5), answer(STAMP - 1)
    carried.carrier.offer(first, "left", 0.0)
    assert carried.take() == (first, STAMP, "left")
    carried.pass_time()
    assert carried.take() == (first, STAMP + round(PERIOD * 1e9), "left")
    carried.carrier.offer(second, "right", carried.now)
    carried.pass_time()
    assert carried.take() == (second, carried.ros, "right")
    assert carried.got.empty()


def test_it_rests_where_no_newer_answer_comes(carried):
    old, new = answer(STAMP), answer(STAMP + 1)
    carried.carrier.offer(old, "", 0.0)
    assert carried.take()[0] is old
    carried.pass_time(int(STALE / PERIOD) + 1)
    carried.carrier.offer(new, "", carried.now)
    assert carried.take()[0] is new


def test_nothing_that_was_forgotten_is_carried_on(carried):
    carried.carrier.offer(answer(STAMP), "", 0.0)
    carried.take()
    carried.carrier.forget()
    carried.pass_time()
    new = answer(STAMP + 1)
    carried.carrier.offer(new, "", carried.now)
    assert carried.take()[0] is new


def test_a_clock_that_stands_still_gives_one_instant():
    """As simulated time does while a simulation pauses."""
    carried = Carried()
    asked = threading.Semaphore(0)
    ros = carried.carrier._now
    carried.carrier._now = lambda: asked.release() or ros()
    carried.carrier.offer(answer(STAMP), "", 0.0)
    carried.take()
    for _ in range(2):
        carried.now += PERIOD
        assert asked.acquire(timeout=TIMEOUT)
    carried.carrier.stop()
    assert carried.got.empty()


def test_it_follows_stamps_that_begin_again(carried):
    hour = 3_600_000_000_000
    for stamp in (STAMP, STAMP - hour):
        carried.carrier.offer(answer(stamp), "", carried.now)
        assert carried.take()[1] == stamp
        carried.now += PERIOD


@pytest.mark.parametrize("away", [-OTHER_CLOCK, OTHER_CLOCK])
def test_stamps_of_another_clock_go_on_from_the_packets_arrival(carried, away):
    carried.now, stamp = 10.0, STAMP - away
    carried.carrier.offer(answer(stamp), "", arrived=9.5)
    assert carried.take()[1] == stamp + 500_000_000


def test_a_fault_is_told_and_the_next_instant_comes(carried):
    def fail(*arguments):
        carried.carrier._publish = carried.publish
        raise ValueError("no room")

    carried.carrier._publish = fail
    carried.carrier.offer(answer(STAMP), "", 0.0)
    assert "no room" in carried.faults.get(timeout=TIMEOUT)
    carried.pass_time()
    assert carried.take()[1] == carried.ros


def test_without_a_rate_it_rests_until_there_is_one():
    carried = Carried(rate=0.0)
    carried.carrier.offer(answer(STAMP), "", 0.0)
    carried.carrier.rate = 1 / PERIOD
    new = answer(STAMP)
    carried.carrier.offer(new, "", 0.0)
    assert carried.take()[0] is new
    carried.carrier.stop()
