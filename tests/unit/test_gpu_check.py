"""`make gpu-check`, with the CPU in the place of the GPU: all of it but CUDA."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from benchmarks.gpu import Row, compared, main, waits_of
from locality.types import ImageShape
from tests.made_up import made_up

pytestmark = pytest.mark.timeout(300)  # seconds on an idle machine; others may be at work
HERE = ("--device", "cpu", "--dataset", "digits", "--first", "250", "--network", "resnet:channels=8", "--model")


def test_the_cpu_agrees_with_itself(capsys: pytest.CaptureFixture[str]) -> None:
    """A row for each model, field, statistic, precision and step; two shards and bfloat16 differ by their rounding."""
    assert main([*HERE, "wiener", "optimal", "els:window=99"]) == 0
    printed = capsys.readouterr().out
    lines = [line.strip("|").split("|") for line in printed.splitlines() if line.startswith("| ")][1:]
    found = {line[0].strip(): float(line[5]) for line in lines}
    assert all(line[8].strip() == "yes" and float(line[1].replace(",", "")) > 0 for line in lines)
    one, two = found.pop("network, bfloat16"), found.pop("optimal, on two shards")
    assert 0 < one < 0.1
    assert two <= 1e-6
    steps = [name for name in found if name.startswith("two training steps")]
    assert steps[0] == "two training steps, float32"
    assert all(found.pop(name) <= 0.05 for name in steps)
    assert list(found) == [
        "wiener", "optimal", "predicted field", "learned field, 8 draws", "covariance of 250 images",
        "integer product, side 1024", "network, highest", "network, high",
    ]  # fmt: skip
    assert set(found.values()) <= {0.0}
    assert re.search(r"Left out:\n- els:window=99: .* is not a window", printed)


def test_what_differs_is_said_and_ends_with_1(capsys: pytest.CaptureFixture[str]) -> None:
    calls: list[int] = []

    def fit(images: object, reference: object) -> Callable[[Tensor, float], Tensor]:
        number = len(calls)
        calls.append(1)
        return lambda x, sigma: x + 0.01 * number

    with made_up("moody", fit):
        assert main([*HERE, "moody"]) == 1
    assert re.search(r"^\| moody .*\| 1.0e-02 \| 2e-03 \|.*\*\*no\*\* \|$", capsys.readouterr().out, re.M)


def test_without_cuda_it_says_so_and_ends_well(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert main([]) == 0
    assert capsys.readouterr().out.startswith("No CUDA device here (only cpu")


def test_waits_are_counted_beside_the_one_of_the_input() -> None:
    x, shape = torch.ones(2, 4), ImageShape(1, 2, 2)

    def call(reads: int) -> Callable[[], Tensor]:
        def work() -> Tensor:
            shape.check(x)
            return x + sum(float(x.sum()) for _ in range(reads))

        return work

    assert [waits_of(call(reads), "cpu") for reads in (0, 1, 3)] == [0, 1, 3]
    rows = [Row("a step", 1.0, 1.0, None, 0.0, 0.0, 1, cuda) for cuda in (True, False)]
    assert [row.passes for row in rows] == [False, True]


def test_a_result_that_later_calls_change_is_no_comparison() -> None:
    """Each side is called the same number of times before the two are compared."""
    counts = {False: 0, True: 0}

    def made(where: str, plain: bool) -> Callable[[], Tensor]:
        def work() -> Tensor:
            counts[plain] += 1
            return torch.tensor([float(counts[plain])])

        return work

    assert compared("steps", made, "cpu", 0.0).far == 0.0
