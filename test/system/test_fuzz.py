"""Whatever a topic brings: no crash, no event outside the sensor, no hang. See test/fuzzing.py."""

from __future__ import annotations

import os
from dataclasses import replace

import numpy as np
import pytest
from faulty import FAULTS, PACKETS, SIZE, bases, some_events
from fuzzing import (
    STAMP,
    TURNS,
    S,
    examples,
    faults,
    inputs,
    seeds,
    sides,
    sound,
    told,
)
from hypothesis import given
from hypothesis import strategies as st

from evlayerseg_ros.errors import InputError
from evlayerseg_ros.events import Events, Packet
from evlayerseg_ros.events.codecs import ENCODINGS, Decoder
from evlayerseg_ros.events.stream import PacketStream
from evlayerseg_ros.events.types import MAX_ASPECT
from evlayerseg_ros.events.window import WindowConfig
from evlayerseg_ros.outputs.outputs import OUTPUTS
from evlayerseg_ros.segmentation.segmentation import Segmentation


def damaged(rng, encoding, kinds):
    """Packets in their order, each with its fault; their number too."""
    for k, kind in enumerate(kinds * TURNS):
        yield k, FAULTS[kind](rng, PACKETS[encoding][k % 12])


@examples(150)
@given(st.sampled_from(ENCODINGS), sides, sides, seeds, faults)
def test_decoders(encoding, width, height, seed, kinds):
    rng = np.random.default_rng(seed)
    height = min(height, MAX_ASPECT * width)
    decoder = Decoder(encoding, width, height)
    for k, data in damaged(rng, encoding, kinds):
        inputs["packets to a decoder"] += 1
        base = int(rng.integers(0, 1 << 62)) if rng.random() < 0.2 else bases()[k % 12]
        try:
            events = decoder.decode(data, base)
        except InputError as error:
            told(error)
            continue
        assert np.all(events.x < width) and np.all(events.y < height) and np.all(events.p <= 1)
        assert np.all(events.t[1:] >= events.t[:-1])
        assert len(events) == 0 or decoder.now >= events.t[-1]


def lie(rng: np.random.Generator, head: dict) -> dict:
    """A packet's other fields, one of them wrong."""
    shift = int(rng.choice([1, 10**6, S, 60 * S, 17 * S, 3600 * S, 20 * 3600 * S]))
    sign = int(rng.choice([-1, 1]))
    wrong = [
        {"width": int(rng.choice([0, 1, 4096, 4097, 2**32 - 1]))},
        {"height": int(rng.choice([0, 1, 4096, 4097, 2**32 - 1]))},
        {"encoding": str(rng.choice([*ENCODINGS, "", "trigger", "EVT3", "evt3\n"]))},
        {"stamp": head["stamp"] + sign * shift},
        {"stamp": int(rng.choice([0, -S, 2**31 * S - 1, -(2**31) * S]))},
        {"time_base": max(0, head["time_base"] + sign * shift)},
        {"time_base": int(rng.choice([0, 2**62 - 1, 2**63, 2**64 - 1], 1).astype(object)[0])},
        {"seq": max(0, head["seq"] + sign * int(rng.choice([1, 2, 50, 10**7])))},
        {"seq": (None, 0, 2**32 - 1, 2**64 - 1)[rng.integers(4)]},
        {"big_endian": True},
    ]
    return {**head, **wrong[rng.integers(len(wrong))]}


def lying_packets(rng, encoding, kinds):
    """Arguments of PacketStream.push, numbered and timed on, a third of them with a lie."""
    for k, data in damaged(rng, encoding, kinds):
        base = bases()[k % 12] + k // 12 * bases()[-1]
        head = {
            "encoding": encoding, "width": SIZE[0], "height": SIZE[1], "time_base": base,
            "stamp": STAMP + base, "seq": k, "big_endian": False,
        }  # fmt: skip
        inputs["packets to a stream"] += 1
        yield {**(lie(rng, head) if rng.random() < 0.3 else head), "data": data}


configs = st.builds(
    WindowConfig,
    st.sampled_from(["time", "count"]),
    st.sampled_from([0.1, 5.0, 33.0, 10_000.0]),
    st.sampled_from([1, 100, 50_000]),
    st.sampled_from([0.0, 1.0, 4.0, 50.0]),
    st.sampled_from([10.0, 100.0, 60_000.0]),
)


@examples(120)
@given(st.sampled_from(ENCODINGS), configs, seeds, faults)
def test_streams_and_what_a_sound_camera_gives_afterwards(encoding, config, seed, kinds):
    stream = PacketStream(config)
    for packet in lying_packets(np.random.default_rng(seed), encoding, kinds):
        try:
            sound(stream.push(Packet(**packet)))
        except InputError as error:
            told(error)
            assert stream.stats.last_error == str(error)
    sound(stream.flush())
    before = stream.stats.events
    for k, base in enumerate(bases()):
        data = PACKETS[encoding][k]
        where = (base + 10**17, data, 2 * STAMP + base, 10**15 + k)
        stream.push(Packet(encoding, *SIZE, *where))
    sent = sum(len(e) for e in decoded(encoding))
    assert stream.stats.events - before > 0.8 * sent


def decoded(encoding: str) -> list[Events]:
    decoder = Decoder(encoding, *SIZE)
    return [decoder.decode(d, b) for d, b in zip(PACKETS[encoding], bases())]


@examples(60)
@given(st.sampled_from(ENCODINGS), seeds, faults)
def test_event_packet_messages(encoding, seed, kinds):
    pytest.importorskip("rclpy", reason="ROS 2 is not installed")
    from event_camera_msgs.msg import EventPacket

    from evlayerseg_ros.node.messages import packet_of, to_bytes, to_message, to_time

    stream = PacketStream(WindowConfig())
    for packet in lying_packets(np.random.default_rng(seed), encoding, kinds):
        data, stamp, big = packet.pop("data"), packet.pop("stamp"), packet.pop("big_endian")
        packet["seq"] = packet["seq"] or 0
        message = EventPacket(events=to_bytes(data), is_bigendian=big, **packet)
        message.header.stamp = to_time(stamp)
        try:
            windows = stream.push(packet_of(message))
        except InputError as error:
            told(error)
            continue
        sound(windows)
        for window in windows:
            labels = np.zeros((window.events.height, window.events.width), np.uint8)
            result = Segmentation(window, labels, np.zeros((2, 2, 3)))
            to_message(OUTPUTS["layers"](window, result), window.stamp, "camera")


@examples(60)
@given(seeds, faults)
def test_event_array_messages(seed, kinds):
    pytest.importorskip("rclpy", reason="ROS 2 is not installed")
    from faulty_files import event_array

    from evlayerseg_ros.node.messages import packet_of_event_array

    rng, stream = np.random.default_rng(seed), PacketStream(WindowConfig())
    for k, kind in enumerate(kinds * TURNS):
        inputs["EventArrays"] += 1
        events = some_events(20)
        raw = event_array(replace(events, t=events.t + k * 10**7))
        raw = bytes(raw[:50]) + FAULTS[kind](rng, raw[50:]) if rng.random() < 0.5 else raw
        try:
            windows = stream.push(packet_of_event_array(FAULTS[kind](rng, raw)))
        except InputError as error:
            told(error)
            continue
        sound(windows)


@examples(60)
@given(seed=seeds)
def test_event_arrays_with_one_field_wrong(seed):
    from wrong_fields import array_with_a_lie

    from evlayerseg_ros.events.dvs import parse_event_array

    rng, stream = np.random.default_rng(seed), PacketStream(WindowConfig())
    for _ in range(10 * TURNS):
        inputs["EventArrays with one field wrong"] += 1
        try:
            packet = parse_event_array(array_with_a_lie(rng), size=(0, 0))
            sound(stream.push(packet))
        except InputError as error:
            told(error)


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_packet_of_100_mb(encoding):
    """It is decoded, or refused before memory for its events is taken."""
    vectors = {"evt3": 0x4FFF, "libcaer_cmp": 0x50FF}
    word = np.array(vectors.get(encoding, 0x1FFF), "<u2")
    data = np.full(50_000_000, word, "<u2").view(np.uint8)
    stream = PacketStream(WindowConfig())
    try:
        stream.push(Packet(encoding, 1280, 720, 0, data, STAMP, 0))
    except InputError as error:
        told(error)
        assert "events" in str(error) and encoding in ("evt3", "evt21", "libcaer_cmp")
    else:
        assert encoding in ("evt2", "libcaer", "mono")
    stream.push(Packet(encoding, *SIZE, bases()[0], PACKETS[encoding][0], STAMP, 1))
    assert stream.stats.packets > 0


if os.environ.get("NUMBA_BOUNDSCHECK") == "1":

    def test_bounds_are_checked():
        """`make fuzz` asks for it: a loop that leaves its array would raise."""
        from numba import njit

        with pytest.raises(IndexError):
            njit(lambda a: a[5])(np.zeros(3))
