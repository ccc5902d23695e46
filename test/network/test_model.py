"""LayerNet, affine fits, losses and export against closed forms and each other."""

from pathlib import Path

import numpy as np
import onnxruntime
import pytest

onnx = pytest.importorskip("onnx", reason="training is an extra")
torch = pytest.importorskip("torch", reason="training is an extra")

from counting import multiply_adds
from streams import noise

from evlayerseg_ros.errors import InputError
from evlayerseg_ros.events import Events, Window
from evlayerseg_ros.network.affine import affine_field, fit_affine, pixel_grid
from evlayerseg_ros.network.export import export, load_checkpoint, quantise, with_extras
from evlayerseg_ros.network.layernet import LayerNet, StandardConv, evidence_of, fold
from evlayerseg_ros.segmentation.model_file import find_model
from evlayerseg_ros.segmentation.network_input import EXTRAS, GAIN, OLD_EXTRAS, evidence_score
from evlayerseg_ros.segmentation.segmenter import Segmenter
from evlayerseg_ros.segmentation.session import PROVIDERS, available
from evlayerseg_ros.simulation.presets import PRESETS
from evlayerseg_ros.simulation.simulator import simulate
from evlayerseg_ros.training.losses import supervised_loss, true_motion


def test_layernet_keeps_its_budget() -> None:
    network = fold(LayerNet()).eval()
    assert multiply_adds(network, torch.zeros(1, 26, 240, 320)) < 1.2e9
    assert sum(p.numel() for p in network.parameters()) * 4 < 8e6  # bytes


def test_fit_recovers_affine_motion_of_two_layers() -> None:
    affine = torch.tensor(
        [[[0.02, -0.01, 3], [0.005, 0.03, -2]], [[-0.03, 0.02, 7], [0.01, -0.02, 5]]]
    )[None]
    x, y = pixel_grid(60, 80, 4, affine)
    fields = affine_field(affine, x, y)
    weight = torch.zeros(1, 2, 60, 80)
    weight[:, 0, :30], weight[:, 1, 30:] = 1, 0.5
    flow = torch.where(weight[:, :1] > 0, fields[:, 0], fields[:, 1])
    got = affine_field(fit_affine(flow, weight, 4, 1e-3), x, y)
    torch.testing.assert_close(
        got * weight[:, :, None], fields * weight[:, :, None], atol=1e-3, rtol=0
    )


def test_fit_of_a_layer_without_support_is_rest() -> None:
    flow = torch.randn(1, 2, 8, 8)
    assert fit_affine(flow, torch.zeros(1, 2, 8, 8), 4, 100.0).abs().max() == 0


def test_fit_has_right_gradients() -> None:
    torch.manual_seed(0)
    flow = torch.randn(1, 2, 4, 5, dtype=torch.float64, requires_grad=True)
    weight = torch.rand(1, 2, 4, 5, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda f, w: fit_affine(f, w, 4, 10.0), (flow, weight))


def test_folded_convolution_gives_the_same_answer() -> None:
    torch.manual_seed(0)
    conv = StandardConv(6, 16, stride=2)
    conv.scale.data.uniform_(0.5, 2)
    conv.bias.data.normal_()
    x = torch.randn(2, 6, 20, 30)
    torch.testing.assert_close(conv.fold()(x), conv(x))


def test_true_motion_picks_each_places_layer() -> None:
    labels = torch.zeros(1, 16, 16, dtype=torch.uint8)
    labels[:, 8:] = 1
    displacement = torch.zeros(1, 4, 2, 3)
    displacement[0, 0, 0, 2], displacement[0, 1, 1, 1] = 3, 0.5
    motion = true_motion(labels, displacement, 4)
    assert motion.shape == (1, 2, 4, 4)
    assert (motion[0, 0, :2] == 3).all()
    assert motion[0, 1, 3, 0] == 0.5 * 13.5  # the last row's centre


def batch_of(labels: torch.Tensor, displacement: torch.Tensor) -> dict[str, torch.Tensor]:
    """One sample in which every cell has seen an event."""
    return {
        "layers": labels, "displacement": displacement, "moving": labels > 0,
        "seen": torch.ones_like(labels, dtype=torch.bool), "single": torch.tensor([True]),
        "sure": torch.ones_like(labels, dtype=torch.bool),
    }  # fmt: skip


def test_supervised_loss_is_least_at_the_truth() -> None:
    labels = torch.zeros(1, 64, 64, dtype=torch.uint8)
    labels[:, 16:40, 20:48] = 1
    displacement = torch.zeros(1, 4, 2, 3)
    displacement[0, 0, 0, 2], displacement[0, 1, 0, 2] = 2, -6
    score = torch.nn.functional.avg_pool2d(labels[:, None].float(), 2) * 40 - 20
    motion = torch.cat([true_motion(labels, displacement, 4), torch.ones(1, 1, 16, 16)], 1)

    def loss(masks, affine, motion, name="total") -> float:
        return float(supervised_loss((masks, affine, motion), batch_of(labels, displacement))[name])

    masks = torch.cat([-score, score], 1)
    right = loss(masks, displacement[:, :2], motion)
    assert right < 0.05
    assert loss(-masks, displacement[:, :2], motion) > right + 1
    still = displacement[:, :2] * 0
    assert loss(masks, still, motion) > right + 0.1
    assert loss(masks, displacement[:, :2], motion * 0) > right + 0.1
    # The end-point error of a motion of nothing is how far each layer goes: 2 and 6 cells.
    assert loss(masks, still, motion, "affine") == pytest.approx(8, abs=0.1)


def test_one_affine_motion_is_not_asked_of_several_objects() -> None:
    labels = torch.zeros(1, 64, 64, dtype=torch.uint8)
    labels[:, 16:40, 8:28], labels[:, 16:40, 36:56] = 1, 2
    displacement = torch.zeros(1, 4, 2, 3)
    displacement[0, 1, 0, 2], displacement[0, 2, 0, 2] = 6, -6
    batch = batch_of(labels, displacement) | {"single": torch.tensor([False])}
    masks, motion = torch.zeros(1, 2, 32, 32), torch.zeros(1, 3, 16, 16)
    affine = supervised_loss((masks, torch.zeros(1, 2, 2, 3), motion), batch)["affine"]
    assert float(affine) == pytest.approx(0.1, abs=0.01)  # that of the background: none


def test_the_loss_has_gradients_that_are_finite_differences() -> None:
    torch.manual_seed(0)
    labels = (torch.rand(2, 32, 32) > 0.6).to(torch.uint8)
    displacement = torch.randn(2, 4, 2, 3)
    batch = batch_of(labels, displacement) | {"single": torch.tensor([True, False])}
    batch["seen"] = torch.rand(2, 32, 32) > 0.5
    parts = [
        torch.randn(*shape, dtype=torch.float64)
        for shape in ((2, 2, 16, 16), (2, 2, 2, 3), (2, 3, 8, 8))
    ]
    for values in parts:
        values.requires_grad_()
    supervised_loss(tuple(parts), batch)["total"].backward()
    for values in parts:
        at = tuple(int(i) for i in np.unravel_index(values.grad.abs().argmax(), values.shape))
        totals = []
        for sign in (1, -1):
            with torch.no_grad():
                values[at] += sign * 1e-3
                totals.append(float(supervised_loss(tuple(parts), batch)["total"]))
                values[at] -= sign * 1e-3
        slope = (totals[0] - totals[1]) / 2e-3
        assert float(values.grad[at]) == pytest.approx(slope, rel=0.02)


@pytest.mark.parametrize("known", [0, 4])
def test_a_network_gets_further_channels_and_answers_as_before(known: int) -> None:
    torch.manual_seed(0)
    old = LayerNet(widths=(8, 16, 24, 32), extras=known)
    wide = with_extras(old)
    assert wide.voxel.channels == old.voxel.channels + EXTRAS - known
    assert with_extras(wide) is wide
    voxel = torch.poisson(torch.full((1, 20 + known, 48, 64), 0.3))

    def told(value: float) -> torch.Tensor:
        new = torch.full((1, EXTRAS - known, 48, 64), value)
        return torch.cat((voxel[:, :20], new, voxel[:, 20:]), 1)

    with torch.no_grad():
        for value in (0.0, 2.0):  # it ignores them
            for want, got in zip(old(voxel), wide(told(value)), strict=True):
                torch.testing.assert_close(got, want, atol=1e-4, rtol=1e-3)
    wide(told(1.0))[0].sum().backward()
    new = wide.stem[0].weight.grad[:, 20 : 20 + EXTRAS - known]
    assert new.abs().max() > 0  # but can learn to use them


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("model") / "random.onnx"
    export(LayerNet(), path, "random", "none", {"note": "test"})  # checks parity at two sizes
    return path


@pytest.mark.slow
@pytest.mark.parametrize("size", [(640, 480), (346, 260), (1280, 720), (240, 180)])
def test_exported_model_takes_any_sensor_and_tells_what_it_is(exported: Path, size) -> None:
    segmenter = Segmenter.load(exported, provider="cpu")
    assert (segmenter.info.name, segmenter.info.regime) == ("random", "none")
    assert segmenter.info.training == {"note": "test"}
    assert segmenter.provider == "cpu"
    window = Window(noise(2000, size, 30_000_000), 0, 30_000_000, 0)
    found = segmenter(window)
    assert found.labels.shape == size[::-1]
    assert len(found.affine) > found.labels.max() and found.affine.shape[1:] == (2, 3)
    again = segmenter(window)
    np.testing.assert_array_equal(found.labels, again.labels)
    np.testing.assert_array_equal(found.affine, again.affine)


@pytest.mark.slow
def test_window_without_events_is_background_at_rest(exported: Path) -> None:
    found = Segmenter.load(exported)(Window(Events.empty(640, 480), 0, 10, 0))
    assert not found.labels.any()
    assert not found.affine.any()


@pytest.fixture(scope="module")
def demo() -> tuple[Events, np.ndarray]:
    """The demo's events, and each one's layer."""
    _, scene = next(PRESETS["demo"](seed=0))
    return simulate(scene, np.random.default_rng(0))


EIGHT_BITS = "DequantizeLinear"


@pytest.mark.slow
def test_eight_bits_answer_nearly_the_same(tmp_path: Path) -> None:
    torch.manual_seed(0)
    exact, short = tmp_path / "exact.onnx", tmp_path / "short.onnx"
    export(LayerNet(widths=(8, 16), width=64, extras=0), exact, "exact", "none", {})
    voxels = np.random.default_rng(0).poisson(0.2, (12, 1, 20, 48, 64)).astype(np.float32)
    quantise(exact, short, voxels[:8])
    nodes = onnx.load(str(short)).graph.node
    made_by = {name: node.op_type for node in nodes for name in node.output}
    exact_ones = [
        n.name for n in nodes if n.op_type == "Conv" and made_by.get(n.input[1]) != EIGHT_BITS
    ]
    assert len(exact_ones) == 2 and all("head" in name for name in exact_ones)
    sessions = [onnxruntime.InferenceSession(str(path)) for path in (exact, short)]
    for voxel in voxels[8:]:
        (masks, affine), (masks8, affine8) = (s.run(None, {"voxel": voxel}) for s in sessions)
        assert np.corrcoef(masks.ravel(), masks8.ravel())[0, 1] > 0.99
        np.testing.assert_allclose(affine8, affine, atol=0.03 * np.abs(affine).max())


def test_the_default_is_in_eight_bits_on_a_cpu_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Segmenter.load("default", "cpu").info.name == "layernet-int8"
    assert Segmenter.load("layernet", "cpu").info.name == "layernet"
    assert find_model("default").stem == "layernet"
    # A GPU build of ONNX Runtime without a GPU runs on the CPU, and so in eight bits.
    every = [*PROVIDERS.values()]
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: every)
    assert Segmenter.load("default", "auto").info.name == "layernet-int8"


def test_a_provider_that_does_not_exist_is_refused() -> None:
    with pytest.raises(InputError, match="Provider 'gpu' is none of"):
        Segmenter.load(provider="gpu")


def test_checkpoints_are_refused_in_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        load_checkpoint(tmp_path / "none.pt")
    (tmp_path / "noise.pt").write_bytes(b"not a checkpoint")
    with pytest.raises(InputError, match="is not a checkpoint"):
        load_checkpoint(tmp_path / "noise.pt")


@pytest.mark.slow
@pytest.mark.parametrize("model", ["layernet", "layernet-int8", "layernet-label-free"])
def test_shipped_weights_find_what_moves_and_have_a_card_that_tells_how_they_learnt(
    model: str, demo
) -> None:
    segmenter = Segmenter.load(model, provider="cpu", threads=1, track=True)
    card = find_model(model).with_suffix(".md").read_text()
    regime = {"labels": "simulator labels", "label-free": "label-free"}[segmenter.info.regime]
    assert f"| regime | **{regime}**" in card
    assert find_model(model).stat().st_size < 8e6
    events, labels = demo
    ious = []
    for start in range(500_000_000, 1_500_000_000, 33_000_000):
        first, last = np.searchsorted(events.t, (start, start + 33_000_000))
        window = Window(events[first:last], start, start + 33_000_000, 0)
        found, truth = segmenter(window).event_labels > 0, labels[first:last] > 0
        ious.append((found & truth).sum() / (found | truth).sum())
    assert np.median(ious) > 0.6


@pytest.mark.skipif(
    available("openvino") != "openvino", reason="there is no OpenVINO for this processor"
)
def test_openvino_answers_as_the_cpu_does(demo) -> None:
    events, _ = demo
    first, last = np.searchsorted(events.t, (500_000_000, 533_000_000))
    window = Window(events[first:last], 500_000_000, 533_000_000, 0)
    there, here = (Segmenter.load("default", name, threads=1) for name in ("openvino", "cpu"))
    assert there.provider == "openvino" and there.info.name == here.info.name
    assert (there(window).event_labels == here(window).event_labels).mean() > 0.98


def test_what_evidence_says_is_the_same_in_training_and_at_run_time() -> None:
    planes = np.random.default_rng(0).exponential(1, (2, 120, 160)).astype(np.float32)
    voxel = np.zeros((1, 20 + EXTRAS, 240, 320), np.float32)
    voxel[0, -OLD_EXTRAS : 2 - OLD_EXTRAS] = planes.repeat(2, 1).repeat(2, 2) * GAIN
    learnt = evidence_of(torch.from_numpy(voxel))[0, 0].numpy()
    np.testing.assert_allclose(evidence_score(planes), learnt, atol=1e-4)
    whole, bare = LayerNet(), LayerNet()
    bare.load_state_dict(whole.state_dict())
    bare.bare = True
    with torch.no_grad():
        more = whole(torch.from_numpy(voxel))[0] - bare(torch.from_numpy(voxel))[0]
    np.testing.assert_allclose(more[0, 1].numpy(), learnt, atol=1e-4)
    assert not more[0, 0].any()
