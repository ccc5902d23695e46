"""Public data sets' layouts, written here as published, and label images in bags."""

import pickle
from pathlib import Path

import cv2
import h5py
import numpy as np
import pytest
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore

from evlayerseg_ros.errors import InputError
from evlayerseg_ros.evaluation.evaluate import evaluate_sequence
from evlayerseg_ros.evaluation.run import on_sensor_clock
from evlayerseg_ros.evaluation.truth import load_truth
from evlayerseg_ros.events.codecs import encode_mono
from evlayerseg_ros.events.types import Events, Packet, Window
from evlayerseg_ros.events.window import WindowConfig
from evlayerseg_ros.outputs.outputs import Image
from evlayerseg_ros.pipeline import PipelineConfig
from evlayerseg_ros.recordings.readers import open_recording
from evlayerseg_ros.recordings.writer import BagWriter
from evlayerseg_ros.segmentation.segmentation import Segmentation

WIDTH, HEIGHT = 640, 480
CONFIG = PipelineConfig(WindowConfig(duration_ms=40.0))
SPEED = 500.0  # px/s, of a box to the right


def labels(t: float, second: bool = False) -> np.ndarray:
    """Labels at t s: a box that moves, and a second one below it that stands."""
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    left = 100 + round(SPEED * t)
    mask[100:200, left : left + 100] = 1
    if second:
        mask[300:400, 100:200] = 2
    return mask


def told(window: Window, begin: float) -> Segmentation:
    """The truth at the window's end, for a recording whose clock shows `begin` s at its start."""
    affine = np.zeros((3, 2, 3))
    affine[1, 0, 2] = SPEED
    return Segmentation(window, labels(window.end * 1e-9 - begin, second=True), affine)


def events(begin_ns: int, n: int = 40_000) -> Events:
    """Events everywhere for 0.4 s."""
    rng = np.random.default_rng(0)
    t = begin_ns + np.sort(rng.integers(0, 400_000, n)) * 1000
    x, y, p = rng.integers(0, WIDTH, n), rng.integers(0, HEIGHT, n), rng.integers(0, 2, n)
    return Events.from_arrays(x, y, t, p, WIDTH, HEIGHT)


def scores(recording: Path, masks: Path | None, begin: float, topic: str | None = None):
    truth = load_truth(masks, recording, topic)
    with open_recording(recording) as opened:
        assert (opened.width, opened.height) == (WIDTH, HEIGHT)
        found = on_sensor_clock(truth, opened, CONFIG) if truth.ros_time else truth
        result = evaluate_sequence("s", opened, found, CONFIG, lambda w: told(w, begin))
    return truth, result


@pytest.fixture
def dsec(tmp_path) -> Path:
    """SEQUENCE/events/left/events.h5 and images/timestamps.txt: us, from t_offset on."""
    begin_us, sequence = 55_609_000_000, tmp_path / "dsec" / "zurich_city_00_a"
    (sequence / "events/left").mkdir(parents=True)
    (sequence / "images").mkdir()
    seen = events(0)
    with h5py.File(sequence / "events/left/events.h5", "w") as file:
        file["events/x"], file["events/y"], file["events/p"] = seen.x, seen.y, seen.p
        file["events/t"] = (seen.t // 1000).astype(np.uint32)
        file["t_offset"] = begin_us
        file["ms_to_idx"] = np.searchsorted(seen.t // 1_000_000, np.arange(401))
    times = begin_us + np.arange(0, 400_000, 50_000)
    (sequence / "images/timestamps.txt").write_text("\n".join(map(str, times)) + "\n")
    masks = tmp_path / "DSEC_MOS/training/zurich_city_00_a/gt_mask"
    masks.mkdir(parents=True)
    for number in range(1, 7):  # the first image has no mask
        picture = (labels(number * 0.05) > 0).astype(np.uint8) * 255
        cv2.imwrite(str(masks / f"{number:06d}.png"), picture)
    return sequence / "events/left/events.h5"


def test_dsec_events_and_numbered_masks(dsec, tmp_path) -> None:
    truth, result = scores(dsec, tmp_path / "DSEC_MOS/training", 55_609.0)
    assert truth.t.tolist() == [55_609_000_000_000 + 50_000_000 * i for i in range(1, 7)]
    # The box is right to the pixel; what is told of the second, of as many pixels, is not true.
    assert len(result.times) == 6
    assert np.mean(result.measures["iou"]) == pytest.approx(0.5, abs=0.03)
    assert result.mean()["recall"] > 0.97
    assert result.mean()["precision"] == pytest.approx(0.5, abs=0.03)


def test_dsec_masks_without_times_or_of_the_frame_camera_are_refused(dsec, tmp_path) -> None:
    masks = tmp_path / "DSEC_MOS/training"
    with pytest.raises(InputError, match=r"no times: expected a timestamps\.txt"):
        load_truth(masks, Path("elsewhere/zurich_city_00_a/events/left/events.h5"))
    picture = masks / "zurich_city_00_a/gt_mask/000001.png"
    cv2.imwrite(str(picture), np.zeros((1080, 1440), np.uint8))
    with pytest.raises(InputError, match="1440x1080; expected 640x480"):
        scores(dsec, masks, 0.0)
    times = dsec.parents[2] / "images/timestamps.txt"
    times.write_text("55609000000\n55609050000\n")
    with pytest.raises(InputError, match="too few for the mask 000006"):
        load_truth(masks, dsec)


@pytest.fixture
def evimo2(tmp_path) -> Path:
    """A sequence's folder of EVIMO2v2: s from 0 on, object ids times 1000."""
    folder = tmp_path / "scene13_dyn_test_00_000000"
    folder.mkdir()
    seen = events(0)
    np.save(folder / "dataset_events_t.npy", (seen.t * 1e-9).astype(np.float32))
    np.save(folder / "dataset_events_xy.npy", np.stack([seen.x, seen.y], 1))
    np.save(folder / "dataset_events_p.npy", seen.p)
    numbers = [7, 9, 11]
    frames = [
        {"id": n, "ts": 0.1 * i, "cam": {"ts": 0.1 * i}, "gt_frame": f"depth_mask_{n}.png"}
        for i, n in enumerate(numbers)
    ]
    meta = {"frames": frames, "meta": {"res_x": WIDTH, "res_y": HEIGHT, "fx": np.float64(519.3)}}
    np.savez(
        folder / "dataset_info.npz",
        meta=np.array(meta, dtype=object), K=np.eye(3), index=np.arange(3), discretization=0.01,
    )  # fmt: skip
    masks = [labels(0.1 * i, second=True).astype(np.uint16) * np.array([11]) for i in range(3)]
    np.savez(
        folder / "dataset_mask.npz",
        **{f"mask_{n:010d}": m.astype(np.uint16) * 1000 for n, m in zip(numbers, masks)},
    )
    return folder


def test_evimo2_folder_is_recording_and_truth(evimo2) -> None:
    truth, result = scores(evimo2, None, 0.0)
    assert truth.t.tolist() == [0, 100_000_000, 200_000_000]
    assert sorted(np.unique(truth.mask(1))) == [0, 11, 22]
    assert len(result.times) == 3
    assert min(result.measures["iou"]) > 0.97
    assert min(result.measures["object_pixel_iou"]) > 0.97


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_evimo_file_is_recording_and_truth(evimo2, tmp_path, save) -> None:
    """EVIMO and EVIMO2v1: one npz a sequence, a frame's id counts masks."""
    seen = events(0)
    with np.load(evimo2 / "dataset_info.npz", allow_pickle=True) as info:
        meta = info["meta"].item()
    for number, frame in enumerate(meta["frames"]):
        frame["id"] = number
    path = tmp_path / "scene10_dyn_test_00_000000.npz"
    shape = (3, HEIGHT, WIDTH)
    save(
        path,
        events=np.stack([seen.t * 1e-9, seen.x, seen.y, seen.p], 1),
        mask=np.stack([labels(0.1 * i, True).astype(np.float32) * 11_000 for i in range(3)]),
        depth=np.ones(shape, np.float32), meta=np.array(meta, dtype=object),
        K=np.eye(3), D=np.zeros(4), index=np.arange(3), discretization=0.01,
    )  # fmt: skip
    truth, result = scores(path, None, 0.0)
    assert truth.t.tolist() == [0, 100_000_000, 200_000_000]
    assert sorted(np.unique(truth.mask(1))) == [0, 11, 22]
    assert min(result.measures["iou"]) > 0.97 and min(result.measures["object_pixel_iou"]) > 0.97
    # The masks alone, for events from elsewhere.
    assert load_truth(path, Path("other.raw")).t.tolist() == truth.t.tolist()


def evimo(path, rows, save=np.savez) -> Path:
    meta = {"frames": [], "meta": {}}
    masks = np.zeros((1, HEIGHT, WIDTH), np.float32)
    save(path, events=rows, mask=masks, meta=np.array(meta, dtype=object))
    return path


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_a_damaged_evimo_file_is_told(tmp_path, save) -> None:
    seen = events(0)
    rows = np.stack([seen.t * 1e-9, seen.x, seen.y, seen.p], 1)
    path = evimo(tmp_path / "scene10_dyn_test_00_000000.npz", rows, save)
    content = bytearray(path.read_bytes())
    content[150_000:150_064] = np.random.default_rng(2).bytes(64)
    path.write_bytes(content)
    with open_recording(path) as recording:
        packets = list(recording)
    assert packets[-1].fault.endswith(".npz is damaged: the events up to there are used.")
    assert 1000 < sum(len(packet.events) for packet in packets if not packet.fault) < len(seen)


@pytest.mark.filterwarnings("error")
def test_a_time_that_is_no_number_is_a_stray_of_evimo(evimo2, tmp_path) -> None:
    seen = events(0)
    rows = np.stack([seen.t * 1e-9, seen.x, seen.y, seen.p], 1)
    rows[50, 0] = rows[60, 1] = np.nan
    t = np.load(evimo2 / "dataset_events_t.npy")
    t[50:52] = np.nan
    np.save(evimo2 / "dataset_events_t.npy", t)
    path = evimo(tmp_path / "scene10_dyn_test_00_000000.npz", rows)
    for name, counted in ((path, (1, 1)), (evimo2, (2, 0))):
        with open_recording(name) as recording:
            packets = list(recording)
        assert sum(len(packet.events) for packet in packets) == len(seen) - 2
        assert counted == tuple(sum(getattr(p, k) for p in packets) for k in ("strays", "outside"))


def test_evimo2_meta_cannot_run_anything(evimo2) -> None:
    class Evil:
        def __reduce__(self):
            return print, ("ran",)

    np.savez(evimo2 / "dataset_info.npz", meta=np.array({"frames": Evil()}, dtype=object))
    assert b"ran" in pickle.dumps(Evil())
    with pytest.raises(InputError, match=r"print, expected plain values"):
        open_recording(evimo2)


@pytest.fixture
def bag(tmp_path) -> Path:
    """Events on a camera's own clock, and label images of 40 Hz on that of ROS."""
    ros, sensor = 1_700_000_000_000_000_000, 5_000_000_000
    path = tmp_path / "events.mcap"
    seen = events(sensor)
    with BagWriter(path, prefix="/camera") as writer:
        for start in range(0, 400_000_000, 10_000_000):
            first, last = np.searchsorted(seen.t, sensor + np.array([start, start + 10_000_000]))
            base = int(seen.t[first])
            data = encode_mono(seen[first:last], base)
            stamp = ros + base - sensor
            packet = Packet("mono", WIDTH, HEIGHT, base, data, stamp)
            writer.write("events", packet, stamp, "camera")
            if start % 50_000_000 == 0:
                image = Image("mono8", labels(start * 1e-9, second=True))
                writer.write("truth", image, ros + start, "camera")
                writer.write("preview", Image("rgb8", np.zeros((4, 4, 3), np.uint8)), stamp, "c")
    return path


def test_label_images_of_a_bag_are_truth_in_ros_time(bag) -> None:
    truth, result = scores(bag, bag, 5.0)
    assert truth.t[1] - truth.t[0] == 50_000_000
    assert len(result.times) == 8
    assert min(result.measures["iou"]) > 0.97
    assert min(result.measures["object_pixel_iou"]) > 0.97
    assert load_truth(bag, bag, "/camera/truth").t.tolist() == truth.t.tolist()
    with pytest.raises(InputError, match="label images"):
        load_truth(bag, bag, "/camera/preview")


def test_several_topics_with_label_images_need_a_choice(tmp_path) -> None:
    types = get_typestore(Stores.ROS2_JAZZY)
    kind = "sensor_msgs/msg/Image"
    with Writer(tmp_path / "bag", version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        for name in ("/a", "/b"):
            time = types.types["builtin_interfaces/msg/Time"](1, 0)
            header = types.types["std_msgs/msg/Header"](time, "")
            message = types.types[kind](header, 2, 2, "mono8", 0, 2, np.zeros(4, np.uint8))
            connection = writer.add_connection(name, kind, typestore=types)
            writer.write(connection, 1, types.serialize_cdr(message, kind))
    with pytest.raises(InputError, match="several, choose: /a, /b"):
        load_truth(tmp_path / "bag", Path("events.mcap"))
    assert load_truth(tmp_path / "bag", Path("events.mcap"), "/b").t.tolist() == [10**9]


def test_a_bag_of_label_images_that_is_damaged_says_so_and_what_mends_it(bag, capsys) -> None:
    whole = len(load_truth(bag, bag).t)
    content = bag.read_bytes()
    bag.write_bytes(content[: len(content) * 2 // 3])
    assert 0 < len(load_truth(bag, bag).t) < whole
    assert "is not whole" in capsys.readouterr().err
    bag.write_bytes(content[:60])
    with pytest.raises(InputError, match=r"and nothing is left; `mcap recover` mends it\.$"):
        load_truth(bag, bag)
