"""Which analytic model explains a trained network best: a table of scores with errors, made cell by cell."""

from locality.studies.benchmark.about import ABOUT
from locality.studies.benchmark.competitors import Group
from locality.studies.benchmark.files import check_folder, write_folder
from locality.studies.benchmark.metrics import METRICS, Metric
from locality.studies.benchmark.plan import BenchPlan, Entry, parse_entry
from locality.studies.benchmark.presets import PRESETS, Preset
from locality.studies.benchmark.result import Result
from locality.studies.benchmark.rows import Bench
from locality.studies.benchmark.run import CellFinished, bench, found_bench
from locality.studies.benchmark.ship import bench_name, ship_bench, shipped_benches
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
    "Group",
    "Leaderboard",
    "Metric",
    "Preset",
    "Result",
    "as_csv",
    "bench",
    "bench_name",
    "check_folder",
    "found_bench",
    "latex",
    "leaderboard",
    "markdown",
    "number",
    "parse_entry",
    "ship_bench",
    "shipped_benches",
    "text_rows",
    "write_folder",
]
