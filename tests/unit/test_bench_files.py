"""What a benchmark leaves behind: tables, the report, shipped files; and folders that must not be written over."""

from __future__ import annotations

import base64
import csv
import io
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import pytest
import torch
from PIL import Image

from locality.datasets import Source
from locality.errors import BadInput
from locality.metrics import Summary
from locality.store import Store
from locality.studies import Bench, BenchPlan, found_bench, ship_bench, shipped_benches
from locality.studies.benchmark import as_csv, check_folder, latex, leaderboard, markdown, number, write_folder
from locality.studies.benchmark.report import png, report
from locality.studies.benchmark.ship import SHOWN, pack, unpack
from locality.studies.benchmark.svg import Series, curves, dots
from locality.types import ImageShape
from tests.benches import network, plan, run, shrinking

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def question(tmp_path_factory: pytest.TempPathFactory) -> BenchPlan:
    net = network(tmp_path_factory.mktemp("networks") / "a_b")
    options = {"count": 5, "features": "pixels", "real": 60, "presets": ("clip",)}
    return plan(net, "weak", "nearest@first=50", **options)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    made = Store(tmp_path_factory.mktemp("store"))
    yield made
    made.close()


@pytest.fixture(scope="module")
def made(question: BenchPlan, store: Store) -> Bench:
    with shrinking("weak", 0.5):
        return run(question, store, first=80)


@pytest.fixture(scope="module")
def reported(made: Bench) -> str:
    """rows.json, as `write_folder` leaves it."""
    return json.dumps(made.to_json(), indent=1) + "\n"


SOURCE = Source.parse("digits", 80)


# --- tables


def test_numbers_are_shown_to_two_digits_of_their_error() -> None:
    shown = {
        "0.738 ± 0.021": Summary(0.73812, 0.0211, 9),
        "12.35 ± 0.12": Summary(12.3456, 0.123, 9),
        "123 ± 12": Summary(123.4, 12.3, 9),
        "0.74": Summary(0.74, float("nan"), 1),
        "1": Summary(1.0, 0.0, 9),
        "": Summary(float("nan"), float("nan"), 0),
    }
    assert {text: number(found) for text, found in shown.items()} == {text: text for text in shown}
    assert number(None) == ""


def test_the_leaderboard_has_the_reference_first_and_models_by_r2(made: Bench) -> None:
    board = leaderboard(made)
    kinds = [kind for _, kind, _, _ in board.models]
    assert (kinds[0], kinds[-1]) == ("reference", "control")
    final = [column.metric for column in board.columns].index("r2_final")
    means = [numbers[final].mean for _, kind, numbers, _ in board.models if kind == "analytic"]  # type: ignore[union-attr]
    assert means == sorted(means, reverse=True)
    assert board.best(final) == next(name for name, kind, _, _ in board.models if kind == "analytic")
    titles = [column.title for column in board.columns]
    assert titles == [
        "R2 final", "R2 on-trajectory", "R2 on-trajectory, sigma .3 to 10", "Pearson r", "MSE", "MSE, [0, 1]",
        "error / Wiener", "error / Wiener, sampling levels", "memorised", "nearest",
        "KID, pixels",
    ]  # fmt: skip
    nearest = [column.metric for column in board.columns].index("nn_distance")
    assert board.best(nearest) is None  # neither end is better


def test_markdown_and_latex_hold_the_same_cells(made: Bench) -> None:
    board, _, notes = markdown(made).partition("\n\n")
    lines = [line.strip("| ").split(" | ") for line in board.splitlines()]
    assert len(lines) == 2 + len(made.results)
    assert lines[1] == ["---"] * len(lines[0])
    said = {(one.name, note) for one in made.results for note in one.notes}
    assert said, "a table without a note tells nothing here"
    assert all(any(f"`{name}`" in line and note in line for line in notes.splitlines()) for name, note in said)
    text = latex(made)
    assert text.startswith(r"\begin{tabular}{l")
    assert r"pca\_locality@clip=false" in text
    assert r"$\pm$" in text
    assert "±" not in text
    assert text.count(r"\\") == 1 + len(made.results)
    assert not re.search(r"(?<!\\)_", text)


def test_csv_holds_every_row(made: Bench) -> None:
    read = list(csv.DictReader(io.StringIO(as_csv(made.rows()))))
    assert len(read) == len(made.rows())
    for got, row in zip(read, made.rows(), strict=True):
        assert got["metric"] == row["metric"]
        assert (float(got["mean"]) if got["mean"] else None) == row["mean"]
        assert (float(got["sigma"]) if got["sigma"] else None) == row["sigma"]


# --- plots


def test_curves_are_well_formed_and_in_their_frame() -> None:
    series = [Series("a<b", ((0.1, 0.5, 0.1), (1.0, 0.9, float("nan")))), Series("c", ((10.0, -2.0, 0.2),), 9)]
    root = ElementTree.fromstring(curves(series, "sigma", "R2"))
    width, height = map(float, root.attrib["viewBox"].split()[2:])
    space = "{http://www.w3.org/2000/svg}"
    marks = root.findall(f"{space}circle")
    assert len(marks) == 3
    assert all(0 < float(m.attrib["cx"]) < width and 0 < float(m.attrib["cy"]) < height for m in marks)
    tips = [mark[0].text for mark in marks]
    assert tips[0] == "a<b, sigma 0.1: 0.5 ± 0.1"
    xs = [float(mark.attrib["cx"]) for mark in marks]
    assert xs[1] - xs[0] == pytest.approx(xs[2] - xs[1], abs=0.2)  # 0.1, 1, 10: a logarithmic axis
    assert float(marks[2].attrib["cy"]) > float(marks[0].attrib["cy"]) > float(marks[1].attrib["cy"])
    dashes = {line.attrib["stroke-dasharray"] for line in root.findall(f"{space}polyline")}
    assert len(dashes) == 2  # the tenth look has the colour of the second, and dashes


def test_a_logarithmic_height_leaves_out_what_it_cannot_show() -> None:
    root = ElementTree.fromstring(curves([Series("a", ((1.0, -1.0, 0.1), (2.0, 3.0, 5.0)))], "x", "y", log_y=True))
    assert len(root.findall("{http://www.w3.org/2000/svg}circle")) == 1
    assert curves([Series("a", ((1.0, float("nan"), 0.1),))], "x", "y") == ""


def test_dots_stand_in_order_with_their_bars() -> None:
    drawn = dots([("long " * 20, 0.9, 0.1), ("b", 0.5, float("nan")), ("none", float("nan"), 0.1)], "R2")
    root = ElementTree.fromstring(drawn)
    marks = root.findall("{http://www.w3.org/2000/svg}circle")
    assert len(marks) == 2
    assert float(marks[0].attrib["cx"]) > float(marks[1].attrib["cx"])
    assert dots([], "R2") == ""


# --- the report


class Tags(HTMLParser):
    """Every tag and what it points at."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.links: list[str] = []
        self.seen: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.add(tag)
        self.links += [value or "" for name, value in attrs if name in ("src", "href")]
        if tag not in ("meta", "img", "link", "br"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.add(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_report_is_whole_and_needs_nothing_else(made: Bench) -> None:
    page, tags = report(made), Tags()
    tags.feed(page)
    assert tags.open == []
    assert {"table", "svg", "img", "h2"} <= tags.seen
    assert not {"script", "link", "iframe"} & tags.seen
    assert all(link.startswith("data:image/png;base64,") for link in tags.links)
    assert len(tags.links) == len(made.results)
    for text in (
        "Leaderboard",
        "R2 on-trajectory over noise",
        "Samples",
        "Differences",
        "Ablations",
        "pca_locality@clip",
    ):
        assert text in page
    assert "python -m locality bench digits" in page
    assert "fitted to the first 80 of 1,617 training images" in page


def test_names_cannot_break_the_report(made: Bench) -> None:
    wild = replace(made, dataset="<script>alert(1)</script>", notes=("a & <b>",))
    tags = Tags()
    tags.feed(report(wild))
    assert "script" not in tags.seen
    assert tags.open == []


def test_samples_are_the_images_side_by_side() -> None:
    images = torch.arange(2 * 3 * 2 * 2, dtype=torch.uint8).reshape(2, -1) * 9
    picture = Image.open(io.BytesIO(base64.b64decode(png(images, ImageShape(3, 2, 2)))))
    assert picture.size == (6, 2)
    assert picture.getpixel((0, 0)) == (0, 36, 72)
    assert picture.getpixel((2, 0)) == (255, 255, 255)
    assert picture.getpixel((3, 1)) == (126, 162, 198)
    grey = Image.open(io.BytesIO(base64.b64decode(png(images[:, :4], ImageShape(1, 2, 2)))))
    assert grey.getpixel((1, 1)) == 27


# --- folders


def test_a_folder_is_written_and_may_be_written_again(
    made: Bench, reported: str, question: BenchPlan, tmp_path: Path
) -> None:
    out = tmp_path / "new" / "results"
    check_folder(out, SOURCE, question)
    paths = write_folder(out, made)
    assert sorted(path.name for path in out.iterdir()) == sorted(path.name for path in paths)
    assert (out / "rows.json").read_text() == reported
    json.loads(reported, parse_constant=lambda name: pytest.fail(name))
    check_folder(out, SOURCE, question)
    check_folder(out, SOURCE, replace(question, count=9, models=(*question.models, "optimal")))


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"count": 4}, "has n = 5, which this run would leave out"),
        ({"models": ("weak",)}, "has nearest@first=50, which this run would leave out"),
        ({"presets": ()}, "has preset clip, which this run would leave out"),
        ({"seed": 5}, "is another benchmark: its seed is 4, here it is 5"),
        ({"reference": "resnet"}, "here it is 'resnet'. Nothing was changed"),
    ],
)
def test_results_that_would_be_lost_are_not_written_over(
    reported: str, question: BenchPlan, tmp_path: Path, change: dict[str, object], text: str
) -> None:
    (tmp_path / "rows.json").write_text(reported)
    (tmp_path / "table.md").write_text("a table")
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(BadInput) as refusal:
        check_folder(tmp_path, SOURCE, replace(question, **change))  # type: ignore[arg-type]
    assert text in str(refusal.value)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


@pytest.mark.parametrize("damage", ["cut short", "another's", "empty", "a list"])
def test_damaged_results_are_reported_and_left(reported: str, question: BenchPlan, tmp_path: Path, damage: str) -> None:
    another = json.dumps({"kind": "x", "format": 1})
    texts = {"cut short": reported[:500], "another's": another, "empty": "", "a list": "[]"}
    (tmp_path / "rows.json").write_text(texts[damage])
    with pytest.raises(BadInput, match=r"rows\.json is damaged or no benchmark's .* they are in the cache"):
        check_folder(tmp_path, SOURCE, question)
    assert (tmp_path / "rows.json").read_text() == texts[damage]


def test_foreign_folders_and_files_are_left(question: BenchPlan, tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years")
    with pytest.raises(BadInput, match=r"holds thesis\.txt, which the benchmark has not written; nothing was changed"):
        check_folder(tmp_path, SOURCE, question)
    with pytest.raises(BadInput, match=r"thesis\.txt is a file. Name a folder"):
        check_folder(tmp_path / "thesis.txt", SOURCE, question)
    with pytest.raises(BadInput, match="cannot be written"):
        check_folder(tmp_path / "thesis.txt" / "results", SOURCE, question)


def test_an_interrupted_write_is_made_whole(made: Bench, question: BenchPlan, tmp_path: Path) -> None:
    """Killed between two files: there is no rows.json yet, some tables, perhaps a draft."""
    (tmp_path / "table.csv").write_text("half")
    (tmp_path / ".report.html.123").write_text("draft")
    check_folder(tmp_path, SOURCE, question)
    write_folder(tmp_path, made)
    assert (tmp_path / "table.csv").read_text() == as_csv(made.rows())


# --- shipped files


def test_a_shipped_benchmark_comes_back_but_for_rounding(
    made: Bench, store: Store, question: BenchPlan, tmp_path: Path
) -> None:
    path = ship_bench(SOURCE, made, tmp_path / "shipped", store=store)
    assert path.name == "digits-a_b-first80-clip.safetensors"
    assert path.stat().st_size < 60_000
    elsewhere = Store(tmp_path / "cache", tmp_path / "shipped")  # where no image and no network is
    (found,) = shipped_benches(store=elsewhere)
    reported, all_of_it = found.to_json(), made.to_json()
    for ours, theirs in zip(reported.pop("rows"), all_of_it.pop("rows"), strict=True):
        numbers = {name: ours.pop(name) for name in ("mean", "stderr")}
        assert numbers == pytest.approx({name: theirs.pop(name) for name in numbers}, rel=1e-5, abs=1e-7, nan_ok=True)
        assert ours == theirs
    assert {**reported, "differences": 0, "ablations": 0} == {**all_of_it, "differences": 0, "ablations": 0}
    assert len(reported["ablations"]) == len(all_of_it["ablations"]) > 0
    torch.testing.assert_close(found.values("weak", "r2_final"), made.values("weak", "r2_final"), rtol=1e-6, atol=1e-7)
    assert len(found.result("weak").images) == 0, "no page shows images of an ablation"
    plain = unpack(pack(replace(made, plan=replace(made.plan, presets=()))))
    assert torch.equal(plain.result("weak").images, made.result("weak").images[:SHOWN])
    assert "<table>" in report(found)
    manifest = json.loads(path.with_suffix(".json").read_text())
    assert manifest["about"]["command"].startswith("python -m locality bench digits --reference")
    assert manifest["about"]["command"].endswith("--ship cache/shipped")


def test_what_is_not_finished_is_not_shipped(store: Store, question: BenchPlan, tmp_path: Path) -> None:
    with shrinking("weak", 0.5):
        part = found_bench(SOURCE, replace(question, count=20), store=store)
        with pytest.raises(BadInput, match="cells are not finished: run the benchmark to its end before shipping it"):
            ship_bench(SOURCE, part, tmp_path, store=store)
    assert "cells are not finished" in report(part)
