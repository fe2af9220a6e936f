"""ls, els, bbels, pspc_square: against plain loops, in worlds with closed forms, in their limits; their windows."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from locality.denoisers import DENOISERS
from locality.denoisers.bbels import BorderDenoiser
from locality.denoisers.els import EquivariantDenoiser
from locality.denoisers.ls import KAMB_GANGULI, LocalScoreDenoiser
from locality.denoisers.parts.bank import AveragingSpec
from locality.denoisers.parts.boxes import cut_bands, inner_bands, round_bands
from locality.denoisers.parts.turned import turned_posterior
from locality.denoisers.parts.windows import WindowSchedule, weights_digest
from locality.denoisers.pspc_square import SquarePatches, SquarePatchesDenoiser
from locality.device import Compute
from locality.errors import BadInput
from locality.schedule import ddpm_grid, log_grid, nearest_level
from locality.store import Store
from locality.types import Denoiser, ImageShape, Pixel
from tests import naive
from tests.problems import Lattice, Single, TwoPoints
from tests.small_sets import COLOUR, Given, SmallNetwork, close, eight_bit, fit, floats, given, noisy, pictures

pytestmark = pytest.mark.usefixtures("one_thread")

Maker = Callable[..., Denoiser]
SMALL = eight_bit(6)
SIGMAS = (0.25, 1.2)
MODELS: dict[str, tuple[Maker, Callable[..., np.ndarray]]] = {
    "ls": (LocalScoreDenoiser, naive.local_score),
    "els": (EquivariantDenoiser, naive.equivariant),
    "bbels": (BorderDenoiser, naive.border_aware),
    "pspc_square": (SquarePatchesDenoiser, naive.square_patches),
}
# 5 x 6 images: every odd size to the largest one that says something new, and the whole image.
CASES = [
    *(("ls", size) for size in (1, 3, 5, 7, 9, 11)),
    *(("els", size) for size in (1, 3, 5, 6, 7, 11)),
    *(("bbels", size) for size in (1, 3, 5, 7)),
    *(("pspc_square", size) for size in (1, 2, 3, 4, 5)),
]


def made(name: str, images: Given, size: int, *, flips: bool = False) -> Denoiser:
    """A model with one window, of any size its schedule could hold."""
    spec = DENOISERS.parse(f"{name}:flips={flips}")
    assert isinstance(spec, AveragingSpec)
    return MODELS[name][0](spec.bank(images, Compute()), WindowSchedule((1.0,), (size,)))


def by_loops(
    answer: Callable[..., np.ndarray], x: Tensor, shape: ImageShape, images: np.ndarray, *rest: float
) -> Tensor:
    return torch.stack(
        [torch.from_numpy(answer(one.numpy(), images, *rest)).flatten() for one in x.reshape(-1, *shape)]
    )


# --- plain loops


@pytest.mark.parametrize("sigma", SIGMAS)
@pytest.mark.parametrize(("name", "size"), CASES)
def test_models_equal_plain_loops(name: str, size: int, sigma: float) -> None:
    """To rounding in float64; in float32 logits of size 100 keep five digits after the point."""
    flips = size % 4 == 3  # 3, 7, 11: mirrored images too
    model = made(name, SMALL, size, flips=flips)
    x = noisy(SMALL, 2, sigma)
    expected = by_loops(MODELS[name][1], x, COLOUR, pictures(SMALL, flips=flips), sigma, size)
    close(model(x, sigma), expected, 1e-10)
    close(model(x.float(), sigma), expected, 1e-4)


@pytest.mark.parametrize(("name", "size"), [("els", 1), ("els", 3), ("els", 5), ("bbels", 1), ("bbels", 3)])
def test_both_ways_to_compare_all_patches_agree(name: str, size: int) -> None:
    """All pairs by one product, and map by map: bbels at 5 would be ls, so only its smaller sizes."""
    model = made(name, floats(9), size)
    assert isinstance(model, EquivariantDenoiser)
    x = noisy(floats(9), 3, 0.4)
    close(model.by_shifts(x, 0.4, size).mean(), model.by_patches(x, 0.4, size).mean(), 1e-10)


@pytest.mark.parametrize(("name", "size"), [("els", 3), ("bbels", 3)])
def test_shifts_equal_plain_loops(name: str, size: int) -> None:
    model = made(name, SMALL, size)
    assert isinstance(model, EquivariantDenoiser)
    x = noisy(SMALL, 2, 0.4)
    close(model.by_shifts(x, 0.4, size).mean(), by_loops(MODELS[name][1], x, COLOUR, pictures(SMALL), 0.4, size), 1e-10)


@pytest.mark.parametrize("sigma", [0.05, 0.4, 8.0])
def test_whole_images_turned_by_transforms_are_those_of_all_shifts(sigma: float) -> None:
    model = made("els", SMALL, 7, flips=True)
    assert isinstance(model, EquivariantDenoiser)
    assert model.is_whole(7)
    assert not model.is_whole(5)
    x = noisy(SMALL, 3, sigma).requires_grad_(True)
    found = turned_posterior(model.bank, x, sigma).mean()
    expected = model.by_shifts(x, sigma, 7).mean()
    close(found, expected, 1e-9)
    direction = noisy(SMALL, 3, 1.0)
    ours, theirs = (torch.autograd.grad((each * direction).sum(), x)[0] for each in (found, expected))
    close(ours, theirs, 1e-7)


# --- closed forms


@pytest.mark.parametrize("sigma", [0.3, 1.0])
@pytest.mark.parametrize(
    "text",
    [
        "optimal",
        "ls:window=1",
        "ls:window=3",
        "els:window=1",
        "els:window=3",
        "bbels:window=1",
        "pspc_square:window=1",
        "pspc_square:window=2,flips=false",
        "pspc_flex:fraction=0.5,flips=false",
        "pca_locality:tau=0",
        "pca_locality:tau=1",
    ],
)
def test_on_a_lattice_every_local_model_is_exact(store: Store, text: str, sigma: float) -> None:
    """Pixels know nothing of each other, so every window gives the same closed form."""
    world = Lattice(ImageShape(1, 2, 3), 0.8)
    images = given(world.points().float(), world.shape)
    x = torch.randn(4, world.shape.d, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    close(fit(text, images, store)(x, sigma), world(x, sigma), 1e-7)  # 0.8 in float32


@pytest.mark.parametrize("sigma", [0.3, 1.0, 5.0])
def test_two_points(store: Store, sigma: float) -> None:
    """a tanh(a.x / sigma^2), a and x cut to what each model compares."""
    shape = ImageShape(1, 3, 3)
    point = torch.randn(shape.d, generator=torch.Generator().manual_seed(2)).double()
    world = TwoPoints(shape, point)
    images = given(world.points().float(), shape)
    x = torch.randn(4, shape.d, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    for text in ("optimal", "ls:window=5", "pspc_square:window=3,flips=false", "pca_locality:tau=0"):
        close(fit(text, images, store)(x, sigma), world(x, sigma), 1e-7)
    own = point * torch.tanh(point * x / sigma**2)
    for text in ("ls:window=1", "pspc_square:window=1,flips=false"):
        close(fit(text, images, store)(x, sigma), own, 1e-7)
    near = torch.zeros(9, 9, dtype=torch.float64)
    for i, j in np.ndindex(9, 9):
        near[i, j] = float(abs(i // 3 - j // 3) <= 1 and abs(i % 3 - j % 3) <= 1)
    expected = point * torch.tanh((x * point) @ near / sigma**2)
    close(fit("ls:window=3", images, store)(x, sigma), expected, 1e-7)


@pytest.mark.parametrize("text", ["optimal", "nearest", "smoothed", "ls:window=3", "pspc_square:window=3,flips=false"])
def test_one_image_is_the_answer(store: Store, text: str) -> None:
    shape = ImageShape(1, 3, 3)
    world = Single(shape, torch.linspace(-0.9, 0.9, 9, dtype=torch.float64))
    model = fit(text, given(world.points().float(), shape), store)
    x = torch.randn(4, shape.d, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    for sigma in (0.01, 1.0, 100.0):
        close(model(x, sigma), world(x, sigma), 1e-6)


# --- limits


@pytest.mark.parametrize("sigma", [0.02, 0.5, 3.0])
@pytest.mark.parametrize("flips", [False, True])
def test_the_largest_windows_are_the_optimal_denoiser(store: Store, sigma: float, flips: bool) -> None:
    square = eight_bit(20, ImageShape(2, 6, 6))
    x = noisy(square, 3, sigma)
    optimal = fit(f"optimal:flips={flips}", square, store)(x, sigma)
    for text in ("ls:window=11", "pspc_square:window=6"):
        close(fit(f"{text},flips={flips}", square, store)(x, sigma), optimal, 1e-9)


@pytest.mark.parametrize("sigma", [0.2, 1.0])
def test_the_whole_torus_is_optimal_over_all_shifts(store: Store, sigma: float) -> None:
    shape = ImageShape(2, 4, 5)
    images = eight_bit(5, shape)
    stacked = images.data.data.reshape(-1, *shape)
    shifts = torch.cat([stacked.roll((i, j), dims=(2, 3)) for i in range(4) for j in range(5)]).flatten(1)
    x = noisy(images, 3, sigma)
    expected = fit("optimal", given(shifts, shape), store)(x, sigma)
    for size in (5, 7, 9):
        close(made("els", images, size)(x, sigma), expected, 1e-10)


def test_on_the_torus_shifting_the_input_shifts_the_answer(store: Store) -> None:
    model, x = made("els", SMALL, 3), noisy(SMALL, 1, 0.4)

    def shifted(flat: Tensor) -> Tensor:
        return flat.reshape(-1, *COLOUR).roll((2, -1), dims=(2, 3)).flatten(1)

    close(model(shifted(x), 0.4), shifted(model(x, 0.4)), 1e-12)


@pytest.mark.parametrize("size", [5, 7])
def test_windows_as_large_as_the_image_make_bbels_ls(size: int) -> None:
    x = noisy(SMALL, 3, 0.4)
    assert torch.equal(made("bbels", SMALL, size)(x, 0.4), made("ls", SMALL, size)(x, 0.4))


def test_windows_of_one_pixel_know_no_border() -> None:
    x = noisy(SMALL, 3, 0.4)
    close(made("bbels", SMALL, 1)(x, 0.4), made("els", SMALL, 1)(x, 0.4), 1e-12)


# --- bands


def test_bands_by_hand() -> None:
    assert cut_bands(4, 3).tolist() == [[1, 1, 0, 0], [1, 1, 1, 0], [0, 1, 1, 1], [0, 0, 1, 1]]
    assert inner_bands(4, 3).tolist() == [[1, 1, 1, 0], [0, 1, 1, 1]]
    assert round_bands(4, 3).tolist() == [[1, 1, 0, 1], [1, 1, 1, 0], [0, 1, 1, 1], [1, 0, 1, 1]]
    assert round_bands(4, 4).tolist() == round_bands(4, 7).tolist() == [[1] * 4] * 4


# --- how windows follow the noise


def test_between_levels_the_nearest_in_ln_sigma_counts() -> None:
    schedule = WindowSchedule((0.1, 1.0, 10.0), (3, 5, 7))
    assert [schedule.at(s) for s in (1e-6, 0.31, 0.32, 3.1, 3.2, 1e6)] == [3, 3, 5, 5, 7, 7]
    assert nearest_level([80.0, 1.0], 2.0) == 1


@pytest.mark.parametrize("name", ["ls", "pspc_square"])
def test_greedy_windows_equal_a_plain_search(store: Store, name: str) -> None:
    """The last half, at most 16, judges the others; noise of judge i from seed i; ten levels from 0.01 to 80.

    Three kinds of images with little noise of their own: far pixels help where the noise is high.
    """
    shape = ImageShape(1, 5, 6)
    generator = torch.Generator().manual_seed(0)
    kinds, rough = torch.randn(3, shape.d, generator=generator), torch.randn(18, shape.d, generator=generator)
    images = given(0.5 * kinds.repeat(6, 1) + 0.15 * rough, shape)
    model = fit(name, images, store)
    assert isinstance(model, LocalScoreDenoiser | SquarePatchesDenoiser)
    x0 = pictures(images)
    eps = [torch.randn(shape.d, generator=torch.Generator().manual_seed(i)).reshape(shape).numpy() for i in range(9)]
    sizes = naive.greedy_windows(
        lambda x, sigma, size: MODELS[name][1](x, x0[:9], sigma, size),
        x0[9:],
        np.array(eps),
        log_grid(0.01, 80.0, 10),
        11 if name == "ls" else 5,
    )
    assert model.windows.sizes == tuple(sizes)
    assert model.windows.sigmas == tuple(log_grid(0.01, 80.0, 10))
    assert len(set(sizes)) > 1  # the search has something to find here


def test_greedy_windows_never_shrink_and_are_searched_once(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """els and bbels take those of ls from the store, whatever part of the images they average."""
    found = fit("ls", SMALL, store)
    assert isinstance(found, LocalScoreDenoiser)
    assert list(found.windows.sizes) == sorted(found.windows.sizes)

    def never(*_: object) -> None:
        raise AssertionError("searched again")

    monkeypatch.setattr("locality.denoisers.parts.windows.greedy", never)
    for text in ("ls", "els:first=3", "bbels:flips=true"):
        model = fit(text, SMALL, store)
        assert isinstance(model, LocalScoreDenoiser | EquivariantDenoiser)
        assert model.windows == found.windows
    with pytest.raises(AssertionError, match="searched again"):
        fit("ls", floats(), store)


def test_one_image_is_too_little_to_search_on(store: Store) -> None:
    with pytest.raises(BadInput, match=r"window=greedy needs at least 2 training images; made has 1\. Give a size\."):
        fit("ls", eight_bit(1), store)


@pytest.mark.parametrize(
    ("text", "data", "expected"),
    [
        # sigma = tan(pi t / 2.016) at t = 1/20, 10/20, 17/20, 20/20; between the first two and outside
        ("ls:window=published", "mnist", {0.078: 3, 0.987: 9, 4.04: 23, 80: 27, 0.11: 3, 1e-3: 3, 1e3: 27}),
        ("els:window=published", "cifar10", {0.078: 3, 0.987: 7, 4.04: 13, 80: 25}),
        ("bbels:window=published_unet", "fashion_mnist", {0.078: 3, 0.987: 11, 4.04: 25, 80: 25}),
        ("ls:window=published_resnet", "cifar10", {0.078: 3, 0.987: 7, 4.04: 15, 80: 17}),
    ],
)
def test_published_windows_at_a_few_levels(store: Store, text: str, data: str, expected: dict[float, int]) -> None:
    model = fit(text, eight_bit(6, name=data), store)
    assert isinstance(model, LocalScoreDenoiser | EquivariantDenoiser)
    assert {sigma: model.windows.at(sigma) for sigma in expected} == expected


def test_published_square_patches_at_a_few_levels() -> None:
    """18 steps of the EDM grid: 80, 57.6, 40.8, 28.4, 19.4, 12.9, 8.4, 5.32, 3.26, 1.92, 1.09, 0.585, 0.296, ..."""
    found = SquarePatches.published["cifar10", "unet"]
    assert found.sizes == (32,) * 7 + (23, 15, 11, 7, 5) + (3,) * 6
    wanted = {100: 32, 80: 32, 8.4: 32, 5.315: 23, 3.257: 15, 1.923: 11, 1.088: 7, 0.5853: 5, 0.2964: 3, 0.001: 3}
    assert {sigma: found.at(sigma) for sigma in wanted} == wanted


@pytest.mark.parametrize(
    ("text", "data", "known"),
    [
        ("ls:window=published", "made", r"ls: no window list is published for made \(unet\), only for cifar10"),
        ("els:window=published_resnet", "mnist", r"els: no window list is published for mnist \(resnet\), only for"),
        (
            "pspc_square:window=published",
            "mnist",
            r"pspc_square: .* for mnist \(unet\), only for cifar10 \(unet\)\.",
        ),
        (
            "pspc_square:window=published_resnet",
            "cifar10",
            r"for cifar10 \(resnet\), only for cifar10 \(unet\)\.",
        ),
        ("ls:window=publishedx", "cifar10", r"published for cifar10 \(x\), only for"),
    ],
)
def test_lists_nobody_published_are_refused(store: Store, text: str, data: str, known: str) -> None:
    with pytest.raises(BadInput, match=known):
        fit(text, eight_bit(6, name=data), store)


@pytest.mark.parametrize(
    ("text", "allowed"),
    [
        ("ls:window=4", r"1\.\.11, or greedy, published, calibrated\."),
        ("ls:window=6", r"1\.\.11, or greedy"),
        ("ls:window=13", r"1\.\.11, or greedy"),
        ("ls:window=0", r"1\.\.11, or greedy"),
        ("ls:window=-3", r"1\.\.11, or greedy"),
        ("ls:window=large", r"1\.\.11, or greedy"),
        ("ls:window=3.0", r"1\.\.11, or greedy"),
        ("els:window=4", r"1\.\.5, the whole image \(6\), or greedy"),
        ("els:window=7", r"1\.\.5, the whole image \(6\), or greedy"),
        ("bbels:window=6", r"1\.\.5, or greedy"),
        ("pspc_square:window=4", r"1\.\.5, or greedy"),
        ("pspc_square:window=6", r"1\.\.5, or greedy"),
    ],
)
def test_windows_that_do_not_fit_are_refused(store: Store, text: str, allowed: str) -> None:
    name, _, window = text.partition(":window=")
    message = rf"{name}:window='{window}' is not a window of 5x6 images\. Give an odd number {allowed}"
    with pytest.raises(BadInput, match=message):
        fit(text, SMALL, store)


@pytest.mark.parametrize(("name", "text"), [("els", "els:window=8"), ("pspc_square", "pspc_square:window=8")])
def test_the_whole_image_may_be_even(store: Store, name: str, text: str) -> None:
    square = eight_bit(6, ImageShape(1, 8, 8))
    x = noisy(square, 2, 0.5)
    close(fit(text, square, store)(x, 0.5), made(name, square, 8, flips=name == "pspc_square")(x, 0.5), 1e-12)


# --- calibrated on a network


@pytest.mark.parametrize("name", ["ls", "els", "bbels", "pspc_square"])
def test_calibrated_windows_name_their_network(name: str) -> None:
    assert DENOISERS.parse(f"{name}:window=calibrated,network=mine").network_needed() == "mine"
    assert DENOISERS.parse(f"{name}:window=calibrated").network_needed() == "unet"
    assert DENOISERS.parse(f"{name}:window=greedy,network=mine").network_needed() == ""


@pytest.mark.parametrize("size", [3, 5, 11])
def test_calibration_finds_the_window_of_a_network_that_is_a_local_model(store: Store, size: int) -> None:
    """The network is ls itself: at low noise, where windows differ, its own size has cosine 1."""
    images = eight_bit(30)

    class Secretly(SmallNetwork):
        def __call__(self, x: Tensor, sigma: float) -> Tensor:
            return made("ls", images, size)(x, sigma)

    model = fit("ls:window=calibrated", images, store, reference=Secretly(COLOUR, seed=size))
    assert isinstance(model, LocalScoreDenoiser)
    assert model.windows.sigmas == tuple(ddpm_grid(10))
    apart = {
        sigma: float((made("ls", images, size)(x, sigma) - made("ls", images, other)(x, sigma)).abs().max())
        for sigma in ddpm_grid(10)
        for other in (3, 5, 7, 9, 11)
        if other != size and (x := noisy(images, 2, sigma)) is not None
    }
    telling = [sigma for sigma, change in apart.items() if change > 0.05]
    assert len(telling) >= 3
    assert {model.windows.at(sigma) for sigma in telling} == {size}


def test_calibrated_windows_are_kept_by_the_weights(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    network, other = SmallNetwork(COLOUR), SmallNetwork(COLOUR, seed=1)
    first = fit("pspc_square:window=calibrated", SMALL, store, reference=network)
    assert isinstance(first, SquarePatchesDenoiser)

    def never(*_: object) -> None:
        raise AssertionError("calibrated again")

    monkeypatch.setattr("locality.denoisers.parts.windows.calibrated", never)
    again = fit("pspc_square:window=calibrated", SMALL, store, reference=SmallNetwork(COLOUR))
    assert isinstance(again, SquarePatchesDenoiser)
    assert again.windows == first.windows
    with pytest.raises(AssertionError, match="calibrated again"):
        fit("pspc_square:window=calibrated", SMALL, store, reference=other)


def test_digests_of_weights_see_every_value_and_its_place() -> None:
    network, same, swapped = (SmallNetwork(COLOUR) for _ in range(3))
    assert weights_digest(network) == weights_digest(same)
    with torch.no_grad():  # the same values, sum and norm
        swapped.net.weight.copy_(swapped.net.weight.flip(0))
    assert weights_digest(swapped) != weights_digest(network)


# --- evidence


@pytest.mark.parametrize(
    ("name", "size", "rows", "cols"),
    [
        ("ls", 3, [0, 1], [4, 5]),
        ("ls", 11, range(5), range(6)),
        ("els", 3, [4, 0, 1], [4, 5, 0]),
        ("els", 6, range(5), range(6)),
        ("bbels", 3, [0, 1], [4, 5]),
        ("pspc_square", 3, [0, 1, 2], [3, 4, 5]),
        ("pspc_square", 1, [0], [5]),
    ],
)
def test_the_window_of_a_corner(name: str, size: int, rows: list[int], cols: list[int]) -> None:
    """Cut at the border, around the torus, or all patches inside the image that cover the pixel."""
    expected = torch.zeros(5, 6)
    expected[torch.tensor(list(rows))[:, None], torch.tensor(list(cols))] = 1.0
    x = noisy(SMALL, 1, 0.5)[0]
    assert torch.equal(made(name, SMALL, size).explain(x, Pixel(0, 5), 0.5).window, expected)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("pixel", "rows", "cols"),
    [
        (Pixel(2, 3), {1, 2, 3}, {1, 2, 3, 4}),
        (Pixel(0, 3), {0}, {1, 2, 3, 4}),
        (Pixel(3, 5), {1, 2, 3}, {5}),
        (Pixel(4, 0), {4}, {0}),
    ],
)
def test_patches_come_from_places_of_the_same_border_type(pixel: Pixel, rows: set[int], cols: set[int]) -> None:
    found = made("bbels", SMALL, 3).explain(noisy(SMALL, 1, 3.0)[0], pixel, 3.0, top=10**6)  # type: ignore[attr-defined]
    places = found.places[found.weights > 0]
    assert {tuple(place) for place in places.tolist()} == {(row, col) for row in rows for col in cols}


def test_a_patch_is_found_where_it_was_cut_out(store: Store) -> None:
    """Image 4 moved by two rows and a column, mirrored: els names image, place and mirror."""
    x0 = SMALL.x0().reshape(-1, *COLOUR)
    x = x0[4].flip(2).roll((2, 1), dims=(1, 2)).flatten()
    found = made("els", SMALL, 5, flips=True).explain(x, Pixel(3, 3), 0.05)  # type: ignore[attr-defined]
    assert found.rows[0] == 4
    assert bool(found.flipped[0])
    assert found.places[0].tolist() == [1, 2]
    assert found.weights[0] > 0.99
    assert found.effective < 1.1


def test_published_levels_follow_the_papers_clock() -> None:
    """sigma = tan(pi t / 2.016): at t = 1 it is about 80."""
    found = KAMB_GANGULI["mnist", "unet"]
    assert found.sigmas[0] == pytest.approx(math.tan(math.pi * 0.05 / 2.016), rel=1e-12)
    assert found.sigmas[-1] == pytest.approx(80.2, abs=0.1)
    assert len(found.sigmas) == len(found.sizes) == 20
