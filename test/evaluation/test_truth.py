"""Masks in files: their times, their faults, what a sentence says of them."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from box_scene import HEIGHT, MASK_TIMES, WIDTH, box, of_events, scores
from streams import save

from evlayerseg_ros.errors import InputError
from evlayerseg_ros.evaluation.run import with_sure_labels
from evlayerseg_ros.evaluation.truth import load_truth
from evlayerseg_ros.recordings.readers import open_recording


def test_same_scores_from_a_folder_of_pictures_and_from_an_npz(events, truth, tmp_path) -> None:
    folder = tmp_path / "masks" / "box"
    folder.mkdir(parents=True)
    for t in MASK_TIMES:
        picture = box(t).astype(np.uint8) * 255
        picture[0, 0] = 128  # not above 128: background
        cv2.imwrite(str(folder / f"gt_box.bag_{t * 1e-9:.9f}.png"), picture)
    (folder / "notes.txt").write_text("not a mask")
    archive = tmp_path / "masks.npz"
    np.savez(archive, mask_t=MASK_TIMES[::-1], masks=np.stack([box(t) for t in MASK_TIMES[::-1]]))
    recording = Path("box.h5")
    for where in (folder.parent, folder, archive):
        found = load_truth(where, recording)
        assert found.t.tolist() == MASK_TIMES.tolist()
        assert scores(events, found).measures["iou"] == pytest.approx([7 / 13] * 5)


@pytest.mark.parametrize("dsec", [False, True])
def test_a_mask_that_is_no_picture_is_left_out_and_told(events, tmp_path, dsec) -> None:
    names = [f"{i}.png" if dsec else f"box_{t * 1e-9:.3f}.png" for i, t in enumerate(MASK_TIMES)]
    for name, t in zip(names, MASK_TIMES, strict=True):
        cv2.imwrite(str(tmp_path / name), box(t).astype(np.uint8) * 255)
    if dsec:
        np.savetxt(tmp_path / "timestamps.txt", MASK_TIMES // 1000, "%d")
    bad = tmp_path / names[1]
    bad.write_bytes(bad.read_bytes()[:20])
    found = load_truth(tmp_path, Path("box.h5"))
    assert found.t.tolist() == MASK_TIMES[[0, 2, 3, 4]].tolist()
    assert found.note == f"1 of 5 masks are no sound pictures: {bad} is left out."
    if not dsec:  # whose masks are of another sensor
        result = scores(events, found)
        assert len(result.times) == 4 and result.warning == found.note
    for name in names:
        (tmp_path / name).write_bytes(b"none")
    with pytest.raises(InputError, match="it is not a sound picture"):
        load_truth(tmp_path, Path("box.h5"))


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_the_unit_of_masks_is_recognised(tmp_path, unit) -> None:
    t = MASK_TIMES / {"s": 1e9, "ms": 1e6, "us": 1e3, "ns": 1}[unit]
    masks = np.stack([box(t) for t in MASK_TIMES])
    for times in (t, t.astype(np.int64)) if unit != "s" else (t,):
        np.savez(tmp_path / "masks.npz", mask_t=times, masks=masks)
        found = load_truth(tmp_path / "masks.npz", Path("box.h5"))
        assert found.t.tolist() == MASK_TIMES.tolist()
        assert found.note.endswith(f"mask_t is taken as {unit}." if unit != "ns" else "")
        assert bool(found.note) == (unit != "ns")


@pytest.mark.parametrize("name", ["missing", "empty", "text.npz", "keys.npz", "shapes.npz"])
def test_bad_masks_are_told_in_one_sentence(tmp_path, name) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.npz").write_text("no archive")
    np.savez(tmp_path / "keys.npz", mask_t=MASK_TIMES)
    np.savez(tmp_path / "shapes.npz", mask_t=MASK_TIMES, masks=np.zeros((3, 4, 5)))
    with pytest.raises(InputError, match=name):
        load_truth(tmp_path / name, Path("box.h5"))


def two_boxes() -> np.ndarray:
    """100 px of label 1, 12 px of label 2."""
    mask = box(0).astype(np.uint8)
    mask[25:28, 30:34] = 2
    return mask


RED, BLUE = (0, 0, 128), (90, 0, 0)  # both dark grey without their colours
GREY, DEEP = np.uint8([0, 1, 2]), np.uint16([0, 1, 3])
COLOURS = np.uint8([(0, 0, 0), BLUE, RED])


@pytest.mark.parametrize("dsec", [False, True])
@pytest.mark.parametrize("values", [GREY, DEEP, DEEP * 1000, COLOURS], ids=str)
def test_pictures_of_labels_keep_them(tmp_path, values, dsec) -> None:
    mask = two_boxes()
    if dsec:
        mask = np.pad(mask, ((0, 480 - HEIGHT), (0, 640 - WIDTH)))
    for i, present in enumerate((mask * (mask == 2), mask)):  # what is missing shifts no label
        cv2.imwrite(str(tmp_path / (f"{i}.png" if dsec else f"m_0.{i}.png")), values[present])
    np.savetxt(tmp_path / "timestamps.txt", [0, 100_000], "%d")
    truth = load_truth(tmp_path, Path("box.h5"))
    counts = [np.bincount(truth.mask(i).ravel()).tolist()[1:] for i in (0, 1)]
    last = 3 if values is DEEP else 2  # up to 255 a value is the label
    assert counts == [[0] * (last - 1) + [12], [100] + [0] * (last - 2) + [12]]


def test_a_palettes_picture_moves_where_it_is_not_black(tmp_path) -> None:
    image = pytest.importorskip("PIL.Image", reason="Pillow is not installed")
    picture = image.fromarray(two_boxes(), "P")
    picture.putpalette([0, 0, 0, 128, 0, 0, 0, 60, 0])
    picture.save(tmp_path / "m_0.5.png")
    found = load_truth(tmp_path, Path("box.h5")).mask(0)
    assert sorted(np.bincount(found.ravel())) == [12, 100, HEIGHT * WIDTH - 112]
    assert found[0, 0] == 0


def test_masks_named_by_frames_or_microseconds_are_refused(tmp_path) -> None:
    for i in (1, 2, 3):
        cv2.imwrite(str(tmp_path / f"m_{i:06d}.png"), two_boxes())
    assert load_truth(tmp_path, Path("box.h5")).t.tolist() == [10**9, 2 * 10**9, 3 * 10**9]
    cv2.imwrite(str(tmp_path / "m_000004.png"), two_boxes())
    with pytest.raises(InputError, match=r"m_000004\.png: name them by seconds with a fraction"):
        load_truth(tmp_path, Path("box.h5"))
    cv2.imwrite(str(tmp_path / "m_0.5.png"), two_boxes())
    assert load_truth(tmp_path, Path("box.h5")).t.tolist()[::4] == [5 * 10**8, 4 * 10**9]


WRONG = {
    "label is far": ({"label": 300}, "label must be whole numbers from 0 to 255"),
    "label is unknown": ({"label": -1}, "label must be whole numbers from 0 to 255"),
    "label is a share": ({"label": 0.5}, "label must be whole numbers from 0 to 255"),
    "label is no number": ({"label": np.nan}, "label must be whole numbers from 0 to 255"),
    "label is text": ({"label": "car"}, "label must be whole numbers from 0 to 255"),
    "labels are few": ({"label": np.ones(7)}, r"one for each event, got \(7,\)"),
    "labels are a table": ({"label": np.ones((12_000, 1))}, r"got \(12000, 1\)"),
    "masks are negative": ({"masks": -1}, "masks must be whole numbers from 0 to 255"),
    "times are text": ({"mask_t": "now"}, "mask_t must be numbers"),
}


@pytest.mark.parametrize(("arrays", "told"), WRONG.values(), ids=WRONG)
def test_an_npz_with_odd_labels_is_told_in_one_sentence(events, tmp_path, arrays, told) -> None:
    shapes = {"mask_t": (5,), "masks": (5, HEIGHT, WIDTH), "label": (len(events),)}
    sound = {"mask_t": MASK_TIMES, "masks": np.zeros(shapes["masks"], np.uint8)}
    odd = {k: v if np.ndim(v) else np.full(shapes[k], v) for k, v in arrays.items()}
    path = save(tmp_path / "box.npz", events, **sound | odd)
    with pytest.raises(InputError, match=told):
        load_truth(None, path)


@pytest.mark.parametrize("kind", [bool, np.int64, np.float32])
def test_labels_of_any_number_type_are_the_same(events, truth, tmp_path, kind) -> None:
    masks = np.stack([box(t) for t in MASK_TIMES]).astype(kind)
    label = truth.event_labels.astype(kind)
    path = save(tmp_path / "box.npz", events, mask_t=MASK_TIMES, masks=masks, label=label)
    found = load_truth(None, path)
    assert found.event_labels.tolist() == truth.event_labels.tolist()
    assert found.mask(1).sum() == 100


@pytest.mark.parametrize("fault", ["", "outside", "stray", "disorder", "damaged"])
def test_labels_that_may_belong_to_other_events_are_left_out(
    events, truth, tmp_path, fault
) -> None:
    """By the masks it is scored all the same: boxes 3 px apart share 7 of 13 columns."""
    columns = {name: getattr(events, name).astype(np.int64) for name in "xytp"}
    if fault == "outside":
        columns["x"][10] = 60_000
    elif fault == "stray":
        columns["t"][5000] += 10**15
    elif fault == "disorder":
        columns["t"][1199:1201] = columns["t"][[1200, 1199]]
    masks = np.stack([box(t) for t in MASK_TIMES])
    path = tmp_path / "box.npz"
    more = {"mask_t": MASK_TIMES, "masks": masks, "label": truth.event_labels}
    np.savez(path, **columns, size=(WIDTH, HEIGHT), **more)
    if fault == "damaged":
        content, some = path.read_bytes(), columns["t"][9000:9004].tobytes()
        assert some in content
        path.write_bytes(content.replace(some, bytes(len(some))))
    found = load_truth(None, path)
    if found.event_labels is not None:
        with open_recording(path) as recording:
            found = with_sure_labels(found, recording, of_events(2400))
    why = "not in order" if fault in ("disorder", "stray") else "they are 12000 for the 11"
    assert (found.event_labels is None) == bool(fault)
    assert f"{path}: its labels of events are left out, as " in found.note or not fault
    assert why in found.note or not fault
    result = scores(events, found)
    assert result.measures["iou"] == pytest.approx([7 / 13] * 5)
    assert np.isnan(result.mean()["event_iou"]) == bool(fault)


def evimo2(folder: Path) -> Path:
    """The masks of a sequence of EVIMO2v2, of noise that cannot be packed."""
    folder.mkdir()
    meta = {"frames": [{"id": 0, "ts": 0.1}], "meta": {"res_x": WIDTH, "res_y": HEIGHT}}
    np.savez(folder / "dataset_info.npz", meta=np.array(meta, dtype=object))
    masks = np.random.default_rng(0).integers(0, 3000, (HEIGHT, WIDTH))
    np.savez_compressed(folder / "dataset_mask.npz", mask_0=masks)
    return folder / "dataset_mask.npz"


@pytest.mark.parametrize("fault", ["missing", "text", "damaged", "table", "words"])
def test_masks_of_evimo2_that_cannot_be_read_are_told(tmp_path, fault) -> None:
    path = evimo2(tmp_path / "scene")
    assert load_truth(None, path.parent).mask(0).max() == 2
    content = bytearray(path.read_bytes())
    content[900:1000] = bytes(100)
    if fault == "missing":
        path.unlink()
    elif fault in ("text", "damaged"):
        path.write_bytes(b"text" if fault == "text" else content)
    else:
        np.savez(path, mask_0=np.zeros((1, 2, 3)) if fault == "table" else np.array([["a"]]))
    with pytest.raises(InputError, match=r"dataset_mask\.npz: (it is missing|masks must be)"):
        load_truth(None, path.parent).mask(0)
