"""The authors' files and metric, against figures worked out here without the package."""

import csv
import json
from pathlib import Path

import cv2
import h5py
import numpy as np
import pytest
from called import done, refused, run

from evlayerseg_ros.evaluation.evaluate import evaluate_sequence
from evlayerseg_ros.evaluation.truth import load_truth
from evlayerseg_ros.events.types import Events, Window
from evlayerseg_ros.events.window import WindowConfig
from evlayerseg_ros.paper import metric as paper
from evlayerseg_ros.pipeline import PipelineConfig
from evlayerseg_ros.recordings.readers import open_recording
from evlayerseg_ros.segmentation.segmentation import Segmentation

COUNT, SIZE = 4000, (480, 640)
CONFIG = PipelineConfig(WindowConfig(mode="count", events=COUNT))
MASK_TIMES = [f"0.{20 + 25 * i:03d}000000" for i in range(9)]


@pytest.fixture
def sequence(tmp_path) -> Path:
    """carpet_drone.h5 and its masks as the authors' tools write them: times in ns, as floats."""
    rng = np.random.default_rng(3)
    n = 60_000
    t = np.sort(rng.integers(1_000_000, 300_000_000, n)).astype(np.float64)
    left = (t * 4e-7).astype(int) + 100
    thing = rng.random(n) < 0.4
    x = np.where(thing, left + rng.integers(0, 90, n), rng.integers(0, 320, n))
    y = np.where(thing, 100 + rng.integers(0, 80, n), rng.integers(0, 240, n))
    x[::200], y[::200] = 7, 9  # a hot pixel
    with h5py.File(tmp_path / "carpet_drone.h5", "w") as file:
        file["events/xs"], file["events/ys"] = x.astype(np.int16), y.astype(np.int16)
        file["events/ts"], file["events/ps"] = t, rng.random(n) < 0.6
        file.attrs["t0"], file.attrs["duration"] = t[0], t[-1] - t[0]
    folder = tmp_path / "masks" / "carpet_drone"
    folder.mkdir(parents=True)
    for name in MASK_TIMES:
        mask = np.zeros(SIZE, np.uint8)
        start = int(float(name) * 4e2) + 100
        mask[100:180, start : start + 90] = 255
        mask[0, 0] = 128  # not above 128
        cv2.imwrite(str(folder / f"gt_carpet_drone.bag_{name}.png"), mask)
    return tmp_path / "carpet_drone.h5"


def network_labels(window: Window) -> np.ndarray:
    """A network whose layer 0 is the right half of a box that the object crosses."""
    labels = np.ones(SIZE, np.uint8)
    labels[90:190, 130:220] = 0
    return labels


def segment(window: Window) -> Segmentation:
    return Segmentation(window, network_labels(window), np.zeros((2, 2, 3)))


def authors(sequence: Path) -> list[tuple[float, bool]]:
    """(IoU, detected) of each mask but the last, in plain loops, from the files alone."""
    with h5py.File(sequence) as file:
        x, y, t, p = (file[f"events/{c}"][:] for c in ("xs", "ys", "ts", "ps"))
    hits, scores = np.zeros(SIZE), []
    for windows, name in enumerate(MASK_TIMES[:-1], 1):
        first = next(i for i, when in enumerate(t) if when >= float(name) * 1e9)
        part = slice(first, first + COUNT)
        times = (t[part] - t[0]).astype(np.float32)
        times = (times - times[0]) / (times[-1] - times[0]) * np.float32(4)
        grid = np.zeros((5, *SIZE), np.float32)
        seen = np.zeros(SIZE, bool)
        for column, row, when, on in zip(x[part], y[part], times, p[part], strict=True):
            seen[row, column] = True
            for b in range(5):
                weight = max(np.float32(0), np.float32(1) - abs(when - np.float32(b)))
                grid[b, row, column] += weight if on else -weight
        hits += seen
        if windows > 5:
            rate = hits / windows
            for _ in range(100):
                row, column = np.unravel_index(rate.argmax(), SIZE)
                if rate[row, column] <= 0.8:
                    break
                rate[row, column] = 0
                grid[:, row, column] = 0
        counted = grid.sum(0) > 0
        path = sequence.parent / "masks" / "carpet_drone" / f"gt_carpet_drone.bag_{name}.png"
        truth = (cv2.imread(str(path), cv2.IMREAD_GRAYSCALE) > 128) & counted
        found = (network_labels(None) == 0) & counted
        right, union = (truth & found).sum(), (truth | found).sum()
        iou = right / union if union else 1.0
        scores.append((iou, bool(iou >= 0.5 and right >= (found & ~truth).sum())))
    return scores


def test_paper_metric_gives_the_authors_figures(sequence) -> None:
    truth = load_truth(sequence.parent / "masks", sequence)
    with open_recording(sequence) as opened:
        result = evaluate_sequence(
            "s", opened, truth, CONFIG, layers=paper.Layers(segment, free=True)
        )
    expected = authors(sequence)
    found = list(zip(*(result.measures[m] for m in ("paper_iou", "paper_dr")), strict=True))
    assert len(found) == 9 and np.isnan(found[-1]).all()  # the last mask is never scored
    assert [iou for iou, _ in found[:-1]] == pytest.approx([iou for iou, _ in expected], abs=1e-12)
    assert [bool(dr) for _, dr in found[:-1]] == [dr for _, dr in expected]
    assert {dr for _, dr in expected} == {True, False}
    # Ours is another metric: the background is the layer with most events, every seen pixel counts.
    assert result.measures["iou"][0] != pytest.approx(expected[0][0], abs=1e-3)


def test_a_network_with_a_background_layer_is_judged_by_what_it_calls_moving(sequence) -> None:
    def background_first(window: Window) -> Segmentation:
        return Segmentation(window, 1 - network_labels(window), np.zeros((2, 2, 3)))

    truth = load_truth(sequence.parent / "masks", sequence)
    with open_recording(sequence) as opened:
        result = evaluate_sequence(
            "s", opened, truth, CONFIG, layers=paper.Layers(background_first, free=False)
        )
    expected = [iou for iou, _ in authors(sequence)]
    assert result.measures["paper_iou"][:-1] == pytest.approx(expected)


def test_summed_voxels_round_as_torch_does(sequence) -> None:
    torch = pytest.importorskip("torch")
    with open_recording(sequence) as opened:
        events = next(iter(opened)).events
    part = events[1000:6000]
    # Few pixels, so that many balance.
    part = Events(part.x // 10, part.y // 10, part.t, part.p, part.width, part.height)
    found = paper.summed_voxels(Window(part, 0, 0, 0), int(events.t[0]))
    t = torch.from_numpy((part.t - events.t[0]).astype(np.float32))
    t = (t - t[0]) / (t[-1] - t[0]) * 4
    p = torch.from_numpy(part.p.astype(np.float32)) * 2 - 1
    place = tuple(torch.from_numpy(a.astype(np.int64)) for a in (part.y, part.x))
    bins = []
    for b in range(5):
        image = torch.zeros(part.height, part.width)
        image.index_put_(place, p * (1 - (t - b).abs()).clamp(min=0), accumulate=True)
        bins.append(image)
    expected = torch.stack(bins).sum(0).numpy()
    assert ((found > 0) == (expected > 0)).mean() > 0.9999
    balanced = (found != 0) & (abs(found) < 1e-3)
    assert balanced.any()  # where only rounding decides
    assert np.array_equal(found > 0, expected > 0)


@pytest.mark.slow
def test_command_prints_both_metrics(sequence, tmp_path) -> None:
    outputs = ["--json", str(tmp_path / "s.json"), "--csv", str(tmp_path / "s.csv")]
    arguments = ["evaluate", str(sequence), "--masks", str(tmp_path / "masks"), "--protocol"]
    count = ["--window-events", str(COUNT)]
    result = done(*arguments, "paper", *count, *outputs)
    header = result.output.splitlines()[0].split()
    assert {"iou", "dr", "paper_iou", "paper_dr"} <= set(header)
    scores = json.loads((tmp_path / "s.json").read_text())["sequences"]["carpet_drone"]
    assert scores["windows"] == 9
    with (tmp_path / "s.csv").open() as file:
        rows = {row["sequence"]: row for row in csv.DictReader(file)}
    assert float(rows["carpet_drone"]["paper_iou"]) == pytest.approx(scores["paper_iou"])
    assert "paper_iou" not in run(*arguments, "node", *count).output
    assert "number of events" in refused(*arguments, "paper", "--window-ms", "20").output
