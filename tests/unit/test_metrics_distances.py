"""Frechet distance, KID, class score: against torchmetrics, scipy and plain loops; where they are not defined."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.linalg
import torch
from torch import Tensor, nn
from torchmetrics.image.fid import FrechetInceptionDistance
from torchmetrics.image.inception import InceptionScore
from torchmetrics.image.kid import KernelInceptionDistance

from locality.errors import BadInput, NonFinite
from locality.metrics import frechet_distance, inception_score, kernel_sums, kid

pytestmark = pytest.mark.usefixtures("one_thread")


class Given(nn.Module):
    """A feature extractor whose images are features already."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.num_features = features

    def forward(self, x: Tensor) -> Tensor:
        return x


def features(n: int, f: int, seed: int, shift: float = 0.0) -> Tensor:
    """Correlated features, none like another."""
    generator = torch.Generator().manual_seed(seed)
    mix = torch.randn(f, f, generator=torch.Generator().manual_seed(99), dtype=torch.float64) / f**0.5
    return torch.randn(n, f, generator=generator, dtype=torch.float64) @ mix + shift


# --- Frechet


def test_frechet_is_that_of_torchmetrics() -> None:
    x, y = features(300, 12, 0, 0.3), 1.5 * features(500, 12, 1)
    metric = FrechetInceptionDistance(feature=Given(12)).set_dtype(torch.float64)
    metric.update(y, real=True)
    metric.update(x, real=False)
    assert frechet_distance(x, y).mean == pytest.approx(float(metric.compute()), rel=1e-9)


def test_frechet_is_scipys_square_root_written_out() -> None:
    x, y = features(40, 6, 0, 0.1).numpy(), features(50, 6, 1).numpy()
    root = scipy.linalg.sqrtm(np.cov(x.T) @ np.cov(y.T))
    want = np.square(x.mean(0) - y.mean(0)).sum() + np.trace(np.cov(x.T) + np.cov(y.T) - 2 * root.real)
    assert frechet_distance(torch.from_numpy(x), torch.from_numpy(y)).mean == pytest.approx(want, rel=1e-9)


def test_frechet_of_two_gaussians_in_closed_form() -> None:
    """A shift of 3 along an axis: 9. Twice the scale: the sum of variances, (2 - 1)^2 each. Exact for any sample."""
    x = features(60, 4, 0)
    shifted = x + torch.tensor([3.0, 0, 0, 0])
    assert frechet_distance(shifted, x).mean == pytest.approx(9.0, rel=1e-9)
    centred = x - x.mean(dim=0)
    assert frechet_distance(2 * centred, centred).mean == pytest.approx(float(centred.var(dim=0).sum()), rel=1e-9)


def test_frechet_of_identical_sets_is_zero_and_never_negative() -> None:
    """Eigenvalues are right to 1e-16 of the largest; their roots, where they vanish, to 1e-8."""
    x = features(50, 8, 0)
    assert 0.0 <= frechet_distance(x, x).mean < 1e-7
    assert frechet_distance(x, x[torch.randperm(50)]).mean < 1e-7


def test_frechet_takes_the_larger_set_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = torch.Generator().manual_seed(3)
    x, y = (5.0 + torch.randn(n, 6, generator=generator) for n in (40, 101))
    whole = frechet_distance(x, y)
    monkeypatch.setattr("locality.metrics.frechet._BLOCK", 13)
    monkeypatch.setattr("locality.metrics.features._BLOCK", 13)
    assert frechet_distance(x, y).mean == pytest.approx(whole.mean, rel=1e-12)
    y[100, 2] = torch.nan
    with pytest.raises(NonFinite, match="features hold NaN"):
        frechet_distance(x, y)


def test_frechet_of_features_that_never_vary() -> None:
    """Two of six features are constant: the covariances are singular, the distance is that of the other four."""
    x, y = features(40, 4, 0), features(40, 4, 1)
    flat = torch.full((40, 2), 0.7, dtype=torch.float64)
    found = frechet_distance(torch.cat([x, flat], 1), torch.cat([y, flat], 1)).mean
    assert found == pytest.approx(frechet_distance(x, y).mean, rel=1e-6)


def test_frechet_without_more_images_than_features_points_to_kid() -> None:
    with pytest.raises(BadInput, match=r"8 images for 8 features: the Frechet distance needs more .* \(KID\)"):
        frechet_distance(features(8, 8, 0), features(50, 8, 1))
    with pytest.raises(BadInput, match="3 images for 8 features"):
        frechet_distance(features(50, 8, 0), features(3, 8, 1))


def test_frechet_error_is_the_spread_over_new_samples() -> None:
    """100 sets of 100 images: their spread is known to 7 %, the mean of 100 jackknifes of 16 groups to 2 %."""
    y = features(2000, 3, 1)
    found = [frechet_distance(features(100, 3, 10 + k, 0.5), y) for k in range(100)]
    spread = float(np.std([f.mean for f in found], ddof=1))
    assert float(np.mean([f.stderr for f in found])) == pytest.approx(spread, rel=0.2)
    assert found[0].n == 100


def test_frechet_error_is_not_given_where_a_group_is_missed() -> None:
    """17 images, 15 features: without one of 16 groups (2 images) no more images than features are left."""
    assert math.isnan(frechet_distance(features(17, 15, 0), features(99, 15, 1)).stderr)
    assert frechet_distance(features(18, 15, 0), features(99, 15, 1)).stderr > 0


# --- KID


def plain_kid(x: np.ndarray, y: np.ndarray) -> float:
    def k(a: np.ndarray, b: np.ndarray) -> float:
        return float((a @ b / len(a) + 1) ** 3)

    n, m = len(x), len(y)
    xx = sum(k(x[i], x[j]) for i in range(n) for j in range(n) if i != j) / (n * (n - 1))
    yy = sum(k(y[i], y[j]) for i in range(m) for j in range(m) if i != j) / (m * (m - 1))
    return xx + yy - 2 * sum(k(a, b) for a in x for b in y) / (n * m)


def test_kid_is_the_double_loop_and_its_error_the_jackknife_written_out() -> None:
    x, y = features(9, 5, 0, 0.4).numpy(), features(12, 5, 1).numpy()
    found = kid(torch.from_numpy(x), torch.from_numpy(y))
    assert found.mean == pytest.approx(plain_kid(x, y), rel=1e-10)
    without = [
        [plain_kid(np.delete(x, i, 0), y) for i in range(9)],
        [plain_kid(x, np.delete(y, j, 0)) for j in range(12)],
    ]
    parts = [(len(w) - 1) / len(w) * np.square(w - np.mean(w)).sum() for w in without]
    assert found.stderr == pytest.approx(math.sqrt(sum(parts)), rel=1e-9)
    assert found.n == 9


@pytest.mark.filterwarnings("ignore:Metric .* will save", r"ignore:std\(\)")
def test_kid_is_that_of_torchmetrics() -> None:
    """One subset of all images, in any order."""
    x, y = features(70, 8, 0, 0.2), features(70, 8, 1)
    metric = KernelInceptionDistance(feature=Given(8), subsets=1, subset_size=70).set_dtype(torch.float64)
    metric.update(y, real=True)
    metric.update(x, real=False)
    assert kid(x, y).mean == pytest.approx(float(metric.compute()[0]), rel=1e-9)


def test_kid_takes_the_sums_of_a_fixed_set_and_any_block(monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = features(20, 6, 0), features(33, 6, 1)
    whole = kid(x, y)
    assert kid(x, y, within_y=kernel_sums(y)) == whole
    monkeypatch.setattr("locality.metrics.kernel._BLOCK", 7)
    blocks = kid(x, y)
    assert (blocks.mean, blocks.stderr) == pytest.approx((whole.mean, whole.stderr), rel=1e-12)


def test_kid_is_unbiased() -> None:
    """Sets of 8 of the same Gaussian: on average 0 within four standard errors, where the biased form is not."""
    found = torch.tensor([kid(features(8, 4, k), features(8, 4, 1000 + k)).mean for k in range(300)])
    assert abs(float(found.mean())) < 4 * float(found.std()) / math.sqrt(300)


def test_kid_error_is_the_spread_over_new_samples() -> None:
    """300 pairs of sets: the mean of their jackknife errors is near the spread (known to 4 %)."""
    found = [kid(features(40, 4, k, 0.5), features(60, 4, 1000 + k)) for k in range(300)]
    spread = float(np.std([f.mean for f in found], ddof=1))
    assert float(np.mean([f.stderr for f in found])) == pytest.approx(spread, rel=0.15)


def test_kid_of_few_images() -> None:
    two = kid(features(2, 4, 0), features(9, 4, 1))
    assert math.isfinite(two.mean)
    assert math.isnan(two.stderr)
    with pytest.raises(BadInput, match="1 image: KID needs at least two in each set"):
        kid(features(1, 4, 0), features(9, 4, 1))


# --- class score


def probabilities(n: int = 50, c: int = 10, seed: int = 0) -> Tensor:
    return torch.randn(n, c, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).mul(2).softmax(dim=1)


@pytest.mark.filterwarnings("ignore:Metric .* will save", r"ignore:std\(\)")
def test_class_score_is_that_of_torchmetrics() -> None:
    """One split of all images: it takes logits, of which these are the probabilities."""
    p = probabilities()
    metric = InceptionScore(feature=Given(10), splits=1).set_dtype(torch.float64)
    metric.update(p.log())
    assert inception_score(p).mean == pytest.approx(float(metric.compute()[0]), rel=1e-9)


def test_class_score_by_hand() -> None:
    """All sure and all classes alike often: the number of classes. All the same: 1."""
    assert inception_score(torch.eye(4)).mean == pytest.approx(4.0)
    assert inception_score(torch.eye(4)[:1].repeat(6, 1)).mean == pytest.approx(1.0)
    assert inception_score(torch.full((5, 4), 0.25)).mean == pytest.approx(1.0)


def test_class_score_error_is_the_jackknife_written_out() -> None:
    p = probabilities(12, 5)
    without = [inception_score(torch.cat([p[:i], p[i + 1 :]])).mean for i in range(12)]
    want = math.sqrt(11 / 12 * np.square(without - np.mean(without)).sum())
    assert inception_score(p).stderr == pytest.approx(want, rel=1e-9)
    one = inception_score(p[:1])
    assert (one.mean, one.n) == (pytest.approx(1.0), 1)
    assert math.isnan(one.stderr)


# --- bad input


@pytest.mark.parametrize("distance", [frechet_distance, kid])
def test_distances_of_float32_features_are_computed_in_float64(distance: object) -> None:
    assert callable(distance)
    x, y = features(40, 6, 0).float(), features(50, 6, 1).float()
    assert distance(x, y) == distance(x.double(), y.double())


@pytest.mark.parametrize("distance", [frechet_distance, kid])
def test_distances_refuse_what_they_cannot_compare(distance: object) -> None:
    assert callable(distance)
    x = features(20, 4, 0)
    with pytest.raises(BadInput, match="4 and 5 features cannot be compared"):
        distance(x, features(20, 5, 1))
    broken = x.clone()
    broken[3, 2] = math.nan
    for pair in ((x, broken), (broken, x)):
        with pytest.raises(NonFinite, match="The features hold NaN or infinity"):
            distance(*pair)


def test_probabilities_that_are_none_are_refused() -> None:
    for wrong in (torch.full((3, 4), 0.5), torch.tensor([[1.5, -0.5]]), torch.empty(0, 4)):
        with pytest.raises(BadInput, match="The score needs rows of class probabilities"):
            inception_score(wrong)
    with pytest.raises(NonFinite, match="The probabilities hold NaN"):
        inception_score(torch.tensor([[math.nan, 1.0]]))
