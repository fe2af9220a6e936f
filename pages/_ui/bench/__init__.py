"""The page of the benchmark: leaderboard, what is behind a cell, ablations, published figures, runs of one's own."""

from pages._ui.bench.page import show

__all__ = ["show"]
