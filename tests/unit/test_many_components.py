"""gaussian_mixture of many components: low rank, finite samples, and numbers chosen by held-out error."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from locality.dataset import Dataset, InMemory
from locality.denoisers import DENOISERS
from locality.denoisers.parts import thin
from locality.denoisers.parts.kmeans import sampled_centres
from locality.denoisers.parts.ladder import SIGMAS, convex_weights
from locality.denoisers.parts.mixture import Mixture, pack, unpack
from locality.denoisers.parts.rungs import rungs
from locality.device import Compute
from locality.errors import BadInput, TooLarge
from locality.fields.jacobian import differentiate
from locality.linear.finite import effective_noise
from locality.linear.wiener import WienerFilter
from locality.store import Store
from locality.types import Denoiser, ImageShape
from locality.work import finish

SHAPE = ImageShape(1, 4, 6)


def given(values: Tensor, shape: ImageShape, labels: Tensor | None = None) -> InMemory:
    return InMemory(Dataset("made", "train", shape, values.float(), labels))


def fit(text: str, images: InMemory, folder: Path) -> Denoiser:
    return finish(DENOISERS.parse(text).fit(images, Compute(), Store(folder)))


def kinds(count: int, seed: int = 0) -> InMemory:
    """Three kinds of images apart from each other, each varying most in four directions of its own."""
    generator = torch.Generator().manual_seed(seed)
    label = torch.arange(count) % 3
    ways = torch.randn(3, 4, SHAPE.d, generator=torch.Generator().manual_seed(9))
    centre = torch.randn(3, SHAPE.d, generator=torch.Generator().manual_seed(8))
    draws = torch.randn(count, 1, 4, generator=generator) @ ways[label]
    return given(centre[label] + 0.5 * draws[:, 0] + 0.1 * torch.randn(count, SHAPE.d, generator=generator), SHAPE)


def spiked(d: int, rank: int, rest: float) -> tuple[Tensor, Tensor, Tensor]:
    """A covariance of `rank` directions plus isotropic rest: itself, eigenvalues and eigenvectors of the former."""
    basis = torch.linalg.qr(torch.randn(d, rank, dtype=torch.float64, generator=torch.Generator().manual_seed(1))).Q
    eigvals = torch.linspace(6.0, 2.0, rank, dtype=torch.float64)
    return basis * (eigvals - rest) @ basis.T + rest * torch.eye(d, dtype=torch.float64), eigvals, basis


def test_low_rank_plus_rest_is_the_full_covariance_where_that_is_all_there_is() -> None:
    """Logits, answers and rows of two components of rank 5 plus 0.3 I in 24 dimensions, against full eigenbases."""
    cov, eigvals, basis = spiked(24, 5, 0.3)
    every, vectors = torch.linalg.eigh(cov)
    weights = torch.tensor([0.3, 0.7], dtype=torch.float64)
    means = torch.randn(2, 24, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    low = Mixture(
        weights, means, eigvals.expand(2, 5), basis.float().expand(2, 24, 5), torch.tensor([0.3, 0.3]).double()
    )
    full = Mixture(weights, means, every.expand(2, 24), vectors.float().expand(2, 24, 24))
    u = torch.randn(6, 24, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    for sigma in (0.1, 1.0, 5.0):
        torch.testing.assert_close(low.logits(u, sigma**2), full.logits(u, sigma**2), rtol=0, atol=2e-5 / sigma**2)
        torch.testing.assert_close(low(u, sigma), full(u, sigma), rtol=0, atol=2e-5)
        rows = (each.jacobian_rows(u, torch.eye(24).double(), sigma) for each in (low, full))
        torch.testing.assert_close(*rows, rtol=0, atol=1e-4)


@pytest.mark.parametrize("kappa", [False, True])
def test_rows_of_low_rank_and_kappa_are_those_of_a_backward_pass(tmp_path: Path, kappa: bool) -> None:
    text = f"gaussian_mixture:groups=clusters,components=3,rank=5,prior=3,kappa={str(kappa).lower()}"
    model = fit(text, kinds(60), tmp_path)
    x = kinds(4, 5).train.x0(slice(None)).double() * 0.6
    outputs = torch.eye(SHAPE.d).double()[::5]
    for sigma in (0.4, 1.5):
        known = model.jacobian_rows(x, outputs, sigma)  # type: ignore[attr-defined]
        torch.testing.assert_close(known, differentiate(model, x, outputs, sigma), rtol=0, atol=5e-5)


def test_thin_groups_are_the_covariances_of_a_plain_loop() -> None:
    """Full rank and few images: shrunk covariance by definition; low rank: its leading part, the rest spread evenly."""
    train = kinds(30).train
    groups = [torch.arange(30)[torch.arange(30) % 3 == k] for k in range(3)]
    x = train.x0(slice(None)).double()
    own = [torch.cov(x[rows].T) for rows in groups]
    pooled = sum(9 * cov for cov in own) / 27
    full = finish(thin.thin_groups(train, groups, SHAPE.d, 5.0))
    low = finish(thin.thin_groups(train, groups, 6, 0.0))
    for k, cov in enumerate(own):
        found = full.eigvecs[k].double() * full.eigvals[k] @ full.eigvecs[k].double().T
        torch.testing.assert_close(found, 10 / 15 * cov + 5 / 15 * pooled, rtol=0, atol=1e-5)
        values = torch.linalg.eigvalsh(cov).flip(0)
        torch.testing.assert_close(low.eigvals[k], values[:6], rtol=1e-6, atol=1e-9)
        assert float(low.rest[k]) == pytest.approx(float(values[6:].sum()) / 18, abs=1e-9)  # type: ignore[index]


def test_many_directions_are_found_by_iteration() -> None:
    """800 coordinates, of which 10 directions matter: the iterated basis has the values of the whole one to 1e-4."""
    cov, _, _ = spiked(800, 10, 0.01)
    root = torch.linalg.cholesky(cov)
    x = (root @ torch.randn(800, 900, dtype=torch.float64, generator=torch.Generator().manual_seed(0))).T
    train = given(x, ImageShape(2, 20, 20)).train
    mixture = finish(thin.thin_groups(train, [torch.arange(900)], 10, 0.0))
    exact = torch.linalg.eigvalsh(torch.cov(train.data.double().T)).flip(0)
    torch.testing.assert_close(mixture.eigvals[0], exact[:10], rtol=1e-4, atol=0)
    assert float(mixture.rest[0]) == pytest.approx(float(exact[10:].mean()), rel=1e-3)  # type: ignore[index]


def test_kappa_is_the_fixed_point() -> None:
    eigvals = torch.rand(3, 20, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) * 4
    rest, counts = torch.tensor([0.0, 0.2, 1.0]).double(), torch.tensor([8.0, 30.0, 1e9]).double()
    for variance in (1e-4, 0.3, 50.0):
        kappa = effective_noise(eigvals, rest, 12, counts, variance)
        trace = (eigvals / (eigvals + kappa[:, None])).sum(dim=1) + 12 * rest / (rest + kappa)
        torch.testing.assert_close(kappa, variance + kappa * trace / counts, rtol=1e-9, atol=0)
        assert (kappa >= variance).all()
    assert float(kappa[2]) == pytest.approx(variance, rel=1e-6)  # endless images: the noise itself


def test_kappa_tells_how_a_plug_in_filter_acts() -> None:
    """60 draws of a Gaussian in 96 dimensions: the mean plug-in filter is the true filter at kappa, not at sigma^2."""
    d, n, sigma = 96, 60, 0.7
    spectrum = 4.0 / torch.arange(1, d + 1, dtype=torch.float64)
    generator = torch.Generator().manual_seed(0)
    total = torch.zeros(d, dtype=torch.float64)
    for _ in range(100):
        draws = torch.randn(n, d, dtype=torch.float64, generator=generator) * spectrum.sqrt()
        cov = draws.T @ draws / n
        total += (cov @ torch.linalg.inv(cov + sigma**2 * torch.eye(d))).diagonal()
    kappa = effective_noise(spectrum[None], torch.zeros(1).double(), 0, torch.tensor([float(n)]).double(), sigma**2)
    torch.testing.assert_close(total / 100, spectrum / (spectrum + kappa), rtol=0, atol=0.02)
    assert (total / 100 - spectrum / (spectrum + sigma**2)).abs().max() > 0.05


def test_kappa_beats_the_plug_in_filter_at_much_noise_and_not_at_little(tmp_path: Path) -> None:
    """12 draws of an isotropic Gaussian in 24 dimensions, error on 2,000 others: the plug-in filter acts as one at
    kappa already, and a second correction pays where the noise is above the variance.
    """
    generator = torch.Generator().manual_seed(0)
    images = given(torch.randn(12, SHAPE.d, generator=generator), SHAPE)
    x0, eps = torch.randn(2, 2000, SHAPE.d, generator=generator)

    def errors(sigma: float, *texts: str) -> list[float]:
        models = (fit(text, images, tmp_path) for text in texts)
        return [float((model(x0 + sigma * eps, sigma) - x0).square().mean()) for model in models]

    one = "gaussian_mixture:groups=clusters,components=1"
    plain, corrected, mixed, mixed_corrected = errors(2.0, "wiener", "wiener:kappa=true", one, f"{one},kappa=true")
    assert corrected < 0.99 * plain
    assert (mixed, mixed_corrected) == pytest.approx((plain, corrected), rel=1e-5)
    plain, corrected = errors(0.3, "wiener", "wiener:kappa=true")
    assert corrected > plain


def test_weights_are_the_best_convex_ones() -> None:
    """Independent errors of variances 1 and 4: 0.8 and 0.2; a member that adds nothing is left out."""
    generator = torch.Generator().manual_seed(0)
    first, second = torch.randn(2, 50, 400, generator=generator)
    weights = convex_weights(torch.stack([first, 2 * second, 2 * second + 3.0]))
    torch.testing.assert_close(weights, torch.tensor([0.8, 0.2, 0.0]).double(), rtol=0, atol=0.02)
    assert convex_weights(torch.stack([first, first + 0.001 * second])).tolist() in ([1.0, 0.0], [0.0, 1.0])


def test_a_ladder_beats_wiener_where_there_are_kinds(tmp_path: Path) -> None:
    """Its error on other images is below Wiener's at every level, and it is Wiener where there are no kinds at all."""
    images, x0 = kinds(900), kinds(600, 7).train.x0(slice(None))
    model, wiener = (fit(t, images, tmp_path) for t in ("gaussian_mixture:groups=clusters,components=auto", "wiener"))
    eps = torch.randn(x0.shape, generator=torch.Generator().manual_seed(1))
    for sigma in (0.1, 0.3, 1.0):
        ours, theirs = (float((each(x0 + sigma * eps, sigma) - x0).square().mean()) for each in (model, wiener))
        assert ours < 0.95 * theirs
    ladder = model.mixture  # type: ignore[attr-defined]
    assert len(ladder.mixtures) >= 1
    torch.testing.assert_close(ladder.weights.sum(dim=1), torch.ones(len(SIGMAS)).double())
    for level in (0, 4, 8):
        torch.testing.assert_close(ladder.weights_at(SIGMAS[level]), ladder.weights[level])
    again = fit("gaussian_mixture:groups=clusters,components=auto", images, tmp_path)
    assert torch.equal(again(x0, 0.5), model(x0, 0.5))
    plain = torch.randn(900, SHAPE.d, generator=torch.Generator().manual_seed(3))
    alone = fit("gaussian_mixture:groups=clusters,components=auto", given(plain, SHAPE), tmp_path)
    assert isinstance(alone.mixture.wiener, WienerFilter)  # type: ignore[attr-defined]
    assert float(alone.mixture.weights[:, 0].mean()) > 0.8  # type: ignore[attr-defined]


def test_classes_are_one_more_mixture() -> None:
    with_classes, without = (rungs(60_000, ImageShape(1, 28, 28), count, 0, 0.0) for count in (10, 0))
    assert [rung.clusters for rung in without] == [9, 30, 95, 300]
    assert with_classes[:-1] == without
    assert with_classes[-1].clusters == 0
    assert all(rung.rank == 50 and rung.prior == 7.0 for rung in rungs(60_000, ImageShape(1, 28, 28), 0, 50, 7.0))


def test_many_clusters_are_found_on_a_sample() -> None:
    """100 points at each of 80 places far apart: every cluster is (nearly) one place, and none is of few points."""
    places = torch.randn(80, 8, generator=torch.Generator().manual_seed(0)) * 20
    points = places.repeat(100, 1) + 0.1 * torch.randn(8000, 8, generator=torch.Generator().manual_seed(1))
    centres = sampled_centres(points, 80, 0, least=50)
    assert 70 <= len(centres) <= 80
    assert torch.equal(centres, sampled_centres(points, 80, 0, least=50))
    near = torch.cdist(points, centres).argmin(dim=1)
    assert int(torch.bincount(near).min()) >= 50
    spread = torch.cdist(points, centres).amin(dim=1)
    assert float(spread.median()) < 0.6


def test_texts_and_keys_of_the_new_options() -> None:
    """At their defaults they are in no text and in no key: what was kept before is found."""
    usual = DENOISERS.parse("gaussian_mixture")
    assert usual.key() == {
        "name": "gaussian_mixture", "components": 10, "groups": "classes", "shrink": 0.1, "seed": 0
    }  # fmt: skip
    assert DENOISERS.parse("wiener").key() == {"name": "wiener", "rank": 0, "shrinkage": 0.0}
    auto = DENOISERS.parse("gaussian_mixture:groups=clusters,components=auto")
    assert auto.text() == "gaussian_mixture:components=auto,groups=clusters"
    assert auto == DENOISERS.parse(auto.text()) == DENOISERS.parse("gaussian_mixture:components=0,groups=clusters")
    assert auto.key()["components"] == 0
    assert DENOISERS.parse("wiener:kappa=true").key()["kappa"] is True


def test_what_cannot_be_fitted_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"made has 12 training images. components=auto needs at least 16"):
        fit("gaussian_mixture:groups=clusters,components=auto", kinds(12), tmp_path)
    large = ImageShape(3, 64, 64)
    images = given(torch.zeros(10, large.d), large)
    with pytest.raises(TooLarge, match=r"1000 groups of .* needs 12.6 GB.*Or give rank=81\."):
        fit("gaussian_mixture:groups=clusters,components=1000,rank=256", images, tmp_path)


def test_a_mixture_with_rest_survives_packing() -> None:
    mixture = finish(thin.thin_groups(kinds(60).train, [torch.arange(60)], 4, 0.0))
    mixture = replace(mixture, counts=torch.tensor([60.0]).double())
    u = torch.randn(3, SHAPE.d, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    assert torch.equal(unpack(pack(mixture))(u, 0.5), mixture(u, 0.5))
    assert mixture.rest is not None
