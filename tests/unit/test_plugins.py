"""Plug-ins from outside: one of each kind in a folder of its own, found by commands, checks and cache keys."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.shell import Result, Shell, refused

pytestmark = pytest.mark.timeout(900)  # most commands are processes of their own, which load torch
ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / "tests" / "outside").glob("*.py"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a made-up plug-in of each kind."""
    made = tmp_path / "plugins"
    made.mkdir()
    for file in FILES:
        shutil.copy(file, made)
    return made


def run(*words: str, plugins: object = "", cache: Path | None = None) -> Result:
    """A process of its own: what one loads, the others do not have."""
    env = {**os.environ, "LOCALITY_PLUGINS": str(plugins), "OMP_NUM_THREADS": "1"}
    env |= {} if cache is None else {"LOCALITY_CACHE": str(cache)}
    done = subprocess.run([sys.executable, *words], cwd=ROOT, env=env, text=True, capture_output=True, timeout=600)
    return Result(done.returncode, done.stdout, done.stderr)


def said(*words: str, plugins: object, cache: Path | None = None) -> Any:
    """What a command prints as JSON."""
    done = run("-m", "locality", *words, "--json", plugins=plugins, cache=cache)
    assert done.code == 0, done.err
    return done.json


@pytest.fixture
def with_plugins(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> Callable[[object], Result]:
    """A command of this process, for plug-ins that fail: nothing of them stays registered."""
    monkeypatch.setattr(sys, "path", [*sys.path])  # their folders leave it afterwards

    def listed(plugins: object) -> Result:
        monkeypatch.setenv("LOCALITY_PLUGINS", str(plugins))
        return shell("models")

    return listed


def test_commands_have_them(folder: Path, tmp_path: Path) -> None:
    """A model on a dataset with an edit, all three from outside; the network trained, listed and asked for a field."""
    listed = {command: {row["name"]: row for row in said(command, plugins=folder)} for command in LISTS}
    assert {LISTS[command] for command in LISTS} <= {name for rows in listed.values() for name in rows}
    assert listed["models"]["shrunken"]["options"][0] == {
        "name": "speed",
        "default": 1.0,
        "low": 0.1,
        "high": 10.0,
        "choices": [],
        "unit": "",
        "help": "How fast s it fades with the noise.",
    }
    plain, faded = (said("stats", name, plugins=folder)["trace"] for name in ("gratings", "gratings+fade:0.5"))
    assert faded == pytest.approx(plain / 4, rel=1e-5)
    words = ("gratings:period=5+fade:0.2", "--model", "shrunken:speed=2", "-n", "2", "--steps", "3")
    assert said("sample", *words, "--out", str(tmp_path / "drawn.npz"), plugins=folder)
    net, cache = tmp_path / "cache" / "networks" / "gratings-two_layers", tmp_path / "cache"
    words = ("train", "gratings", "--network", "two_layers:channels=4", "--images", "64", "--out", str(net))
    assert run("-m", "locality", *words, plugins=folder, cache=cache).code == 0
    assert [row["name"] for row in said("networks", "gratings", plugins=folder, cache=cache)] == ["two_layers"]
    words = ("--pixel", "3,3", "--sigma", "1", "--model", "two_layers", "--draws", "2")
    assert said("field", "gratings", *words, "--out", str(tmp_path / "field.npz"), plugins=folder, cache=cache)
    without = said("networks", plugins="", cache=cache)
    assert "two_layers" not in {row["name"] for row in without if row["dataset"] == "gratings"}
    assert "shrunken" not in {row["name"] for row in said("models", plugins="")}


LISTS = {"models": "shrunken", "datasets": "gratings", "edits": "fade"}


def test_the_benchmark_has_a_column_of_a_metric_from_outside(folder: Path, tmp_path: Path) -> None:
    """A model, a network, a dataset and a metric, all from outside; a changed metric is computed anew, alone."""
    net, cache = tmp_path / "net", tmp_path / "cache"
    words = ("train", "gratings", "--network", "two_layers:channels=4", "--images", "256", "--out", str(net))
    assert run("-m", "locality", *words, plugins=folder, cache=cache).code == 0
    ask = ("bench", "gratings", "--reference", str(net), "--model", "shrunken", "-n", "3", "--steps", "2")
    ask += ("--sigmas", "0.5,2", "--features", "none", "--second", "none")

    def scores() -> list[dict[str, float]]:
        rows = [row for row in said(*ask, plugins=folder, cache=cache)["rows"] if row["sigma"] is None]
        metrics = ("sign_agreement", "r2_final")
        return [{row["model"]: row["mean"] for row in rows if row["metric"] == metric} for metric in metrics]

    found, r2 = scores()
    assert set(found) == set(r2) == {"mean", "shrunken", "wiener"}
    assert all(0 < value <= 1 for value in found.values())
    change(folder / "sign_agreement.py", "(estimate > 0) == (target > 0)", "(estimate > 0) != (target > 0)")
    opposite, same = scores()
    assert opposite == pytest.approx({name: 1 - value for name, value in found.items()}, abs=1e-12)
    assert same == r2
    text = run("-m", "locality", *ask, plugins=folder, cache=cache).out
    assert "Same side" in text


CHECKS = """
from locality.checks import check_dataset, check_denoiser, check_edit, check_metric, check_network
from locality.datasets import DATASETS
from locality.denoisers import DENOISERS
from locality.edits import EDITS
from locality.metrics import SCORES
from locality.networks import NETWORKS
for registry, check, name in (
    (DENOISERS, check_denoiser, "shrunken"), (DATASETS, check_dataset, "gratings"), (EDITS, check_edit, "fade"),
    (NETWORKS, check_network, "two_layers"), (SCORES, check_metric, "sign_agreement"),
):
    check(name + ":")
    for text in registry[name].examples:
        check(text)
        print(text)
"""


def test_they_meet_the_contracts(folder: Path) -> None:
    done = run("-c", CHECKS, plugins=folder)
    assert done.code == 0, done.err
    assert len(done.out.split()) == 8


def test_a_denoiser_that_breaks_a_contract_is_found(folder: Path) -> None:
    change(folder / "shrunken.py", "x - self.mean.to(x)) /", "x - x.mean()) /")
    done = run("-c", CHECKS, plugins=folder)
    assert "AssertionError: Shrunken(speed=1.0) fails batch_is_one_by_one" in done.err


KEYS = """
from locality.specs import load_plugins
load_plugins()
import json
from locality.datasets import Source
from locality.device import Compute
from locality.networks import NETWORKS
from locality.studies.models import model_key
from locality.store.artifact import canonical
plain, faded = Source.parse("gratings"), Source.parse("gratings+fade:0.5")
print(json.dumps({
    "denoiser": model_key(plain, "shrunken"),
    "dataset": plain.fingerprint,
    "edit": faded.fingerprint,
    "network": canonical(NETWORKS.parse("two_layers").key()),
    "inside": model_key(plain, "optimal"),
}))
"""


def keys(folder: Path) -> dict[str, Any]:
    done = run("-c", KEYS, plugins=folder)
    assert done.code == 0, done.err
    found: dict[str, Any] = done.json
    return found


@pytest.fixture(scope="module")
def unchanged(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The keys of the files as they are, from another folder: where a file lies does not matter."""
    made = tmp_path_factory.mktemp("unchanged")
    for file in FILES:
        shutil.copy(file, made)
    return keys(made)


def change(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert text.count(old) == 1
    file.write_text(text.replace(old, new))


@pytest.mark.parametrize(
    ("file", "old", "new", "changed"),
    [
        ("shrunken.py", "self.speed * check", "2 * self.speed * check", {"denoiser"}),
        ("gratings.py", "127.5 + 127.5 * wave", "127.5 + 120 * wave", {"denoiser", "dataset", "edit", "inside"}),
        ("fade.py", "x * (1 - self.amount)", "x * (1 - self.amount) ** 2", {"edit"}),
        ("two_layers.py", "torch.tanh", "torch.sigmoid", {"network"}),
    ],
)
def test_results_are_kept_under_the_file_that_made_them(
    unchanged: dict[str, Any], folder: Path, file: str, old: str, new: str, changed: set[str]
) -> None:
    """Whoever changes a file gets new results of what is in it, and the old ones of everything else."""
    change(folder / file, old, new)
    after = keys(folder)
    assert {name for name in after if after[name] != unchanged[name]} == changed


def test_a_network_is_another_one_when_its_file_changes(folder: Path, tmp_path: Path) -> None:
    """Its weights stay valid; what was computed with them is not found again."""
    net = tmp_path / "net"
    words = ("train", "gratings", "--network", "two_layers:channels=4", "--images", "64", "--out", str(net))
    assert run("-m", "locality", *words, plugins=folder).code == 0
    ask = ("-c", OPEN.format(net=str(net)))
    before = run(*ask, plugins=folder)
    change(folder / "two_layers.py", "torch.tanh", "torch.sigmoid")
    after = run(*ask, plugins=folder)
    assert (before.code, after.code) == (0, 0), before.err + after.err
    assert before.out != after.out


OPEN = """
from locality.specs import load_plugins
load_plugins()
from pathlib import Path
from locality.studies.trained import read_trained
trained = read_trained(Path({net!r}))
trained.load()
print(trained.manifest["sha256"])
"""


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x = 1 +", r"SyntaxError: invalid syntax (bad.py, line 1)"),
        ("import os\n\nx = 1 / 0", r"ZeroDivisionError: division by zero (line 3)"),
        ("import nowhere_to_be_found", r"ModuleNotFoundError: No module named 'nowhere_to_be_found' (line 1)"),
        ("raise SystemExit(0)", r"SystemExit: 0 (line 1)"),
    ],
)
def test_a_file_that_fails_is_named(
    with_plugins: Callable[[object], Result], tmp_path: Path, text: str, message: str
) -> None:
    bad = tmp_path / "bad.py"
    bad.write_text(text)
    line = refused(with_plugins(bad))
    assert line == f"Error: The plug-in {bad} (LOCALITY_PLUGINS) cannot be used. {message}"


def test_a_name_that_is_taken_is_refused(folder: Path) -> None:
    change(folder / "shrunken.py", 'register("shrunken")', 'register("optimal")')
    line = refused(run("-m", "locality", "models", plugins=folder / "shrunken.py"))
    assert "shrunken.py (LOCALITY_PLUGINS) cannot be used. The model 'optimal' (" in line
    assert line.endswith("the name is taken by locality.denoisers.optimal.Optimal. Give another.")


def test_an_incomplete_class_is_refused(with_plugins: Callable[[object], Result], folder: Path) -> None:
    change(folder / "fade.py", '    heading: ClassVar[str] = "Fade"\n', "")
    line = refused(with_plugins(folder / "fade.py"))
    assert "The edit 'fade' (" in line
    assert line.endswith("is not complete: heading is missing.")


def test_places_that_hold_nothing_are_refused(with_plugins: Callable[[object], Result], tmp_path: Path) -> None:
    line = refused(with_plugins(tmp_path / "no.py"))
    assert line == (
        f"Error: LOCALITY_PLUGINS: {tmp_path}/no.py does not exist. Give files, or folders of files, joined by ':'."
    )
    (tmp_path / "_draft.py").write_text("1 / 0")
    line = refused(with_plugins(tmp_path))
    assert line == (
        f"Error: LOCALITY_PLUGINS: the folder {tmp_path} has no plug-in, a file NAME.py. Write one, or leave it out."
    )


def test_several_places_are_joined_as_in_path(folder: Path, tmp_path: Path) -> None:
    """A file and a folder; two files of one name in two places; the same file twice is read once."""
    other = tmp_path / "more"
    other.mkdir()
    shutil.move(folder / "fade.py", other / "shrunken.py")
    both = os.pathsep.join(map(str, (folder / "shrunken.py", other, folder / "shrunken.py")))
    done = run("-c", NAMES, plugins=both)
    assert done.code == 0, done.err
    assert {"shrunken", "fade"} <= set(done.out.split())


NAMES = """
from locality.specs import load_plugins
load_plugins()
from locality.denoisers import DENOISERS
from locality.edits import EDITS
print(*DENOISERS, *EDITS)
"""


PAGES = """
import sys
import streamlit as st
from streamlit.testing.v1 import AppTest

page = sys.argv[1]
import pages._ui.frame as frame
from pathlib import Path
every = sorted(map(str, Path("pages/explore").glob("*.py")))
frame.sections = lambda: {"": [st.Page(one, default=one == page) for one in every]}
at = AppTest.from_file("app.py", default_timeout=240)
for pair in sys.argv[2:]:
    name, _, value = pair.partition("=")
    at.query_params[name] = value
at.run()
assert not at.exception, at.exception
assert not at.error, [one.value for one in at.error]
boxes = [*at.selectbox, *at.multiselect, *at.radio]
print(sorted(str(choice) for box in boxes for choice in box.options))
print(sorted(str(one.key) for one in [*at.number_input, *boxes]))
print([one.value for one in [*at.markdown, *at.caption]], [list(one.proto.captions) for one in at.radio])
"""


@pytest.mark.parametrize(
    ("page", "query", "there"),
    [
        ("02_Data", ("dataset=gratings", "gratings_period=5"), [" Gratings'", "gratings_period", "any direction"]),
        ("03_Samples", ("dataset=gratings", "model=shrunken:speed=2", "n=1", "steps=2"), ["shrunken", "_speed'"]),
        ("05_Train", ("dataset=gratings",), ["Two layers"]),
        ("06_Edit_statistics", ("dataset=gratings", "edit=fade:amount=0.3"), ["'Fade'"]),
    ],
)
def test_pages_have_them_with_their_controls(folder: Path, page: str, query: tuple[str, ...], there: list[str]) -> None:
    done = run("-c", PAGES, f"pages/explore/{page}.py", *query, plugins=folder)
    assert done.code == 0, done.err[-3000:]
    for text in there:
        assert text in done.out


def test_the_app_says_which_file_fails(folder: Path) -> None:
    """Where the server was started without `serve`, which would not have begun."""
    (folder / "broken.py").write_text("1 / 0")
    done = run("-c", PAGES, "pages/explore/02_Data.py", plugins=folder)
    assert "broken.py (LOCALITY_PLUGINS) cannot be used. ZeroDivisionError" in done.err
    served = run("-m", "pages._ui.serve", "--server.headless=true", plugins=folder)
    assert "broken.py (LOCALITY_PLUGINS) cannot be used. ZeroDivisionError" in refused(served)


@pytest.mark.parametrize(("kind", "name", "met"), [("denoiser", "shrunken", "shrunken"), ("edit", "fade", "fade:")])
def test_the_command_check_counts_the_contracts_of_every_example(folder: Path, kind: str, name: str, met: str) -> None:
    done = run("-m", "locality", "check", kind, name, plugins=folder)
    assert done.code == 0, done.err
    lines = done.out.splitlines()
    assert len(lines) >= 2
    assert any(line.startswith(met) and line.endswith("contracts") for line in lines)


def test_a_plugin_that_fails_inside_a_command_is_one_line(folder: Path) -> None:
    """An error in a file of the user's names file and line; in the check, the contract."""
    file = folder / "fade.py"
    change(file, "return x * (1 - self.amount)", "return x / missing")
    line = refused(run("-m", "locality", "stats", "digits+fade", plugins=folder))
    number = next(i for i, text in enumerate(file.read_text().splitlines(), 1) if "missing" in text)
    assert f"{file} failed at line {number}: NameError: name 'missing' is not defined" in line
    assert "fails" in refused(run("-m", "locality", "check", "edit", "fade", plugins=folder))


def test_an_edit_without_statistics_must_say_so(with_plugins: Callable[[object], Result], folder: Path) -> None:
    file = folder / "fade.py"
    change(file, "(LinearEdit)", "(EditSpec)")
    change(file, "import EDITS", "import EDITS, EditSpec")
    change(file, 'def linear(self, x: Float[Tensor, "k d"], shape: ImageShape)', "def images(self, data, stage)")
    line = refused(with_plugins(file))
    assert 'statistics() is not written: write it, or say closed = "none"' in line


def test_a_dataset_of_floats_from_0_to_1_is_found(folder: Path) -> None:
    change(folder / "gratings.py", "np.rint(127.5 + 127.5 * wave).astype(np.uint8)", "np.float32(0.5 + 0.5 * wave)")
    line = refused(run("-m", "locality", "check", "dataset", "gratings", plugins=folder))
    assert "no float is below 0: give x0 in [-1, 1]" in line


def test_images_that_are_not_flat_are_named_before_any_contract(folder: Path) -> None:
    """By what they are, once, and not by the contract that happens to look first."""
    change(folder / "gratings.py", ".astype(np.uint8)).flatten(1)", ".astype(np.uint8))")
    line = refused(run("-m", "locality", "check", "dataset", "gratings", plugins=folder))
    assert "Images are given flat" in line
    assert "fails" not in line
