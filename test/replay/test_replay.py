"""Replay: what it writes, and that it writes the same again."""

import signal
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from called import done
from rosbags.highlevel import AnyReader
from rosbags.typesys import Stores, get_typestore
from streams import save

from evlayerseg_ros import surroundings
from evlayerseg_ros.bench.stages import boxed
from evlayerseg_ros.errors import InputError
from evlayerseg_ros.events.codecs import encode_mono
from evlayerseg_ros.events.stream import PacketStream
from evlayerseg_ros.events.types import Events, Packet, Window
from evlayerseg_ros.events.window import WindowConfig
from evlayerseg_ros.outputs.outputs import OUTPUTS
from evlayerseg_ros.pipeline import Pipeline, PipelineConfig, windows_of
from evlayerseg_ros.recordings.published import are_outputs, outputs_in
from evlayerseg_ros.recordings.readers import open_recording
from evlayerseg_ros.replay.replay import part_of, replay
from evlayerseg_ros.segmentation.segmentation import Segmentation
from evlayerseg_ros.segmentation.segmenter import Segmenter


@pytest.fixture(scope="module")
def segmenter() -> Segmenter:
    return Segmenter.load("default", provider="cpu", threads=1)


@pytest.fixture
def recording(tmp_path) -> Path:
    """A texture that drifts and a box of dots that overtakes it, 120 ms on 64x48 px."""
    rng = np.random.default_rng(0)
    n = 6000
    t = np.sort(rng.integers(0, 120_000_000, n))
    boxed = np.arange(n) % 3 == 0
    x = np.where(boxed, 10 + rng.integers(0, 12, n) + t * 2e-7, (rng.integers(0, 64, n) + t * 3e-8))
    y = np.where(boxed, 20 + rng.integers(0, 12, n), rng.integers(0, 48, n))
    events = Events.from_arrays(x % 64, y, t, rng.integers(0, 2, n), 64, 48)
    return save(tmp_path / "dots.npz", events)


def read(bag: Path) -> dict[str, list]:
    """Topic to its messages, in order."""
    topics: dict[str, list] = {}
    with AnyReader([bag], default_typestore=get_typestore(Stores.ROS2_JAZZY)) as reader:
        for connection, t, raw in reader.messages():
            message = reader.deserialize(raw, connection.msgtype)
            stamp = message.header.stamp
            assert t == stamp.sec * 1_000_000_000 + stamp.nanosec
            topics.setdefault(connection.topic, []).append((t, message))
    return topics


@pytest.mark.parametrize("how", ["signal", "raised", "wrapped"])
def test_what_was_written_until_ctrl_c_is_whole(recording, tmp_path, how) -> None:
    """The third window is done when it comes; numba may wrap it."""

    def interrupt(events: int, seconds: float) -> None:
        if seconds and len(seen) == 2:
            if how == "wrapped":
                raise SystemError from KeyboardInterrupt()
            if how == "raised":
                raise KeyboardInterrupt
            signal.raise_signal(signal.SIGINT)
        seen.append(events)

    seen: list[int] = []
    bag, video = tmp_path / "out.mcap", tmp_path / "out.mp4"
    pipeline = Pipeline(PipelineConfig(WindowConfig(duration_ms=20.0)), boxed)
    with open_recording(recording) as opened:
        summary = replay(opened, pipeline, bag, video, progress=interrupt)
    assert summary.interrupted and summary.windows == 3
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert len(read(bag)["/event_camera/evlayerseg/mask"]) == 3
    capture = cv2.VideoCapture(str(video))
    assert sum(1 for _ in iter(lambda: capture.read()[0], False)) == 3


@pytest.mark.parametrize(("usual", "told"), [(0.0, 1), (600.0, 0)])
def test_a_first_window_that_takes_long_is_explained(recording, monkeypatch, usual, told) -> None:
    monkeypatch.setattr(surroundings, "USUAL", usual)
    result = done("replay", recording)
    assert result.stderr.count(surroundings.SLOW) == told


def test_bag_holds_every_window_with_its_stamp(recording, segmenter, tmp_path) -> None:
    config = PipelineConfig(WindowConfig(duration_ms=20.0))
    with open_recording(recording) as opened:
        expected = [
            (window, segmenter(window)) for window, _ in windows_of(opened, config.stream())
        ]
    bag = tmp_path / "out.mcap"
    with open_recording(recording) as opened:
        summary = replay(opened, Pipeline(config, segmenter), bag=bag, topics=list(OUTPUTS))
    assert summary.windows == len(expected) == 6
    assert summary.events == 6000
    topics = read(bag)
    names = (*OUTPUTS, "label_info")
    assert set(topics) == {f"/event_camera/evlayerseg/{name}" for name in names}
    for (window, segmentation), (t, image) in zip(
        expected, topics["/event_camera/evlayerseg/mask"], strict=True
    ):
        assert t == window.stamp
        assert (image.height, image.width, image.encoding, image.step) == (48, 64, "mono8", 64)
        np.testing.assert_array_equal(image.data.reshape(48, 64), segmentation.labels)
    for (_, segmentation), (_, image) in zip(
        expected, topics["/event_camera/evlayerseg/flow"], strict=True
    ):
        assert (image.encoding, image.step) == ("32FC2", 512)
        flow = image.data.view(np.float32).reshape(48, 64, 2)
        np.testing.assert_array_equal(flow, segmentation.flow())
    for (_, segmentation), (_, cloud) in zip(
        expected, topics["/event_camera/evlayerseg/layers"], strict=True
    ):
        assert cloud.width == len(segmentation.affine)
        names = [field.name for field in cloud.fields]
        assert names[:5] == ["x", "y", "z", "label", "events"]
        rows = cloud.data.view(np.float32).reshape(-1, cloud.point_step // 4)
        np.testing.assert_array_equal(
            rows[:, 5:], segmentation.affine.reshape(-1, 6).astype(np.float32)
        )
    packets = topics["/event_camera/evlayerseg/moving_events"]
    assert [packet.seq for _, packet in packets] == list(range(6))


def test_the_same_bytes_again(recording, tmp_path) -> None:
    written = []
    for name in ("a", "b"):
        folder = tmp_path / name
        folder.mkdir()
        arguments = ["-o", folder / "out.mcap", "--video", folder / "out.mp4", "--outputs", "all"]
        done("replay", recording, *arguments)
        written.append([(folder / file).read_bytes() for file in ("out.mcap", "out.mp4")])
        assert sorted(p.name for p in folder.iterdir()) == ["out.mcap", "out.mp4"]
    assert written[0] == written[1]


def test_video_has_a_frame_a_window(recording, tmp_path) -> None:
    video = tmp_path / "out.mp4"
    result = done("replay", recording, "--video", video, "--window-events", "1000")
    assert "6 windows, 0.006 M events" in result.output
    capture = cv2.VideoCapture(str(video))
    frames = []
    while (frame := capture.read())[0]:
        frames.append(frame[1])
    assert len(frames) == 6
    # Two 64x48 pictures side by side, enlarged so that one can read the names, two rows, a line of
    # text over each and below all.
    assert frames[0].shape == (2 * (5 * 48 + 28) + 28, 2 * 5 * 64, 3)


def test_a_folder_becomes_a_bag_with_metadata(recording, segmenter, tmp_path) -> None:
    folder = tmp_path / "bag"
    with open_recording(recording) as opened:
        replay(opened, Pipeline(segment=segmenter), bag=folder)
    assert (folder / "metadata.yaml").exists()
    names = {topic.rsplit("/")[-1] for topic in read(folder)}
    assert names == {"mask", "label_info", "layers", "mask_overlay"}


def test_a_camera_that_changes_inside_a_bag(segmenter) -> None:
    def packet(seq: int, width: int, height: int, big_endian: bool = False) -> Packet:
        n, base = 100, seq * 50_000_000
        ramp = np.arange(n)
        zeros = np.zeros(n, int)
        events = Events.from_arrays(ramp % width, zeros, base + ramp * 1000, zeros, width, height)
        data = np.frombuffer(encode_mono(events, base), np.uint8)
        where = (10**18 + base, seq, big_endian, "camera", "/events")
        return Packet("mono", width, height, base, data, *where)

    packets = [packet(0, 64, 48), packet(1, 64, 48, True), packet(2, 32, 24), packet(3, 32, 24)]
    seen = []
    summary = replay(packets, Pipeline(segment=lambda w: seen.append(w) or segmenter(w)))
    assert [(w.events.width, w.events.height) for w in seen] == [(64, 48), (32, 24), (32, 24)]
    assert "1 bad packets" in summary.faults and "1 restarts" in summary.faults


@pytest.mark.slow
def test_real_recording_end_to_end(recordings, tmp_path) -> None:
    path = recordings / "event_camera_py" / "test_events_1"
    bag = tmp_path / "out.mcap"
    done("replay", path, "-o", bag, "--outputs", "mask", "--duration", "0.5")
    with open_recording(path) as opened:
        windows = list(windows_of(part_of(opened, 0.0, 0.5), PacketStream(WindowConfig())))
    masks = read(bag)["/event_camera/evlayerseg/mask"]
    assert [t for t, _ in masks] == [window.stamp for window, _ in windows]
    assert all(
        image.header.frame_id == frame
        for (_, image), (_, frame) in zip(masks, windows, strict=True)
    )
    assert {(image.width, image.height) for _, image in masks} == {(640, 480)}


@pytest.mark.slow
def test_memory_does_not_grow_with_the_recording(tmp_path) -> None:
    """A long recording needs what a short one needs: nothing of the past is kept."""

    def packets(count: int) -> Iterator[Packet]:
        n = 5000
        for i in range(count):
            t = i * 10_000_000 + np.arange(n) * 2000
            zeros = np.zeros(n, int)
            yield Packet.of_events(Events.from_arrays(zeros, zeros, t, zeros, 64, 48))

    def segment(window: Window) -> Segmentation:
        return Segmentation(window, np.zeros((48, 64), np.uint8), np.zeros((2, 2, 3)))

    def peak(count: int) -> int:
        tracemalloc.start()
        try:
            files = {"bag": tmp_path / f"{count}.mcap", "video": tmp_path / f"{count}.mp4"}
            config = PipelineConfig(WindowConfig(duration_ms=20.0))
            summary = replay(packets(count), Pipeline(config, segment), **files)
            assert summary.windows == count // 2
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    peak(20)  # what is loaded once
    short, long = peak(60), peak(600)
    # 540 more packets hold 35 MB of events.
    assert long - short < 3_500_000


def holds_outputs(bag):
    try:
        with open_recording(bag) as opened:
            return are_outputs(opened.topics)
    except InputError as error:  # no events, or those that move alone
        return are_outputs(error.topics)


@pytest.mark.parametrize("ending", [".mcap", ""])
def test_what_is_left_of_a_bag_of_outputs_is_shown(recording, segmenter, tmp_path, capsys, ending):
    bag = tmp_path / f"out{ending}"
    with open_recording(recording) as packets:
        pipeline = Pipeline(PipelineConfig(), segmenter)
        windows = replay(packets, pipeline, bag, topics=list(OUTPUTS)).windows
    assert holds_outputs(bag) and len(list(outputs_in(bag, ("mask",)))) == windows
    file = bag if ending else next(bag.glob("*.mcap"))
    file.write_bytes(file.read_bytes()[: file.stat().st_size * 2 // 3])
    assert holds_outputs(bag) and not capsys.readouterr().err
    assert 0 < len(list(outputs_in(bag, ("mask", "layers")))) <= windows
    assert "is not whole" in capsys.readouterr().err
    if ending:
        bag = bag.rename(tmp_path / "OUT.MCAP")
    else:
        (bag / "metadata.yaml").unlink()  # as a recorder leaves it that was ended
    assert holds_outputs(bag)
    assert 0 < len(list(outputs_in(bag, ("mask",)))) <= windows


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "seconds"),
    [
        ("vendor/cars_davis346.aedat4", 0.3),
        ("vendor/vga_evt2.raw", 0.07),
        ("vendor/driving_evt3.raw", None),
        ("event_camera_py/test_events_2/test_events_2_0.mcap", 0.1),
        ("event_camera_codecs/test_data_libcaer_rollover", 0.1),
        ("event_camera_codecs/test_data_mono_cd", None),
        ("ijrr/shapes_rotation", None),
    ],
)
def test_each_kind_of_recording_twice(recordings, tmp_path, name, seconds) -> None:
    part = [] if seconds is None else ["--duration", str(seconds)]
    written = []
    for folder in (tmp_path / "a", tmp_path / "b"):
        folder.mkdir()
        files = [folder / "out.mcap", folder / "out.mp4"]
        arguments = ["-o", files[0], "--video", files[1], "--threads", "1", *part]
        done("replay", recordings / name, *arguments)
        written.append([file.read_bytes() for file in files])
    assert written[0] == written[1]
