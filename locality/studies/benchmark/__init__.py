"""Which analytic model explains a trained network best: a table of scores with errors, made cell by cell."""

from locality.studies.benchmark._entrants import Group
from locality.studies.benchmark._metrics import ABOUT, METRICS, Metric
from locality.studies.benchmark._plan import BenchPlan, Entry, parse_entry
from locality.studies.benchmark._presets import PRESETS, Preset
from locality.studies.benchmark._result import Result
from locality.studies.benchmark._rows import Bench
from locality.studies.benchmark._run import CellFinished, bench, found_bench

__all__ = [
    "ABOUT",
    "METRICS",
    "PRESETS",
    "Bench",
    "BenchPlan",
    "CellFinished",
    "Entry",
    "Group",
    "Metric",
    "Preset",
    "Result",
    "bench",
    "found_bench",
    "parse_entry",
]
