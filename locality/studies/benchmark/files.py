"""A folder of results: rows.json, the tables and the report; checked before the work, written whole or not at all."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from locality.datasets import Source
from locality.errors import BadInput
from locality.networks import write_atomic
from locality.studies.benchmark.competitors import WIENER
from locality.studies.benchmark.plan import BenchPlan
from locality.studies.benchmark.report import report
from locality.studies.benchmark.rows import FORMAT, KIND, Bench
from locality.studies.benchmark.tables import as_csv, latex, markdown

ROWS = "rows.json"
FILES = (ROWS, "table.csv", "table.tex", "table.md", "report.html")


def check_folder(folder: Path, source: Source, plan: BenchPlan) -> None:
    """Refuse a folder whose files would be lost, or that cannot be written; before any work. Makes it.

    A folder of the same benchmark with fewer images or models is written anew: nothing in it is lost. Files that
    begin with a dot are left alone.

    Raises:
        BadInput: no folder, foreign files in it, results of another benchmark or of more, or damaged ones.
    """
    if folder.exists() and not folder.is_dir():
        raise BadInput(f"--out {folder} is a file. Name a folder, new or of this benchmark.")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_atomic(folder / ".writable", b"")
        (folder / ".writable").unlink()
        names = sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))
    except OSError as error:
        raise BadInput(f"--out {folder} cannot be written ({error.strerror}). Choose another folder.") from None
    foreign = [name for name in names if name not in FILES]
    if foreign:
        raise BadInput(
            f"--out {folder} holds {foreign[0]}, which the benchmark has not written; nothing was changed. "
            "Choose an empty folder."
        )
    if ROWS in names:
        _check_same(folder / ROWS, source, plan)


def write_folder(folder: Path, made: Bench) -> list[Path]:
    """Write all files, each in one step; rows.json, which tells what the folder holds, comes last."""
    reported = made.to_json()
    texts = {
        "table.csv": as_csv(reported["rows"]),
        "table.tex": latex(made),
        "table.md": markdown(made),
        "report.html": report(made),
        ROWS: json.dumps(reported, indent=1, allow_nan=False) + "\n",
    }
    for name, text in texts.items():
        write_atomic(folder / name, text.encode())
    return [folder / name for name in FILES]


def _check_same(path: Path, source: Source, plan: BenchPlan) -> None:
    """The results in a folder must be of this benchmark, and of no more models or images than this run has."""
    before = _read(path)
    same = {"dataset": source.text, "reference": plan.reference, "train_images": source.count()}
    now = {**same, "steps": plan.steps, "seed": plan.seed}
    was = {name: before["plan"].get(name) if name in ("steps", "seed") else before.get(name) for name in now}
    for name in now:
        if was[name] != now[name]:
            raise BadInput(
                f"{path} is another benchmark: its {name} is {was[name]!r}, here it is {now[name]!r}. "
                "Nothing was changed; choose another folder."
            )
    lost = [m for m in before["plan"]["models"] if m not in (*plan.models, WIENER)]
    lost += [f"preset {p}" for p in before["plan"]["presets"] if p not in plan.presets]
    if lost or before["n"] > plan.count:
        what = f"{', '.join(lost)}" if lost else f"n = {before['n']}"
        raise BadInput(
            f"{path} has {what}, which this run would leave out. Nothing was changed: ask for it too, which takes no "
            "time where it is in the cache, or choose another folder."
        )


def _read(path: Path) -> dict[str, Any]:
    try:
        reported: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if (reported["kind"], reported["format"]) != (KIND, FORMAT):
            raise ValueError(f"kind {reported['kind']!r}, format {reported['format']!r}")
        int(reported["n"]), reported["plan"]["models"], reported["plan"]["presets"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BadInput(
            f"{path} is damaged or no benchmark's ({type(error).__name__}: {error}). Nothing was changed, and no "
            "finished cell is lost: they are in the cache. Move the file away, or choose another folder."
        ) from None
    return reported
