"""The Benchmark page without a browser: the table, what is behind a cell, runs of one's own, links, bare machines."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from locality.datasets import Source
from locality.published import FIGURES
from locality.studies import Bench, BenchPlan, bench, finish
from locality.studies.benchmark import METRICS
from pages._ui.bench.detail import clipped
from pages._ui.bench.misses import least, misses
from pages._ui.bench.names import plain
from pages._ui.bench.page import _joined
from pages._ui.bench.ranking import answer, lowest, ranked
from pages._ui.bench.run import _parsed, _written
from pages._ui.bench.table import COMPONENT
from pages._ui.work import WORKS
from tests.app.opened import button, open_page
from tests.benches import leaderboard
from tests.buffer import sent
from tests.own_networks import own_networks

MENU = ("07_Benchmark",)
RUN = "reference=mine n=3 steps=3 seed=0 first=0 wiener optimal"
pytestmark = [
    pytest.mark.timeout(300),  # seconds on an idle machine; others may be at work
    pytest.mark.usefixtures("bare_machine"),
]


@pytest.fixture(scope="module")
def networks() -> Iterator[None]:
    with own_networks([("mine", "digits"), ("yours", "digits")]):
        yield


@pytest.fixture(scope="module")
def made(networks: None) -> Bench:
    return finish(bench(*_parsed(Source.parse("digits"), RUN)))


def board(at: AppTest) -> dict[str, Any]:
    """What the leaderboard received."""
    return sent(at)[0]


def test_the_table_shows_the_numbers_of_the_study(made: Bench) -> None:
    head = board(open_page(dataset="digits", run=RUN))
    rows = {row["id"]: row for row in head["rows"]}
    assert set(rows) == {"mine", "yours", "wiener", "mean", "optimal", "held-out images"}
    column = [column["id"] for column in head["columns"]].index("r2_final")
    for name in ("wiener", "optimal", "yours"):
        found = made.summary(name, "r2_final")
        assert rows[name]["cells"][column]["mean"] == pytest.approx(found.mean)
    assert rows["mine"]["cells"][column] is None  # the reference against itself says nothing
    assert {"seconds_per_step", "peak_bytes"} <= {column["id"] for column in head["columns"]}
    best = made.best("r2_final")
    assert [name for name, row in rows.items() if (row["cells"][column] or {}).get("best")] == [best]
    assert head["picked"] == {"model": best, "column": "r2_final"}


def test_a_picked_cell_shows_its_curve_difference_and_images(made: Bench) -> None:
    at = open_page(dataset="digits", run=RUN)
    at.session_state[COMPONENT.key] = {"pick": {"model": "optimal", "column": "denoise_ratio", "seq": 1}}
    at.run()
    assert not at.exception
    assert any(title.value.startswith("Optimal: error / Wiener") for title in at.header)
    found = made.difference("optimal", "wiener", "denoise_ratio")
    assert any(f"{found.mean:+.3f} [{found.low:+.3f}, {found.high:+.3f}]" in text.value for text in at.markdown)
    assert at.query_params["cell"] in (["optimal|denoise_ratio"], "optimal|denoise_ratio")
    assert len(at.get("plotly_chart")) == 2, "the ranking and the curve"
    assert any('alt="optimal, image 1"' in html.proto.body for html in at.get("html"))


def test_errors_at_the_levels_of_the_steps_have_their_own_curve(made: Bench) -> None:
    at = open_page(dataset="digits", run=RUN, cell="optimal|denoise_steps")
    assert any("**error / Wiener, sampling levels** over noise" in text.value for text in at.markdown)
    chart = json.loads(at.get("plotly_chart")[1].proto.spec)
    drawn = {line["name"]: line for line in chart["data"]}
    levels = made.levels("optimal", "denoise_steps")
    means = [made.summary("optimal", "denoise_steps", sigma).mean for sigma in levels]
    assert drawn["Optimal"]["x"] == pytest.approx(list(levels))
    assert drawn["Optimal"]["y"] == pytest.approx(means)


def test_what_leaves_the_chart_is_named() -> None:
    """The axis ends at -1, and the page says who is below, where and by how much."""
    table = leaderboard("cifar10")
    low = {sigma: one.mean for sigma, one in table.curve("nearest", "r2_trajectory") if one.mean < -1}
    assert low
    said = clipped(table, ["nearest", "prism"])
    assert clipped(table, ["prism"]) == []
    assert said == ["Nearest " + ", ".join(f"{value:.1f} at σ {sigma:.3g}" for sigma, value in low.items())]


def test_models_are_ranked_where_they_differ(made: Bench) -> None:
    """On-trajectory only over the middle noise levels: beyond them the best are nearly alike."""
    at = open_page(dataset="digits", run=RUN)
    offered = next(one for one in at.get("button_group") if one.key == "bench_rank")
    titles = [METRICS[name].title for name in ("r2_final", "r2_middle")]
    assert [option.content for option in offered.proto.options] == titles


def test_the_images_it_explains_least_are_named_and_come_first(made: Bench) -> None:
    """By R2 final, image by image, with R2 by noise level; the network itself has no such images."""
    values = made.values("optimal", "r2_final").tolist()
    worst = sorted(range(3), key=values.__getitem__)
    assert worst != [0, 1, 2], "the order as drawn would do"
    assert least(made, "optimal") == worst
    assert least(made, "optimal", 2) == [i for i in worst if i < 2]
    at = open_page(dataset="digits", run=RUN, cell="optimal|r2_final")
    assert any(one.label == "The 3 images it explains least" for one in at.expander)
    rows = misses(made, "optimal", worst)
    assert [row[f"Image {worst[0] + 1}"] for row in rows[:2]] == [
        f"{values[worst[0]]:.2f}",
        f"{float(made.values('optimal', 'r2_trajectory', made.levels('optimal', 'r2_trajectory')[0])[worst[0]]):.2f}",
    ]
    assert rows[0]["Mean of all"] == f"{sum(values) / 3:.2f}"
    assert [row[""] for row in rows] == ["R² final", *(f"σ = {s:.3g}" for s in made.result("optimal").sigmas)]
    at.session_state["bench_order"] = "Lowest R² first"
    at.run()
    grid = next(html.proto.body for html in at.get("html") if 'alt="optimal, image 1"' in html.proto.body)
    assert sorted(range(3), key=lambda i: grid.index(f'alt="optimal, image {i + 1}"')) == worst
    at = open_page(dataset="digits", run=RUN, cell="mine|denoise_ratio")
    assert not any("explains least" in one.label for one in at.expander)


def test_the_answer_names_the_best_its_lead_and_the_second_network(made: Bench) -> None:
    at = open_page(dataset="digits", run=RUN)
    (best, found), (other, _) = ranked(made, "r2_final")[:2]
    lead = made.difference(best, other, "r2_final")
    said = next(text.value for text in at.markdown if " explains the " in text.value)
    assert said.startswith(f"**{plain(made, best)}** explains the mine best: {found.mean:.3f} [")
    assert f"is {lead.mean:.3f} [{lead.low:.3f}, {lead.high:.3f}]" in said
    assert ("not told apart" in said) == (lead.low <= 0)


@pytest.mark.parametrize("name", ["mnist", "fashion_mnist", "cifar10"])
def test_a_lead_is_told_against_both_networks(name: str) -> None:
    """What holds for one network only is no finding, and the sentence says so."""
    table = leaderboard(name)
    (best, _), (other, _) = [row for row in ranked(table, "r2_final") if row[0] != table.second][:2]
    lead = table.difference(best, other, "r2_second")
    told = answer(table, "r2_final")
    words = f"Against the second network it is {lead.mean:.3f} [{lead.low:.3f}, {lead.high:.3f}]"
    assert words in told
    assert told.partition(words)[2].startswith(": not told apart" if lead.low <= 0 <= lead.high else ".")
    assert "Against the second" not in answer(table, "r2_middle")


def test_a_model_further_down_that_is_not_told_apart_is_named() -> None:
    """On cats the next by the mean is told apart, the third is not against the second network."""
    table = leaderboard("afhq_cats")
    best, _, third = [name for name, _ in ranked(table, "r2_final") if name != table.second][:3]
    lead = table.difference(best, third, "r2_second")
    assert lead.low < 0.0 < lead.high
    words = f"not sure over {plain(table, third)}: {lead.mean:.3f} [{lead.low:.3f}, {lead.high:.3f}] against the second"
    assert words in answer(table, "r2_final")
    assert "not sure" not in answer(leaderboard("cifar10"), "r2_final")


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ("ls:window=7@first=1000", "Local score (window 7, first 1000 images)"),
        ("pca_locality", "PCA locality"),
        ("gaussian_mixture", "Gaussian mixture"),
        ("held-out images", "held-out images"),
        ("mine", "mine"),
    ],
)
def test_rows_have_names_in_words(made: Bench, row: str, words: str) -> None:
    assert plain(made, row) == words


def test_an_outlier_does_not_stretch_the_axis() -> None:
    assert lowest([0.7, 0.6, 0.5, 0.4, -3.5]) == 0.4
    assert lowest([0.7, -3.5]) == -3.5
    assert lowest([0.7, 0.6, 0.5, 0.4]) == 0.4


def test_the_link_brings_the_cell_back_and_a_wrong_one_is_reported(made: Bench) -> None:
    head = board(open_page(dataset="digits", run=RUN, cell="optimal|mse01"))
    assert head["picked"] == {"model": "optimal", "column": "mse01"}
    at = open_page(dataset="digits", run=RUN, cell="nobody|mse01")
    assert any("which is not in this table" in warning.value for warning in at.warning)


def test_columns_are_chosen(made: Bench) -> None:
    at = open_page(dataset="digits", run=RUN)
    box = next(one for one in at.multiselect if one.label == "Columns of the table")
    box.set_value(["mse", "r2_final"]).run()
    assert [column["id"] for column in board(at)["columns"]] == ["r2_final", "mse"]


@pytest.mark.parametrize(
    ("kind", "words"), [("Markdown", "| model |"), ("LaTeX", r"\begin{tabular}"), ("CSV", "model,"), ("JSON", '"rows"')]
)
def test_the_table_is_copied(made: Bench, kind: str, words: str) -> None:
    at = open_page(dataset="digits", run=RUN)
    at.session_state["bench_text"] = kind
    at.run()
    assert any(words in code.value for code in at.code)


def test_run_and_pause_and_go_on(networks: None) -> None:
    """The form starts a run in the line of the server; what was finished before is not made again."""
    at = open_page(dataset="digits")
    at.selectbox(key="bench_reference").set_value("mine")
    at.multiselect(key="bench_models").set_value(["wiener"])
    at.text_input(key="bench_entries").set_value("optimal@first=50")
    at.number_input(key="bench_n").set_value(2)
    at.number_input(key="bench_steps").set_value(3)
    button(at, "Run").click().run()
    assert not at.exception
    assert not at.error, at.error
    for work in list(WORKS._known.values()):
        assert work.ended.wait(120)
        assert not work.error, work.error
    at.run()
    assert {row["id"] for row in board(at)["rows"]} >= {"wiener", "optimal@first=50"}
    assert not any(button.label == "Go on" for button in at.button), "nothing is missing"
    text = at.query_params["run"]
    assert "optimal@first=50" in (text if isinstance(text, str) else text[0])


@pytest.mark.parametrize(
    ("run", "words"),
    [
        ("reference=nobody n=2 steps=3", "nobody"),
        ("reference=mine n=0 steps=3", "count=0 is outside"),
        ("reference=mine n=x", "cannot be run"),
        ("reference=mine n=2 steps=3 nothing:a=1", "nothing"),
    ],
)
def test_a_wrong_link_is_reported(networks: None, run: str, words: str) -> None:
    at = open_page(dataset="digits", run=run)
    assert any(words in warning.value for warning in at.warning), [warning.value for warning in at.warning]


def test_plans_come_back_from_the_link() -> None:
    source = Source.parse("digits")
    text = _written("mine", ["wiener", "ls:window=3@first=100"], 5, 7, 3, 100)
    again, plan = _parsed(source, text)
    assert again.first == 100
    assert plan == BenchPlan(reference="mine", models=("wiener", "ls:window=3@first=100"), count=5, steps=7, seed=3)


def test_a_run_joins_the_stored_table_of_the_same_noise(made: Bench) -> None:
    more = finish(bench(*_parsed(Source.parse("digits"), RUN.replace(" optimal", " nearest"))))
    joined = _joined(more, [made])
    assert {"wiener", "nearest", "optimal"} <= set(joined.names)
    assert joined.difference("nearest", "optimal", "r2_final").n == 3
    other = finish(bench(*_parsed(Source.parse("digits"), RUN.replace("seed=0", "seed=1"))))
    assert "optimal" in _joined(other, [made]).names  # its own
    assert _joined(other, [made]) is other


def test_published_figures_stand_apart_with_their_source() -> None:
    at = open_page(dataset="cifar10")
    assert any("Not ours" in warning.value for warning in at.warning)
    for source in {figure.source for figure in FIGURES if figure.dataset == "cifar10"}:
        assert any(source in caption.value for caption in at.caption)


def test_our_numbers_in_the_published_protocol_stand_beside_theirs(
    networks: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a benchmark with the preset `paper`: a row a model and metric, and all that differs."""
    plan = BenchPlan(presets=("paper",), reference="mine", ceiling="none", count=1, steps=2)
    paper = finish(bench(Source.parse("digits", 100), plan))
    there = replace(paper, dataset="cifar10")  # of which figures are published
    monkeypatch.setattr("pages._ui.bench.page._shipped", lambda: [there])
    at = open_page(dataset="cifar10")
    table = next(table.value for table in at.table if "Here" in table.value.columns)
    wiener = table[(table["Model (as published)"] == "Wiener") & (table[""] == METRICS["r2_final"].title)].iloc[0]
    ours = 1 - (1 - paper.summary("wiener", "r2_final").mean) * 63 / 64
    assert wiener["Published"] == "0.553"
    assert wiener["Here"].startswith(f"{ours:.3f}")
    assert any("1 samples, theirs are 128" in caption.value for caption in at.caption)


def test_a_set_without_anything_says_what_to_do() -> None:
    at = open_page(dataset="photos")
    assert any("No benchmark of this dataset is stored" in info.value for info in at.info)
