"""The training loop on a small scale."""

import os
import pickle
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from called import refused

torch = pytest.importorskip("torch", reason="training is an extra")

from evlayerseg_ros.errors import InputError
from evlayerseg_ros.network.export import export, load_checkpoint, load_exported
from evlayerseg_ros.network.layernet import LayerNet
from evlayerseg_ros.segmentation.segmenter import Segmenter
from evlayerseg_ros.simulation.presets import EVALUATION_PHOTOS, TRAINING_PHOTOS, write_preset
from evlayerseg_ros.simulation.textures import TextureBank, image_files
from evlayerseg_ros.training.learner import Learner, losses_of, make_network, schedule
from evlayerseg_ros.training.losses import event_iou
from evlayerseg_ros.training.parallel import place
from evlayerseg_ros.training.samples import to_tensors
from evlayerseg_ros.training.stream import SceneStream
from evlayerseg_ros.training.train import PRESETS, train
from evlayerseg_ros.training.validation import validate


def test_no_texture_of_the_evaluation_is_used_in_training() -> None:
    assert not set(EVALUATION_PHOTOS) & set(TRAINING_PHOTOS)


def test_a_stream_goes_on_from_any_draw_as_if_it_had_not_stopped() -> None:
    few = {"seed": 3, "first": 1, "per_clip": 2, "reuse": 2, "events": 50}
    stream = iter(SceneStream(TextureBank(), LayerNet().voxel, **few))
    draws = [next(stream) for _ in range(5)]
    again = iter(SceneStream(TextureBank(), LayerNet().voxel, start=3, **few))
    for want in draws[3:]:
        got = next(again)
        assert got.keys() == want.keys()
        for name, value in want.items():
            assert torch.equal(got[name], value), name


def test_learning_one_window_by_heart(sample) -> None:
    torch.manual_seed(0)
    network = LayerNet(widths=(8, 16, 24, 32))
    batch = {k: v[None] for k, v in to_tensors(sample, LayerNet().voxel, None).items()}
    optimiser = torch.optim.Adam(network.parameters(), 3e-3)
    losses = []
    for _ in range(120):
        loss = losses_of(network, "labels", batch)["total"]
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.5 * losses[0]
    with torch.no_grad():
        iou = event_iou(network(batch["voxel"])[0], batch["moving"], batch["seen"])
    assert float(iou) > 0.6


def small(**changes):
    """Settings that train in seconds."""
    few = {"steps": 2, "batch": 2, "lanes": 1, "validate": 1, "windows": 2, "first": 1, "reuse": 2}
    return replace(PRESETS["smoke"], **(few | changes))


def test_training_resumes_as_if_it_had_never_stopped(tmp_path: Path, monkeypatch) -> None:
    straight = train(tmp_path / "straight", small(steps=4, validate=2), [], [])
    loop = sys.modules["evlayerseg_ros.training.train"]
    real, calls = loop.validate, iter("aab")

    def interrupted(*args):
        if next(calls) == "b":
            raise KeyboardInterrupt
        return real(*args)

    monkeypatch.setattr(loop, "validate", interrupted)
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "cut", small(steps=4, validate=2), [], [])
    monkeypatch.undo()
    resumed = train(tmp_path / "cut", small(steps=4, validate=2), [], [], resume=True)
    ours, theirs = (torch.load(p, weights_only=True) for p in (resumed, straight))
    assert ours["step"] == theirs["step"] == 4
    for name, value in theirs["average"].items():
        torch.testing.assert_close(ours["average"][name], value, atol=1e-6, rtol=1e-5)


def test_what_is_kept_lies_between_the_weights_before_and_after(tmp_path: Path) -> None:
    before = train(tmp_path / "before", small(), [], [])
    settings = small(keep=0.25, rate=1e-2)
    train(tmp_path / "after", replace(settings, steps=1), [], [], init=before)
    checkpoint = train(tmp_path / "after", settings, [], [], resume=True)
    start, state = (torch.load(p, weights_only=True) for p in (before, checkpoint))
    for name, kept in state["average"].items():
        expected = 0.25 * start["average"][name] + 0.75 * state["running"][name]
        torch.testing.assert_close(kept, expected)
    assert not torch.equal(state["running"]["stem.0.weight"], start["average"]["stem.0.weight"])


@pytest.mark.parametrize("keep, regime", [(0.5, "labels"), (0.0, "label-free")])
def test_weights_of_which_labels_taught_a_part_say_so(tmp_path: Path, keep, regime) -> None:
    before = train(tmp_path, small(), [], [])
    with place() as here:
        learner = Learner(small(regime="label-free", keep=keep), here)
        learner.start_from(before)
        learner.save(tmp_path / "after.pt", {}, {})
    assert load_checkpoint(tmp_path / "after.pt")[1]["regime"] == regime


@pytest.mark.timeout(900)  # a minute on two cores of their own
def test_the_smoke_preset_improves_loss_and_iou(tmp_path: Path) -> None:
    out = tmp_path / "smoke"
    command = ["-m", "evlayerseg_ros.cli", "train", str(out), "--preset", "smoke"]
    subprocess.run([sys.executable, *command], check=True)
    rows = [row.split(",") for row in (out / "curves.csv").read_text().splitlines()]
    losses = [float(row[2]) for row in rows[1:]]
    ious = [float(row[3].removeprefix("iou=")) for row in rows]
    assert losses[-1] < 0.8 * losses[0]
    assert ious[-1] > ious[0] + 0.1


def test_a_checkpoint_becomes_a_model_and_a_start(tmp_path: Path) -> None:
    checkpoint = train(tmp_path, small(), [], [])
    network, state = load_checkpoint(checkpoint)
    assert state["step"] == 2
    rows = (tmp_path / "curves.csv").read_text().splitlines()
    assert [row.split(",")[0] for row in rows] == ["0", "1", "2"]
    export(network, tmp_path / "mine.onnx", "mine", state["regime"], {"step": state["step"]})
    info = Segmenter.load(tmp_path / "mine.onnx").info
    assert (info.name, info.regime, info.training) == ("mine", "labels", {"step": 2})
    kept, x = small(rate=0.0, decay=0.0), torch.rand(1, *LayerNet(width=160).voxel.shape(640, 480))
    expected = load_checkpoint(checkpoint)[0](x)
    for start in (checkpoint, tmp_path / "mine.onnx"):
        again = load_checkpoint(train(tmp_path / "again", kept, [], [], init=start))[0]
        for got, want in zip(again(x), expected, strict=True):
            torch.testing.assert_close(got, want, atol=1e-3, rtol=1e-3)
    with pytest.raises(InputError, match="no weights of this network"):
        train(tmp_path / "other", small(widths=(4, 8, 8, 8)), [], [], init=checkpoint)
    with pytest.raises(InputError, match="is not an exported LayerNet"):
        load_exported(Path(__file__))


def test_two_processes_learn_the_same_as_one(tmp_path: Path) -> None:
    script = tmp_path / "both.py"
    script.write_text(
        "import sys\n"
        "from pathlib import Path\n"
        "from evlayerseg_ros.training.train import Settings, train\n"
        "if __name__ == '__main__':\n"
        "    train(Path(sys.argv[1]), Settings(width=160, widths=(8, 16, 32, 48), steps=2, batch=4,"
        " lanes=2, validate=1, windows=1, first=1), [], [])\n"
    )
    torchrun = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    for name, launcher in (("one", []), ("two", torchrun)):
        command = [sys.executable, *launcher, str(script), str(tmp_path / name)]
        subprocess.run(command, check=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    rows = [(tmp_path / name / "curves.csv").read_text().split() for name in ("one", "two")]
    losses = [[float(row.split(",")[2]) for row in run[1:]] for run in rows]
    np.testing.assert_allclose(losses[0], losses[1], atol=2e-4)
    one, two = (
        load_checkpoint(tmp_path / n / "checkpoint.pt")[1]["network"] for n in ("one", "two")
    )
    for name, value in one.items():
        torch.testing.assert_close(two[name], value, atol=1e-4, rtol=1e-3)


def test_the_papers_loss_looks_at_events_alone(sample) -> None:
    settings = replace(PRESETS["smoke"], regime="paper")
    network = make_network(settings)
    data = to_tensors(sample, network.voxel, None, None, 1000)
    batch = {name: value[None] for name, value in data.items()}
    for name in ("layers", "moving", "displacement"):  # the loss may not look at them
        batch[name] = None
    total = losses_of(network, "paper", batch)["total"]
    total.backward()
    assert torch.isfinite(total)
    assert any(p.grad is not None and p.grad.abs().max() > 0 for p in network.parameters())


@pytest.mark.parametrize("regime", ["labels", "paper"])
def test_every_network_is_validated_at_its_own_resolution(regime: str, sample) -> None:
    network = make_network(replace(PRESETS["smoke"], regime=regime, width=320))
    layers = sample.layers  # at LayerNet's cells of 2 px
    if network.voxel.cell(640) == 1:
        layers = np.kron(layers, np.ones((2, 2), np.uint8))
    scores = validate(network, [replace(sample, layers=layers)])
    assert all(0 <= value <= 1 for value in scores.values())
    assert ("iou_told" in scores) == (regime == "labels")


def test_a_damaged_checkpoint_is_told_in_a_sentence(tmp_path: Path) -> None:
    for damaged in (b"", b"PK\3\4 cut off", pickle.dumps({"network": {}}, 2)):
        (tmp_path / "checkpoint.pt").write_bytes(damaged)
        with pytest.raises(InputError, match="cannot be resumed: it is damaged"):
            train(tmp_path, PRESETS["smoke"], [], [], resume=True)


def test_bad_input_of_training_is_told_in_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nothing to resume"):
        train(tmp_path, PRESETS["smoke"], [], [], resume=True)
    with pytest.raises(InputError, match="multiple of the next"):
        train(tmp_path, small(batch=3, lanes=2), [], [])
    with pytest.raises(InputError, match="labels has no teacher"):
        train(tmp_path, small(teacher="default"), [], [])
    with pytest.raises(InputError, match="does not exist: expected an ONNX file"):
        train(tmp_path, small(teacher="nowhere.onnx", regime="label-free"), [], [])
    result = refused("train", tmp_path, "--init", "nowhere")
    assert "Model nowhere does not exist: expected an ONNX file" in result.output
    with pytest.raises(InputError, match="holds no images"):
        image_files([tmp_path])
    with pytest.raises(InputError, match="none of demo"):
        write_preset("nonsense", tmp_path)


def test_learning_rate_warms_up_and_ends_at_zero() -> None:
    rates = [schedule(step, 1000) for step in range(1001)]
    assert rates[0] < 0.1
    assert max(rates) == pytest.approx(1)
    assert rates.index(max(rates)) < 60
    assert rates[-1] == pytest.approx(0, abs=1e-6)
