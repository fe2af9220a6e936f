"""Patch mixtures of several scales: against plain solves, and in worlds whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from locality.dataset import Dataset, InMemory
from locality.denoisers import DENOISERS
from locality.denoisers.parts import scales as combined
from locality.denoisers.parts.combine import estimate_mix, mix
from locality.denoisers.parts.mixture import Mixture
from locality.denoisers.parts.patches import fold, places, regions, unfold
from locality.denoisers.parts.scale import Scale
from locality.denoisers.parts.scale_fit import Patches, Plan, learn_scale, principal
from locality.denoisers.parts.scales import ScalesDenoiser
from locality.denoisers.parts.subspace import SubspaceMixture
from locality.device import Compute
from locality.errors import BadInput
from locality.linear.moments import estimate_moments
from locality.linear.wiener import WienerFilter
from locality.store import Store
from locality.types import ImageShape
from locality.work import finish
from tests.problems import Gaussian

SHAPE = ImageShape(2, 5, 6)
SIGMAS = (0.05, 0.7, 4.0)
PLAN = Plan(components=2, precise=False, patches=4000, steps=4, shrink=0.02, seed=0)
SCALED = "patch_mixture:windows=3-5,rank=6-9,positions=2,overlap=precision,components=2"


def draws(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def low_rank(m: int, q: int, components: int, seed: int = 0) -> SubspaceMixture:
    """Random components within a random subspace, float64 but for the bases."""
    basis = torch.linalg.qr(draws(m, q, seed=seed)).Q.float()
    eigvecs = torch.linalg.qr(draws(components, q, q, seed=seed + 1)).Q.float()
    eigvals = draws(components, q, seed=seed + 2).abs()
    weights = torch.arange(1, components + 1).double() / sum(range(components + 1))
    inner = Mixture(weights, draws(components, q, seed=seed + 3), eigvals, eigvecs)
    return SubspaceMixture(draws(m, seed=seed + 4), basis, torch.linspace(0.02, 0.3, components).double(), inner)


def by_hand(mixture: SubspaceMixture, u: np.ndarray, sigma: float) -> tuple[np.ndarray, np.ndarray]:
    """Mean and within-component variance of one point from full covariances, by linear solves."""
    basis, inner = mixture.basis.double().numpy(), mixture.inner
    m = len(basis)
    outside = np.eye(m) - basis @ basis.T
    logits, means, variances = [], [], []
    for k, weight in enumerate(inner.weights.tolist()):
        turned = basis @ inner.eigvecs[k].double().numpy()
        cov = turned * inner.eigvals[k].numpy() @ turned.T + float(mixture.rests[k]) * outside
        mean = mixture.mean.numpy() + basis @ inner.means[k].numpy()
        noisy = cov + sigma**2 * np.eye(m)
        solved = np.linalg.solve(noisy, u - mean)
        logits.append(np.log(weight) - 0.5 * (u - mean) @ solved - 0.5 * np.linalg.slogdet(noisy)[1])
        means.append(mean + cov @ solved)
        variances.append(np.diag(cov - cov @ np.linalg.solve(noisy, cov)))
    shares = np.exp(np.array(logits) - max(logits))
    shares /= shares.sum()
    return shares @ np.stack(means), shares @ np.stack(variances)


def given(values: Tensor, shape: ImageShape) -> InMemory:
    return InMemory(Dataset("made", "train", shape, values.float()))


@pytest.mark.parametrize("q", [3, 8])
@pytest.mark.parametrize("sigma", SIGMAS)
def test_low_rank_equals_full_covariances(q: int, sigma: float) -> None:
    """Of 8 directions three, and all. Float32 bases leave 1e-6 of values of size one, over sigma^2 in the shares."""
    mixture = low_rank(8, q, 3)
    u = draws(6, 8, seed=9) + mixture.mean
    found = mixture.posterior(u, sigma, variance=True)
    expected = [by_hand(mixture, row, sigma) for row in u.numpy()]
    for got, want in zip(found, zip(*expected, strict=True), strict=True):
        np.testing.assert_allclose(got.numpy(), np.stack(want), rtol=2e-4, atol=2e-6 + 1e-7 / sigma**2)
    assert mixture.posterior(u, sigma).variance is None


def test_parts_of_the_image() -> None:
    """Places of a 3 x 3 window: 3 rows, 4 columns."""
    assert regions(SHAPE, 3, 1).tolist() == [0] * 12
    assert regions(SHAPE, 3, 2).tolist() == [0, 0, 1, 1, 0, 0, 1, 1, 2, 2, 3, 3]
    assert regions(SHAPE, 3, 9).tolist() == list(range(12))


def test_trust_weights_where_windows_overlap() -> None:
    """One channel, two windows of 3 x 3 side by side: the middle columns are shared, the outer ones are not."""
    shape = ImageShape(1, 3, 4)
    answers, trust = torch.tensor([1.0, 4.0])[:, None].expand(2, 9), torch.tensor([1.0, 2.0])[:, None].expand(2, 9)
    image = fold(answers, shape, 3, trust).reshape(3, 4)
    torch.testing.assert_close(image, torch.tensor([1.0, 3.0, 3.0, 4.0]).expand(3, 4))


@pytest.mark.parametrize("precise", [False, True])
@pytest.mark.parametrize("memory", [1, 2**20])
def test_a_scale_equals_a_plain_loop(precise: bool, memory: int) -> None:
    """Every patch under the mixture of its region, added where it lies with its weight."""
    window, grid, sigma = 3, 2, 0.7
    where = regions(SHAPE, window, grid)
    mixtures = tuple(low_rank(18, 4, 2, seed=10 * region) for region in range(4))
    x = draws(2, SHAPE.d, seed=77)
    total, covering = np.zeros((2, *SHAPE)), np.zeros((2, *SHAPE))
    for image in range(2):
        patches = unfold(x[image : image + 1], SHAPE, window).numpy()
        for place, u in enumerate(patches):
            row, col = divmod(place, SHAPE.w - window + 1)
            mean, variance = by_hand(mixtures[int(where[place])], u, sigma)
            weight = 1 / variance if precise else np.ones_like(variance)
            inside = (image, slice(None), slice(row, row + window), slice(col, col + window))
            total[inside] += (weight * mean).reshape(2, window, window)
            covering[inside] += weight.reshape(2, window, window)
    found = Scale(SHAPE, window, grid, precise, mixtures, memory)(x, sigma)
    np.testing.assert_allclose(found.reshape(2, *SHAPE).numpy(), total / covering, rtol=0, atol=2e-5)


def test_the_subspace_and_what_is_left_of_it_are_found() -> None:
    """Images of one patch: two strong directions, .09 of variance in each of the others."""
    shape, n = ImageShape(1, 3, 3), 20_000
    basis = torch.linalg.qr(draws(9, 2, seed=1)).Q
    values = draws(n, 2, seed=2) * torch.tensor([3.0, 1.0]) @ basis.T + 0.3 * draws(n, 9, seed=3) + 0.5
    data = given(values, shape).train
    mean, found = principal(Patches(data, 3, torch.arange(n)), 2)
    torch.testing.assert_close(mean, torch.full((9,), 0.5).double(), rtol=0, atol=0.06)
    torch.testing.assert_close(found.double() @ found.double().T, basis @ basis.T, rtol=0, atol=0.02)
    plan = Plan(components=1, precise=False, patches=n, steps=1, shrink=0.0, seed=0)
    scale = finish(learn_scale(data, 3, 2, 1, plan, 2**20))
    assert float(scale.mixtures[0].rests[0]) == pytest.approx(0.09, rel=0.02)
    world = Gaussian(
        shape, torch.full((9,), 0.5).double(), basis * torch.tensor([9.0, 1.0]) @ basis.T + 0.09 * torch.eye(9)
    )
    x = values[:50] + 0.4 * draws(50, 9, seed=4)
    error = (scale(x, 0.4) - world(x, 0.4)).square().mean() / (x - world(x, 0.4)).square().mean()
    assert error < 1e-3


def test_regions_learn_their_own_patches() -> None:
    """Left half dark, right half bright: shared components know both, those of a region its own."""
    values = 0.1 * draws(300, *SHAPE) + torch.tensor([-1.0] * 3 + [1.0] * 3)
    data = given(values.flatten(1), SHAPE).train
    plan = Plan(components=1, precise=False, patches=4000, steps=1, shrink=0.0, seed=0)
    shared, own = (finish(learn_scale(data, 3, 0, grid, plan, 2**20)) for grid in (1, 4))
    x0 = data.x0(slice(0, 50))
    x = x0 + 2.0 * draws(50, SHAPE.d, seed=3).float()
    errors = [float((scale(x, 2.0) - x0).square().mean()) for scale in (shared, own)]
    assert errors[1] < 0.2 * errors[0]
    assert errors[1] < 1.2 * 0.01  # hardly more than the images' own variance about the mean


def test_few_patches_make_few_components() -> None:
    data = given(draws(3, SHAPE.d), SHAPE).train  # 36 patches of rank 6: six components at most
    plan = Plan(components=50, precise=False, patches=4000, steps=1, shrink=0.5, seed=0)
    assert len(finish(learn_scale(data, 3, 6, 1, plan, 2**20)).mixtures[0].inner.weights) == 6
    with pytest.raises(BadInput, match="a region of the image has 3 patches of 3 pixels; it needs 10"):
        finish(learn_scale(data, 3, 6, 4, plan, 2**20))


def test_weights_of_a_known_combination() -> None:
    changes = draws(3, 20, 50)
    wanted = 0.7 * changes[0] + 0.2 * changes[2] + 0.1 * draws(20, 50, seed=5)
    torch.testing.assert_close(mix(changes, wanted), torch.tensor([0.7, 0.0, 0.2]).double(), rtol=0, atol=0.02)


def test_what_helps_nothing_has_no_weight() -> None:
    """The opposite of what is wanted; nothing to do with it; the same model twice."""
    changes = draws(1, 20, 50)
    assert mix(changes, -changes[0]).tolist() == [0.0]
    assert mix(draws(2, 4, 3, seed=1) * 100, torch.zeros(4, 3).double()).tolist() == [0.0, 0.0]
    assert mix(torch.zeros(2, 4, 3).double(), torch.ones(4, 3)).tolist() == [0.0, 0.0]
    twice = mix(changes.expand(2, -1, -1), changes[0])
    assert sorted(twice.tolist()) == pytest.approx([0.0, 1.0], abs=1e-6)


def test_a_model_that_is_right_takes_all() -> None:
    """A Gaussian world: half of its posterior mean's advantage over a wrong filter is not enough, all of it is."""
    world = Gaussian.random(SHAPE, seed=1)
    values = world.draw(400, torch.Generator().manual_seed(0)).float()
    wrong = WienerFilter.fit(estimate_moments([torch.cat([values, 3 * draws(400, SHAPE.d).float()])]), SHAPE)
    weights = finish(estimate_mix([world], wrong, values[-80:], 0))
    assert weights.shape == (12, 1)
    torch.testing.assert_close(weights[2:9], torch.ones(7, 1).double(), rtol=0, atol=0.25)


def test_in_a_gaussian_world_wiener_stays_best(store: Store) -> None:
    """2,000 images: no scale knows more than Wiener, and what is made is as good at every noise level."""
    world = Gaussian.random(SHAPE, seed=2)
    images = given(world.draw(2000, torch.Generator().manual_seed(0)), SHAPE)
    model = finish(DENOISERS.parse(SCALED).fit(images, Compute(), store))
    wiener = finish(DENOISERS.parse("wiener").fit(images, Compute(), store))
    x0 = world.draw(500, torch.Generator().manual_seed(1)).float()
    for sigma in SIGMAS:
        x = x0 + sigma * draws(500, SHAPE.d, seed=2).float()
        ours, theirs = (float((each(x, sigma) - x0).square().mean()) for each in (model, wiener))
        assert ours < 1.01 * theirs


def test_scales_beat_wiener_where_images_are_not_gaussian(store: Store) -> None:
    """Flat and rough images, half of each: patches tell them apart, one covariance cannot."""
    rough = 0.6 * draws(1200, *SHAPE) + draws(1200, 1, 1, 1, seed=1)
    rough[::2] = draws(600, 1, 1, 1, seed=2) + 0.02 * draws(600, *SHAPE, seed=3)
    images = given(rough[:1000].flatten(1), SHAPE)
    model = finish(DENOISERS.parse(SCALED).fit(images, Compute(), store))
    assert isinstance(model, ScalesDenoiser)
    wiener = finish(DENOISERS.parse("wiener").fit(images, Compute(), store))
    x0 = rough[1000:].flatten(1).float()
    x = x0 + 0.5 * draws(*x0.shape, seed=4).float()
    ours, theirs = (float((each(x, 0.5) - x0).square().mean()) for each in (model, wiener))
    assert ours < 0.85 * theirs
    assert bool(model.weights.any(dim=0).all())  # scales without any weight are dropped
    packed = combined.pack(model, compact=True)
    shipped = combined.unpack(packed, model.wiener, model.scales[0].memory)
    torch.testing.assert_close(shipped(x, 0.5), model(x, 0.5), rtol=0, atol=2e-3)


def test_keys_are_as_before_there_were_scales() -> None:
    before = {"window": 7, "components": 48, "patches": 200_000, "steps": 12, "shrink": 0.02, "seed": 0, "blend": True}
    assert DENOISERS.parse("patch_mixture").key() == {"name": "patch_mixture", **before}
    assert DENOISERS.parse("patch_mixture:positions=2").key() == {"name": "patch_mixture", **before, "positions": 2}


def test_windows_larger_than_the_images_are_cut(store: Store) -> None:
    images = given(draws(100, SHAPE.d), SHAPE)
    text = "patch_mixture:windows={},rank=4,components=1,steps=1"
    large, fits = (finish(DENOISERS.parse(text.format(side)).fit(images, Compute(), store)) for side in (31, 5))
    x = draws(2, SHAPE.d, seed=1)
    assert torch.equal(large(x, 0.7), fits(x, 0.7))
    assert places(SHAPE, 5) == 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("windows=5-8", "windows=5-8: give odd numbers, each once, from small to large: 5-9-15"),
        ("windows=9-5", "windows=9-5: give odd numbers, each once, from small to large: 5-9-15"),
        ("windows=5-9-15,rank=4-5", "rank=4-5: give one number, or one for each of windows=5-9-15"),
        ("windows=5-9,blend=false", "blend=false: scales are combined by their weights. Leave it out"),
    ],
)
def test_options_that_cannot_be(options: str, message: str) -> None:
    with pytest.raises(BadInput) as caught:
        DENOISERS.parse(f"patch_mixture:{options}")
    assert str(caught.value) == f"patch_mixture:{message}."
