"""Noise levels: the published DDPM numbers, round trips, ends and every refusal."""

from __future__ import annotations

import itertools
import math
import re

import pytest
import torch

from locality.errors import BadInput
from locality.schedule import alpha_bar_of, check_sigma, ddpm_alpha_bar, ddpm_grid, log_grid, sigma_of, t_of

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
    assert sigma_of(alpha_bar_of(sigma)) == pytest.approx(sigma, rel=1e-15 / sigma**2 + 1e-12)


def test_alpha_bar_of_unit_noise_is_one_half() -> None:
    assert alpha_bar_of(1.0) == 0.5


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
    for ask in (check_sigma, alpha_bar_of, t_of, lambda value: log_grid(value, 1.0, 3)):
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
