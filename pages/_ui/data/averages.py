"""The mean image, and how far each pixel strays from it."""

from __future__ import annotations

from locality.linear.wiener import WienerFilter
from pages._ui.data.summary import Summary
from pages._ui.images import Tile, grid, photo


def averages(wiener: WienerFilter, found: Summary) -> None:
    """Mean and standard deviation of every pixel, side by side."""
    c, h, w = wiener.shape
    spread = found.deviation.square().reshape(c, h * w).mean(dim=0).sqrt()
    low, high = float(spread.min()), float(spread.max())
    grey = ((spread - low) / ((high - low) or 1.0) * 2 - 1).repeat(c)
    between = f"{low:.2f} (black) to {high:.2f} (white)"
    mean = wiener.mean.double()
    levels = f"{float(mean.min()):.2f} to {float(mean.max()):.2f}".replace("-", "−")
    grid(
        [
            Tile(photo(mean, wiener.shape), "Mean image", f"Mean: {levels}"),
            Tile(photo(grey, wiener.shape), "Standard deviation", f"Standard deviation: {between}"),
        ],
        wide=2,
        narrow=2,
        gap="12px",
    )
