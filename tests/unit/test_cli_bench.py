"""The command bench: rows as JSON, the table for people, folders and shipping, going on, one line for bad input."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from locality.studies import BenchPlan
from locality.studies.benchmark import METRICS
from locality.studies.benchmark.gather import bench_command
from tests.benches import SHAPE, network, shrinking
from tests.shell import Shell, refused
from tests.untimed import untimed

pytestmark = [
    pytest.mark.timeout(300),
    pytest.mark.usefixtures("one_thread"),
]  # seconds on an idle machine; others may be at work
SMALL = ("-n", 3, "--steps", 2, "--sigmas", "0.5,2", "--features", "pixels", "--real", 50, "--ceiling", "none")


@pytest.fixture(scope="module")
def net(tmp_path_factory: pytest.TempPathFactory) -> str:
    return network(tmp_path_factory.mktemp("networks") / "net")


@pytest.fixture
def shell(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Shell:
    untimed(monkeypatch)
    return Shell(capsys, monkeypatch)


def test_rows_as_json_with_everything_explained(shell: Shell, net: str, tmp_path: Path) -> None:
    out, ship = tmp_path / "out", tmp_path / "shipped"
    asked = ("bench", "digits", "--reference", net, "--model", "optimal@first=40", "--preset", "clip", *SMALL)
    result = shell(*asked, "--seed", 7, "--first", 60, "--json", "--out", out, "--ship", ship)
    assert result.code == 0, result.err
    reported = json.loads(result.out, parse_constant=lambda name: pytest.fail(name))
    names = ("dataset", "reference", "train_images", "n")
    assert [reported[name] for name in names] == ["digits", net, 60, 3]
    models = {model["name"]: model for model in reported["models"]}
    assert set(models) == {
        net, "wiener", "mean", "optimal@first=40", "wiener@clip=false", "pca_locality", "pca_locality@clip=false",
        "held-out images",
    }  # fmt: skip
    assert models["optimal@first=40"]["notes"] == ["fitted to the first 40 of 1,617 training images"]
    assert models["optimal@first=40"]["train_images"] == 40
    for row in reported["rows"]:
        assert {"model", "metric", "sigma", "mean", "stderr", "n", "seconds_per_step", "peak_bytes"} <= set(row)
        assert row["metric"] in METRICS
        assert row["metric"] in reported["about"]
        assert ("features" in row) == (row["metric"] in ("kid", "frechet"))
    assert {row["preset"] for row in reported["ablations"]} == {"clip"}
    assert {row["level"] for row in reported["differences"]} == {0.95}
    assert reported["missing"] == []
    assert f"--reference {net} --model optimal@first=40" in reported["command"]
    assert "3 images: differences are often smaller" in result.err
    assert json.loads((out / "rows.json").read_text())["rows"] == reported["rows"]
    assert Path(reported["shipped"]).is_file()
    again = shell(*asked, "--seed", 7, "--first", 60, "--json").json
    assert again["rows"] == reported["rows"]  # timings too: they are those of when the cells were made
    assert (again["out"], again["shipped"]) == (None, None)


def test_a_table_for_people(shell: Shell, net: str) -> None:
    result = shell("bench", "digits", "--reference", net, "--model", "optimal", *SMALL)
    assert result.code == 0, result.err
    blocks = result.out.split("\n\n")
    lines = blocks[0].splitlines()
    assert lines[0] == f"digits: 3 images, 2 steps, against {net}"
    assert lines[1].split()[:5] == ["model", "R2", "final", "R2", "on-trajectory"]
    assert lines[2].startswith(f"{net} (reference)")
    assert lines[-1].startswith("held-out images")
    assert blocks[1].splitlines()[0].split()[:4] == ["model", "minus", "metric", "difference"]


def test_one_image_says_that_nothing_has_an_error(shell: Shell, net: str) -> None:
    result = shell("bench", "digits", "--reference", net, *SMALL[2:], "-n", 1)
    assert "Note: One image: nothing has an error bar." in result.err
    assert "±" not in result.out
    assert shell("bench", "digits", "--reference", net, *SMALL[2:], "-n", 1, "--json").json["rows"][0]["stderr"] is None


def test_presets_are_listed(shell: Shell) -> None:
    text = shell("bench", "--presets").out
    assert "tau: the threshold of the mask" in text
    rows = shell("bench", "--presets", "--json").json
    assert {"name", "help", "groups"} == set(rows[0])
    assert "ablation" in " ".join(shell("bench", "--help").out.split())


def test_interrupted_it_says_that_the_same_command_goes_on(shell: Shell, net: str) -> None:
    """Ctrl-C inside a denoising call: what was finished is not asked for again."""
    with shrinking("stopped", 0.3) as calls:
        asked = ("bench", "digits", "--reference", net, "--model", "stopped", *SMALL[2:], "-n", 20)

        class Stop(list[float]):
            def append(self, sigma: float) -> None:
                super().append(sigma)
                if len(self) == 6:  # the first cell is over after 2 calls, the second after 1, the third after 2
                    raise KeyboardInterrupt

        calls.sigmas = Stop()
        line = refused(shell(*asked))
        assert line == "Error: Stopped. Every finished cell is kept: run the same command to go on."
        calls.sigmas = []
        assert shell(*asked).code == 0
        # the cell that was stopped, and those of the four images that were not begun
        assert len(calls.sigmas) == 2 + (2 + 1 + 2 + 2)


def test_the_command_of_a_plan_is_that_plan(net: str) -> None:
    from locality.datasets import Source

    plan = BenchPlan(
        reference=net, models=("wiener", "ls:window=3"), presets=("tau",), count=9, steps=4, seed=2, sigmas=(0.5, 1.0),
        features="none", ceiling="none", real=77,
    )  # fmt: skip
    command = bench_command(Source.parse("digits", 50), plan)
    assert command == (
        f"python -m locality bench digits --reference {net} --model wiener --model ls:window=3 --preset tau "
        "-n 9 --steps 4 --seed 2 --first 50 --second none --sigmas 0.5,1.0 --features none --real 77"
    )
    usual = bench_command(Source.parse("digits"), BenchPlan())
    assert usual == "python -m locality bench digits --reference unet --model wiener -n 128 --steps 10 --seed 0"


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ((), "Name a dataset, for example python -m locality bench mnist"),
        (("digits", "-n", 0), "-n=0 is outside [1, 4096]."),
        (("digits", "--steps", 1), "--steps=1 is outside [2, 1000]."),
        (("digits", "--sigmas", "a"), "--sigmas 'a' is not a list of numbers."),
        (("digits", "--sigmas", "1,1"), "--sigmas=(1.0, 1.0): give at least one noise level, each once."),
        (("digits", "--features", "dreams"), "--features='dreams': no features 'dreams'."),
        (("digits", "--memory", 0), "--memory 0: give at least 1 (MB)."),
        (("digits", "--reference", "nobody"), "Unknown model for digits 'nobody'."),
        (("digits", "--reference", "unet"), "No unet is trained on digits. Train one"),
        (("digitz",), "Unknown dataset 'digitz'. Did you mean 'digits'?"),
        (("digits", "--first", 9999), "--first 9999"),
        (("digits", "--out", "/dev/null"), "--out /dev/null is a file."),
    ],
)
def test_bad_input_is_one_line(shell: Shell, options: tuple[object, ...], text: str) -> None:
    assert text in refused(shell("bench", *options))


def test_a_network_of_another_shape_is_one_line(shell: Shell, net: str, tmp_path: Path) -> None:
    other = network(tmp_path / "other", dataset="mnist", shape=SHAPE)
    assert "was trained on mnist, not on digits" in refused(shell("bench", "digits", "--reference", other))


def test_a_foreign_folder_is_refused_before_the_work(shell: Shell, net: str, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("x")
    line = refused(shell("bench", "digits", "--reference", net, "--out", tmp_path, *SMALL))
    assert "holds mine.txt, which the benchmark has not written" in line
