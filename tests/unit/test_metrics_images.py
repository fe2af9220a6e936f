"""Scores of images: by hand, against scipy and numpy; means, errors and paired differences of scores."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.stats
import torch
from torch import Tensor

from locality.errors import BadInput
from locality.metrics import (
    effective_number,
    explained,
    is_copy,
    paired_difference,
    pearson,
    ratio_scores,
    squared_error,
    squared_error01,
    summarise,
)

A = torch.tensor([[0.0, 1.0, 2.0, 3.0], [3.0, 2.0, 1.0, 0.0], [1.0, 1.0, 1.0, 1.0], [-3.0, 0.0, 0.5, 9.0]])
U = torch.tensor([[0.0, 2.0, 4.0, 6.0], [0.0, 2.0, 4.0, 6.0], [0.0, 2.0, 4.0, 6.0], [-1.0, 0.0, 1.0, 1.0]])


def draws(*size: int, seed: int = 0) -> Tensor:
    return torch.randn(*size, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


# --- scores of images


def test_r2_by_hand() -> None:
    """u = 0 2 4 6 varies by 20 about its mean: a misses by 0+1+4+9, by 9+0+9+36, and by 1+1+9+25."""
    want = torch.tensor([1 - 14 / 20, 1 - 54 / 20, 1 - 36 / 20], dtype=torch.float64)
    torch.testing.assert_close(explained(A[:3], U[:3]), want, rtol=0, atol=1e-15)
    assert explained(A[:1], torch.full((1, 4), 0.3)).isnan().all()  # nothing varies: not defined


def test_pearson_by_hand_and_by_scipy() -> None:
    found = pearson(A, U)
    assert found[:2].tolist() == [1.0, -1.0]  # twice the image, and twice its mirror image
    assert found[2].isnan()  # a constant estimate has no correlation
    assert float(found[3]) == pytest.approx(scipy.stats.pearsonr(A[3].double(), U[3].double()).statistic, abs=1e-12)
    assert pearson(U, A)[2].isnan()


def test_pearson_is_blind_to_what_r2_sees() -> None:
    u = draws(5, 30)
    assert (pearson(3 * u + 2, u) - 1).abs().max() < 1e-12
    assert (explained(3 * u + 2, u) < 0).all()


def test_squared_errors_by_hand_in_both_units() -> None:
    """[-1, 1]: mean of 0 1 4 9. [0, 1]: clamped, 0 1 1 1 twice, the same; then -1 0 .5 1 and -1 0 1 1, halved."""
    assert squared_error(A[:1], U[:1]).item() == 14 / 4
    assert squared_error01(A[:1], U[:1]).item() == 0.0
    assert squared_error01(A[3:], U[3:]).item() == pytest.approx(0.25**2 / 4)
    inside = draws(6, 9).clamp(-1, 1), draws(6, 9, seed=1).clamp(-1, 1)
    torch.testing.assert_close(squared_error(*inside), 4 * squared_error01(*inside))


def test_scores_are_float64_whatever_comes_in() -> None:
    for score in (explained, pearson, squared_error, squared_error01):
        assert score(A.half(), U.half()).dtype == torch.float64


# --- training images


def test_a_copy_is_three_times_nearer() -> None:
    nearest, second = torch.tensor([0.9, 1.0, 0.0]), torch.tensor([3.0, 3.0, 0.0])
    assert is_copy(nearest, second).tolist() == [True, False, False]


def test_effective_number_of_weights() -> None:
    """One decides: 1. k count alike: k. Two of them with 1/4 and 3/4: 4 / 3^(3/4)."""
    weights = torch.tensor([[1.0, 0, 0, 0], [0.25, 0.25, 0.25, 0.25], [0.5, 0.5, 0, 0], [0.25, 0.75, 0, 0]])
    found = effective_number(weights)
    assert found.dtype == torch.float64
    assert found.tolist() == pytest.approx([1, 4, 2, 4 / 3**0.75])
    logits = draws(7, 50)
    by_scipy = np.exp(scipy.stats.entropy(logits.softmax(dim=1).numpy(), axis=1))
    np.testing.assert_allclose(effective_number(logits.softmax(dim=1)), by_scipy, rtol=1e-12)


@pytest.mark.parametrize("weights", [[0.5, 0.6], [1.5, -0.5], [math.nan, 1.0]])
def test_weights_that_are_none_are_refused(weights: list[float]) -> None:
    with pytest.raises(BadInput, match="must not be negative and must sum to 1"):
        effective_number(torch.tensor(weights))


# --- means, errors, differences


def test_summary_by_hand() -> None:
    """1 2 3 6: mean 3, squares about it 4 1 0 9, s^2 = 14/3, error sqrt(14/12); nan is left out and counted."""
    found = summarise(torch.tensor([1.0, math.nan, 2.0, 3.0, 6.0]))
    assert (found.mean, found.n, found.undefined) == (3.0, 4, 1)
    assert found.stderr == pytest.approx(math.sqrt(14 / 12))


def test_one_score_has_no_error_and_none_has_no_mean() -> None:
    one, none = summarise(torch.tensor([2.0])), summarise(torch.tensor([math.nan]))
    assert (one.mean, one.n) == (2.0, 1)
    assert math.isnan(one.stderr)
    assert math.isnan(none.mean)
    assert math.isnan(none.stderr)
    assert (none.n, none.undefined) == (0, 1)


def test_an_infinite_score_is_refused() -> None:
    with pytest.raises(BadInput, match="A score is infinite"):
        summarise(torch.tensor([1.0, math.inf]))


def test_interval_of_a_paired_difference_is_students() -> None:
    ours, theirs = draws(12), draws(12, seed=1)
    found = paired_difference(ours, theirs, level=0.9)
    test = scipy.stats.ttest_rel(ours.numpy(), theirs.numpy())
    low, high = test.confidence_interval(0.9)
    assert (found.low, found.high) == pytest.approx((low, high), rel=1e-9)
    assert found.mean == pytest.approx(float((ours - theirs).mean()))
    assert (found.n, found.level) == (12, 0.9)


def test_shared_noise_cancels_in_a_paired_difference() -> None:
    """Scores that differ by 0.1 exactly: the means are uncertain by 0.3, their difference by nothing."""
    ours = draws(10)
    found = paired_difference(ours + 0.1, ours)
    assert found.mean == pytest.approx(0.1)
    assert found.high - found.low < 1e-12
    assert summarise(ours).stderr > 0.1


def test_pairs_with_an_undefined_score_are_left_out() -> None:
    ours, theirs = draws(5), draws(5, seed=1)
    ours[0] = theirs[1] = math.nan
    found, rest = paired_difference(ours, theirs), paired_difference(ours[2:], theirs[2:])
    assert found == rest
    assert found.n == 3


def test_one_pair_has_a_difference_and_no_interval() -> None:
    found = paired_difference(torch.tensor([3.0]), torch.tensor([1.0]))
    assert (found.mean, found.n) == (2.0, 1)
    assert all(map(math.isnan, (found.stderr, found.low, found.high)))


def test_bad_pairs_are_refused() -> None:
    with pytest.raises(BadInput, match="3 and 2 scores are no pairs"):
        paired_difference(torch.ones(3), torch.ones(2))
    with pytest.raises(BadInput, match=r"level=1\.5: give a share between 0 and 1"):
        paired_difference(torch.ones(3), torch.ones(3), level=1.5)


def test_interval_covers_the_truth_as_often_as_it_says() -> None:
    """500 samples of 5: the 80 % interval holds 0 in 80 % of them, within four standard errors of that share."""
    holds = [
        (found := paired_difference(row, torch.zeros(5), level=0.8)).low <= 0 <= found.high for row in draws(500, 5)
    ]
    assert abs(np.mean(holds) - 0.8) < 4 * math.sqrt(0.8 * 0.2 / 500)


# --- ratios


def test_ratio_scores_average_to_the_ratio_of_means() -> None:
    ours, theirs = draws(3, 40).exp(), draws(3, 40, seed=1).exp()
    found = ratio_scores(ours, theirs)
    torch.testing.assert_close(found.mean(dim=1), ours.mean(dim=1) / theirs.mean(dim=1), rtol=1e-12, atol=0)
    assert found.dtype == torch.float64
    torch.testing.assert_close(ratio_scores(ours[0], theirs[0]), found[0])


def test_error_of_a_ratio_is_the_jackknifes_and_the_bootstraps() -> None:
    """Delta method against leaving one out (they differ by O(1/n)) and against 4,000 resamplings (error 1.1 %)."""
    theirs = draws(400, seed=1).exp()
    ours = 0.7 * theirs + 0.2 * draws(400).exp()
    found = summarise(ratio_scores(ours, theirs))
    left_out = (ours.sum() - ours) / (theirs.sum() - theirs)
    jackknife = math.sqrt(399 / 400 * float((left_out - left_out.mean()).square().sum()))
    assert found.stderr == pytest.approx(jackknife, rel=0.02)
    rows = torch.randint(400, (4000, 400), generator=torch.Generator().manual_seed(2))
    bootstrap = float((ours[rows].mean(dim=1) / theirs[rows].mean(dim=1)).std())
    assert found.stderr == pytest.approx(bootstrap, rel=0.06)
    assert found.stderr < 0.5 * summarise(ours / theirs.mean()).stderr  # pairing helps: both err on the same images


def test_the_same_errors_are_a_ratio_of_one_without_error() -> None:
    errors = draws(9).exp()
    assert summarise(ratio_scores(errors, errors)).mean == pytest.approx(1.0)
    assert summarise(ratio_scores(errors, errors)).stderr < 1e-15


def test_images_without_either_error_are_left_out_of_the_ratio() -> None:
    ours, theirs = draws(6).exp(), draws(6, seed=1).exp()
    ours[0] = theirs[1] = math.nan
    found = summarise(ratio_scores(ours, theirs))
    assert (found.n, found.undefined) == (4, 2)
    assert found.mean == pytest.approx(float(ours[2:].mean() / theirs[2:].mean()))
