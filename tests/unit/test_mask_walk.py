"""The walk over masks: its way, its sums by every kind of loop, and what happens where it cannot run."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor

from locality.denoisers.parts import walk
from locality.denoisers.parts.bank import Bank
from locality.denoisers.parts.compiled import kernels, processor
from locality.denoisers.parts.walk import Walk, posterior_mean, ready
from locality.denoisers.parts.walk_loop import Form
from locality.denoisers.parts.walk_plan import Masks
from locality.errors import TooLarge
from locality.types import ImageShape
from locality.work import listening

SHAPE = ImageShape(2, 5, 6)
KINDS = {"integer": (1, 1), "portable": (2, 1), "direct": (3, 1), "two codes": (1, 2)}  # and codes of x


@pytest.fixture(autouse=True)
def two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def rand(*size: int, seed: int = 0) -> Tensor:
    return torch.rand(*size, generator=torch.Generator().manual_seed(seed))


def bank_of(n: int, shape: ImageShape = SHAPE, *, flips: bool = False, memory: int = 10**9) -> Bank:
    data = (256 * rand(n, shape.d, seed=n)).to(torch.uint8)
    return Bank(shape, data, torch.arange(n), flips, memory)


def noisy(bank: Bank, count: int, sigma: float) -> Tensor:
    eps = torch.randn(count, bank.shape.d, generator=torch.Generator().manual_seed(5))
    return (bank.whole()[torch.arange(count) % len(bank)] + sigma * eps).float()


def each_own(mask: Tensor, shape: ImageShape = SHAPE) -> Masks:
    return Masks(mask, torch.arange(shape.d)[:, None], shape)


def weights(bank: Bank, mask: Tensor, x: Tensor, sigma: float) -> Tensor:
    """softmax_i(-sum_p M_qp (x_p - x_ip)^2 / (2 sigma^2)), float64 [b n m]."""
    apart = (x.double()[:, None] - bank.whole()).square() @ mask.double().T
    return torch.softmax(-apart / (2 * sigma**2), dim=1)


def dense(bank: Bank, mask: Tensor, x: Tensor, sigma: float) -> Tensor:
    return (weights(bank, mask, x, sigma) * bank.whole()).sum(dim=1)


def windows(shape: ImageShape = SHAPE, side: int = 1) -> Tensor:
    """Each coordinate compares those near it in its own channel and, one row higher, in the others."""
    at = torch.arange(shape.d)
    channel, row, col = at // (shape.h * shape.w), at // shape.w % shape.h, at % shape.w
    shift = (channel[:, None] - channel).abs()
    return ((row[:, None] - row - shift).abs() <= side) & ((col[:, None] - col).abs() <= side)


MASKS = {
    "windows": windows(),
    "identity": torch.eye(60).bool(),
    "sparse": (rand(60, 60) < 0.05) | torch.eye(60).bool(),
    "half": rand(60, 60) < 0.5,
    "nearly everything": rand(60, 60) < 0.97,
    "some rows empty": windows() & (torch.arange(60) % 2 == 0)[:, None],
    "all rows alike": (rand(60) < 0.3).expand(60, 60),
}


# --- the way


@pytest.mark.parametrize("name", MASKS)
def test_walking_collects_every_row(name: str) -> None:
    """Sets of columns kept in the slots, changed as the steps say: each is its row of the mask, each row comes once."""
    mask = MASKS[name]
    steps = each_own(mask).steps
    slots: list[dict[int, int]] = [{} for _ in range(steps.slots)]
    for i, row in enumerate(steps.rows.tolist()):
        held = dict(slots[steps.source[i]]) if steps.source[i] >= 0 else {}
        for j in range(2 * steps.starts[i], 2 * steps.starts[i + 1]):
            column = int(steps.columns[j])
            held[column] = held.get(column, 0) + int(steps.signs[j])
        slots[steps.target[i]] = held
        assert sorted(p for p, times in held.items() if times) == mask[row].nonzero().flatten().tolist()
        assert set(held.values()) <= {0, 1}
    assert sorted(steps.rows.tolist()) == list(range(60))


def test_the_way_is_short() -> None:
    """3 x 3 windows on 24 x 24 images: nine columns from nothing, six from a neighbour; few sums are kept."""
    shape = ImageShape(1, 24, 24)
    masks = each_own(windows(shape), shape)
    changed = int((masks.steps.signs != 0).sum())
    assert changed <= 9 + 6 * (shape.d - 1)
    assert changed < 0.7 * len(masks.alone.columns)
    assert masks.steps.slots <= 8
    assert (masks.support, masks.narrowest, masks.widest) == (pytest.approx(70**2 / 24**2), 4, 9)


# --- sums


@pytest.mark.parametrize("name", MASKS)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("n", "b"), [(1, 1), (7, 3), (100, 9)])
def test_every_kind_of_sums_equals_the_dense_product(name: str, kind: str, n: int, b: int) -> None:
    """Fewer images than lanes, more noisy ones than a pass takes; sixteen bits of x, twice, or floats, at sigma 1."""
    bank, sigma = bank_of(n), 1.0
    x = noisy(bank, b, sigma)
    sums, parts = KINDS[kind]
    form = Form(1 if b == 1 else 8 // parts, 1, processor()[0], sums, parts)
    found = answered(Walk(bank, each_own(MASKS[name]), sigma, form, b, 2), x)
    torch.testing.assert_close(found.double(), dense(bank, MASKS[name], x, sigma), rtol=0, atol=1e-4)


def answered(walk: Walk, x: Tensor) -> Tensor:
    """Where each row answers one coordinate, in order."""
    return walk.average(x).mean()[0]


@pytest.mark.parametrize("lanes", [4, 8])
def test_narrower_vectors_give_the_same(lanes: int) -> None:
    """What processors without AVX-512, or with SSE2 alone, would do."""
    widest, kind = processor()
    bank, mask = bank_of(50), MASKS["windows"]
    x = noisy(bank, 8, 1.0)
    one, other = (answered(Walk(bank, each_own(mask), 1.0, Form(8, 1, w, kind), 8, 1), x) for w in (lanes, widest))
    torch.testing.assert_close(one, other, rtol=0, atol=1e-6)


@pytest.mark.parametrize("shape", [ImageShape(1, 1, 1), ImageShape(1, 2, 7), ImageShape(3, 3, 5)])
def test_images_of_any_size(shape: ImageShape) -> None:
    """Fewer pixels than are turned at a time, and a number that is no multiple of that."""
    bank, mask = bank_of(40, shape), (rand(shape.d, shape.d) < 0.6) | torch.eye(shape.d).bool()
    mask[0, 1:] = False
    x = noisy(bank, 2, 1.0)
    found = posterior_mean(bank, each_own(mask, shape), x, 1.0)
    torch.testing.assert_close(found.double(), dense(bank, mask, x, 1.0), rtol=0, atol=1e-4)


@pytest.mark.parametrize("flips", [False, True])
def test_rows_may_answer_several_coordinates_and_images_be_mirrored(flips: bool) -> None:
    bank, mask = bank_of(40, flips=flips), MASKS["windows"][:30]
    x = noisy(bank, 3, 1.0)
    found = posterior_mean(bank, Masks(mask, torch.arange(30)[:, None] + torch.tensor([0, 30]), SHAPE), x, 1.0)
    torch.testing.assert_close(found.double(), dense(bank, mask.repeat(2, 1), x, 1.0), rtol=0, atol=1e-4)


@pytest.mark.parametrize("sigma", [0.003, 0.03, 0.3])
def test_little_noise_is_as_exact(sigma: float) -> None:
    """Images that differ by few grey levels, so that several count; sums of squared differences, in floats."""
    bank = bank_of(300)
    bank.data.copy_((128 + 3 * rand(300, 60, seed=1)).to(torch.uint8))
    x, mask = noisy(bank, 4, sigma), MASKS["windows"]
    found = posterior_mean(bank, each_own(mask), x, sigma)
    torch.testing.assert_close(found.double(), dense(bank, mask, x, sigma), rtol=0, atol=2e-6)


@pytest.mark.parametrize("temperature", [0.2, 5.0])
def test_temperature_scales_the_noise(temperature: float) -> None:
    bank, mask = bank_of(60), MASKS["half"]
    x = noisy(bank, 2, 1.0)
    found = posterior_mean(bank, each_own(mask), x, 1.0, temperature)
    # Codes of x err by 7e-4 of a logit at T = 0.2, and pixels vary by 0.6
    torch.testing.assert_close(found.double(), dense(bank, mask, x, temperature**0.5), rtol=0, atol=5e-4)


def test_sums_stay_within_32_bits() -> None:
    """All x alike and images nearly white: codes of 16 bits would add up to 32767 * 127 * 899 = 3.7e9."""
    shape = ImageShape(1, 30, 30)
    data = (255 - 8 * rand(50, shape.d) ** 4).to(torch.uint8)
    bank = Bank(shape, data, torch.arange(50), False, 10**9)
    mask = torch.ones(shape.d, shape.d).bool() ^ torch.eye(shape.d).bool()
    for x in (torch.full((1, shape.d), 3.0), torch.full((1, shape.d), -3.0)):
        found = posterior_mean(bank, each_own(mask, shape), x, 3.0)
        torch.testing.assert_close(found.double(), dense(bank, mask, x, 3.0), rtol=0, atol=1e-4)


def test_a_softmax_over_batches_is_the_mean_of_their_averages() -> None:
    """The last one smaller, one across the border of the mirrored images."""
    bank, mask = bank_of(200, flips=True), MASKS["windows"]
    x, x0 = noisy(bank, 2, 0.5), bank.whole()
    found = posterior_mean(bank, each_own(mask), x, 0.5, batch=150)
    apart = (x.double()[:, None] - x0).square() @ mask.double().T / (-2 * 0.5**2)
    parts = [(torch.softmax(a, dim=1) * v).sum(dim=1) for a, v in zip(apart.split(150, 1), x0.split(150), strict=True)]
    torch.testing.assert_close(found.double(), torch.stack(parts).mean(dim=0), rtol=0, atol=1e-4)


# --- what must not matter


def test_threads_and_batches_change_no_bit() -> None:
    bank, masks = bank_of(2100), each_own(MASKS["windows"])
    x = noisy(bank, 9, 1.0)
    lanes, kind = processor()

    def by(queries: int, threads: int) -> Tensor:
        return answered(Walk(bank, masks, 1.0, Form(8 if queries > 1 else 1, 1, lanes, kind), queries, threads), x)

    first = by(9, 1)
    assert torch.equal(by(9, 3), first)
    assert torch.equal(by(4, 2), first)
    assert torch.equal(by(1, 1), first)
    torch.testing.assert_close(first.double(), dense(bank, MASKS["windows"], x, 1.0), rtol=0, atol=1e-4)


def test_beats_come_and_a_listener_may_cancel() -> None:
    bank, masks, heard = bank_of(2100), each_own(MASKS["windows"]), []
    x = noisy(bank, 40, 1.0)
    with listening(heard.append):
        posterior_mean(bank, masks, x, 1.0)
    assert heard == sorted(heard)
    assert heard[-1] == 1.0
    assert len(heard) == 8  # four parts, for 32 noisy images and for 8

    def enough(fraction: float) -> None:
        raise InterruptedError

    with pytest.raises(InterruptedError), listening(enough):
        posterior_mean(bank, masks, x, 1.0)


# --- where it cannot run


@pytest.fixture
def tiles(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How often dense products of tiles were asked."""
    asked: list[int] = []
    usual = walk.masked_posterior

    def counting(*args: object, **kwargs: object) -> Tensor:
        asked.append(1)
        return usual(*args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(walk, "masked_posterior", counting)
    return asked


def test_without_numba_dense_products_serve_and_it_is_said(monkeypatch: pytest.MonkeyPatch, tiles: list[int]) -> None:
    bank, mask = bank_of(40), MASKS["windows"]
    x = noisy(bank, 2, 1.0)
    walked = posterior_mean(bank, each_own(mask), x, 1.0)
    assert not tiles
    loops = kernels()
    assert loops is not None
    kernels.cache_clear()
    monkeypatch.setitem(sys.modules, loops.__name__, None)  # as if numba were not installed
    try:
        notes = [event.note for event in ready(1)]
        torch.testing.assert_close(posterior_mean(bank, each_own(mask), x, 1.0), walked, rtol=0, atol=2e-4)
    finally:
        kernels.cache_clear()
    assert notes == ["Numba does not run here: slower products serve (pip install -r requirements.txt)"]
    assert tiles


def test_what_the_walk_does_not_take_goes_to_dense_products(tiles: list[int]) -> None:
    bank, masks = bank_of(40), each_own(MASKS["windows"])
    x = noisy(bank, 2, 1.0)
    posterior_mean(bank, masks, x, 1.0)
    assert not tiles
    posterior_mean(bank, masks, x.double(), 1.0)
    posterior_mean(bank, masks, x.clone().requires_grad_(True), 1.0)
    posterior_mean(bank, masks, x, 1.0, batch=10)
    posterior_mean(Bank(SHAPE, bank.whole().float(), bank.rows, False, 10**9), masks, x, 1.0)
    assert len(tiles) == 4
    posterior_mean(bank, each_own(torch.ones(60, 60).bool()), x.double(), 1.0)  # rows of everything: optimal
    assert len(tiles) == 4


@pytest.mark.parametrize(("share", "sigma"), [(0.97, 0.9), (0.5, 0.35)])
def test_wide_masks_are_walked_with_a_second_code_of_x(share: float, sigma: float, tiles: list[int]) -> None:
    """Rows of hundreds of columns, for which 16 bits of x are too few; like images, so that many count."""
    shape = ImageShape(1, 30, 30)
    bank, mask = bank_of(200, shape), (rand(900, 900) < share) | torch.eye(900).bool()
    bank.data.copy_((128 + 20 * rand(200, 900, seed=1)).to(torch.uint8))
    x, masks = noisy(bank, 5, sigma), each_own(mask, shape)
    found, exact = posterior_mean(bank, masks, x, sigma), dense(bank, mask, x, sigma)
    assert not tiles
    torch.testing.assert_close(found.double(), exact, rtol=0, atol=5e-6)
    one = answered(Walk(bank, masks, sigma, Form(8, 1, *processor()), 5, 1), x)
    assert float((found - exact).abs().max()) < 0.3 * float((one - exact).abs().max())
    torch.testing.assert_close(posterior_mean(bank, masks, x[:1], sigma), found[:1], rtol=0, atol=0)
    posterior_mean(bank, masks, x, 0.1)  # logits so large that floats do not hold them
    assert tiles


def test_a_small_budget_takes_fewer_noisy_images_and_threads_then_dense_products(tiles: list[int]) -> None:
    masks, plenty = each_own(MASKS["windows"]), bank_of(100)
    x = noisy(plenty, 9, 1.0)
    usual = posterior_mean(plenty, masks, x, 1.0)
    whole = Walk.of(plenty, masks, x, 1.0, 1.0, 0)
    assert whole is not None
    assert (whole.queries, whole.threads) == (9, 2)
    need = whole.memory(0)
    fewer = Walk.of(bank_of(100, memory=need - 1), masks, x, 1.0, 1.0, 0)
    assert fewer is not None
    assert (fewer.queries, fewer.threads) == (9, 1)
    assert fewer.memory(0) < need
    torch.testing.assert_close(posterior_mean(bank_of(100, memory=need - 1), masks, x, 1.0), usual, rtol=0, atol=0)
    assert not tiles
    least = Walk(plenty, masks, 1.0, Form(1, 1, *processor()), 1, 1).memory(0)  # narrower vectors take less
    torch.testing.assert_close(posterior_mean(bank_of(100, memory=least), masks, x, 1.0), usual, rtol=0, atol=0)
    assert not tiles
    torch.testing.assert_close(posterior_mean(bank_of(100, memory=least - 1), masks, x, 1.0), usual, rtol=0, atol=2e-4)
    assert tiles
    with pytest.raises(TooLarge, match=r"needs .* Give at least 1 MB \(--memory MB, Compute\.memory\)"):
        posterior_mean(bank_of(100, memory=1000), masks, x, 1.0)


_NO_FOLDER = """
import torch
from numba.core.caching import CacheImpl
CacheImpl._locator_classes = []  # root may write anywhere, so permissions would not do
from locality.denoisers.parts.walk import posterior_mean, ready
from locality.denoisers.parts.walk_plan import Masks
from locality.denoisers.parts.bank import Bank
from locality.denoisers.parts.compiled import kernels
from locality.types import ImageShape
print(next(iter(ready(1))).note)
bank = Bank(ImageShape(1, 1, 2), torch.tensor([[0, 255]], dtype=torch.uint8), torch.zeros(1).long(), False, 10**9)
masks = Masks(torch.eye(2).bool(), torch.arange(2)[:, None], bank.shape)
print(posterior_mean(bank, masks, torch.zeros(1, 2), 1.0).tolist())
"""


def test_without_a_folder_to_keep_compiled_code_in_it_runs_and_says_so() -> None:
    """As where neither the clone nor the user's folder can be written."""
    out = subprocess.run([sys.executable, "-c", _NO_FOLDER], capture_output=True, text=True, check=False)
    assert out.stdout.splitlines() == [
        "Averages for this processor (compiled in every process: set NUMBA_CACHE_DIR to a folder that can be written)",
        "[[-1.0, 1.0]]",
    ], out.stderr


_CALL = """
import torch
from locality.denoisers.parts.walk import posterior_mean
from locality.denoisers.parts.walk_kernels import walk
from locality.denoisers.parts.walk_plan import Masks
from locality.denoisers.parts.bank import Bank
from locality.types import ImageShape
bank = Bank(ImageShape(1, 1, 2), torch.tensor([[0, 255]], dtype=torch.uint8), torch.zeros(1).long(), False, 10**9)
posterior_mean(bank, Masks(torch.eye(2).bool(), torch.arange(2)[:, None], bank.shape), torch.zeros(1, 2), 1.0)
print(sum(walk.stats.cache_hits.values()), sum(walk.stats.cache_misses.values()))
"""


def test_what_one_process_compiles_the_next_one_reads(tmp_path: Path) -> None:
    """Found in the folder, and not found in it."""
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}
    found = [subprocess.check_output([sys.executable, "-c", _CALL], env=environment, text=True) for _ in range(2)]
    assert [line.split() for line in found] == [["0", "1"], ["1", "0"]]
    changed = "import locality.vectors; locality.vectors._OURS = 'of another version of that file'" + _CALL
    assert subprocess.check_output([sys.executable, "-c", changed], env=environment, text=True).split() == ["0", "1"]


@pytest.mark.parametrize(
    ("machine", "features", "expected"),
    [
        ("x86_64-unknown-linux-gnu", "+avx512bw,+avx2,+sse2", (16, 1)),
        ("x86_64-unknown-linux-gnu", "-avx512bw,+avx2,+sse2", (8, 1)),
        ("x86_64-unknown-linux-gnu", "-avx512bw,-avx2,+sse2", (4, 1)),
        ("aarch64-unknown-linux-gnu", "+neon", (4, 2)),
    ],
)
def test_vectors_are_no_wider_than_the_processor_has(
    machine: str, features: str, expected: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Lanes, and whether it adds 16-bit products in pairs."""
    asked = SimpleNamespace(magic_tuple=lambda: (machine, "", features))
    monkeypatch.setattr(
        "locality.vectors.cpu_target", SimpleNamespace(target_context=SimpleNamespace(codegen=lambda: asked))
    )
    assert processor() == expected
