"""Mixtures of Wiener filters, on whole images and on patches: against plain loops, closed forms and their limits."""

from __future__ import annotations

import itertools
import math
from collections.abc import Generator
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from locality.dataset import Dataset, Images, InMemory
from locality.denoisers import DENOISERS
from locality.denoisers import gaussian_mixture as whole
from locality.denoisers import patch_mixture as local
from locality.denoisers.parts import em
from locality.denoisers.parts.blend import Blend, Unseeing, estimate_weights
from locality.denoisers.parts.em import expect_maximise, initial_labels
from locality.denoisers.parts.groups import merge_lone
from locality.denoisers.parts.kmeans import cluster, kmeans
from locality.denoisers.parts.mixture import Mixture
from locality.denoisers.parts.patches import fold, places, sample_patches, unfold
from locality.device import Compute
from locality.errors import BadInput, NonFinite, TooLarge
from locality.fields.codec import TABLE_SIGMAS
from locality.fields.jacobian import field_rows
from locality.linear.moments import Moments, estimate_moments
from locality.linear.wiener import WienerFilter
from locality.noise import field_noise
from locality.store import Store
from locality.types import Denoiser, ImageShape
from locality.work import Progress, listening
from tests.problems import Gaussian

SHAPE = ImageShape(2, 3, 4)
SIGMAS = (0.05, 0.7, 4.0)


def given(values: Tensor, shape: ImageShape, labels: Tensor | None = None) -> InMemory:
    return InMemory(Dataset("made", "train", shape, values, labels))


def run(steps: Generator[Progress, None, Denoiser]) -> tuple[Denoiser, list[Progress]]:
    """What a generator returns, and the events on the way."""
    events = []
    while True:
        try:
            events.append(next(steps))
        except StopIteration as stop:
            return stop.value, events


def fit(text: str, images: Images, store: Store, compute: Compute | None = None) -> Denoiser:
    return run(DENOISERS.parse(text).fit(images, compute or Compute(), store))[0]


def smooth_pixels(count: int, shape: ImageShape, seed: int = 0) -> Tensor:
    """8-bit images of two kinds, flat and rough, with neighbours alike: uint8 [n d]."""
    generator = torch.Generator().manual_seed(seed)
    rough = torch.randn(count, *shape, generator=generator).cumsum(3) * 25
    rough[::2] *= 0.2
    level = torch.randn(count, 1, 1, 1, generator=generator) * 30
    return (rough + level + 128).clamp(0, 255).round().to(torch.uint8).flatten(1)


def two_kinds(count: int = 400) -> InMemory:
    """Two well-separated Gaussians with labels 0 and 5, float images."""
    generator = torch.Generator().manual_seed(3)
    first, second = Gaussian.random(SHAPE, seed=1), Gaussian.random(SHAPE, seed=2)
    values = torch.cat([first.draw(count, generator), second.draw(count // 3, generator) + 2.0]).float()
    labels = torch.tensor([0] * count + [5] * (count // 3))
    order = torch.randperm(len(values), generator=generator)
    return given(values[order], SHAPE, labels[order])


def by_hand(
    weights: list[float], means: list[np.ndarray], covs: list[np.ndarray], u: np.ndarray, sigma: float
) -> tuple[np.ndarray, np.ndarray]:
    """Answer and shares of one point: linear solves and determinants, no eigenvectors."""
    logits, answers = [], []
    for weight, mean, cov in zip(weights, means, covs, strict=True):
        noisy = cov + sigma**2 * np.eye(len(u))
        solved = np.linalg.solve(noisy, u - mean)
        logits.append(math.log(weight) - 0.5 * (u - mean) @ solved - 0.5 * np.linalg.slogdet(noisy)[1])
        answers.append(mean + cov @ solved)
    shares = np.exp(np.array(logits) - max(logits))
    shares /= shares.sum()
    return sum(r * answer for r, answer in zip(shares, answers, strict=True)), shares


# --- the mixture of whole images ---


@pytest.mark.parametrize("sigma", SIGMAS)
def test_two_classes_equal_a_plain_loop(store: Store, sigma: float) -> None:
    """Points of both kinds and halfway; float32 eigenvectors leave about 1e-6 of values up to 5."""
    images = two_kinds()
    values, labels = images.train.data.double().numpy(), images.train.labels.numpy()
    parts = [values[labels == label] for label in (0, 5)]
    pooled = sum((len(part) - 1) * np.cov(part.T) for part in parts) / (len(values) - 2)
    covs = [0.75 * np.cov(part.T) + 0.25 * pooled for part in parts]
    means, weights = [part.mean(axis=0) for part in parts], [len(part) / len(values) for part in parts]
    x = np.stack([parts[0][0], parts[1][0], (means[0] + means[1]) / 2]) + sigma * 0.3
    model = fit("gaussian_mixture:shrink=0.25", images, store)
    expected = [by_hand(weights, means, covs, u, sigma) for u in x]
    answer, shares = (np.stack([pair[i] for pair in expected]) for i in (0, 1))
    np.testing.assert_allclose(model(torch.from_numpy(x), sigma).numpy(), answer, rtol=0, atol=3e-5)
    found = model.mixture.shares(torch.from_numpy(x), sigma)
    np.testing.assert_allclose(found.numpy(), shares, rtol=0, atol=1e-4)
    torch.testing.assert_close(found.sum(dim=1), torch.ones(3, dtype=torch.float64), rtol=0, atol=1e-12)


@pytest.mark.parametrize("shrink", [0.0, 0.5])
def test_one_cluster_is_the_wiener_filter(store: Store, shrink: float) -> None:
    images = given(smooth_pixels(100, SHAPE), SHAPE)
    wiener = fit("wiener", images, store)
    model = fit(f"gaussian_mixture:groups=clusters,components=1,shrink={shrink}", images, store)
    x = torch.randn(7, SHAPE.d, generator=torch.Generator().manual_seed(0))
    for sigma in SIGMAS:
        torch.testing.assert_close(model(x, sigma), wiener(x, sigma), rtol=0, atol=1e-6)


def test_one_cluster_of_a_gaussian_is_its_posterior_mean(store: Store) -> None:
    """20,000 draws: eigenvalues are within a few hundredths of the world's own."""
    world = Gaussian.random(SHAPE, seed=4)
    draws = world.draw(20_000, torch.Generator().manual_seed(0)).float()
    model = fit("gaussian_mixture:groups=clusters,components=1", given(draws, SHAPE), store)
    x = draws[:50].double() + 0.5
    error = (model(x, 0.7) - world(x, 0.7)).square().mean() / (x - world(x, 0.7)).square().mean()
    assert error < 1e-3


def test_full_shrinkage_gives_every_group_the_pooled_covariance(store: Store) -> None:
    mixture = fit("gaussian_mixture:shrink=1", two_kinds(), store).mixture
    torch.testing.assert_close(mixture.eigvals[0], mixture.eigvals[1], rtol=1e-12, atol=0)
    assert (mixture.means[0] - mixture.means[1]).abs().max() > 1


def test_clusters_find_well_separated_kinds(store: Store) -> None:
    images = two_kinds()
    by_class = fit("gaussian_mixture", images, store).mixture
    clusters = fit("gaussian_mixture:groups=clusters,components=2", images, store).mixture
    order = clusters.weights.argsort(descending=True)
    torch.testing.assert_close(clusters.weights[order], by_class.weights, rtol=0, atol=0.05)
    torch.testing.assert_close(clusters.means[order], by_class.means, rtol=0, atol=0.25)


def test_kmeans_survives_fewer_different_points_than_clusters() -> None:
    labels = kmeans(torch.zeros(6, 2).double(), 3, torch.Generator().manual_seed(0))
    assert labels.tolist() == [0] * 6


def test_clusters_of_large_images_are_taken_on_a_projection() -> None:
    """200 coordinates, three kinds far apart: any projection keeps them apart; seeds name them otherwise."""
    kinds = torch.arange(60) % 3
    values = torch.randn(60, 200, generator=torch.Generator().manual_seed(0)) + 5.0 * kinds[:, None]
    data = Dataset("made", "train", ImageShape(2, 10, 10), values)
    labels = cluster(data, 3, 0, 7)
    assert torch.equal(labels, cluster(data, 3, 0, 60))
    pairs = {(int(kind), int(label)) for kind, label in zip(kinds, labels, strict=True)}
    assert len(pairs) == 3


def test_a_lone_image_joins_the_nearest_group(store: Store) -> None:
    values = torch.tensor([[0.0], [0.1], [5.0], [5.1], [4.0]])
    train = Dataset("made", "train", ImageShape(1, 1, 1), values)
    rows = merge_lone(train, [torch.tensor([0, 1]), torch.tensor([2, 3]), torch.tensor([4])])
    assert [part.tolist() for part in rows] == [[0, 1], [2, 3, 4]]
    everyone_alone = merge_lone(train, [torch.tensor([i]) for i in range(5)])
    assert sorted(i for part in everyone_alone for i in part.tolist()) == [0, 1, 2, 3, 4]
    assert min(map(len, everyone_alone)) >= 2
    labels = torch.tensor([0, 0, 1, 1, 2])
    model = fit("gaussian_mixture", given(values, train.shape, labels), store)
    assert model.mixture.weights.tolist() == [0.4, 0.6]


def test_shares_stay_exact_where_float32_sums_would_not() -> None:
    """3,072 terms of size 400 in each logit: two components that differ by a whisper keep their true odds."""
    d = 3072
    means = torch.zeros(2, d, dtype=torch.float64)
    eigvals = torch.ones(2, d, dtype=torch.float64)
    eigvals[1, 0] = 1.001
    mixture = Mixture(torch.tensor([0.5, 0.5]).double(), means, eigvals, torch.eye(d).expand(2, d, d))
    x = torch.full((1, d), 20.0)
    logits = mixture.logits(x, 0.01)
    difference = float(logits[0, 1] - logits[0, 0])
    exact = 0.5 * 400 * (1 / 1.01 - 1 / 1.011) - 0.5 * math.log(1.011 / 1.01)
    assert difference == pytest.approx(exact, abs=2e-4)


def test_jacobian_is_a_covariance(store: Store) -> None:
    """Of an exact posterior mean: symmetric and positive semi-definite; float32 eigenvectors leave 1e-6."""
    images = two_kinds()
    model = fit("gaussian_mixture", images, store)
    x = images.train.data[:1].double() + 1.0
    rows = field_rows(model, x, torch.eye(SHAPE.d).double(), 1.0)[:, 0]
    torch.testing.assert_close(rows, rows.T, rtol=0, atol=5e-6)
    assert torch.linalg.eigvalsh(rows + rows.T).min() > -1e-5


@pytest.mark.parametrize(
    ("options", "count", "labels", "message"),
    [
        ("", 20, None, "gaussian_mixture:groups=classes: made has no labels. Use groups=clusters."),
        (
            ":groups=clusters,components=11",
            20,
            None,
            "gaussian_mixture: made has 20 training images. 11 clusters need at least 22. Give components=10 or fewer.",
        ),
        (
            ":groups=clusters,components=1",
            1,
            None,
            "gaussian_mixture: made has 1 training images. 1 clusters need at least 2. Give more images.",
        ),
        ("", 1, [3], "gaussian_mixture: made has 1 training images. It needs at least two. Give more images."),
    ],
)
def test_groups_that_cannot_be(store: Store, options: str, count: int, labels: list[int] | None, message: str) -> None:
    images = given(smooth_pixels(count, SHAPE), SHAPE, None if labels is None else torch.tensor(labels))
    with pytest.raises(BadInput) as caught:
        fit(f"gaussian_mixture{options}", images, store)
    assert str(caught.value) == message


def test_groups_that_do_not_fit_in_memory(store: Store) -> None:
    large, huge = ImageShape(3, 64, 64), ImageShape(3, 128, 128)
    images = given(torch.zeros(200, large.d, dtype=torch.uint8), large)
    with pytest.raises(TooLarge) as caught:
        fit("gaussian_mixture:groups=clusters", images, store)
    assert str(caught.value) == (
        "gaussian_mixture: 10 groups of 3x64x64 images needs 6.04 GB; the budget is 4 GB. "
        "At most 6 groups fit: use groups=clusters,components=6. Smaller images take less."
    )
    images = given(torch.zeros(4, huge.d, dtype=torch.uint8), huge)
    with pytest.raises(TooLarge, match=r"Not one fits\. Smaller images take less\."):
        fit("gaussian_mixture:groups=clusters,components=1", images, store)


def test_infinite_images_are_refused(store: Store) -> None:
    images = given(torch.full((4, SHAPE.d), torch.inf), SHAPE, torch.tensor([0, 0, 1, 1]))
    with pytest.raises(NonFinite, match="statistics need finite values"):
        fit("gaussian_mixture", images, store)
    images = given(torch.full((4, SHAPE.d), 1e30), SHAPE, torch.tensor([0, 0, 1, 1]))
    assert fit("gaussian_mixture", images, store).mixture.eigvals.max() < 1e50


def test_key_holds_what_the_groups_depend_on() -> None:
    spec, labels = whole.GaussianMixture(), torch.tensor([0, 1, 1])
    key = whole.store_key("f", spec, labels)
    assert key == whole.store_key("f", replace(spec, components=3, seed=1), labels)
    assert key != whole.store_key("f", spec, torch.tensor([1, 1, 0]))
    assert key != whole.store_key("f", replace(spec, shrink=0.2), labels)
    clusters = replace(spec, groups="clusters")
    assert whole.store_key("f", clusters, None) != whole.store_key("f", replace(clusters, seed=1), None)


# --- the mixture of patches ---

SMALL = ImageShape(2, 6, 5)
PATCHES = "patch_mixture:window=3,components=4"


def test_patches_equal_a_plain_loop(store: Store) -> None:
    """Every patch solved on its own, added where it lies, divided by how many lie there."""
    images = given(smooth_pixels(60, SMALL), SMALL)
    model = fit(f"{PATCHES},blend=false", images, store)
    mixture = model.mixture
    covs = [
        (vectors.double() * values @ vectors.double().T).numpy()
        for values, vectors in zip(mixture.eigvals, mixture.eigvecs, strict=True)
    ]
    x = torch.randn(2, SMALL.d, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    for sigma in SIGMAS:
        expected = np.zeros((2, *SMALL))
        for image, pixels in zip(expected, x.reshape(2, *SMALL).numpy(), strict=True):
            covering = np.zeros((SMALL.h, SMALL.w))
            for row in range(SMALL.h - 2):
                for col in range(SMALL.w - 2):
                    u = pixels[:, row : row + 3, col : col + 3].reshape(-1)
                    answer, _ = by_hand(mixture.weights.tolist(), list(mixture.means.numpy()), covs, u, sigma)
                    image[:, row : row + 3, col : col + 3] += answer.reshape(2, 3, 3)
                    covering[row : row + 3, col : col + 3] += 1
            image /= covering
        np.testing.assert_allclose(model(x, sigma).reshape(2, *SMALL).numpy(), expected, rtol=0, atol=2e-5)


def test_one_patch_as_large_as_the_image_is_wiener(store: Store) -> None:
    """One component of whole images; maximum likelihood divides by n where a covariance divides by n - 1.

    Its products are float32: the covariance is right to 1e-7 of its largest eigenvalue, 5 or so, which the filter
    divides by sigma^2.
    """
    shape, n = ImageShape(2, 5, 5), 90
    images = given(smooth_pixels(n, shape), shape)
    wiener = fit("wiener", images, store)
    biased = replace(wiener, eigvals=wiener.eigvals * (n - 1) / n)
    model = fit("patch_mixture:window=5,components=1,blend=false,steps=1", images, store)
    x = torch.randn(4, shape.d, generator=torch.Generator().manual_seed(0))
    for sigma in SIGMAS:
        torch.testing.assert_close(model(x, sigma), biased(x, sigma), rtol=0, atol=1e-5 + 2e-6 / sigma**2)


def likelihoods(points: Tensor, components: int, shrink: float = 0.0) -> tuple[Mixture, list[float]]:
    labels = initial_labels(points, components)
    mixture, events = run(expect_maximise(points, labels, components, steps=25, shrink=shrink))
    return mixture, [event.numbers["log_likelihood"] for event in events if event.numbers]


def test_likelihood_never_falls() -> None:
    """On 8-bit patches, flat ones among them: by less than shares below 1e-4 weigh."""
    data = given(smooth_pixels(200, SMALL), SMALL).train
    points = sample_patches(data, 3, 10_000, 0)
    points[::7] = -1.0
    _, values = likelihoods(points, 5)
    assert len(values) == 25
    assert values[-1] > values[0] + 0.1
    assert min(b - a for a, b in itertools.pairwise(values)) > -1e-3


def test_maximisation_finds_the_gaussians_that_made_the_points() -> None:
    """Two clouds of 4,000 and 2,000 points, five standard deviations apart and of another size."""
    generator = torch.Generator().manual_seed(0)
    points = torch.cat([torch.randn(4000, 3, generator=generator), 0.5 * torch.randn(2000, 3, generator=generator) + 5])
    mixture, values = likelihoods(points, 2)
    order = mixture.weights.argsort(descending=True)
    torch.testing.assert_close(mixture.weights[order], torch.tensor([2 / 3, 1 / 3]).double(), rtol=0, atol=1e-3)
    torch.testing.assert_close(mixture.means[order][1], torch.full((3,), 5.0).double(), rtol=0, atol=0.05)
    torch.testing.assert_close(mixture.eigvals[order][1], torch.full((3,), 0.25).double(), rtol=0, atol=0.03)
    entropy = 1.5 * math.log(2 * math.pi * math.e)
    expected = -entropy + (math.log(2 / 3) * 2 + math.log(1 / 3) - 3 * math.log(0.5)) / 3
    assert values[-1] == pytest.approx(expected, abs=0.05)


def test_steps_equal_a_plain_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two steps over single points in float64, with every share in the sums; float32 products leave about 1e-5."""
    monkeypatch.setattr(em, "_SKIPPED", 0.0)
    generator = torch.Generator().manual_seed(0)
    points = torch.randn(90, 3, generator=generator) + torch.randint(2, (90, 1), generator=generator) * 2
    labels = torch.arange(90) % 3
    found, _ = run(expect_maximise(points, labels, 3, steps=2, shrink=0.1))
    u, shares = points.double().numpy(), np.eye(3)[labels.numpy()]
    for step in range(3):
        weights, means = shares.mean(axis=0), [share @ u / share.sum() for share in shares.T]
        raw = [
            sum(r * np.outer(row - mean, row - mean) for r, row in zip(share, u, strict=True)) / share.sum()
            for share, mean in zip(shares.T, means, strict=True)
        ]
        pooled = sum(weight * cov for weight, cov in zip(weights, raw, strict=True))
        covs = [0.9 * cov + 0.1 * pooled for cov in raw]
        if step < 2:
            shares = np.stack([by_hand(list(weights), means, covs, row, 0.0)[1] for row in u])
    np.testing.assert_allclose(found.weights.numpy(), weights, rtol=0, atol=1e-5)
    np.testing.assert_allclose(found.means.numpy(), np.stack(means), rtol=0, atol=1e-4)
    for k, cov in enumerate(covs):
        vectors = found.eigvecs[k].double()
        np.testing.assert_allclose((vectors * found.eigvals[k] @ vectors.T).numpy(), cov, rtol=0, atol=1e-4)


def test_shares_left_out_move_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    points = sample_patches(given(smooth_pixels(200, SMALL), SMALL).train, 3, 10_000, 0)
    _, quick = likelihoods(points, 4, shrink=0.02)
    monkeypatch.setattr(em, "_SKIPPED", 0.0)
    _, full = likelihoods(points, 4, shrink=0.02)
    assert quick == pytest.approx(full, abs=1e-3)


def test_a_component_without_points_does_no_harm() -> None:
    """All points alike: one component takes them, the others keep weight 0 and no NaN appears."""
    points = torch.full((50, 4), -1.0)
    mixture, values = likelihoods(points, 3, shrink=0.02)
    assert mixture.weights.tolist() == [1.0, 0.0, 0.0]
    assert all(map(math.isfinite, values))
    torch.testing.assert_close(mixture(points + 0.1, 0.5), points, rtol=0, atol=1e-6)


def test_first_guess_sorts_by_contrast() -> None:
    points = torch.tensor([0.0, 0.1, 0.2, 0.3, 0.4, 0.5])[:, None] * torch.tensor([-1.0, 1.0])
    assert initial_labels(points[[3, 1, 5, 2, 4]], 2).tolist() == [0, 0, 1, 0, 1]
    black = torch.cat([points[:1].expand(6, -1), points[1:]])
    assert initial_labels(black, 3).tolist() == [0] * 6 + [1, 1, 1, 2, 2]


def test_sampled_patches_are_different_and_spread_evenly() -> None:
    """Each image's pixels say where they are, so that every patch names its image and place."""
    values = (torch.arange(5)[:, None] * 100 + torch.arange(SMALL.d)).float()
    data = Dataset("made", "train", SMALL, values)
    everything = sample_patches(data, 3, 10**6, 0)
    assert places(SMALL, 3) == 12
    torch.testing.assert_close(everything, unfold(values, SMALL, 3), rtol=0, atol=0)
    some = sample_patches(data, 3, 37, 5)
    assert len({tuple(row) for row in some.tolist()}) == 37
    assert {tuple(row) for row in some.tolist()} <= {tuple(row) for row in everything.tolist()}
    assert torch.bincount((some[:, 0] // 100).long()).tolist() == pytest.approx([7.4] * 5, abs=1.01)
    assert torch.equal(some, sample_patches(data, 3, 37, 5))
    assert not torch.equal(some, sample_patches(data, 3, 37, 6))


def test_fold_inverts_unfold() -> None:
    x = torch.randn(3, SMALL.d, generator=torch.Generator().manual_seed(0))
    # the mean of nine equal float32 numbers below 4: nine roundings of a sum below 36
    torch.testing.assert_close(fold(unfold(x, SMALL, 3), SMALL, 3), x, rtol=0, atol=2e-6)


@pytest.mark.parametrize("count", [40, 16])
def test_wiener_without_the_images_set_aside_equals_fitting_again(count: int) -> None:
    """Also with fewer images (16 - 6) than coordinates (24), where the covariance is singular."""
    data = given(smooth_pixels(count, SHAPE), SHAPE).train
    aside = data.x0(slice(count - 6, None))
    rest = WienerFilter.fit(estimate_moments([data.data[: count - 6]]), SHAPE)
    unseeing = Unseeing.of(WienerFilter.fit(estimate_moments([data.data]), SHAPE), aside)
    for sigma in (0.1, 0.7, 4.0):
        torch.testing.assert_close(unseeing(aside, sigma), rest(aside.double(), sigma), rtol=0, atol=2e-4)


class Shrinking:
    """A poor denoiser."""

    shape = SHAPE

    def __call__(self, x: Tensor, sigma: float) -> Tensor:
        return 0.9 * x / (1 + sigma)


def test_blend_weights_are_least_squares() -> None:
    data = given(smooth_pixels(80, SHAPE), SHAPE).train
    rest, aside = data.data[:60], data.x0(slice(60, None))
    wiener = WienerFilter.fit(estimate_moments([data.data]), SHAPE)
    unseeing = WienerFilter.fit(estimate_moments([rest]), SHAPE)

    other = Shrinking()
    weights, events = run(estimate_weights(other, wiener, aside, 3))
    assert len(events) == len(weights) == 12
    eps = field_noise(20, SHAPE.d, 3)
    for sigma, weight in zip(TABLE_SIGMAS, weights.tolist(), strict=True):
        x = aside + sigma * eps
        linear = unseeing(x, sigma).flatten().double().numpy()
        change = other(x, sigma).flatten().double().numpy() - linear
        best = np.linalg.lstsq(change[:, None], aside.flatten().double().numpy() - linear, rcond=None)[0][0]
        assert weight == pytest.approx(min(max(best, 0.0), 1.0), abs=2e-3)
    assert 0 < max(weights) < 1


class Counting(Shrinking):
    """Keeps what it was asked to denoise."""

    def __init__(self) -> None:
        self.seen: list[Tensor] = []

    def __call__(self, x: Tensor, sigma: float) -> Tensor:
        self.seen.append(x)
        return super().__call__(x, sigma)


def test_many_images_share_the_judging() -> None:
    """150 images set aside: 75 at each noise level, and every one at some level."""
    data = given(smooth_pixels(200, SHAPE), SHAPE).train
    counting = Counting()
    run(estimate_weights(counting, WienerFilter.fit(estimate_moments([data.data]), SHAPE), data.x0(slice(50, None)), 0))
    assert [len(x) for x in counting.seen] == [75] * 12
    low, next_level = counting.seen[:2]
    nearest = [torch.cdist(x, data.x0(slice(50, None))).argmin(dim=1) for x in (low, next_level)]
    assert len(torch.cat(nearest).unique()) == 150


def test_blend_weight_is_linear_in_ln_sigma_and_constant_outside() -> None:
    blend = Blend(WienerFilter.fit(moments(), SHAPE), torch.linspace(0.9, 0.1, 12, dtype=torch.float64))
    assert [blend.weight(sigma) for sigma in TABLE_SIGMAS] == pytest.approx(blend.weights.tolist(), abs=1e-12)
    middle = math.sqrt(TABLE_SIGMAS[3] * TABLE_SIGMAS[4])
    assert blend.weight(middle) == pytest.approx(float(blend.weights[3:5].mean()), abs=1e-12)
    assert blend.weight(1e-6) == pytest.approx(0.9)
    assert blend.weight(1e6) == pytest.approx(0.1)


def moments() -> Moments:
    return estimate_moments([smooth_pixels(40, SHAPE)])


def test_blended_answer_lies_between(store: Store) -> None:
    images = given(smooth_pixels(300, SMALL), SMALL)
    blended = fit(PATCHES, images, store)
    wiener = fit("wiener", images, store)
    alone = replace(blended, blend=None)
    x = torch.randn(3, SMALL.d, generator=torch.Generator().manual_seed(0))
    for sigma in SIGMAS:
        a = blended.blend.weight(sigma)
        torch.testing.assert_close(blended(x, sigma), a * alone(x, sigma) + (1 - a) * wiener(x, sigma))
    assert blended.blend.weights.max() > 0.1
    nothing = replace(blended, blend=replace(blended.blend, weights=torch.zeros(12, dtype=torch.float64)))
    assert torch.equal(nothing(x, 0.5), wiener(x, 0.5))


def test_patches_learn_from_all_images_but_those_set_aside(store: Store) -> None:
    """300 images: a fifth, 60, judge the blend. Without blend the fit sees all, and differs."""
    pixels = smooth_pixels(300, SMALL)
    changed = pixels.clone()
    changed[-60:] = 0
    first, second = (fit(PATCHES, given(data, SMALL), store) for data in (pixels, changed))
    assert torch.equal(first.mixture.eigvals, second.mixture.eigvals)
    assert not torch.equal(first.blend.weights, second.blend.weights)
    alone = [fit(f"{PATCHES},blend=false", given(data, SMALL), store) for data in (pixels, changed)]
    assert not torch.equal(alone[0].mixture.eigvals, alone[1].mixture.eigvals)


def test_seed_draws_other_patches(store: Store) -> None:
    images = given(smooth_pixels(300, SMALL), SMALL)
    few = f"{PATCHES},patches=500,blend=false"
    first, again, other = (
        fit(f"{few},seed={seed}", images, place)
        for seed, place in zip((0, 0, 1), (store, Store(store.local / "other"), store), strict=True)
    )
    assert torch.equal(first.mixture.eigvecs, again.mixture.eigvecs)
    assert not torch.equal(first.mixture.eigvals, other.mixture.eigvals)


@pytest.mark.parametrize(
    ("text", "shape", "count", "message"),
    [
        (
            "patch_mixture",
            SMALL,
            60,
            "patch_mixture:window=7 does not fit 2x6x5 images of made. The largest window is 5.",
        ),
        (
            "patch_mixture:window=5,components=48",
            SMALL,
            60,
            "patch_mixture: 96 patches are too few for 48 components; each needs 10. "
            "Give components=9 or fewer, a smaller window, or more images.",
        ),
        (
            "patch_mixture:window=3,components=48,patches=100,blend=false",
            SMALL,
            60,
            "patch_mixture: 100 patches are too few for 48 components; each needs 10. "
            "Give components=10 or fewer, more patches, a smaller window, or more images.",
        ),
        (
            "patch_mixture:window=3",
            ImageShape(1, 2, 9),
            60,
            "patch_mixture:window=3 does not fit 1x2x9 images of made. The least window is 3 pixels: use wiener.",
        ),
    ],
)
def test_patches_that_cannot_be(store: Store, text: str, shape: ImageShape, count: int, message: str) -> None:
    with pytest.raises(BadInput) as caught:
        fit(text, given(smooth_pixels(count, shape), shape), store)
    assert str(caught.value) == message


def test_even_windows_are_refused() -> None:
    with pytest.raises(BadInput, match=r"patch_mixture:window=6 is even\. Give an odd number, 3 to 15\."):
        DENOISERS.parse("patch_mixture:window=6")


def test_compact_form_is_small_and_nearly_the_same(store: Store) -> None:
    images = given(smooth_pixels(300, SMALL), SMALL)
    model = fit(PATCHES, images, store)
    packed = local.pack(model, compact=True)
    assert packed.arrays["eigvecs"].dtype == torch.int16
    shipped = local.unpack(packed, model.blend.wiener, model.memory)
    x0 = images.train.x0(slice(0, 100))
    for sigma in SIGMAS:
        x = x0 + sigma * torch.randn(x0.shape, generator=torch.Generator().manual_seed(0))
        errors = [float((each(x, sigma) - x0).square().sum()) for each in (model, shipped)]
        assert errors[1] == pytest.approx(errors[0], rel=1e-3)


# --- both ---

BOTH = ("gaussian_mixture", "gaussian_mixture:groups=clusters,components=3", PATCHES, f"{PATCHES},blend=false")


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Denoiser]:
    kept = Store(tmp_path_factory.mktemp("store"))
    return {text: fit(text, flat_edged(), kept) for text in BOTH}


def flat_edged() -> InMemory:
    """Images whose first column never varies, with labels."""
    pixels = smooth_pixels(200, SMALL).reshape(-1, *SMALL)
    pixels[..., 0] = 0
    return given(pixels.flatten(1), SMALL, torch.arange(200) % 2)


def mean_answer(model: Denoiser, data: Dataset) -> Tensor:
    """What a mixture says of an x that tells nothing: [1 d]."""
    mean = data.x0(slice(None)).double().mean(dim=0)
    if isinstance(model, whole.GaussianMixtureDenoiser):
        return mean[None]
    patch = model.mixture.weights @ model.mixture.means
    patchwise = fold(patch.expand(places(SMALL, model.window), -1), SMALL, model.window)
    weight = 1.0 if model.blend is None else model.blend.weight(1e6)
    return weight * patchwise + (1 - weight) * mean


@pytest.mark.parametrize("text", BOTH)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_limits(fitted: dict[str, Denoiser], text: str, dtype: torch.dtype) -> None:
    """No noise: x comes back. Endless noise: the mean; for patches that of all patches, averaged where they overlap."""
    data = flat_edged().train
    x0 = data.x0(slice(0, 20)).to(dtype)
    assert fitted[text](x0, 0.3).dtype == dtype
    torch.testing.assert_close(fitted[text](x0, 1e-5), x0, rtol=0, atol=1e-4)
    end = fitted[text](x0, 1e6)
    torch.testing.assert_close(end, mean_answer(fitted[text], data).to(end).expand_as(end), rtol=0, atol=2e-5)


@pytest.mark.parametrize("text", BOTH)
def test_pixels_that_never_vary_stay_put(fitted: dict[str, Denoiser], text: str) -> None:
    x = flat_edged().train.x0(slice(0, 5)) + 0.5
    for sigma in (1e-3, 0.5, 5.0):
        answer = fitted[text](x, sigma).reshape(-1, *SMALL)
        assert answer.isfinite().all()
        if text.startswith("gaussian"):
            assert (answer[..., 0] + 1).abs().max() < 1e-5


def test_flat_patches_stay_flat(store: Store) -> None:
    """Three quarters of all patches are black, as in MNIST: where x says black at little noise, the answer is black."""
    pixels = smooth_pixels(200, SMALL).reshape(-1, *SMALL)
    pixels[50:] = 0
    model = fit(f"{PATCHES},shrink=0,blend=false", given(pixels.flatten(1), SMALL), store)
    assert (model.mixture.eigvals[0] == 0).all()
    eps = torch.randn(5, SMALL.d, generator=torch.Generator().manual_seed(0))
    assert (model(0.05 * eps - 1, 0.05) + 1).abs().max() < 1e-3


@pytest.mark.parametrize("text", BOTH)
def test_derivative_is_that_of_finite_differences(fitted: dict[str, Denoiser], text: str) -> None:
    """Central differences in float64, where shares are undecided too."""
    x = flat_edged().train.x0(slice(3, 4)).double() + 0.3
    along = torch.randn(1, SMALL.d, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    for sigma in (0.1, 0.5, 3.0):
        rows = field_rows(fitted[text], x, torch.eye(SMALL.d, dtype=torch.float64), sigma)[:, 0]
        step = 1e-5 * along
        expected = (fitted[text](x + step, sigma) - fitted[text](x - step, sigma))[0] / 2e-5
        torch.testing.assert_close(rows @ along[0], expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("text", BOTH)
def test_chunks_and_company_change_nothing(fitted: dict[str, Denoiser], text: str) -> None:
    """But for the order of float32 sums: of 30 squares over sigma^2 in a logit, 2e-5, and so in the shares."""
    x = torch.randn(9, SMALL.d, generator=torch.Generator().manual_seed(0))
    model = fitted[text]
    heartbeats: list[float] = []
    with listening(heartbeats.append):
        crumbs = replace(model, memory=1)(x, 0.4)
    assert heartbeats == sorted(heartbeats)
    assert len(heartbeats) == 9
    assert heartbeats[-1] == 1.0
    torch.testing.assert_close(crumbs, model(x, 0.4), rtol=0, atol=2e-5)
    alone = torch.cat([model(row[None], 0.4) for row in x])
    torch.testing.assert_close(alone, model(x, 0.4), rtol=0, atol=2e-5)
    assert torch.equal(model(x, 0.4), model(x, 0.4))
    assert model(x[:0], 0.4).shape == (0, SMALL.d)


@pytest.mark.parametrize("text", BOTH)
def test_store_gives_the_same_back(store: Store, fitted: dict[str, Denoiser], text: str) -> None:
    spec = DENOISERS.parse(text)
    first, events = run(spec.fit(flat_edged(), Compute(), store))
    again, quiet = run(spec.fit(flat_edged(), Compute(images=7, memory=10**6), store))
    assert events
    assert not quiet
    x = torch.randn(4, SMALL.d, generator=torch.Generator().manual_seed(0))
    for sigma in SIGMAS:
        assert torch.equal(first(x, sigma), fitted[text](x, sigma))
        torch.testing.assert_close(again(x, sigma), first(x, sigma), rtol=0, atol=2e-6)


@pytest.mark.parametrize("text", BOTH)
def test_fractions_of_a_fit_rise(store: Store, text: str) -> None:
    _, events = run(DENOISERS.parse(text).fit(flat_edged(), Compute(), store))
    assert all(0 <= event.fraction <= 1 and event.note for event in events)


@pytest.mark.parametrize("text", BOTH)
def test_bad_calls(fitted: dict[str, Denoiser], text: str) -> None:
    model = fitted[text]
    with pytest.raises(BadInput, match="Images of 3 values do not fit a denoiser of 2x6x5 images"):
        model(torch.zeros(1, 3), 1.0)
    with pytest.raises(NonFinite, match="noisy images hold NaN"):
        model(torch.full((1, SMALL.d), torch.nan), 1.0)
    for sigma in (0.0, -1.0, math.nan):
        with pytest.raises(BadInput, match="is not a noise level"):
            model(torch.zeros(1, SMALL.d), sigma)
    with pytest.raises(BadInput, match="is not a noise level"):
        model(torch.zeros(0, SMALL.d), 0.0)
