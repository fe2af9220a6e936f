"""Which analytic model explains a trained network best: a table of scores with errors, made cell by cell."""

from locality.studies.benchmark.about import ABOUT
from locality.studies.benchmark.expected import expected_bench
from locality.studies.benchmark.files import check_folder, write_folder
from locality.studies.benchmark.metrics import METRICS
from locality.studies.benchmark.paper import published_table
from locality.studies.benchmark.plan import BenchPlan, Entry, parse_entry
from locality.studies.benchmark.presets import PRESETS
from locality.studies.benchmark.result import Result
from locality.studies.benchmark.rows import Bench
from locality.studies.benchmark.run import CellFinished, bench, found_bench
from locality.studies.benchmark.ship import ship_bench, shipped_benches
from locality.studies.benchmark.tables import (
    Column,
    Leaderboard,
    as_csv,
    latex,
    leaderboard,
    markdown,
    number,
    text_rows,
)

__all__ = [
    "ABOUT",
    "METRICS",
    "PRESETS",
    "Bench",
    "BenchPlan",
    "CellFinished",
    "Column",
    "Entry",
    "Leaderboard",
    "Result",
    "as_csv",
    "bench",
    "check_folder",
    "expected_bench",
    "found_bench",
    "latex",
    "leaderboard",
    "markdown",
    "number",
    "parse_entry",
    "published_table",
    "ship_bench",
    "shipped_benches",
    "text_rows",
    "write_folder",
]
