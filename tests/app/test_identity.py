"""A name has one spelling: every command, line of code and link the product prints leads back to the same images."""

from __future__ import annotations

import ast
import html
import json
import re
import shlex
from collections.abc import Iterable, Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import streamlit as st
from PIL import Image
from streamlit.testing.v1 import AppTest

from locality.datasets import DATASETS, Source
from locality.studies import BenchPlan, finish, fit_wiener, networks_for
from locality.studies.benchmark.gather import bench_command
from locality.types import Pixel
from pages._ui.choice import link_to
from pages._ui.explorer import facts, files
from pages._ui.explorer.view import View
from pages._ui.train.plan import Plan, plans
from tests.app.opened import menu, open_page
from tests.app.test_standalone import OPTIONS
from tests.buffer import unpacked
from tests.own_networks import own_networks
from tests.shell import Shell

PAGES = ["01_Explorer", "02_Data", "03_Samples", "04_Architectures", "05_Train", "06_Edit_statistics", "07_Benchmark"]
EDIT_PAGE, WITHOUT_COMMANDS = "06_Edit_statistics", ("03_Samples", "07_Benchmark")
COMMANDS = "field|train|sample|agreement|memorisation|bench|sweep|precompute"
AWKWARD = "cats+dogs, a=b:c %2B (1) #é猫;'\" $x"
EDITS = "+pattern:mask=X,strength=0.12345678901234566,seed=3+mirror"


@pytest.fixture
def pictures(tmp_path: Path) -> str:
    """A folder of a few grey images, under a name of every awkward character."""
    folder = tmp_path / AWKWARD
    folder.mkdir()
    draws = np.random.default_rng(0)
    for i in range(40):
        Image.fromarray(draws.integers(0, 256, (8, 8), np.uint8)).save(folder / f"{i:02d}.png")
    return str(folder)


@pytest.fixture(params=["", EDITS], ids=["plain", "edited"])
def source(request: pytest.FixtureRequest, pictures: str) -> Source:
    spec = DATASETS["folder"].parse({"path": pictures, "resolution": "8", "mode": "grey"})
    return Source.parse(spec.text() + request.param)


@pytest.fixture
def trained(source: Source) -> Iterator[None]:
    other = replace(source, spec=replace(source.spec, crop="none"))  # type: ignore[call-arg]
    sets = {"mine": source, "yours": source, "theirs": other, "base": source.base}
    with own_networks([(name, one.text) for name, one in sets.items()]):
        yield


def images_of(texts: Iterable[str]) -> list[Source]:
    """The images of every command, and of every `Source.parse` in lines of Python, of some texts."""
    found = []
    for text in texts:
        for line in re.findall(
            r"python -m locality (?:field|train|sample|agreement|memorisation|bench|sweep) .+", text
        ):
            if "…" in line:
                continue  # a pattern, not a command
            words = shlex.split(line.partition("`;")[0].partition("</code>")[0])
            first = int(words[words.index("--first") + 1]) if "--first" in words else None
            found.append(Source.parse(words[4], first))
        if "import Source" in text:
            calls = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Call)]
            named = [call for call in calls if ast.unparse(call.func) == "Source.parse"]
            found += [Source.parse(ast.literal_eval(call.args[0])) for call in named]
    return found


def printed(at: AppTest) -> Iterator[str]:
    """Code, captions and messages of a page, and all texts its components were told."""
    for kind in ("code", "caption", "markdown", "info"):
        yield from (str(element.value) for element in at.get(kind))
    for component in at.get("bidi_component"):
        told = component.proto
        yield from _texts(unpacked(told.bytes)[0] if told.bytes else json.loads(told.json or "null"))


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _texts(item)


@pytest.mark.usefixtures("trained")
@pytest.mark.parametrize("page", PAGES)
def test_pages_print_what_leads_back_to_their_images(
    page: str, source: Source, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("pages._ui.frame.sections", menu(page, *(name for name in PAGES if name != page)))
    monkeypatch.setattr(files, "_STATIC", tmp_path / "static")
    st.cache_resource.clear()
    at = open_page(**link_to(source))
    assert not [warning.value for warning in at.warning if "link" in warning.value.lower()]
    found = {one.fingerprint for one in images_of(printed(at))}
    edited = source if source.edits else Source.parse(f"{source.text}+pattern:W")
    wanted = {source.base.fingerprint, edited.fingerprint} if page == EDIT_PAGE else {source.fingerprint}
    assert found == (set() if page in WITHOUT_COMMANDS else wanted)


@pytest.mark.usefixtures("trained")
def test_files_and_plans_lead_back(source: Source) -> None:
    few = replace(source, first=20)
    view = View(Pixel(1, 2), 0.5, Pixel(1, 2), 0)
    shown = facts.Shown(few, finish(fit_wiener(few)), None, OPTIONS, view, "", None, 0.0)
    plan = Plan("new", source.text, "unet", {}, None, 1.0, 20)
    texts = [dict(facts.facts(shown))["Exact numbers"], plan.command(), bench_command(few, BenchPlan())]
    assert [one.fingerprint for one in images_of(map(html.unescape, iter(texts)))] == [few.fingerprint] * 3


@pytest.mark.usefixtures("trained")
def test_commands_print_and_ship_what_leads_back(
    source: Source, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    shell, text = Shell(capsys, monkeypatch), source.text
    npz, ship = ("--out", tmp_path / "x.npz"), ("--ship", tmp_path / "ship")
    small = ("--step", 4, "--draws", 4, "--sigmas", "0.5,1.5", "--outputs", 2, "--samples", 0)
    named = [
        shell("stats", text, "--json").json["dataset"],
        shell("field", text, "--pixel", "1,2", "--sigma", 0.5, *npz, "--json").json["dataset"],
        shell("sample", text, "--model", "wiener", "-n", 1, "--steps", 2, *npz, "--json").json["dataset"],
        shell("agreement", text, "--networks", "wiener,mine", *small, *ship, "--json").json["dataset"],
        shell("sweep", text, "--edit", "pattern:ring", "--strengths", "0,1", *ship, "--json").json["dataset"],
        *(row["dataset"] for row in shell("networks", text, "--json").json if row["name"] in ("mine", "yours")),
    ]
    assert shell("precompute", text, *ship).code == 0
    assert named == [text] * 7
    abouts = [json.loads(path.read_text())["about"] for path in (tmp_path / "ship").glob("*/*.json")]
    assert len(abouts) == 4
    assert {one.fingerprint for one in images_of(iter([about["command"] for about in abouts]))} == {source.fingerprint}
    assert {Source.parse(about["dataset"]) for about in abouts} == {source}


@pytest.mark.usefixtures("trained")
def test_a_network_of_other_options_is_offered_with_both_names(
    source: Source, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    other = replace(source, spec=replace(source.spec, crop="none"))  # type: ignore[call-arg]
    names = [network.name for network in networks_for(source)]
    assert names == (["base"] if not source.edits else []) + ["mine", "yours", "theirs"]
    listed = Shell(capsys, monkeypatch)("networks", source.text)
    assert listed.err == f"Note: theirs was trained on {other.text}; these images are {source.text}.\n"


def test_a_link_may_give_the_dataset_as_commands_do(source: Source) -> None:
    st.cache_resource.clear()
    at = open_page(dataset=source.text)
    assert unpacked(at.get("bidi_component")[0].proto.bytes)[0]["name"] == source.text
    asked = {name: at.query_params[name] for name in link_to(source)}
    assert {name: value if isinstance(value, str) else value[0] for name, value in asked.items()} == link_to(source)


def test_a_training_begun_before_options_were_named_keeps_its_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pages._ui.train.plan.home", lambda: tmp_path)
    plan = Plan("mine", "faces:variation=0.5", "unet", {}, 100)
    assert plan.key == "faces-variation-0.5-mine"
    (tmp_path / "faces-mine").mkdir()
    (tmp_path / "faces-mine" / "plan.json").write_text(json.dumps(asdict(plan)))
    assert plan.key == "faces-mine"
    assert plans() == [plan]
    assert replace(plan, dataset="faces:variation=0.4").key == "faces-variation-0.4-mine"
