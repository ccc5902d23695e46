"""The measurements measure what they say; how fast anything is, no test asks."""

from __future__ import annotations

import json
import multiprocessing
import os
import subprocess

import numpy as np
import pytest
from called import done, refused

from evlayerseg_ros.bench import scenes
from evlayerseg_ros.bench.camera import LOOP, Shot, loop, moved_on
from evlayerseg_ros.bench.encode import encode
from evlayerseg_ros.bench.end_to_end import _word, latencies
from evlayerseg_ros.bench.measure import LEAST, WARM_UP, Usage, measure_in_turn, table
from evlayerseg_ros.errors import InputError
from evlayerseg_ros.events.codecs import ENCODINGS, Decoder
from evlayerseg_ros.outputs.outputs import OUTPUTS


def bench(*arguments):
    return done("bench", *arguments).output


def test_a_provider_that_is_not_there_is_told():
    told = refused("bench", "--provider", "tensorrt").output
    assert "Provider tensorrt cannot be had here" in told


@pytest.mark.slow
def test_figures_have_medians_and_numbers_of_runs(tmp_path):
    out = tmp_path / "out.json"
    text = bench("--quick", "--only", "voxel,decode", "--sizes", "346x260", "--json", out)
    figures = json.loads(out.read_text())
    assert set(figures) == {"machine", "settings", "decode", "voxel"}
    assert figures["machine"]["cores"] >= 1
    assert figures["machine"]["versions"]["numpy"] == np.__version__
    assert {row["encoding"] for row in figures["decode"]} == set(ENCODINGS)
    assert {row["by"] for row in figures["decode"]} == {"evlayerseg", "faery"}
    assert {row["how"] for row in figures["voxel"]} == {"at rest", "along motions"}
    for row in figures["decode"] + figures["voxel"]:
        assert row["ratio"] > 0
        assert row["runs"] >= 10
        assert 0 < row["median_ms"] <= row["p99_ms"]
        assert row["mev_s"] == pytest.approx(row["events"] / row["median_ms"] * 1e-3)
    assert {row["sensor"] for row in figures["voxel"]} == {"346x260"}
    assert "| encoding " in text and "runs |" in text


@pytest.fixture(scope="module")
def untrained(tmp_path_factory):
    """A model that looks twice, with random weights."""
    pytest.importorskip("torch")
    from evlayerseg_ros.network.export import export
    from evlayerseg_ros.network.layernet import LayerNet

    path = tmp_path_factory.mktemp("model") / "untrained.onnx"
    export(LayerNet(widths=(4, 8)), path, "untrained", "none", {})
    return path


@pytest.mark.slow
def test_refinement_is_measured_beside_the_plain_network(untrained, tmp_path):
    out = tmp_path / "out.json"
    given = ("--model", untrained, "--paper", "layernet-int8", "--sizes", "346x260")
    sections = "voxel,inference,segmenter,pipeline"
    bench("--quick", "--only", sections, *given, "--rates", "0.5", "--json", out)
    figures = json.loads(out.read_text())
    for section in ("inference", "segmenter"):
        rows = [row for row in figures[section] if row["provider"] == "cpu"]
        assert [row["refine"] for row in rows] == [True, False, False]
        assert [row["model"] for row in rows] == ["untrained", "untrained", "layernet-int8"]
        assert rows[0]["ratio"] == 1
    (row,) = figures["pipeline"]
    assert (row["model"], row["windows"]) == ("untrained", 8)
    assert row["mev_s"] * row["median_ms"] == pytest.approx(0.5 * 33, rel=0.05)
    assert [row["how"] for row in figures["voxel"]][:2] == ["at rest", "along motions"]


def test_actions_in_turn_have_a_time_for_each_run():
    done = []
    times = measure_in_turn([lambda: done.append("a"), lambda: done.append("b")], 0.0)
    assert times.shape == (2, LEAST)
    assert done == ["a", "b"] * (LEAST + WARM_UP)


def test_decodes_recordings(recordings, tmp_path):
    out = tmp_path / "out.json"
    given = []
    for name in ("event_camera_py/test_events_1", "vendor/vga_evt2.raw", "vendor/driving_evt3.raw"):
        given += ["--recording", recordings / name]
    bench("--quick", "--only", "decode", *given, "--json", out)
    rows = json.loads(out.read_text())["decode"]
    assert [(row["by"], row["encoding"], row["events"]) for row in rows] == [
        ("evlayerseg", "evt3", 343_474),
        ("faery", "evt3", 343_474),
        ("evlayerseg", "evt2", 521_252),
        ("evlayerseg", "evt3", 219_596),
        ("faery", "evt3", 219_596),
    ]


@pytest.mark.parametrize(
    ("option", "value"),
    [("--only", "decode,nonsense"), ("--rates", "fast"), ("--rates", "0"), ("--sizes", "640")],
)
def test_what_makes_no_sense_is_refused(option, value):
    assert option in refused("bench", option, value).stderr


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("rate", [0.5, 50.0])
def test_what_is_encoded_is_decoded(encoding, rate):
    decoder = Decoder(encoding, 346, 260)
    for sent in scenes.packets(346, 260, rate, 3):
        base = int(sent.t[0])
        got = decoder.decode(encode(encoding, sent, base), base)
        if encoding == "libcaer_cmp":  # reads columns, not rows
            sent = sent[np.lexsort((sent.y, sent.p, sent.x, sent.t))]
        for name in "xytp":
            np.testing.assert_array_equal(getattr(got, name), getattr(sent, name))
    assert not any(decoder.counted)


def test_a_scene_has_the_rate_that_was_asked_for():
    window = scenes.window(640, 480, 20.0)
    assert len(window.events) / window.duration == pytest.approx(20e6, rel=0.02)


def test_the_camera_goes_on_where_its_loop_ends():
    first, words, counts = loop((346, 260), 0.1)
    decoder = Decoder("evt3", 346, 260)
    turns = 2  # and the clock of EVT 3.0 does not wrap yet
    events = [decoder.decode(data) for data in moved_on(words, turns * LOOP)]
    assert [len(e) for e in events] == counts * turns
    begins = [int(e.t[0]) for e in events]
    assert begins == [(k + 1) * scenes.PACKET_NS + first[k % LOOP] for k in range(turns * LOOP)]
    assert decoder.counted.time_errors == 0


def test_latency_counts_from_the_packet_with_the_last_event():
    shot = Shot(np.array([100, 200, 300]), np.array([5_000, 6_000, 7_000]), 0, 0, 0.0)
    # Windows that end in the second packet, with its first event, in the third; one too early.
    masks = {250: 1_000_006_000, 200: 6_500, 320: 7_100, 150: 9_000}
    got = latencies(shot, masks, since=200)
    np.testing.assert_allclose(got, [500e-9, 1.0, 100e-9])


def test_a_process_that_ended_is_told_in_a_sentence():
    gone = subprocess.Popen(["true"])
    os.waitid(os.P_PID, gone.pid, os.WEXITED | os.WNOWAIT)  # a zombie
    for _ in range(2):
        with pytest.raises(InputError, match=f"The process {gone.pid}, .*, ended by itself"):
            Usage.of(gone.pid)
        gone.wait()


def test_a_node_that_ended_is_not_waited_for():
    class Probe:
        def spin(self, seconds):
            pytest.fail("it waits on")

    ours, _theirs = multiprocessing.Pipe()
    gone = subprocess.Popen(["true"])
    gone.wait()
    with pytest.raises(InputError, match="The node ended by itself"):
        _word(ours, multiprocessing.current_process(), gone, Probe())


def test_tables_have_every_column_of_every_row():
    text = table([{"a": "x", "n": 1.5}, {"a": "yy", "m": None}])
    lines = text.splitlines()
    assert lines[0] == "| a  |   n | m |"
    assert lines[1].replace("-", "").replace(" ", "") == "||:|:|"
    assert lines[2:] == ["| x  | 1.5 |   |", "| yy |     |   |"]


@pytest.mark.slow
@pytest.mark.ros
def test_end_to_end_hears_masks_of_the_real_node(tmp_path):
    pytest.importorskip("rclpy", reason="no ROS 2 here")
    out = tmp_path / "out.json"
    given = ("--rates", "0.2", "--sizes", "346x260", "--threads", "1")
    bench("--quick", "--only", "messages,end_to_end", *given, "--json", out)
    figures = json.loads(out.read_text())
    assert {row["topic"] for row in figures["messages"]} == set(OUTPUTS)
    row, flow = figures["end_to_end"]
    assert (row["topic"], flow["topic"]) == ("mask", "flow")
    assert flow["runs"] > 0
    assert row["sensor"] == "346x260"
    assert row["mev_s"] == pytest.approx(0.2, rel=0.01)
    assert row["runs"] > 0 and row["median_ms"] > 0
    assert row["cpu_cores"] > 0 and row["rss_mb"] > 0 and row["start_s"] > 0


@pytest.mark.ros
def test_packets_of_another_process_take_time(tmp_path, monkeypatch):
    pytest.importorskip("rclpy", reason="no ROS 2 here")
    monkeypatch.setattr("evlayerseg_ros.bench.transport.BYTES", (10_000,))
    out = tmp_path / "out.json"
    bench("--quick", "--only", "transport", "--json", out)
    (row,) = json.loads(out.read_text())["transport"]
    assert row["MB"] == 0.01 and row["runs"] > 0 and row["median_ms"] > 0


@pytest.mark.slow
@pytest.mark.ros
def test_each_of_several_cameras_has_a_line_and_windows_at_its_stride(tmp_path, monkeypatch):
    pytest.importorskip("rclpy", reason="no ROS 2 here")
    monkeypatch.setattr("evlayerseg_ros.bench.end_to_end.CAMERAS", (2,))
    out = tmp_path / "out.json"
    given = ("--rates", "0.2", "--sizes", "346x260", "--threads", "1", "--stride-ms", "100")
    bench("--quick", "--only", "cameras", *given, "--json", out)
    rows = json.loads(out.read_text())["cameras"]
    assert [(row["cameras"], row["camera"], row["windows"]) for row in rows] == [
        (2, 0, 12),
        (2, 1, 12),
    ]
    assert all(row["runs"] > 0 for row in rows)
