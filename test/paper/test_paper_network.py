"""The paper's network and loss against closed forms."""

import pytest

torch = pytest.importorskip("torch", reason="training is an extra")

from counting import multiply_adds

from evlayerseg_ros.network.affine import affine_field, pixel_grid
from evlayerseg_ros.paper.loss import deblurring_loss, paper_loss, smoothness
from evlayerseg_ros.paper.network import PaperNet, combined_flow, leaky_dorelu, normalised_to_px


@pytest.mark.slow
def test_paper_network_has_its_published_size_and_shapes() -> None:
    network = PaperNet().eval()
    assert sum(p.numel() for p in network.parameters()) == pytest.approx(28.5e6, rel=0.005)
    voxel = torch.zeros(1, 5, 480, 640)
    assert multiply_adds(network, voxel) == pytest.approx(62e9, rel=0.02)
    with torch.no_grad():
        masks, affine = network(voxel)
    assert masks.shape == (1, 2, 480, 640)
    assert affine.shape == (1, 2, 2, 3)
    torch.testing.assert_close(masks.sum(1), torch.ones(1, 480, 640))


def test_leaky_dorelu() -> None:
    x = torch.tensor([-100.0, -1, 0, 0.3, 1, 2, 101])
    want = torch.tensor([-1.0, -0.01, 0, 0.3, 1, 1.01, 2])
    torch.testing.assert_close(leaky_dorelu(x), want)


def test_papers_flow_is_torchs_affine_grid_times_the_larger_side() -> None:
    theta = torch.randn(2, 2, 3, generator=torch.Generator().manual_seed(0))
    want = torch.nn.functional.affine_grid(theta, (2, 1, 480, 640), align_corners=False) * 640
    x, y = pixel_grid(480, 640, 1, theta)
    got = affine_field(normalised_to_px(theta), x, y)
    torch.testing.assert_close(got, want.permute(0, 3, 1, 2), atol=2e-3, rtol=1e-4)


def test_papers_combination_lets_the_winner_alone_speak() -> None:
    masks = torch.tensor([0.7, 0.3]).reshape(1, 2, 1, 1).repeat(1, 1, 4, 6)
    affine = torch.tensor([[[0, 0, 10.0], [0, 0, 0]], [[0, 0, -5.0], [0, 0, 3]]])[None]
    flow = combined_flow(masks, affine)
    torch.testing.assert_close(flow[0, :, 2, 3], torch.tensor([7.0, 0]))


def dots(speed: float, steps: int = 11) -> torch.Tensor:
    """Events [N, 4] of three dots that move `speed` px to the right over the window."""
    t = torch.linspace(0, 1, steps).repeat(3)
    row = torch.arange(3).repeat_interleave(steps)
    return torch.stack([10 + speed * t, 5.0 + 8 * row, t, (row % 2).float()], 1)


def test_deblurring_loss_of_events_that_meet() -> None:
    events = dots(20.0)
    flow = torch.zeros(2, 32, 64)
    # At rest each event keeps a pixel of its own: the mean of t^2 over 33 pixels, both ways.
    mean = float((torch.linspace(0, 1, 11) ** 2).mean())
    assert float(deblurring_loss(flow, events)) == pytest.approx(2 * mean, rel=1e-4)
    flow[0] = 20
    # Moved with the dots, three pixels are hit, each with a mean timestamp of 1/2.
    assert float(deblurring_loss(flow, events)) == pytest.approx(2 * 0.25, rel=1e-4)


def test_deblurring_loss_has_right_gradients() -> None:
    torch.manual_seed(0)
    events = torch.rand(30, 4, dtype=torch.float64) * torch.tensor([7.0, 5, 1, 1])
    events[:, :2] = events[:, :2].floor() + 2
    events[:, 3] = events[:, 3].round()
    flow = (torch.randn(2, 10, 12, dtype=torch.float64) * 0.7).requires_grad_()
    assert torch.autograd.gradcheck(lambda f: deblurring_loss(f, events), (flow,), eps=1e-7)


def test_smoothness_counts_steps_between_pixels_with_events() -> None:
    flow = torch.zeros(2, 20, 40)
    flow[0, :, 20:] = 4.0  # a step of 4 px, 0.1 of the larger side
    xs = torch.tensor([19.0, 20, 3])
    events = torch.stack([xs, torch.tensor([5.0, 5, 9]), torch.zeros(3), torch.ones(3)], 1)
    assert float(smoothness(flow, events)) == pytest.approx(0.1 / 4, rel=1e-3)
    total = float(paper_loss(flow[None], [events]))
    assert total == pytest.approx(float(deblurring_loss(flow, events)) + 0.001 * 0.1 / 4, rel=1e-4)
