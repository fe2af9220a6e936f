"""Samplers: diffusers' DDIM, the closed-form Gaussian flow, noise per image, steps as they are ready, refusals."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial

import pytest
import torch
from diffusers import DDIMScheduler
from torch import Tensor

from locality.errors import BadInput, UnknownName
from locality.noise import unit_noise
from locality.sampler import STARTS, Step, ddim, heun, initial, start_noise
from locality.schedule import ddpm_alpha_bar, ddpm_grid, edm_grid, log_grid
from locality.types import ImageShape
from tests.problems import Gaussian, Lattice, Single, TwoPoints, World

SHAPE = ImageShape(2, 2, 3)
GRID = [5.0, 2.0, 0.9, 0.3]
SAMPLERS: dict[str, Callable[..., Iterator[Step]]] = {"ddim": ddim, "ancestral": partial(ddim, eta=1.0), "heun": heun}
every_sampler = pytest.mark.parametrize("sampler", SAMPLERS.values(), ids=SAMPLERS)
every_flow = pytest.mark.parametrize("sampler", [ddim, heun])


def curved(step: float = 1.3) -> Lattice:
    """Not linear, and answers outside [-1, 1], so that clipping matters."""
    return Lattice(SHAPE, step)


def start(count: int, sigma: float, seed: int = 0) -> Tensor:
    """Float64, so that what is compared is the formula and not its rounding."""
    return initial(start_noise(SHAPE, count, seed).double(), sigma, "ddpm")


def pair() -> TwoPoints:
    return TwoPoints(SHAPE, torch.linspace(-1.5, 1.2, SHAPE.d, dtype=torch.float64))


@dataclass
class Counting:
    """Counts its calls and remembers whether gradients were on."""

    world: World
    sigmas: list[float] = field(default_factory=list)
    grads: list[bool] = field(default_factory=list)

    @property
    def shape(self) -> ImageShape:
        return self.world.shape

    def __call__(self, x: Tensor, sigma: float) -> Tensor:
        self.sigmas.append(sigma)
        self.grads.append(torch.is_grad_enabled())
        return self.world(x, sigma)


def diffusers_scheduler(clip: bool) -> DDIMScheduler:
    scheduler = DDIMScheduler(
        num_train_timesteps=1000,
        beta_start=1e-4,
        beta_end=2e-2,
        beta_schedule="linear",
        trained_betas=None,
        clip_sample=clip,
        clip_sample_range=1.0,
        set_alpha_to_one=True,
        steps_offset=0,
        prediction_type="epsilon",
        thresholding=False,
        timestep_spacing="leading",
        rescale_betas_zero_snr=False,
    )
    scheduler.set_timesteps(10)
    # Its table is float32, up to a thousand factors and products rounded to 6e-8 each: ours agrees with it, and as
    # float64 it lets every later digit be compared.
    torch.testing.assert_close(scheduler.alphas_cumprod.double(), ddpm_alpha_bar(), rtol=1.2e-4, atol=0)
    scheduler.alphas_cumprod = ddpm_alpha_bar()
    scheduler.final_alpha_cumprod = torch.ones((), dtype=torch.float64)
    return scheduler


@pytest.mark.parametrize("world", [curved(), pair(), Gaussian.random(SHAPE)], ids=["lattice", "pair", "gaussian"])
@pytest.mark.parametrize("eta", [0.0, 0.7, 1.0])
@pytest.mark.parametrize("clip", [True, False])
def test_ddim_is_the_one_of_diffusers(world: World, clip: bool, eta: float) -> None:
    sigmas, scheduler = ddpm_grid(10), diffusers_scheduler(clip)
    x_T = start(4, sigmas[0])
    steps = list(ddim(world, x_T, sigmas, clip=clip, eta=eta, seed=3))
    assert len(steps) == len(scheduler.timesteps) == 10
    x_t = start_noise(SHAPE, 4, 0).double()  # the "ddpm" start is x_t ~ N(0, I)
    for step, t in zip(steps, scheduler.timesteps.tolist(), strict=True):
        bar = float(ddpm_alpha_bar()[t])
        assert step.sigma == pytest.approx(math.sqrt((1 - bar) / bar), rel=1e-12)
        torch.testing.assert_close(math.sqrt(bar) * step.x, x_t, rtol=0, atol=1e-12)
        x0_hat = world(x_t / math.sqrt(bar), step.sigma)
        torch.testing.assert_close(step.x0_hat, x0_hat, rtol=0, atol=1e-12)
        eps = (x_t - math.sqrt(bar) * x0_hat) / math.sqrt(1 - bar)
        z = unit_noise(range(4), SHAPE.d, 3, step=step.index + 1).double()
        x_t = scheduler.step(eps, t, x_t, eta=eta, use_clipped_model_output=False, variance_noise=z).prev_sample
    image = steps[-1].x0_hat.clamp(-1, 1) if clip else steps[-1].x0_hat
    torch.testing.assert_close(image, x_t, rtol=0, atol=1e-12)
    assert float(steps[-1].x0_hat.abs().max()) > 1.01  # or clipping would not have been tried


def gaussian_flow(world: Gaussian, x: Tensor, sigma: float, below: float) -> Tensor:
    """mu + sum_k sqrt((below^2 + l_k) / (sigma^2 + l_k)) u_k u_k^T (x - mu)."""
    values, vectors = torch.linalg.eigh(world.spread)
    factors = ((below**2 + values) / (sigma**2 + values)).sqrt()
    return world.centre + (x - world.centre) @ (vectors * factors) @ vectors.T


@pytest.mark.parametrize(("sampler", "order"), [(ddim, 1), (heun, 2)])
def test_the_gaussian_flow_is_reached_at_the_promised_order(sampler: Callable[..., Iterator[Step]], order: int) -> None:
    world = Gaussian.random(SHAPE)
    x_T = start(6, 8.0)
    truth = gaussian_flow(world, x_T, 8.0, 0.05)
    errors = []
    for count in (80, 160, 320):
        *_, last = sampler(world, x_T, log_grid(0.05, 8.0, count + 1)[::-1], clip=False)
        errors.append(float((last.x - truth).norm() / truth.norm()))
    assert errors[0] < 0.05
    for coarse, fine in itertools.pairwise(errors):
        assert coarse / fine == pytest.approx(2**order, rel=0.06)  # the next order is a few per cent at 80 steps


@every_flow
def test_the_flow_to_one_image_is_a_straight_line(sampler: Callable[..., Iterator[Step]]) -> None:
    point = torch.linspace(-1, 1, SHAPE.d, dtype=torch.float64)
    x_T = start(3, 80.0)
    for step in sampler(Single(SHAPE, point), x_T, edm_grid(18)):  # both samplers are exact on a line
        expected = point + step.sigma / 80.0 * (x_T - point)
        torch.testing.assert_close(step.x, expected, rtol=0, atol=1e-12)
        torch.testing.assert_close(step.x0_hat, point.expand(3, -1), rtol=0, atol=0)


def test_clipping_enters_where_it_is_said() -> None:
    point, sigmas = torch.full((SHAPE.d,), 1.5, dtype=torch.float64), [4.0, 1.0]
    world, x_T = Single(SHAPE, point), start(3, 4.0)
    below = {name: list(sampler(world, x_T, sigmas))[1] for name, sampler in (("ddim", ddim), ("heun", heun))}
    torch.testing.assert_close(below["ddim"].x, 1.0 + (x_T - 1.5) / 4)  # image clipped, noise not
    torch.testing.assert_close(below["heun"].x, 1.0 + (x_T - 1.0) / 4)  # both slopes point to the clipped image
    assert all(bool((step.x0_hat == 1.5).all()) for step in below.values())  # what is shown never is


@dataclass(frozen=True)
class Blocks:
    """Many independent copies of one small world in each image: many samples from little noise."""

    world: Gaussian
    copies: int

    @property
    def shape(self) -> ImageShape:
        return ImageShape(1, self.copies, self.world.shape.d)

    def __call__(self, x: Tensor, sigma: float) -> Tensor:
        return self.world(x.reshape(-1, self.world.shape.d), sigma).reshape(x.shape)


@pytest.mark.parametrize("eta", [0.5, 1.0])
def test_noise_added_keeps_the_covariance_of_a_gaussian(eta: float) -> None:
    mix = torch.tensor([[1.0, 0.0, 0.0], [0.6, 0.5, 0.0], [-0.4, 0.2, 0.3]], dtype=torch.float64)
    world = Gaussian(ImageShape(1, 1, 3), torch.tensor([0.5, -1.0, 2.0], dtype=torch.float64), mix @ mix.T)
    blocks, images, count = Blocks(world, 1000), 5, 5000
    sigmas = log_grid(0.1, 5.0, 100)[::-1]
    x0 = world.draw(count, torch.Generator().manual_seed(0)).reshape(images, -1)
    x_T = x0 + sigmas[0] * start_noise(blocks.shape, images, 1)
    *_, last = ddim(blocks, x_T, sigmas, clip=False, eta=eta, seed=1)
    x = last.x.reshape(count, 3)
    cov = world.spread + sigmas[-1] ** 2 * torch.eye(3)
    variance = cov.diagonal()
    # Five standard errors; the error of the 100 steps is about half of that.
    assert bool(((x.mean(dim=0) - world.centre).abs() < 5 * (variance / count).sqrt()).all())
    error = ((torch.outer(variance, variance) + cov**2) / count).sqrt()
    assert bool(((x.T.cov() - cov).abs() < 5 * error).all())


def test_start_noise_of_an_image_knows_no_other() -> None:
    z = start_noise(SHAPE, 5, 3)
    assert z.shape == (5, SHAPE.d)
    assert z.dtype == torch.float32
    assert torch.equal(z[:2], start_noise(SHAPE, 2, 3))
    assert torch.equal(z, start_noise(SHAPE, 5, 3))
    assert not torch.equal(z, start_noise(SHAPE, 5, 4))


def test_noise_leaves_the_global_generator_alone() -> None:
    before = torch.get_rng_state()
    list(ddim(curved(), start(2, GRID[0]), GRID, eta=1.0))
    assert torch.equal(before, torch.get_rng_state())


def test_starts() -> None:
    z = start_noise(SHAPE, 2, 0)
    assert torch.equal(initial(z, 3.0, "edm"), 3 * z)
    torch.testing.assert_close(initial(z, 3.0, "ddpm"), math.sqrt(10) * z)
    assert initial(z.double(), 3.0, "ddpm").dtype == torch.float64


@every_sampler
def test_a_batch_is_its_images_one_by_one(sampler: Callable[..., Iterator[Step]]) -> None:
    """Up to the order of float64 sums: four steps of values of order ten."""
    x_T = start(8, GRID[0])
    together = list(sampler(curved(), x_T, GRID, **seeded(sampler)))
    for k in range(8):
        alone = sampler(curved(), x_T[k : k + 1], GRID, **seeded(sampler, first=k))
        for step, one in zip(together, alone, strict=True):
            torch.testing.assert_close(step.x[k], one.x[0], rtol=0, atol=1e-12)
            torch.testing.assert_close(step.x0_hat[k], one.x0_hat[0], rtol=0, atol=1e-12)


@every_sampler
def test_the_first_images_do_not_depend_on_how_many_follow(sampler: Callable[..., Iterator[Step]]) -> None:
    x_T = start(8, GRID[0])
    *_, many = sampler(curved(), x_T, GRID, **seeded(sampler))
    *_, few = sampler(curved(), x_T[:3], GRID, **seeded(sampler))
    torch.testing.assert_close(many.x0_hat[:3], few.x0_hat, rtol=0, atol=1e-12)


def seeded(sampler: Callable[..., Iterator[Step]], **first: int) -> dict[str, int]:
    return {} if sampler is heun else {"seed": 5, **first}


@every_sampler
def test_one_step_per_noise_level(sampler: Callable[..., Iterator[Step]]) -> None:
    x_T, world = start(2, GRID[0]), curved()
    steps = list(sampler(world, x_T, GRID))
    assert [step.index for step in steps] == [0, 1, 2, 3]
    assert [step.sigma for step in steps] == GRID
    assert torch.equal(steps[0].x, x_T)
    for step in steps:
        assert torch.equal(step.x0_hat, world(step.x, step.sigma))


@every_sampler
def test_the_same_call_gives_the_same_trajectory_and_leaves_its_input(sampler: Callable[..., Iterator[Step]]) -> None:
    x_T = start(2, GRID[0])
    kept = x_T.clone()
    for one, again in zip(sampler(pair(), x_T, GRID), sampler(pair(), x_T, GRID), strict=True):
        assert torch.equal(one.x, again.x)
        assert torch.equal(one.x0_hat, again.x0_hat)
    assert torch.equal(x_T, kept)


def test_the_seed_decides_where_noise_is_added() -> None:
    def image(eta: float, seed: int) -> Tensor:
        *_, last = ddim(Gaussian.random(SHAPE), start(2, GRID[0]), GRID, eta=eta, seed=seed)
        return last.x0_hat

    assert torch.equal(image(0.0, 1), image(0.0, 2))
    assert not torch.equal(image(0.3, 1), image(0.3, 2))


@pytest.mark.parametrize(("sampler", "calls"), [(ddim, [1, 2, 3, 4]), (heun, [1, 3, 5, 7])])
def test_a_step_is_out_before_the_next_is_begun(sampler: Callable[..., Iterator[Step]], calls: list[int]) -> None:
    counting = Counting(curved())
    walk = sampler(counting, start(2, GRID[0]), GRID)
    assert counting.sigmas == []
    seen = [len(counting.sigmas) for _ in walk]
    assert seen == calls
    assert counting.sigmas[-1] == GRID[-1]


@every_sampler
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_precision_is_kept(sampler: Callable[..., Iterator[Step]], dtype: torch.dtype) -> None:
    for step in sampler(curved(), start(2, GRID[0]).to(dtype), GRID):
        assert step.x.dtype == step.x0_hat.dtype == dtype


def test_both_precisions_see_the_same_noise() -> None:
    x_T = start(2, GRID[0])
    *_, double = ddim(Gaussian.random(SHAPE), x_T, GRID, eta=1.0)
    *_, single = ddim(Gaussian.random(SHAPE), x_T.float(), GRID, eta=1.0)
    torch.testing.assert_close(single.x0_hat.double(), double.x0_hat, rtol=0, atol=1e-4)


@every_sampler
def test_no_number_is_read_back_from_the_device(sampler: Callable[..., Iterator[Step]]) -> None:
    # A meta tensor has no values: reading one, as a GPU would have to be waited for, raises.
    for step in sampler(curved(), torch.empty(2, SHAPE.d, device="meta"), GRID):
        assert step.x.is_meta
        assert step.x0_hat.is_meta


@every_sampler
def test_no_gradient_is_kept_and_the_callers_stay_on(sampler: Callable[..., Iterator[Step]]) -> None:
    counting = Counting(TwoPoints(SHAPE, torch.ones(SHAPE.d, dtype=torch.float64, requires_grad=True)))
    x_T = start(2, GRID[0]).requires_grad_()
    for step in sampler(counting, x_T, GRID):
        assert torch.is_grad_enabled()
        assert not step.x.requires_grad
        assert not step.x0_hat.requires_grad
    assert counting.grads
    assert not any(counting.grads)
    assert x_T.requires_grad


@every_sampler
def test_what_stops_a_denoiser_leaves_gradients_on(sampler: Callable[..., Iterator[Step]]) -> None:
    def cancelled(x: Tensor, sigma: float) -> Tensor:
        raise KeyboardInterrupt

    cancelled.shape = SHAPE  # type: ignore[attr-defined]
    with pytest.raises(KeyboardInterrupt):
        next(sampler(cancelled, start(2, GRID[0]), GRID))
    assert torch.is_grad_enabled()


@every_flow
@pytest.mark.parametrize(
    ("sigmas", "text"),
    [
        ([], r"0 noise levels given: sampling needs at least 2, from high to low\."),
        ([1.0], r"1 noise levels given: sampling needs at least 2"),
        ([2.0, 0.0], r"sigma=0 is not a noise level"),
        ([2.0, -1.0], r"sigma=-1 is not a noise level"),
        ([math.nan, 1.0], r"sigma=nan is not a noise level"),
        ([math.inf, 1.0], r"sigma=inf is not a noise level"),
        ([1.0, 1.0], r"sigma=1 follows sigma=1: noise levels must fall from step to step\."),
        ([3.0, 1.0, 2.0], r"sigma=2 follows sigma=1: noise levels must fall"),
    ],
)
def test_noise_levels_fall_and_are_positive(
    sampler: Callable[..., Iterator[Step]], sigmas: list[float], text: str
) -> None:
    with pytest.raises(BadInput, match=text):
        sampler(curved(), start(2, 1.0), sigmas)


@pytest.mark.parametrize("eta", [-0.1, 1.1, math.nan, math.inf])
def test_eta_is_a_share(eta: float) -> None:
    with pytest.raises(BadInput, match=rf"eta={eta:g}: give a number from 0 \(no noise added\) to 1"):
        ddim(curved(), start(2, 5.0), GRID, eta=eta)


@pytest.mark.parametrize("seed", [-1, 2**31])
def test_a_seed_is_a_31_bit_number(seed: int) -> None:
    for ask in (lambda: start_noise(SHAPE, 2, seed), lambda: ddim(curved(), start(2, 5.0), GRID, seed=seed)):
        with pytest.raises(BadInput, match=rf"seed={seed}: give 0\.\.2147483647\."):
            ask()


def test_images_are_numbered_from_0() -> None:
    with pytest.raises(BadInput, match=r"first=-1: images are numbered from 0\."):
        ddim(curved(), start(2, 5.0), GRID, first=-1)


@pytest.mark.parametrize("count", [0, -2])
def test_there_is_an_image_to_start(count: int) -> None:
    with pytest.raises(BadInput, match=rf"count={count}: give at least 1 image\."):
        start_noise(SHAPE, count, 0)


def test_a_start_is_one_of_two_at_a_noise_level() -> None:
    z = start_noise(SHAPE, 1, 0)
    with pytest.raises(UnknownName, match=r"Unknown start 'edn'\. Did you mean 'edm'\? Known: ddpm, edm\."):
        initial(z, 1.0, "edn")
    for name in STARTS:
        with pytest.raises(BadInput, match="sigma=0 is not a noise level"):
            initial(z, 0.0, name)
