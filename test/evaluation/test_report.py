"""Tables, files and the page of what was scored."""

import json
import math
from functools import partial

import cv2
import h5py
import numpy as np
import pytest
from box_scene import (
    HEIGHT,
    MASK_TIMES,
    WIDTH,
    box_found,
    cut,
    of_events,
    scores,
)
from called import done

pytest.importorskip("matplotlib", reason="matplotlib is not installed")

from evlayerseg_ros.errors import InputError
from evlayerseg_ros.evaluation import report, results
from evlayerseg_ros.evaluation.evaluate import evaluate_sequence
from evlayerseg_ros.evaluation.truth import Truth
from evlayerseg_ros.events.types import Window
from evlayerseg_ros.segmentation.segmentation import Segmentation


def test_command_reads_the_authors_layout_as_it_reads_npz(tmp_path) -> None:
    rng = np.random.default_rng(1)
    n = 30_000
    x, y, p = (rng.integers(0, side, n) for side in (640, 480, 2))
    t = np.sort(rng.integers(0, 200_000, n)) * 1000  # ns, whole microseconds
    masks = np.zeros((3, 480, 640), np.uint8)
    masks[:, 100:300, 200:500] = 1
    mask_t = np.array([10, 50, 90]) * 1_000_000
    folder = tmp_path / "masks" / "scene"
    folder.mkdir(parents=True)
    for when, mask in zip(mask_t, masks, strict=True):
        cv2.imwrite(str(folder / f"gt_scene.bag_{when * 1e-9:.9f}.png"), mask * 255)
    with h5py.File(tmp_path / "scene.h5", "w") as file:
        for name, column in (("xs", x), ("ys", y), ("ts", t * 1e-9), ("ps", p.astype(bool))):
            file[f"events/{name}"] = column
        file.attrs["t0"], file.attrs["duration"] = t[0] * 1e-9, (t[-1] - t[0]) * 1e-9
    columns = {"x": x.astype(np.uint16), "y": y.astype(np.uint16), "t": t, "p": p.astype(np.uint8)}
    np.savez(
        tmp_path / "scene.npz", **columns, size=[640, 480], mask_t=mask_t, masks=masks,
    )  # fmt: skip
    results = []
    for i, arguments in enumerate(
        (["scene.h5", "--masks", str(tmp_path / "masks")], ["scene.npz", "--report", "report"])
    ):
        arguments[0], arguments[-1] = (str(tmp_path / a) for a in (arguments[0], arguments[-1]))
        scores_path = tmp_path / f"{i}.json"
        done("evaluate", *arguments, "--window-events", "5000", "--json", scores_path)
        results.append(json.loads(scores_path.read_text()))
    assert results[0] == results[1]
    assert results[0]["sequences"]["scene"]["windows"] == 3
    assert 0 <= results[0]["mean"]["iou"] <= 1
    assert results[0]["mean"]["event_iou"] is None  # these masks do not tell
    assert (tmp_path / "report" / "index.html").exists()


def test_report_says_what_was_measured(events, truth, tmp_path) -> None:
    sequences = [scores(events, truth, shift=shift) for shift in (3, 4)]
    sequences[1].name = "worse <box>"
    data = results.as_data(sequences, {"model": "small", "window": "2400 events"})
    assert data["sequences"]["box"]["iou"] == pytest.approx(7 / 13)
    assert data["sequences"]["box"]["windows"] == 5
    assert data["mean"]["dr"] == 0.5
    assert data["ci95"]["iou"] == pytest.approx([6 / 14, 7 / 13])
    results.write_json(tmp_path / "scores.json", data)
    assert json.loads((tmp_path / "scores.json").read_text()) == data
    text = results.table(data).splitlines()
    assert len(text) == 6 and text[-1].split()[:2] == ["median", "0.484"]
    assert data["median"]["iou"] == pytest.approx((7 / 13 + 6 / 14) / 2)
    narrow = results.table(data, width=60).splitlines()
    assert max(map(len, narrow)) <= 60 and narrow[0].split()[:2] == ["sequence", "iou"]
    assert narrow[0].endswith("windows")
    assert text[1].split()[:3] == ["box", "0.538", "1.000"]
    page = report.write_page(tmp_path / "report", [sequences], data).read_text()
    assert page.count("data:image/webp;base64,") == 5
    assert "worse &lt;box&gt;" in page and "<box>" not in page
    assert page.index("Worst sequence") < page.index("worse &lt;box&gt;") < page.index("Scores")
    with pytest.raises(InputError, match="Cannot write"):
        report.write_page(tmp_path / "scores.json", [sequences], data)


def test_a_narrow_table_keeps_the_papers_metric_which_was_asked_for():
    measures = ["iou", "dr", "event_iou", "paper_iou", "paper_dr"]
    (kept,) = results._fitting([["sequence", *measures, "windows"]], measures, width=50)
    assert {"paper_iou", "paper_dr"} < set(kept)


def test_report_says_why_a_sequence_is_bad(events, truth) -> None:
    whole = np.ones((HEIGHT, WIDTH), np.uint8)

    def everything(window: Window) -> Segmentation:
        return Segmentation(window, whole, np.zeros((2, 2, 3)))

    def nothing(window: Window) -> Segmentation:
        return Segmentation(window, 0 * whole, np.zeros((2, 2, 3)))

    said = [
        report.why(evaluate_sequence("s", cut(events), truth, of_events(2400), find))
        for find in (everything, nothing, partial(box_found, shift=0))
    ]
    assert "background is taken for the object: 92% of what" in said[0]  # 1100 of 1200 pixels
    # The box needs 11 ms for its pixel of motion against a background at rest.
    facts = ". What moves covers 8.3% of the pixels with events and moves 1.0 px against the"
    assert said[1].startswith(f"the object is not seen: 0% of its pixels are found{facts}")
    assert said[2].startswith("labels are mostly right: 100%")


def test_models_are_compared_sequence_by_sequence(events, truth, tmp_path) -> None:
    first = [scores(events, truth, shift=shift) for shift in (3, 4)]
    other = [scores(events, truth, shift=shift) for shift in (0, 3)]
    for sequences, model in ((first, "a"), (other, "b")):
        for name, sequence in zip(("one", "two"), sequences, strict=True):
            sequence.name, sequence.model = name, model
    data = results.as_data(first, {"model": "a"}, other)
    gaps = [1 - 7 / 13, 7 / 13 - 6 / 14]
    assert data["compare"]["difference"]["iou"] == pytest.approx(sum(gaps) / 2)
    assert data["compare"]["difference_ci95"]["iou"] == pytest.approx(sorted(gaps))
    lines = [line.split() for line in results.table(data).splitlines()]
    assert [line[:3] for line in lines[1:5]] == [
        ["one", "a", "0.538"], ["one", "b", "1.000"], ["two", "a", "0.429"], ["two", "b", "0.538"],
    ]  # fmt: skip
    results.write_csv(tmp_path / "scores.csv", data)
    text = (tmp_path / "scores.csv").read_text().splitlines()
    assert len(text) == 1 + 2 * (2 + 4)
    page = report.write_page(tmp_path, [first, other], data).read_text()
    assert page.count("data:image/webp;base64,") == 9


def test_interval_of_a_mean() -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(0.5, 0.1, 400)
    low, high = results.bootstrap(values.tolist())
    # Of a normal variable: mean +- 1.96 sigma / sqrt(n).
    half = 1.96 * values.std() / 20
    assert [low, high] == pytest.approx([values.mean() - half, values.mean() + half], abs=1e-3)
    assert results.bootstrap([0.5, math.nan]) is None


def test_report_says_what_nothing_that_moves_is_taken_for(events) -> None:
    empty = Truth(MASK_TIMES, lambda i: np.zeros((HEIGHT, WIDTH)))
    found = scores(events, empty)
    assert report.why(found) == "nothing moves here; 8.3% of the pixels are called moving"
    data = results.as_data([found], {"model": "m"})
    assert "false alarms on 8.3% of the pixels" in report._headline(data)


def test_that_recordings_have_no_masks_is_said_once():
    bare, other = " has no masks (--masks): only its sharpness is measured.", "d: 1 bad packets."
    assert results.in_few_words([f"a{bare}", other]) == [f"a{bare}", other]
    told = results.in_few_words([f"a{bare}", f"b{bare}", other, f"c{bare}"])
    every = "a and 2 more have no masks (--masks): only their sharpness is measured."
    assert told == [every, other]


def test_a_name_that_is_no_text_is_written_all_the_same(tmp_path) -> None:
    results.write(tmp_path / "page.html", "d\udcff and ü")
    assert (tmp_path / "page.html").read_text("utf-8") == "d? and ü"
