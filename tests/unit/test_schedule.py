"""Noise levels: the published DDPM numbers, round trips, ends and every refusal."""

from __future__ import annotations

import itertools
import math
import re

import pytest
import torch

from locality.errors import BadInput, UnknownName
from locality.schedule import (
    GRIDS,
    check_sigma,
    ddpm_alpha_bar,
    ddpm_grid,
    edm_grid,
    log_grid,
    noise_grid,
    sigma_of,
    t_of,
)

# The ten-step "leading" grid of the linear DDPM schedule (Lukoianov et al. 2025), to the digits printed.
TABLE = {
    900: "60.8",
    800: "25.7",
    700: "12.0",
    600: "6.17",
    500: "3.44",
    400: "2.04",
    300: "1.24",
    200: "0.724",
    100: "0.342",
    0: "0.0100",
}


def test_ten_step_grid_is_the_published_one() -> None:
    grid = ddpm_grid(10)
    assert [f"{sigma:#.3g}" for sigma in grid] == list(TABLE.values())


def test_alpha_bar_is_the_product_written_out() -> None:
    bar, product = ddpm_alpha_bar(), 1.0
    assert bar.shape == (1000,)
    for t in range(1000):
        product *= 1 - (1e-4 + (2e-2 - 1e-4) * t / 999)
        assert float(bar[t]) == pytest.approx(product, rel=1e-12)


@pytest.mark.parametrize("t", TABLE)
def test_t_of_inverts_the_schedule(t: int) -> None:
    assert t_of(sigma_of(float(ddpm_alpha_bar()[t]))) == pytest.approx(t, abs=1e-6)


def test_t_of_is_linear_in_ln_sigma_between_steps_and_stops_at_the_ends() -> None:
    bar = ddpm_alpha_bar()
    between = math.sqrt(sigma_of(float(bar[411])) * sigma_of(float(bar[412])))
    assert t_of(between) == pytest.approx(411.5, abs=1e-6)
    assert t_of(1e-6) == 0.0
    assert t_of(1e6) == 999.0


@pytest.mark.parametrize("sigma", [1e-6, 0.01, 0.5, 1.0, 80.0, 1e6])
def test_alpha_bar_and_sigma_invert_each_other(sigma: float) -> None:
    # 1 - alpha_bar cancels at small sigma: eps / sigma^2 relative.
    assert sigma_of(1 / (1 + sigma**2)) == pytest.approx(sigma, rel=1e-15 / sigma**2 + 1e-12)


def test_full_grid_falls_through_every_step() -> None:
    grid = ddpm_grid(1000)
    assert len(grid) == 1000
    assert all(high > low for high, low in itertools.pairwise(grid))


def test_log_grid_has_both_ends_and_one_ratio() -> None:
    grid = log_grid(0.05, 20.0, 12)
    assert grid[0] == 0.05
    assert grid[-1] == pytest.approx(20.0, rel=1e-12)
    ratios = torch.tensor(grid[1:], dtype=torch.float64) / torch.tensor(grid[:-1], dtype=torch.float64)
    assert torch.allclose(ratios, ratios[0].expand(11), rtol=1e-12)
    assert log_grid(0.3, 9.0, 1) == [0.3]


@pytest.mark.parametrize("sigma", [0.0, -1.0, 9e-7, 1.1e6, math.nan, math.inf, -math.inf])
def test_what_is_no_noise_level_is_refused(sigma: float) -> None:
    text = rf"sigma={re.escape(f'{sigma:g}')} is not a noise level\. Give a positive number, 1e-06 to 1e\+06\."
    for ask in (check_sigma, t_of, lambda value: log_grid(value, 1.0, 3)):
        with pytest.raises(BadInput, match=text):
            ask(sigma)


@pytest.mark.parametrize("bar", [0.0, 1.0, -0.5, math.nan])
def test_alpha_bar_lies_strictly_between_0_and_1(bar: float) -> None:
    with pytest.raises(BadInput, match=rf"alpha_bar={bar:g} is outside \(0, 1\)"):
        sigma_of(bar)


@pytest.mark.parametrize("steps", [0, -1, 1001])
def test_the_ddpm_grid_has_1_to_1000_steps(steps: int) -> None:
    with pytest.raises(BadInput, match=rf"steps={steps}: the DDPM grid has 1\.\.1000 steps"):
        ddpm_grid(steps)


def test_edm_grid_is_the_published_formula() -> None:
    # Worked by hand for three steps and rho = 7: the middle is the mean of the seventh roots, to the seventh.
    middle = ((80.0 ** (1 / 7) + 0.002 ** (1 / 7)) / 2) ** 7
    assert edm_grid(3) == pytest.approx([80.0, middle, 0.002], rel=1e-12)
    assert middle == pytest.approx(2.5152, abs=1e-4)
    roots = torch.tensor(edm_grid(18, 0.01, 50.0, rho=3.0), dtype=torch.float64) ** (1 / 3)
    assert torch.allclose(roots, torch.linspace(50.0 ** (1 / 3), 0.01 ** (1 / 3), 18, dtype=torch.float64))


def test_edm_grid_with_rho_1_is_uniform() -> None:
    assert edm_grid(5, 1.0, 3.0, rho=1.0) == pytest.approx([3.0, 2.5, 2.0, 1.5, 1.0], rel=1e-12)


def test_named_grids() -> None:
    assert noise_grid("ddpm", 10) == ddpm_grid(10)
    assert noise_grid("edm", 18) == edm_grid(18, 0.002, 80.0, 7.0)
    log = noise_grid("log", 3)
    assert log == pytest.approx([80.0, math.sqrt(80.0 * 0.002), 0.002], rel=1e-12)


@pytest.mark.parametrize("steps", [2, 3, 10, 1000])
@pytest.mark.parametrize("name", GRIDS)
def test_every_named_grid_falls_over_its_steps(name: str, steps: int) -> None:
    grid = noise_grid(name, steps)
    assert len(grid) == steps
    assert all(below < above for above, below in itertools.pairwise(grid))
    assert [check_sigma(sigma) for sigma in grid] == grid


@pytest.mark.parametrize("steps", [1, 0, -3, 1001])
def test_sampling_takes_2_to_1000_steps(steps: int) -> None:
    text = rf"steps={steps}: sampling takes 2\.\.1000 steps; 10 is the usual number\."
    for name in GRIDS:
        with pytest.raises(BadInput, match=text):
            noise_grid(name, steps)
    with pytest.raises(BadInput, match=text):
        edm_grid(steps)


def test_an_unknown_grid_lists_the_known() -> None:
    with pytest.raises(UnknownName, match=r"Unknown noise grid 'emd'\. Did you mean 'edm'\? Known: ddpm, edm, log\."):
        noise_grid("emd", 10)


@pytest.mark.parametrize(("low", "high"), [(1.0, 1.0), (2.0, 1.0)])
def test_edm_grid_needs_low_below_high(low: float, high: float) -> None:
    with pytest.raises(BadInput, match=rf"low={low:g} is not below high={high:g}"):
        edm_grid(5, low, high)


@pytest.mark.parametrize("rho", [0.0, -7.0, math.nan, math.inf])
def test_edm_grid_needs_a_positive_rho(rho: float) -> None:
    with pytest.raises(BadInput, match=rf"rho={rho:g}: give a positive number"):
        edm_grid(5, rho=rho)


@pytest.mark.parametrize("sigma", [0.0, -1.0, math.nan, math.inf])
def test_edm_grid_runs_between_noise_levels(sigma: float) -> None:
    for ask in (lambda value: edm_grid(5, low=value), lambda value: edm_grid(5, high=value)):
        with pytest.raises(BadInput, match="is not a noise level"):
            ask(sigma)
