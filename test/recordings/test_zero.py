"""Times before zero, as of recordings around a trigger: in a bag and in what is played."""

from __future__ import annotations

import numpy as np
from rosbags.highlevel import AnyReader
from whole_files import VGA, some_events, write_table

from evlayerseg_ros.events.codecs import encode_mono
from evlayerseg_ros.events.types import Packet
from evlayerseg_ros.outputs.outputs import Image
from evlayerseg_ros.recordings.readers import open_recording
from evlayerseg_ros.recordings.writer import BagWriter
from evlayerseg_ros.recordings.zero import FromZero
from evlayerseg_ros.replay.play import encoded

MS = 1_000_000
BEGIN = -250 * MS


def test_a_bag_begins_at_zero(tmp_path, capsys):
    e = some_events(1000)
    data = encode_mono(e, int(e.t[0]))
    with BagWriter(tmp_path / "out.mcap") as writer:
        for k in range(10):
            stamp = BEGIN + k * 33 * MS
            writer.write("mask", Image("mono8", np.zeros((4, 4), np.uint8)), stamp, "c")
            packet = Packet("mono", *VGA, stamp - 20 * MS, data, stamp)
            writer.write("moving_events", packet, stamp, "c")
    with AnyReader([tmp_path / "out.mcap"]) as reader:
        found = [
            (c.topic, t, reader.deserialize(raw, c.msgtype)) for c, t, raw in reader.messages()
        ]
    at = [k * 33 * MS for k in range(10)]
    masks = [(t, m.header.stamp) for topic, t, m in found if topic.endswith("/mask")]
    assert [t for t, _ in masks] == [s.sec * 10**9 + s.nanosec for _, s in masks] == at
    assert [m.time_base for topic, _, m in found if topic.endswith("events")] == at
    told = capsys.readouterr().err
    assert told.count("\n") == 1 and "out.mcap are 0.250 s later than the recording's" in told


def test_what_is_played_begins_at_zero(tmp_path, capsys):
    e = some_events()
    path = write_table(tmp_path / "some.npz", e, e.t + BEGIN, VGA)
    zero, got = FromZero("what is played"), []
    with open_recording(path) as recording:
        for packet in recording:
            got += encoded(packet, zero)
    assert got[0].time_base == got[0].stamp == 0
    words = [np.frombuffer(out.data, "<u4").reshape(-1, 2) for out in got]
    t = np.concatenate([out.time_base + w[:, 0] for out, w in zip(got, words, strict=True)])
    assert np.array_equal(t, e.t - e.t[0])
    assert capsys.readouterr().err.count("\n") == 1


def test_other_times_stay_as_they_are(capsys):
    zero = FromZero("a bag")
    assert [zero(t) for t in (5, 0, 7)] == [5, 0, 7] and not capsys.readouterr().err
