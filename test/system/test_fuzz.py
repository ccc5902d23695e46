"""Whatever a topic, a file or a model file brings: no crash, no event outside the sensor, no hang.

Hypothesis picks kinds of faults and a seed; numpy makes the bytes. `make fuzz` runs the same
properties for longer and counts the inputs.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import warnings
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from faulty import FAULTS, PACKETS, SIZE, bases, some_events, tiny_model
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from evlayerseg_ros.errors import InputError
from evlayerseg_ros.events import Events, Packet, Window
from evlayerseg_ros.events.codecs import ENCODINGS, Decoder
from evlayerseg_ros.events.stream import PacketStream
from evlayerseg_ros.events.voxel import VoxelSpec, voxel_grid
from evlayerseg_ros.events.window import WindowConfig
from evlayerseg_ros.outputs.outputs import OUTPUTS, Image
from evlayerseg_ros.pipeline import windows_of
from evlayerseg_ros.recordings.readers import open_recording
from evlayerseg_ros.segmentation.segmentation import Segmentation
from evlayerseg_ros.segmentation.segmenter import Segmenter

S = 1_000_000_000
STAMP = 1_700_000_000 * S
SPEC = VoxelSpec(bins=5, split=True, width=80, multiple=8)
# Times the examples of `make test`; where there are more, each has its faults ten times in a row,
# every time in other places, since most of the time goes into the choice of examples.
SCALE = int(os.environ.get("EVLAYERSEG_FUZZ", "1"))
TURNS = 10 if SCALE > 1 else 1
inputs: Counter[str] = Counter()
"""How many inputs each property has given, for `make fuzz`."""


@pytest.fixture(scope="module", autouse=True)
def counted():
    """Tells `make fuzz` how many inputs there were."""
    yield
    if path := os.environ.get("EVLAYERSEG_FUZZ_COUNTS"):
        Path(path).write_text("".join(f"{name} {n}\n" for name, n in inputs.items()))


def examples(n: int) -> settings:
    """n examples, times as many as `make fuzz` asks for."""
    return settings(
        max_examples=n * SCALE,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
    )


seeds = st.integers(0, 2**32 - 1)
faults = st.lists(st.sampled_from(sorted(FAULTS)), min_size=1, max_size=24)
sides = st.sampled_from([1, 2, 64, 240, 320, 1280, 4096])


def sound(windows: list[Window]) -> None:
    """Asserts what everything after the decoder relies on; a voxel grid is made of the first.

    A pause is answered by hundreds of empty windows, of which some do.
    """
    for k, window in enumerate(windows[:20] + windows[20:][-20:]):
        sound_window(window, k == 0)


def sound_window(window: Window, with_grid: bool) -> None:
    events = window.events
    assert np.all(events.x < events.width) and np.all(events.y < events.height)
    assert np.all(events.p <= 1) and np.all(events.t[1:] >= events.t[:-1])
    assert window.start <= window.end
    assert len(events) == 0 or window.start <= events.t[0] <= events.t[-1] == window.end
    if with_grid and events.width * events.height <= 320 * 240:
        grid = voxel_grid(window, SPEC)
        assert np.isclose(np.abs(grid).sum(), len(events), rtol=1e-3, atol=1e-3)


def told(error: InputError) -> None:
    """Asserts that the error is one sentence."""
    text = str(error)
    assert text.endswith(".") and "\n" not in text and 20 < len(text) < 1000, text


def damaged(rng, encoding, kinds):
    """Packets in their order, each with its fault; their number too."""
    for k, kind in enumerate(kinds * TURNS):
        yield k, FAULTS[kind](rng, PACKETS[encoding][k % 12])


@examples(150)
@given(st.sampled_from(ENCODINGS), sides, sides, seeds, faults)
def test_decoders(encoding, width, height, seed, kinds):
    rng = np.random.default_rng(seed)
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
    choice = rng.integers(9)
    wrong = [
        {"width": int(rng.choice([0, 1, 4096, 4097, 2**32 - 1]))},
        {"height": int(rng.choice([0, 1, 4096, 4097, 2**32 - 1]))},
        {"encoding": str(rng.choice([*ENCODINGS, "", "trigger", "EVT3", "evt3\n"]))},
        {"stamp": head["stamp"] + sign * shift},
        {"stamp": int(rng.choice([0, -S, 2**31 * S - 1, -(2**31) * S]))},
        {"time_base": max(0, head["time_base"] + sign * shift)},
        {"time_base": int(rng.choice([0, 2**62 - 1, 2**63, 2**64 - 1], 1).astype(object)[0])},
        {"seq": max(0, head["seq"] + sign * int(rng.choice([1, 2, 50, 10**7])))},
        {"big_endian": True},
    ]
    return {**head, **wrong[choice]}


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


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    from faulty_files import sound_files

    return Files(sound_files(tmp_path_factory.mktemp("sound")))


class Files(dict):
    """Bytes by suffix, which a report of a failure need not show."""

    def __repr__(self):
        return ", ".join(f"{suffix}: {len(data)} bytes" for suffix, data in self.items())


@examples(120)
@given(data=st.data(), seed=seeds, kinds=st.lists(st.sampled_from(sorted(FAULTS)), max_size=3))
def test_recordings(files, tmp_path, data, seed, kinds):
    rng = np.random.default_rng(seed)
    suffix = data.draw(st.sampled_from(sorted(files)))
    content = files[suffix]
    for kind in kinds:
        content = FAULTS[kind](rng, content)
    path = tmp_path / f"some.{suffix}"
    path.write_bytes(content)
    inputs["files"] += 1
    try:
        with open_recording(path) as recording:
            for window, _ in windows_of(recording, PacketStream(WindowConfig())):
                sound([window])
    except InputError as error:
        told(error)
        assert path.name in str(error) or "packet" in str(error)


@examples(120)
@given(data=st.data(), seed=seeds, kinds=st.lists(st.sampled_from(sorted(FAULTS)), max_size=1))
def test_recordings_with_one_field_wrong(tmp_path, data, seed, kinds):
    from wrong_fields import KINDS

    rng = np.random.default_rng(seed)
    suffix = data.draw(st.sampled_from(sorted(KINDS)))
    for turn in range(min(TURNS, 3)):
        folder = Path(tempfile.mkdtemp(dir=tmp_path))
        path = folder / f"some.{suffix}"
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            KINDS[suffix](rng, path)
        if kinds and turn == 2:
            path.write_bytes(FAULTS[kinds[0]](rng, path.read_bytes()))
        inputs["files with one field wrong"] += 1
        size = SIZE if rng.random() < 0.3 else None
        try:
            with open_recording(path, size=size) as recording:
                for window, _ in windows_of(recording, PacketStream(WindowConfig())):
                    sound([window])
        except InputError as error:
            told(error)
            assert path.name in str(error) or "packet" in str(error)
        shutil.rmtree(folder)


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


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    pytest.importorskip("onnx", reason="onnx is not installed")
    return tiny_model(tmp_path_factory.mktemp("model") / "tiny.onnx").read_bytes()


@examples(60)
@given(seed=seeds, kinds=st.lists(st.sampled_from(sorted(FAULTS)), max_size=2))
def test_models(model, tmp_path, seed, kinds):
    rng, path = np.random.default_rng(seed), tmp_path / "some.onnx"
    content = model
    for kind in kinds:
        content = FAULTS[kind](rng, content)
    path.write_bytes(content)
    inputs["model files"] += 1
    events = some_events()
    window = Window(events, 0, int(events.t[-1]), STAMP)
    try:
        result = Segmenter.load(path, "cpu", threads=1)(window)
    except InputError as error:
        told(error)
        return
    assert result.labels.shape == SIZE[::-1] and result.labels.max() < len(result.affine)
    for make in OUTPUTS.values():
        make(window, result)


@examples(60)
@given(seed=seeds, scale=st.sampled_from([0.0, 1.0, 1e3, 1e9, 1e38, 1e300, np.inf, np.nan]))
def test_outputs_of_wild_motions(seed, scale):
    rng, events = np.random.default_rng(seed), some_events()
    window = Window(events, 0, int(events.t[-1]), STAMP)
    labels = rng.integers(0, 3, SIZE[::-1], np.uint8)
    with np.errstate(all="ignore"):
        result = Segmentation(window, labels, rng.normal(size=(3, 2, 3)) * scale)
        inputs["motions"] += 1
        for make in OUTPUTS.values():
            output = make(window, result)
            if isinstance(output, Image):
                assert output.data.shape[:2] == SIZE[::-1]


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
