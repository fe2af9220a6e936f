"""The four scalars: a raw network that hits its target gives back x0, whatever it predicts."""

from __future__ import annotations

import math

import diffusers
import pytest
import torch
from torch import Tensor, nn

from locality.errors import BadInput, NonFinite
from locality.networks import NetworkDenoiser
from locality.networks.parts.precondition import PREDICTIONS, noise_label, scalars
from locality.networks.unet import UNet
from locality.types import ImageShape

SHAPE = ImageShape(2, 3, 3)
SIGMAS = (0.01, 0.3, 1.0, 7.0, 60.0)
DATA = 0.5


class Oracle(nn.Module):
    """A network that knows x0 and answers exactly what its kind of prediction asks for."""

    def __init__(self, prediction: str, x0: Tensor, eps: Tensor) -> None:
        super().__init__()
        self.prediction, self.x0, self.eps = prediction, x0, eps

    def forward(self, images: Tensor, label: Tensor) -> Tensor:
        sigma = torch.exp(label / 100 - 7)[:, None]
        x0, eps = self.x0, self.eps
        if self.prediction == "eps":
            out = eps
        elif self.prediction == "x0":
            out = x0
        elif self.prediction == "v":  # alpha eps - s x0 of the variance-preserving alpha x0 + s eps
            alpha, s = 1 / torch.sqrt(1 + sigma**2), sigma / torch.sqrt(1 + sigma**2)
            out = alpha * eps - s * x0
        else:
            x = x0 + sigma * eps
            skip, scale = DATA**2 / (sigma**2 + DATA**2), sigma * DATA / torch.sqrt(sigma**2 + DATA**2)
            out = (x0 - skip * x) / scale
        return out.reshape(images.shape)


def denoiser(prediction: str, x0: Tensor, eps: Tensor) -> NetworkDenoiser:
    return NetworkDenoiser(Oracle(prediction, x0, eps), UNet(prediction=prediction, sigma_data=DATA), SHAPE)


@pytest.mark.parametrize("sigma", SIGMAS)
@pytest.mark.parametrize("prediction", PREDICTIONS)
def test_a_perfect_network_gives_the_clean_image(prediction: str, sigma: float) -> None:
    """float32: eps-prediction multiplies its rounding by sigma, hence the tolerance that grows with it."""
    generator = torch.Generator().manual_seed(0)
    x0, eps = (torch.randn(4, SHAPE.d, generator=generator) for _ in range(2))
    x0_hat = denoiser(prediction, x0, eps)(x0 + sigma * eps, sigma)
    torch.testing.assert_close(x0_hat, x0, rtol=0, atol=1e-5 * max(sigma, 1))


@pytest.mark.parametrize("prediction", PREDICTIONS)
def test_the_network_sees_inputs_of_unit_size(prediction: str) -> None:
    """c_in (x0 + sigma eps) has variance 1 when x0 has the variance the scalars assume."""
    sigma = torch.tensor(SIGMAS, dtype=torch.float64)
    data = DATA if prediction == "edm" else 1.0
    into = scalars(prediction, sigma, DATA).c_in
    torch.testing.assert_close(into**2 * (data**2 + sigma**2), torch.ones_like(sigma))


@pytest.mark.parametrize("prediction", ["edm", "v"])
def test_targets_have_unit_size(prediction: str) -> None:
    """Var[(x0 - c_skip x) / c_out] = 1 at every sigma: the loss weighs all levels alike."""
    sigma = torch.tensor(SIGMAS, dtype=torch.float64)
    data = DATA if prediction == "edm" else 1.0
    c = scalars(prediction, sigma, DATA)
    variance = ((1 - c.c_skip) ** 2 * data**2 + c.c_skip**2 * sigma**2) / c.c_out**2
    torch.testing.assert_close(variance, torch.ones_like(sigma))


def test_scalars_of_edm_are_those_of_its_table() -> None:
    c = scalars("edm", torch.tensor([2.0], dtype=torch.float64), 0.5)
    assert float(c.c_skip) == pytest.approx(0.25 / 4.25)
    assert float(c.c_out) == pytest.approx(1.0 / math.sqrt(4.25))
    assert float(c.c_in) == pytest.approx(1 / math.sqrt(4.25))


def test_v_is_that_of_diffusers() -> None:
    """What the network has to say is what a scheduler of diffusers calls the velocity of the same noisy image."""
    scheduler = diffusers.DDPMScheduler(prediction_type="v_prediction")
    t = torch.tensor([400])
    alpha_bar = scheduler.alphas_cumprod[t]
    sigma = ((1 - alpha_bar) / alpha_bar).sqrt()
    generator = torch.Generator().manual_seed(0)
    x0, eps = (torch.randn(1, SHAPE.d, generator=generator) for _ in range(2))
    c = scalars("v", sigma, DATA)
    wanted = (x0 - c.c_skip[:, None] * (x0 + sigma[:, None] * eps)) / c.c_out[:, None]
    torch.testing.assert_close(wanted, scheduler.get_velocity(x0, eps, t), rtol=1e-5, atol=1e-5)


def test_label_grows_with_the_noise_over_the_range_of_a_timestep() -> None:
    labels = noise_label(torch.tensor([0.002, 1.0, 80.0]))
    assert labels.tolist() == pytest.approx([78.54, 700.0, 1138.2], abs=0.1)


def test_one_sigma_per_image_equals_one_by_one() -> None:
    generator = torch.Generator().manual_seed(0)
    x0, eps = (torch.randn(3, SHAPE.d, generator=generator) for _ in range(2))
    sigma = torch.tensor([0.1, 1.0, 5.0])
    x = x0 + sigma[:, None] * eps
    together = denoiser("edm", x0, eps).at(x, sigma)
    for i in range(3):
        alone = denoiser("edm", x0[i : i + 1], eps[i : i + 1])(x[i : i + 1], float(sigma[i]))
        torch.testing.assert_close(alone[0], together[i])


def test_unknown_predictions_are_refused() -> None:
    with pytest.raises(BadInput, match="choose one of edm, v, eps"):
        scalars("score", torch.ones(1), 0.5)
    with pytest.raises(BadInput, match="Choose one of: edm, v, eps"):
        UNet(prediction="score")


@pytest.mark.parametrize("sigma", [0.0, -1.0, math.nan, math.inf])
def test_noise_levels_that_are_none_are_refused(sigma: float) -> None:
    x = torch.zeros(1, SHAPE.d)
    with pytest.raises(BadInput, match="is not a noise level"):
        denoiser("edm", x, x)(x, sigma)


def test_images_it_cannot_take_are_refused() -> None:
    x = torch.zeros(1, SHAPE.d)
    with pytest.raises(BadInput, match="do not fit a denoiser of 2x3x3 images"):
        denoiser("edm", x, x)(x[:, 1:], 1.0)
    with pytest.raises(NonFinite, match="NaN"):
        denoiser("edm", x, x)(x / 0, 1.0)
