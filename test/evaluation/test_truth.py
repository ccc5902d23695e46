"""Masks in files: their times, their faults, what a sentence says of them."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from box_scene import MASK_TIMES, box, scores

from evlayerseg_ros.errors import InputError
from evlayerseg_ros.evaluation.truth import load_truth


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
