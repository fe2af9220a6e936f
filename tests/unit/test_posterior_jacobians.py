"""Jacobians of exact posterior means are covariances: Cov[x0 | x] / (sigma^2 T), written out by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from locality.checks.denoisers import SIGMA, DenoiserCase
from locality.denoisers import DENOISERS
from locality.fields.jacobian import field_rows
from locality.types import Denoiser
from tests import naive

pytestmark = pytest.mark.usefixtures("one_thread")

both_sets = pytest.mark.parametrize("name", ["colour", "grey"])


def jacobian_is_a_covariance(denoiser: Denoiser, x: Tensor, sigma: float, atol: float) -> Tensor:
    """Symmetric and positive semi-definite, as Cov[x0 | x] / sigma^2 is; returns it, [d d] at one point x [1 d]."""
    jacobian = field_rows(denoiser, x, torch.eye(x.shape[1], dtype=x.dtype), sigma)[:, 0]
    torch.testing.assert_close(jacobian, jacobian.T, rtol=0, atol=atol)
    assert torch.linalg.eigvalsh((jacobian + jacobian.T) / 2).min() > -atol
    assert jacobian.diagonal().max() > 1e-3  # not zero everywhere
    return jacobian


@both_sets
@pytest.mark.parametrize(
    ("text", "temperature"),
    [
        ("optimal", 1.0),
        ("optimal:temperature=2", 2.0),
        ("optimal:classes=0-3,flips=true", 1.0),
        ("ls:window=11", 1.0),
        ("ls:window=11,flips=true", 1.0),
        ("pca_locality:tau=0", 1.0),
        ("pca_locality:tau=0,mask_rule=code,temperature=3", 3.0),
        ("pspc_flex:fraction=1", 1.0),
    ],
)
def test_jacobians_of_exact_posterior_means(tmp_path: Path, text: str, temperature: float, name: str) -> None:
    """The covariance by hand over the images the model sees."""
    case = DenoiserCase(DENOISERS.parse(text), tmp_path)
    x = case.x(name, 1, 1.0)
    jacobian = jacobian_is_a_covariance(case.model(name), x, 1.0, 1e-9)
    x0 = case.seen(name).x0().numpy()
    weights = np.array(naive.softmax([-naive.apart(x[0].numpy(), image) / (2 * temperature) for image in x0]))
    away = x0 - weights @ x0
    expected = torch.from_numpy((away.T * weights) @ away / temperature)
    torch.testing.assert_close(jacobian, expected, rtol=0, atol=1e-9)


@both_sets
@pytest.mark.parametrize("text", ["wiener", "gaussian_mixture", "gaussian_mixture:groups=clusters,components=3"])
def test_jacobians_of_gaussian_posterior_means(tmp_path: Path, text: str, name: str) -> None:
    """Eigenvectors kept in float32 are orthogonal to 1e-6."""
    case = DenoiserCase(DENOISERS.parse(text), tmp_path)
    jacobian_is_a_covariance(case.model(name), case.x(name, 1), SIGMA, 2e-6)


# --- where answers go, for models that compare other places or the whole image


@both_sets
@pytest.mark.parametrize("text", ["els:window=3", "els:window=6", "bbels:window=3"])
def test_noise_drowns_everything_but_the_place(tmp_path: Path, text: str, name: str) -> None:
    """The mean over all places for els, over those of the same border type for bbels."""
    case = DenoiserCase(DENOISERS.parse(text), tmp_path)
    mean = case.sets[name].x0().mean(dim=0).reshape(case.sets[name].shape)
    if text.startswith("els"):
        mean = mean.mean(dim=(1, 2), keepdim=True).expand_as(mean)
    else:
        mean = torch.from_numpy(naive.border_aware(mean.numpy(), mean.numpy()[None], 1e5, 3))
    x = case.x(name, sigma=1e5)
    torch.testing.assert_close(case.model(name)(x, 1e5), mean.flatten().expand_as(x), rtol=0, atol=1e-3)


@both_sets
@pytest.mark.parametrize("text", ["ls:window=11,flips=true", "els:window=6", "golddiff:tau=0.1,flips=true"])
def test_whole_images_are_known_to_the_last_digit(tmp_path: Path, text: str, name: str) -> None:
    """At sigma 1e-3 every other image is thousands of sigma^2 away."""
    case = DenoiserCase(DENOISERS.parse(text), tmp_path)
    x0 = case.sets[name].x0()[[0, 2, 3]]
    torch.testing.assert_close(case.model(name)(x0, 1e-3), x0, rtol=0, atol=2e-6)
