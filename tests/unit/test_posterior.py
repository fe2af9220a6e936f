"""Softmax averages in parts: against one softmax over everything, whatever the parts, their order and their size."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from locality.posterior import NOTHING, PosteriorMean, remember_little, stream
from locality.work import listening

D, N = 5, 23


def problem(spread: float, dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor]:
    """Logits [3 n] as wide as `spread`, and values [n d]."""
    generator = torch.Generator().manual_seed(int(spread))
    logits = spread * torch.randn(3, N, generator=generator, dtype=torch.float64)
    return logits.to(dtype), torch.randn(N, D, generator=generator, dtype=torch.float64).to(dtype)


def part(logits: Tensor, values: Tensor) -> PosteriorMean:
    return PosteriorMean.of(logits.clone(), lambda weights: (weights @ values).T)


def plain(logits: Tensor, values: Tensor) -> Tensor:
    """sum_i softmax_i v_i, item by item."""
    rows = []
    for row in logits.double().tolist():
        heights = [math.exp(logit - max(row)) for logit in row]
        total = sum(heights)
        rows.append(sum(height / total * value for height, value in zip(heights, values.double(), strict=True)))
    return torch.stack(rows)


@pytest.mark.parametrize("spread", [0.0, 1.0, 30.0, 1e4])
@pytest.mark.parametrize("sizes", [[N], [1] * N, [10, 13], [20, 2, 1]])
@pytest.mark.parametrize(("dtype", "atol"), [(torch.float32, 1e-5), (torch.float64, 1e-13)])
def test_merged_parts_are_one_softmax(spread: float, sizes: list[int], dtype: torch.dtype, atol: float) -> None:
    """Merged from the left, from the right, and the odd parts before the even ones."""
    logits, values = problem(spread, dtype)
    parts = [part(*pair) for pair in zip(logits.split(sizes, dim=1), values.split(sizes), strict=True)]
    for order in (parts, parts[::-1], parts[1::2] + parts[::2]):
        running = order[0]
        for other in order[1:]:
            running = running.merge(other)
        torch.testing.assert_close(running.mean().T.double(), plain(logits, values), rtol=0, atol=atol)
        expected = torch.logsumexp(logits.double(), dim=1)
        torch.testing.assert_close(running.log_weight().double(), expected, rtol=1e-6, atol=10 * atol)


def test_logits_of_any_size_are_no_danger() -> None:
    """exp(1e8) is infinite and exp(-1e8) zero; only differences count."""
    logits, values = problem(1.0)
    for shift in (1e8, -1e8):
        found = part(logits[:, :9] + shift, values[:9]).merge(part(logits[:, 9:] + shift, values[9:])).mean().T
        torch.testing.assert_close(found, plain(logits, values), rtol=0, atol=1e-6)  # 1e8 leaves eight digits


def test_items_that_count_for_nothing_may_fill_a_part() -> None:
    """-inf is no item; a part of them alone changes nothing, in whichever order."""
    logits, values = problem(1.0)
    none = part(torch.full((3, 4), -torch.inf, dtype=torch.float64), torch.full((4, D), 1e6, dtype=torch.float64))
    for merged in (none.merge(part(logits, values)), part(logits, values).merge(none)):
        torch.testing.assert_close(merged.mean().T, plain(logits, values), rtol=0, atol=1e-13)
    some = torch.cat([logits, torch.full((3, 1), -torch.inf, dtype=torch.float64)], dim=1)
    found = part(some, torch.cat([values, torch.full((1, D), 1e6, dtype=torch.float64)])).mean().T
    torch.testing.assert_close(found, plain(logits, values), rtol=0, atol=1e-13)


def test_small_weights_are_kept_down_to_the_stated_size() -> None:
    """An item 70 below the peak still weighs exp(-70); one 200 below at most exp(-80)."""
    logits = torch.tensor([[0.0, -70.0], [0.0, -200.0]], dtype=torch.float64)
    weights = PosteriorMean.of(logits, lambda e: e.T).total[1]
    assert weights[0] == pytest.approx(math.exp(-70.0), rel=1e-12)
    assert 0 <= weights[1] <= math.exp(NOTHING) * (1 + 1e-12)


def test_padding_has_seen_nothing() -> None:
    """Queries added around take over whatever they are merged with; the others keep their average."""
    logits, values = problem(1.0)
    inner = part(logits[:1, :4], values[:4]).padded(1, 1)
    everywhere = part(logits, values)
    merged = inner.merge(everywhere)
    torch.testing.assert_close(merged.mean()[:, [0, 2]], everywhere.mean()[:, [0, 2]], rtol=0, atol=1e-14)
    together = part(logits[:1, :4], values[:4]).merge(part(logits[1:2], values)).mean()[:, 0]
    torch.testing.assert_close(merged.mean()[:, 1], together, rtol=0, atol=1e-14)


def test_without_gradients_logits_are_overwritten_and_with_them_kept() -> None:
    logits, values = problem(1.0)
    given = logits.clone()
    PosteriorMean.of(given, lambda weights: weights @ values)
    assert not torch.equal(given, logits)
    leaf = logits.clone().requires_grad_(True)
    PosteriorMean.of(leaf, lambda weights: weights @ values)
    assert torch.equal(leaf, logits)


@pytest.mark.parametrize("sizes", [[N], [9, 9, 5], [1] * N])
def test_gradients_stream(sizes: list[int]) -> None:
    """d mean / d x of parts made again equals that of one softmax kept in memory."""
    _, values = problem(1.0)
    x = torch.randn(2, D, generator=torch.Generator().manual_seed(9), dtype=torch.float64)
    weigh = torch.randn(2, D, generator=torch.Generator().manual_seed(8), dtype=torch.float64)

    def partial(q: Tensor, chunk: Tensor) -> PosteriorMean:
        return PosteriorMean.of(q @ chunk.T, lambda weights: (weights @ chunk).T)

    leaf = x.clone().requires_grad_(True)
    mean = stream(leaf, values.split(sizes), partial, len(sizes)).mean().T
    (found,) = torch.autograd.grad((mean * weigh).sum(), leaf)
    (expected,) = torch.autograd.grad(((torch.softmax(leaf @ values.T, dim=1) @ values) * weigh).sum(), leaf)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-13)


def test_the_normaliser_has_a_gradient() -> None:
    """d ln sum exp(x.v_i) / dx is the mean: what a second pass needs."""
    _, values = problem(1.0)
    leaf = torch.ones(1, D, dtype=torch.float64, requires_grad=True)
    parts = stream(leaf, values.split(7), lambda q, v: PosteriorMean.of(q @ v.T, lambda e: (e @ v).T), 4)
    (found,) = torch.autograd.grad(parts.log_weight().sum(), leaf)
    torch.testing.assert_close(found, parts.mean().T.detach(), rtol=0, atol=1e-13)


def test_with_gradients_parts_are_made_again_not_kept() -> None:
    calls = []

    def work(x: Tensor, number: int) -> Tensor:
        calls.append(number)
        return (x * number).exp()

    leaf = torch.ones(2, requires_grad=True)
    made = remember_little(work, leaf, 3)
    assert calls == [3]
    made.sum().backward()
    assert calls == [3, 3]
    with torch.no_grad():
        remember_little(work, leaf, 4)
    remember_little(work, leaf.detach(), 5)
    assert calls == [3, 3, 4, 5]


def test_every_part_beats_with_its_share_of_the_call() -> None:
    logits, values = problem(1.0)
    heard: list[float] = []
    chunks = list(zip(logits.split(6, dim=1), values.split(6), strict=True))
    with listening(heard.append):
        stream(logits, chunks, lambda _, pair: part(*pair), len(chunks), share=0.5)
    assert heard == [0.125, 0.25, 0.375, 0.5]


def test_an_average_over_nothing_is_a_mistake_of_the_caller() -> None:
    with pytest.raises(AssertionError, match="an average over nothing"):
        stream(torch.zeros(1), [], lambda x, part: part, 0)
