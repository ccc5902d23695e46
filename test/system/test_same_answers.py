"""What is evaluated is what runs on the robot: one recording live, replayed and evaluated."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from called import done

pytest.importorskip("rclpy", reason="ROS 2 is not installed")

from ros import ALL_WINDOWS, Client, running, stamp_of, values
from rosbags.highlevel import AnyReader
from rosbags.typesys import Stores, get_typestore
from sensor_msgs.msg import Image, PointCloud2

from evlayerseg_ros.evaluation.scores import SequenceScores

KINDS = {"mask": Image, "layers": PointCloud2}
# Nothing is dropped; how windows are cut and segmented stays as it is by default.
KEEP = [parameter for parameter in ALL_WINDOWS if not parameter.startswith("window.")]
TURNS = 3


def published(recording, log):
    """What the node publishes of a recording; None where the machine stood still meanwhile.

    A pause of more than 0.2 s closes a window, which no reader of the file would see.
    """
    client = Client()
    try:
        heard = {name: client.hear(kind, f"/evlayerseg/{name}") for name, kind in KINDS.items()}
        with running(log, "threads:=0", *KEEP):
            client.ready(*heard)
            play = [sys.executable, "-m", "evlayerseg_ros.cli", "play", str(recording)]
            player = subprocess.Popen(play)
            client.until(lambda: player.poll() is not None, "the end of the recording")

            def done(told):
                done = int(told.get("windows done", -1))
                return done == int(told["windows"]) == len(heard["mask"]) == len(heard["layers"])

            cut = 1  # the last window, which the silence after the recording closes
            told = client.told(
                lambda s: s.values and done(values(s)) and int(values(s)["windows cut"]) >= cut,
                "each window",
            )
            return heard if int(values(told)["windows cut"]) == cut else None
    finally:
        client.close()


def evaluated(recording, monkeypatch):
    """Labels by stamp of each window that `evaluate` scores, without options."""
    found = {}
    add = SequenceScores.add

    def noted(self, score):
        found[score.window.stamp] = score.predicted
        add(self, score)

    monkeypatch.setattr(SequenceScores, "add", noted)
    done("evaluate", recording)
    return found


def replayed(recording, bag):
    """(stamp, message) of each topic of what `replay` writes, without options."""
    done("replay", recording, "-o", bag)
    found = {name: [] for name in KINDS}
    with AnyReader([bag], default_typestore=get_typestore(Stores.ROS2_JAZZY)) as reader:
        for connection, t, raw in reader.messages():
            name = connection.topic.rsplit("/", 1)[1]
            if name in found:
                found[name].append((t, reader.deserialize(raw, connection.msgtype)))
    return found


@pytest.mark.parametrize("name", ["vendor/cars_davis346.aedat4", "event_camera_py/test_events_1"])
def test_node_replay_and_evaluate_give_the_same_labels(recordings, tmp_path, monkeypatch, name):
    recording = recordings / name
    written = replayed(recording, tmp_path / "out.mcap")
    scored = evaluated(recording, monkeypatch)
    turns = (published(recording, tmp_path / "node.log") for _ in range(TURNS))
    heard = next((heard for heard in turns if heard is not None), None)
    assert heard is not None, f"the machine stood still in each of {TURNS} turns"
    for topic, messages in written.items():
        assert len(messages) > 60
        assert [stamp_of(m) for m in heard[topic]] == [t for t, _ in messages], topic
        for live, (_, offline) in zip(heard[topic], messages, strict=True):
            assert bytes(live.data) == offline.data.tobytes(), topic
    masks = {
        stamp_of(m): np.frombuffer(m.data, np.uint8).reshape(m.height, m.width)
        for m in heard["mask"]
    }
    # A window without events has nothing to be scored.
    assert len(scored) > 60 and set(scored) <= set(masks)
    for stamp, labels in scored.items():
        assert np.array_equal(labels, masks[stamp])
    assert not any(masks[stamp].any() for stamp in set(masks) - set(scored))
