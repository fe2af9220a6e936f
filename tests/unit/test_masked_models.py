"""pca_locality, pspc_flex, golddiff and their products: against plain loops, closed forms and limits."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from torch import Tensor

from locality.denoisers import DENOISERS
from locality.denoisers.golddiff import GoldDiffDenoiser
from locality.denoisers.parts.bank import Bank
from locality.denoisers.parts.fields import LearnedField
from locality.denoisers.parts.masked import MaskPlan, Tile, masked_posterior
from locality.denoisers.parts.products import FloatProducts, IntegerProducts, products_for
from locality.denoisers.parts.threshold import threshold_mask
from locality.denoisers.parts.threshold_spec import PUBLISHED_TAU
from locality.denoisers.pca_locality import PcaLocalityDenoiser
from locality.denoisers.pspc_flex import FlexiblePatchesDenoiser, smallest_sets
from locality.device import Compute
from locality.errors import BadInput, TooLarge
from locality.fields.codec import LEARNED_SIGMAS
from locality.fields.jacobian import draw_inputs, field_rows
from locality.schedule import edm_grid
from locality.store import Store
from locality.types import ImageShape, Pixel
from tests import naive
from tests.small_sets import COLOUR, GREY, Given, SmallNetwork, close, eight_bit, fit, floats, given, noisy, pictures

pytestmark = pytest.mark.usefixtures("one_thread")

TWELVE, TWELVE_FLOATS = eight_bit(12), floats(12)
SIGMAS = (0.1, 0.5, 2.0)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    made = Store(tmp_path_factory.mktemp("store"))
    yield made
    made.close()


def queries(x: Tensor, shape: ImageShape) -> np.ndarray:
    return x.reshape(-1, *shape).numpy()


def stacked(answers: list[np.ndarray]) -> Tensor:
    return torch.stack([torch.from_numpy(answer).flatten() for answer in answers])


def sets_of(mask: Tensor) -> list[list[int]]:
    """The columns each row of a mask holds; which these are is tested above against plain rules."""
    return [row.nonzero().flatten().tolist() for row in mask]


def as_mask(sets: list[list[int]]) -> Tensor:
    mask = torch.zeros(len(sets), len(sets), dtype=torch.bool)
    for q, held in enumerate(sets):
        mask[q, held] = True
    return mask


# --- whole images


@pytest.mark.parametrize("sigma", SIGMAS)
@pytest.mark.parametrize(("temperature", "neighbours", "flips"), [(1, 0, True), (3, 0, False), (0.4, 5, True)])
def test_optimal_equals_a_plain_loop(
    store: Store, temperature: float, neighbours: int, flips: bool, sigma: float
) -> None:
    model = fit(f"optimal:temperature={temperature},neighbours={neighbours},flips={flips}", TWELVE, store)
    x, images = noisy(TWELVE, 2, sigma), pictures(TWELVE, flips=flips)
    expected = stacked([naive.optimal(q, images, sigma, temperature, neighbours) for q in queries(x, COLOUR)])
    close(model(x, sigma), expected, 1e-10)
    close(model(x.float(), sigma), expected, 1e-4)


@pytest.mark.parametrize("flips", [False, True])
def test_nearest_equals_a_plain_loop(store: Store, flips: bool) -> None:
    x = noisy(TWELVE, 6, 1.0)
    expected = stacked([naive.nearest(q, pictures(TWELVE, flips=flips)) for q in queries(x, COLOUR)])
    close(fit(f"nearest:flips={flips}", TWELVE, store)(x, 1.0), expected, 1e-12)


@pytest.mark.parametrize("sigma", SIGMAS)
@pytest.mark.parametrize("noise", ["fixed", "redrawn"])
def test_smoothed_equals_a_plain_loop(store: Store, noise: str, sigma: float) -> None:
    """fixed: s (1 + sigma) e_m from the seed. redrawn: s sqrt(1 + sigma^2) e_m, others at every level."""
    model = fit(f"smoothed:points=4,smoothing=0.3,noise={noise},seed=5", TWELVE, store)
    level = 0 if noise == "fixed" else round(1e6 * sigma)
    draws = torch.randn(4, COLOUR.d, generator=torch.Generator().manual_seed(5 * 1_000_003 + level)).double()
    size = 0.3 * (1 + sigma if noise == "fixed" else (1 + sigma**2) ** 0.5)
    moves = (draws * size).reshape(4, *COLOUR).numpy()
    x, images = noisy(TWELVE, 2, sigma), pictures(TWELVE)
    expected = stacked([naive.smoothed(q, images, sigma, moves) for q in queries(x, COLOUR)])
    close(model(x, sigma), expected, 1e-6)  # the moves are float32
    close(model(x.float(), sigma), expected, 1e-4)


def test_without_moves_smoothed_is_optimal_and_seeds_differ(store: Store) -> None:
    x = noisy(TWELVE, 3, 0.5)
    optimal = fit("optimal", TWELVE, store)(x, 0.5)
    close(fit("smoothed:smoothing=0", TWELVE, store)(x, 0.5), optimal, 1e-12)
    one, other = (fit(f"smoothed:points=2,seed={seed}", TWELVE, store)(x, 2.0) for seed in (1, 2))
    assert (one - other).abs().max() > 1e-3


# --- which pixels


@pytest.mark.parametrize("images", [TWELVE, TWELVE_FLOATS])
@pytest.mark.parametrize("rule", ["row", "code"])
@pytest.mark.parametrize("tau", [0.0, 0.05, 0.4, 1.0])
def test_masks_equal_plain_rules(store: Store, images: Given, rule: str, tau: float) -> None:
    """From the covariance by a linear solve; one pixel of the float set never varies, so compares itself alone.

    Rows of the filter are float32: a weight within 1e-4 of the threshold may fall on either side of it.
    """
    plain = naive.row_rule if rule == "row" else naive.code_rule
    model = fit(f"pca_locality:tau={tau},mask_rule={rule}", images, store)
    assert isinstance(model, PcaLocalityDenoiser)
    for sigma in SIGMAS:
        field = naive.wiener_matrix(pictures(images), sigma)
        field[abs(field) < 1e-14] = 0.0
        fewest, most = (as_mask(plain(field, tau * near)) for near in (1 + 1e-4, 1 - 1e-4))
        found = model.mask(sigma)
        if tau > 0:
            assert (found >= fewest).all()
            assert (found <= most).all()
            assert int((fewest != most).sum()) <= 3
        assert found.diagonal().all()
        pixel = Pixel(2, 4)
        coords = torch.arange(images.shape.c) * 30 + 2 * 6 + 4
        assert torch.equal(model.pixel_masks(pixel, sigma), found[coords])


def test_the_two_rules_on_a_matrix_by_hand() -> None:
    """row: |W_qp| against W_qq. code: W_pq / W_pp against the largest of all, by columns."""
    field = torch.tensor([[1.0, -0.5, 0.0], [-0.5, 2.0, 0.9], [0.0, 0.9, 4.0]])
    row = threshold_mask(field, 0.4, "row")
    assert row.int().tolist() == [[1, 1, 0], [0, 1, 1], [0, 0, 1]]
    # R = [[1, -.5, 0], [-.25, 1, .45], [0, .225, 1]]; row q of the mask is column q of |R| >= .4
    assert threshold_mask(field, 0.4, "code").int().tolist() == [[1, 0, 0], [1, 1, 0], [0, 1, 1]]


def test_pixels_that_never_vary_compare_themselves_alone() -> None:
    """Their weight is zero: nothing is divided by it, and no other pixel compares them above tau 0."""
    field = torch.tensor([[1.0, 0.0, 0.3], [0.0, 0.0, 0.0], [0.3, 0.0, 1.0]])
    for rule in ("row", "code"):
        mask = threshold_mask(field, 0.2, rule)
        assert mask.int().tolist() == [[1, 0, 1], [0, 1, 0], [1, 0, 1]]


def test_smallest_sets_by_hand() -> None:
    heat = torch.tensor([[1.0, 4.0, 2.0, 3.0], [0.0, 0.0, 1.0, 0.0]])
    assert smallest_sets(heat, 0.4).int().tolist() == [[0, 1, 0, 0], [0, 0, 1, 0]]
    assert smallest_sets(heat, 0.5).int().tolist() == [[0, 1, 0, 1], [0, 0, 1, 0]]
    assert smallest_sets(heat, 0.95).int().tolist() == [[1, 1, 1, 1], [0, 0, 1, 0]]
    assert smallest_sets(heat, 1.0).all()


@pytest.mark.parametrize("share", [0.3, 0.7, 1.0])
@pytest.mark.parametrize("field", ["wiener", "network"])
def test_flexible_patches_equal_plain_sets(store: Store, field: str, share: float) -> None:
    network = SmallNetwork(COLOUR)
    text = f"pspc_flex:field={field},fraction={share}"
    model = fit(text, TWELVE, store, reference=network if field == "network" else None)
    assert isinstance(model, FlexiblePatchesDenoiser)
    for sigma in SIGMAS:
        if field == "wiener":
            rows = naive.wiener_matrix(pictures(TWELVE), sigma)
        else:
            rows = model.field.matrix(sigma).double().numpy()
        found = model.mask(sigma)
        assert torch.equal(found[:, :30], found[:, 30:])
        heat = np.abs(rows).reshape(2, 30, 2, 30).sum(axis=(0, 2))
        for pixel, held in enumerate(found[:, :30].numpy()):
            holds_the_most(heat[pixel] / heat[pixel].sum(), held, pixel, share)


def holds_the_most(heat: np.ndarray, held: np.ndarray, own: int, share: float) -> None:
    """The fewest pixels with `share` of the heat and the pixel itself, up to 1e-5: the filter's rows are float32."""
    others = np.delete(np.arange(len(heat)), own)
    inside, outside = heat[others[held[others]]], heat[others[~held[others]]]
    assert held[own]
    assert heat[held].sum() >= share - 1e-5
    if len(inside) and len(outside):
        assert outside.max() <= inside.min() + 1e-5
        assert heat[held].sum() - inside.min() < share + 1e-5 or heat[own] < inside.min()
    if share == 1.0:
        assert held.all()


def test_published_fractions_at_a_few_levels(store: Store) -> None:
    """18 steps of the EDM grid: all to step 6 (8.4), .7 at 5.32 and 3.26, .5 at 1.92, then .4, .3 below 0.1."""
    assert [round(sigma, 2) for sigma in edm_grid(18)[6:14]] == [8.4, 5.32, 3.26, 1.92, 1.09, 0.59, 0.3, 0.14]
    usual = fit("pspc_flex", TWELVE, store)
    assert isinstance(usual, FlexiblePatchesDenoiser)
    for sigma, share in {90.0: 1.0, 8.4: 1.0, 5.3: 0.7, 3.3: 0.7, 1.9: 0.5, 1.1: 0.4, 0.14: 0.4, 0.06: 0.3}.items():
        other = fit(f"pspc_flex:fraction={share}", TWELVE, store)
        assert isinstance(other, FlexiblePatchesDenoiser)
        assert torch.equal(usual.mask(sigma), other.mask(sigma))


# --- a network's field


def test_a_networks_field_is_its_averaged_jacobian(store: Store) -> None:
    """W / (1 + sigma^2) + ...: for a linear network the same at every draw; 8 bits a value."""
    network = SmallNetwork(COLOUR)
    model = fit("pca_locality:field=network", TWELVE, store, reference=network)
    assert isinstance(model, PcaLocalityDenoiser)
    assert isinstance(model.field, LearnedField)
    for sigma in LEARNED_SIGMAS:
        rows = field_rows(network, draw_inputs(TWELVE.x0().float()[:1], sigma, 0), torch.eye(COLOUR.d), sigma)[:, 0]
        found = model.field.matrix(sigma)
        assert (found - rows).abs().max() <= rows.abs().amax(dim=1).max() / 100
        close(model.field.rows(torch.tensor([3, 40]), sigma), found[[3, 40]], 0)
    low, high = LEARNED_SIGMAS[0], LEARNED_SIGMAS[1]
    nearer = (low * high) ** 0.5 * (0.99 if low < high else 1.01)
    assert torch.equal(model.field.matrix(nearer), model.field.matrix(low))


@pytest.mark.parametrize("name", ["pca_locality", "pspc_flex", "golddiff"])
def test_models_with_a_networks_field_name_it(store: Store, name: str) -> None:
    assert DENOISERS.parse(f"{name}:field=network,network=mine").network_needed() == "mine"
    assert DENOISERS.parse(f"{name}:field=network").network_needed() == "unet"
    assert DENOISERS.parse(f"{name}:network=mine").network_needed() == ""
    images = eight_bit(60)
    x = noisy(images, 1, 2.0)
    followed, other = (
        fit(f"{name}:field=network", images, store, reference=SmallNetwork(COLOUR, seed))(x, 2.0) for seed in (0, 9)
    )
    assert (followed - fit(name, images, store)(x, 2.0)).abs().max() > 1e-4
    assert (followed - other).abs().max() > 1e-4


# --- plain loops


@pytest.mark.parametrize("sigma", SIGMAS)
@pytest.mark.parametrize(
    ("text", "flips", "temperature", "batch"),
    [
        ("tau=0.05", False, 1.0, 0),
        ("tau=0.3,flips=true", True, 1.0, 0),
        ("tau=0.1,mask_rule=code", False, 1.0, 0),
        ("tau=0.05,temperature=2.5", False, 2.5, 0),
        ("tau=0.05,temperature=0.05", False, 0.05, 0),
        ("tau=0.05,softmax=batch,batch_size=5", False, 1.0, 5),
        ("tau=0.2,softmax=batch,batch_size=7,flips=true", True, 1.0, 7),
        ("tau=1,mask_rule=code,softmax=batch,batch_size=1", False, 1.0, 1),
    ],
)
def test_pca_locality_equals_a_plain_loop(
    store: Store, text: str, flips: bool, temperature: float, batch: int, sigma: float
) -> None:
    """8-bit images in float32 go through sums of whole numbers where those leave logits right to 0.001."""
    for images in (TWELVE, TWELVE_FLOATS):
        model = fit(f"pca_locality:{text}", images, store)
        sets = sets_of(model.mask(sigma))  # type: ignore[attr-defined]
        x, data = noisy(images, 2, sigma), pictures(images, flips=flips)
        answers = [naive.masked(q, data, sigma, sets, temperature, batch) for q in queries(x, images.shape)]
        close(model(x, sigma), stacked(answers), 1e-10)
        close(model(x.float(), sigma), stacked(answers), 1e-3 if images is TWELVE else 1e-4)


@pytest.mark.parametrize("sigma", SIGMAS)
@pytest.mark.parametrize("field", ["wiener", "network"])
@pytest.mark.parametrize("flips", [False, True])
def test_pspc_flex_equals_a_plain_loop(store: Store, field: str, flips: bool, sigma: float) -> None:
    network = SmallNetwork(COLOUR)
    text = f"pspc_flex:field={field},fraction=0.5,flips={flips}"
    model = fit(text, TWELVE, store, reference=network if field == "network" else None)
    assert isinstance(model, FlexiblePatchesDenoiser)
    sets = sets_of(model.mask(sigma).repeat(COLOUR.c, 1))
    x, data = noisy(TWELVE, 2, sigma), pictures(TWELVE, flips=flips)
    expected = stacked([naive.masked(q, data, sigma, sets) for q in queries(x, COLOUR)])
    close(model(x, sigma), expected, 1e-10)
    close(model(x.float(), sigma), expected, 1e-3)


@pytest.mark.parametrize("sigma", SIGMAS)
@pytest.mark.parametrize("flips", [False, True])
def test_golddiff_equals_a_plain_loop(store: Store, flips: bool, sigma: float) -> None:
    """Retrieval and softmax recomputed; the random order is that of the seed and the noise level."""
    images = eight_bit(60)
    model = fit(f"golddiff:tau=0.1,seed=3,flips={flips}", images, store)
    assert isinstance(model, GoldDiffDenoiser)
    x, data = noisy(images, 3, sigma, seed=8), pictures(images, flips=flips)
    generator = torch.Generator().manual_seed(3 * 1_000_003 + round(1e6 * sigma))
    order = torch.randperm(len(data), generator=generator).tolist()
    sets = sets_of(model.inner.mask(sigma))
    answers = []
    for number, query in enumerate(queries(x, COLOUR)):
        rows = naive.retrieved(query, data, sigma, order)
        assert model.retrieve(x[number], sigma).tolist() == rows
        assert model.retrieve(x[number].float(), sigma).tolist() == rows
        answers.append(naive.masked(query, data[rows], sigma, sets))
    close(model(x, sigma), stacked(answers), 1e-10)
    close(model(x.float(), sigma), stacked(answers), 1e-3)


@pytest.mark.parametrize("n", [1, 2, 9, 10, 19, 20, 40])
def test_golddiff_keeps_a_twentieth_to_a_tenth(store: Store, n: int) -> None:
    """max(1, n // 20) at no noise, max(1, n // 10) at full noise; one image is left of very small sets."""
    bank = DENOISERS.parse("golddiff").bank(floats(n), Compute())  # type: ignore[attr-defined]
    inner = fit("pca_locality", floats(40), store)
    assert isinstance(inner, PcaLocalityDenoiser)
    small = PcaLocalityDenoiser(bank, inner.field, 0.02, "row", 1.0, 0)
    x = noisy(floats(40), 1, 0.1)[0]
    kept = [len(GoldDiffDenoiser(small, 0).retrieve(x, sigma)) for sigma in (1e-4, 1e4)]
    assert kept == [max(1, n // 20), max(1, n // 10)]
    if n < 20:  # at no noise all are looked at
        answer = GoldDiffDenoiser(small, 0)(x[None], 1e-4)
        close(answer, floats(n).x0()[:1] if n == 1 else answer, 1e-6)
        assert torch.equal(GoldDiffDenoiser(small, 0).retrieve(floats(n).x0()[n - 1], 1e-4), torch.tensor([n - 1]))


# --- limits


@pytest.mark.parametrize("sigma", [0.02, 0.5, 5.0])
@pytest.mark.parametrize(
    "text",
    [
        "pca_locality:tau=0",
        "pca_locality:tau=0,mask_rule=code",
        "pca_locality:tau=0,field=network",
        "pspc_flex:fraction=1,flips=false",
        "pspc_flex:fraction=1,field=network,flips=false",
    ],
)
def test_masks_of_everything_are_the_optimal_denoiser(store: Store, text: str, sigma: float) -> None:
    """Also where a pixel never varies: whatever it compares, its answer is its one value."""
    for images in (TWELVE, TWELVE_FLOATS):
        x = noisy(images, 3, sigma)
        network = SmallNetwork(images.shape) if "network" in text else None
        found = fit(text, images, store, reference=network)(x, sigma)
        close(found, fit("optimal", images, store)(x, sigma), 1e-9)


@pytest.mark.parametrize("rule", ["row", "code"])
def test_a_field_of_one_pixel_is_the_posterior_mean_of_each_coordinate(rule: str) -> None:
    """M = I: sum_i softmax_i(-(x_q - x_iq)^2 / (2 sigma^2)) x_iq."""

    class Own:
        shape = GREY

        def matrix(self, sigma: float) -> Tensor:
            return torch.eye(GREY.d)

        def rows(self, coords: Tensor, sigma: float) -> Tensor:
            return torch.eye(GREY.d)[coords]

    bank = DENOISERS.parse("pca_locality").bank(TWELVE_FLOATS, Compute())  # type: ignore[attr-defined]
    model = PcaLocalityDenoiser(bank, Own(), 1.0, rule, 1.0, 0)
    x, x0 = noisy(TWELVE_FLOATS, 3, 0.4), TWELVE_FLOATS.x0()
    weights = torch.softmax(-((x[:, None] - x0) ** 2) / (2 * 0.4**2), dim=1)
    close(model(x, 0.4), (weights * x0).sum(dim=1), 1e-12)


@pytest.mark.parametrize("size", [12, 24, 1000])
def test_one_batch_is_the_exact_softmax(store: Store, size: int) -> None:
    x = noisy(TWELVE, 3, 0.5)
    exact = fit("pca_locality", TWELVE, store)(x, 0.5)
    found = fit(f"pca_locality:softmax=batch,batch_size={size}", TWELVE, store)(x, 0.5)
    assert torch.equal(found, exact) or (found - exact).abs().max() < 1e-12


def test_batches_that_do_not_fit_are_refused_with_those_that_would(store: Store) -> None:
    """Per image 8 bytes a value: 4 d + d of the answer + 256 for the noisy one."""
    text = "pca_locality:softmax=batch,batch_size=10"
    need = 8 * (5 * COLOUR.d + 256)
    model = fit(text, TWELVE, store, compute=Compute(memory=7 * need))
    message = r"A softmax over batches of 10 2x5x6 images needs .* Give at least 1 MB .*, or batch_size=7 at most\."
    with pytest.raises(TooLarge, match=message):
        model(noisy(TWELVE, 1, 0.5), 0.5)
    fitting = fit(text, TWELVE, store, compute=Compute(memory=10 * need))
    fitting(noisy(TWELVE, 1, 0.5), 0.5)


def test_another_noise_level_has_another_mask(store: Store) -> None:
    """The last plan is kept; going back gives the first answer again."""
    model = fit("pca_locality:tau=0.2", TWELVE, store)
    assert isinstance(model, PcaLocalityDenoiser)
    x = noisy(TWELVE, 2, 0.5)
    first = model(x, 0.5)
    plan = model.plan(0.5)
    assert model.plan(0.5) is plan
    model(x, 3.0)
    assert list(model.plans) == [3.0]
    assert torch.equal(model(x, 0.5), first)


# --- tau


@pytest.mark.parametrize(("data", "tau"), [("mnist", 0.005), ("cifar10", 0.05), ("afhqv2", 0.02), ("made", 0.02)])
@pytest.mark.parametrize("name", ["pca_locality", "golddiff"])
def test_published_thresholds(store: Store, name: str, data: str, tau: float) -> None:
    model = fit(name, eight_bit(12, name=data), store)
    inner = model.inner if isinstance(model, GoldDiffDenoiser) else model
    assert isinstance(inner, PcaLocalityDenoiser)
    assert inner.tau == tau
    assert {"fashion_mnist": 0.005, "celeba_hq": 0.02}.items() <= PUBLISHED_TAU.items()


@pytest.mark.parametrize("tau", ["-0.1", "1.5", "much", "nan", "inf", ""])
@pytest.mark.parametrize("name", ["pca_locality", "golddiff"])
def test_thresholds_outside_their_range_are_refused(store: Store, name: str, tau: str) -> None:
    message = rf"{name}:tau='{tau}' is not a threshold\. Give a number in \[0, 1\], or published\."
    with pytest.raises(BadInput, match=message):
        fit(f"{name}:tau={tau}", TWELVE, store)


# --- tiles


def dense(mask: Tensor, x: Tensor, x0: Tensor, sigma: float) -> Tensor:
    """sum_i softmax_i(-sum_p M_qp (x_p - x_ip)^2 / (2 sigma^2)) x_iq, all at once."""
    apart = (x[:, None] - x0).square() @ mask.double().T  # [b n d]
    return (torch.softmax(-apart / (2 * sigma**2), dim=1) * x0).sum(dim=1)


def masks() -> dict[str, Tensor]:
    """Square patterns of all kinds: [d d] on 5 x 6 images of two channels."""
    d = COLOUR.d
    generator = torch.Generator().manual_seed(0)
    at = torch.arange(d)
    row, col = at % 30 // 6, at % 6
    near = ((row[:, None] - row).abs() <= 1) & ((col[:, None] - col).abs() <= 1)
    sparse = torch.rand(d, d, generator=generator) < 0.1
    return {
        "everything": torch.ones(d, d).bool(),
        "identity": torch.eye(d).bool(),
        "windows": near,
        "sparse": sparse.fill_diagonal_(True),
        "nearly everything": torch.rand(d, d, generator=generator) < 0.97,
        "shared columns": near | (torch.arange(d) % 3 == 0),
        "half of the rows empty": near & (at % 2 == 0)[:, None],
    }


def multiplied(plan: MaskPlan) -> float:
    """Share of the dense product that is left, in [0, 1]."""
    size = sum(tile.rows.numel() for tile in plan.tiles) + (0 if plan.common is None else plan.common.numel())
    return size / (len(plan.outputs) * plan.outputs.numel())


@pytest.mark.parametrize("name", masks())
def test_tilings_equal_the_dense_product(name: str) -> None:
    """Coordinate by coordinate, for more queries than share one gathering."""
    mask = masks()[name]
    plan = MaskPlan.of(mask, torch.arange(COLOUR.d)[:, None], COLOUR)
    bank = DENOISERS.parse("optimal").bank(TWELVE, Compute())  # type: ignore[attr-defined]
    x = noisy(TWELVE, 12, 0.5).repeat(3, 1)
    close(masked_posterior(bank, plan, x, 0.5).mean(), dense(mask, x, TWELVE.x0(), 0.5), 1e-11)
    assert 0 <= multiplied(plan) <= 1 + len(plan.tiles) / COLOUR.d
    assert plan.support == pytest.approx(float(mask.sum(dim=1).double().mean()))


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("cuts", [[60], [1] * 60, [7, 53], [20, 20, 20]])
@pytest.mark.parametrize("name", ["windows", "shared columns", "nearly everything", "everything"])
def test_any_tiling_equals_the_dense_product(name: str, cuts: list[int], shared: bool) -> None:
    """Whatever the order of rows, the cuts between tiles, and whether common columns are set apart."""
    mask = masks()[name]
    order = torch.randperm(60, generator=torch.Generator().manual_seed(len(cuts)))
    tiles, start = [], 0
    for rows in mask[order].split(cuts):
        columns = (rows.any(dim=0) & ~(rows.all(dim=0) & shared)).nonzero().flatten()
        tiles.append(Tile(start, start + len(rows), columns, rows[:, columns].float()))
        start += len(rows)
    common = torch.stack([rows.all(dim=0) for rows in mask[order].split(cuts)]).float() if shared else None
    plan = MaskPlan(order[:, None], tiles, common, 20.0)
    bank = DENOISERS.parse("optimal").bank(TWELVE, Compute())  # type: ignore[attr-defined]
    x = noisy(TWELVE, 2, 0.5)
    close(masked_posterior(bank, plan, x, 0.5).mean(), dense(mask, x, TWELVE.x0(), 0.5), 1e-11)
    close(masked_posterior(bank, plan, x.float(), 0.5).mean(), dense(mask, x, TWELVE.x0(), 0.5), 1e-3)


def test_rows_may_answer_several_coordinates() -> None:
    """One row a pixel: both channels take its weights."""
    mask = masks()["windows"][:30]
    outputs = torch.arange(30)[:, None] + torch.tensor([0, 30])
    plan = MaskPlan.of(mask, outputs, COLOUR)
    bank = DENOISERS.parse("optimal").bank(TWELVE, Compute())  # type: ignore[attr-defined]
    x = noisy(TWELVE, 2, 0.5)
    close(masked_posterior(bank, plan, x, 0.5).mean(), dense(mask.repeat(2, 1), x, TWELVE.x0(), 0.5), 1e-11)


def test_sparse_masks_cost_little() -> None:
    """Windows of 3 x 3 in 24 x 24 images: a small part of the dense product is left."""
    shape = ImageShape(1, 24, 24)
    at = torch.arange(shape.d)
    near = ((at[:, None] // 24 - at // 24).abs() <= 1) & ((at[:, None] % 24 - at % 24).abs() <= 1)
    assert multiplied(MaskPlan.of(near, at[:, None], shape)) < 0.06
    everything = MaskPlan.of(torch.ones_like(near), at[:, None], shape)
    assert multiplied(everything) < 0.06  # one common row a tile
    assert everything.common is not None


# --- products


def integers(u: int, k: int) -> tuple[Tensor, Tensor]:
    """8-bit pixels [u k] and the same in [-1, 1], the extremes among them."""
    pixels = torch.randint(0, 256, (u, k), generator=torch.Generator().manual_seed(1))
    pixels[:, 0], pixels[:, 1] = 0, 255
    return pixels, pixels.float() / 127.5 - 1.0


@pytest.mark.parametrize("columns", [None, [], [4], [0, 7, 8, 30]])
@pytest.mark.parametrize("size", [0.3, 40.0])
def test_integer_products_are_exact_in_integers(columns: list[int] | None, size: float) -> None:
    """The code of x [15 bits], times pixels, less half the squares: recomputed with Python's whole numbers."""
    u, k, m = 40, 5, 3
    pixels, items = integers(u, k)
    x = size * torch.randn(2, u, generator=torch.Generator().manual_seed(2))
    chosen = torch.arange(u) if columns is None else torch.tensor(columns, dtype=torch.int64)
    rows = (torch.rand(m, len(chosen), generator=torch.Generator().manual_seed(3)) < 0.6).float()
    near = IntegerProducts(x, 2.0).of(items)(rows, None if columns is None else chosen)
    steps = [max(abs(value) for value in row) / (127 * 128 + 63) for row in x.double().tolist()]
    for b, i, j in np.ndindex(2, m, k):
        held = [p for p, inside in zip(chosen.tolist(), rows[i].tolist(), strict=True) if inside]
        code = {p: round(float(x[b, p]) / steps[b]) for p in held}
        centred = {p: int(pixels[p, j]) - 128 for p in held}
        product = sum(code[p] * centred[p] for p in held) * steps[b] / 127.5
        square = sum(centred[p] * (centred[p] + 1) for p in held) / 127.5**2
        expected = 2.0 * (product - square / 2)
        assert float(near[b, i, j]) == pytest.approx(expected, rel=2e-6, abs=2e-5 * (1 + size))


@pytest.mark.parametrize("noise", [0.4, 1.0, 10.0, 80.0])
def test_integer_products_agree_with_floats(noise: float) -> None:
    """Up to a constant of each row; to 0.002 of a logit (more than products_for asks for), three deviations wide."""
    u, k = 300, 17
    _, items = integers(u, k)
    x = items[:, :2].T * 0.5 + noise * torch.randn(2, u, generator=torch.Generator().manual_seed(2))
    rows = (torch.rand(5, u, generator=torch.Generator().manual_seed(3)) < 0.5).float()
    exact = FloatProducts(x.double(), 1 / noise**2).of(items.double())(rows, None)
    found = IntegerProducts(x, 1 / noise**2).of(items)(rows, None).double()
    difference = found - exact
    difference = difference - difference.mean(dim=2, keepdim=True)
    assert difference.abs().max() < 6e-3


def test_float_products_by_hand() -> None:
    x, items = torch.tensor([[1.0, 2.0, 3.0]]), torch.tensor([[0.5, 1.0], [1.0, 0.0], [2.0, -1.0]])
    rows = torch.tensor([[1.0, 1.0], [0.0, 1.0]])
    near = FloatProducts(x, 2.0).of(items)(rows, torch.tensor([0, 2]))
    # 2 (x.x_k - |x_k|^2 / 2) over columns 0 and 2, and over column 2
    assert near.tolist() == [[[2 * (6.5 - 2.125), 2 * (-2.0 - 1.0)], [2 * (6.0 - 2.0), 2 * (-3.0 - 0.5)]]]


@pytest.mark.parametrize("fast", [True, False])
def test_integers_serve_where_they_are_exact_enough_and_fast(monkeypatch: pytest.MonkeyPatch, fast: bool) -> None:
    """8-bit images, float32, no gradient, and noise high enough; low temperatures count as low noise."""
    monkeypatch.setattr("locality.denoisers.parts.products.fast_integers", lambda kind: fast and kind == "cpu")
    x = torch.zeros(1, 4)

    def kind(x: Tensor = x, sigma: float = 4.0, noise: float = 4.0, *, is_8bit: bool = True) -> type:
        return type(products_for(x, sigma, noise, 1000.0, is_8bit=is_8bit)(x))

    assert kind() is (IntegerProducts if fast else FloatProducts)
    assert kind(is_8bit=False) is FloatProducts
    assert kind(x.double()) is FloatProducts
    assert kind(x.clone().requires_grad_(True)) is FloatProducts
    assert kind(sigma=0.1, noise=0.1) is FloatProducts
    assert kind(sigma=10.0, noise=1.0) is FloatProducts  # T = 0.01: x reaches 46, not 5.5
    assert kind(sigma=10.0, noise=10.0) is (IntegerProducts if fast else FloatProducts)


# --- banks


def test_banks_choose_their_images() -> None:
    """Classes first, then the first so many of them; mirrored ones behind; numbers are those of the training set."""
    images = eight_bit(12)  # classes 0, 1, 3, 0, 1, 3, ...

    def bank(options: str) -> Bank:
        made: Bank = DENOISERS.parse(f"optimal:{options}").bank(images, Compute())  # type: ignore[attr-defined]
        return made

    x0 = images.x0()
    close(bank("first=5").whole(), x0[:5], 1e-15)
    chosen = bank("classes=3-0,first=5,flips=true")
    rows = [0, 2, 3, 5, 6]
    assert chosen.rows.tolist() == rows
    mirrored = x0[rows].reshape(5, *COLOUR).flip(3).flatten(1)
    close(chosen.whole(), torch.cat([x0[rows], mirrored]), 1e-15)
    assert len(chosen) == 10
    assert [part.tolist() for part in chosen.origin(torch.tensor([4, 5]))] == [[6, 0], [False, True]]
    close(chosen.pick(torch.tensor([1, 8])).whole(), torch.stack([x0[2], mirrored[3]]), 1e-15)
    coords = torch.tensor([0, 7, 59])
    close(torch.cat(list(chosen.columns(coords, 2, torch.float64))), chosen.whole()[:, coords], 1e-15)
    assert len(list(chosen.chunks(3))) == chosen.count(3) == 4


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("first=13", r"first=13: made has 12 training images to choose from\. Give 1\.\.12, or 0 for all\."),
        ("classes=0,first=5", r"first=5: made has 4 training images to choose from\. Give 1\.\.4"),
        ("classes=2", r"classes: no training image of made has 2\. Give 0, 1, 3\."),
        ("classes=0-7", r"classes: no training image of made has 7\. Give 0, 1, 3\."),
        ("first=-1", r"first=-1 is outside \[0, inf\]"),
        ("classes=0--1", r"classes='0--1' is not whole numbers joined by '-'"),
    ],
)
@pytest.mark.parametrize("name", ["optimal", "els", "pca_locality"])
def test_images_that_do_not_exist_are_refused(store: Store, name: str, options: str, message: str) -> None:
    with pytest.raises(BadInput, match=rf"{name}:{message}"):
        fit(f"{name}:{options}", TWELVE, store)


def test_classes_need_labels(store: Store) -> None:
    bare = given(TWELVE.data.data, COLOUR)
    message = r"optimal:classes: made has no class labels\. Leave classes empty\."
    with pytest.raises(BadInput, match=message):
        fit("optimal:classes=1", bare, store)
