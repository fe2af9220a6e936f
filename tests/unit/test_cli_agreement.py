"""The command agreement: JSON, tables, files and shipping; one line for every bad input."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from locality.cli.agreement import _names
from tests.benches import network
from tests.made_up import made_up
from tests.shell import Shell, refused

pytestmark = pytest.mark.timeout(300)  # seconds on an idle machine; others may be at work
SMALL = ("--step", 4, "--draws", 4, "--outputs", 3, "--samples", 2, "--steps", 2, "--sigmas", "0.5,2")


@pytest.fixture
def shifted() -> Iterator[str]:
    """A model whose estimate is the image one place further: its field is one pixel, not its own."""
    with made_up("shifted", lambda images, reference: lambda x, sigma: x.roll(1, dims=1)):
        yield "shifted"


def test_json_names_its_numbers_and_files_hold_them(shell: Shell, tmp_path: Path, shifted: str) -> None:
    out, ship = tmp_path / "a.npz", tmp_path / "shipped"
    names = ["wiener", shifted, network(tmp_path / "n")]
    question = ("agreement", "digits", "--networks", ",".join(names), *SMALL, "--untrained", "--json")
    result = shell(*question, "--out", out, "--ship", ship)
    assert result.code == 0, result.err
    reported = json.loads(result.out, parse_constant=lambda name: pytest.fail(name))
    names.append(f"untrained:{names[2]}")
    assert [model["name"] for model in reported["models"]] == names
    assert [model["kind"] for model in reported["models"]] == ["analytic", "analytic", "trained", "untrained"]
    assert reported["pixels"] == [[2, 2], [2, 6], [6, 2], [6, 6]]
    assert reported["sigmas"] == [0.5, 2.0]
    assert reported["plan"]["draws"] == 4
    assert reported["off_centre"][0][1][1] == pytest.approx(1.0)
    with np.load(out, allow_pickle=False) as file:
        assert file["names"].tolist() == names
        assert file["pearson"].tolist() == reported["pearson"]
        assert file["r2_samples"].shape == (4, 4)
        assert np.isfinite(file["pearson_spread"][:, 0, 3]).all()  # over initialisations of the untrained network
    assert reported["out"] == str(out)
    assert reported["shipped"] == str(ship / "agreement" / "digits.safetensors")
    manifest = json.loads((ship / "agreement" / "digits.json").read_text())
    assert manifest["about"]["models"] == names
    again = shell(*question).json
    assert again["pearson"] == reported["pearson"]
    assert (again["out"], again["shipped"]) == (None, None)


def test_a_table_for_people(shell: Shell, tmp_path: Path) -> None:
    folder = network(tmp_path / "n")
    result = shell("agreement", "digits", "--networks", f"wiener,{folder}", *SMALL)
    assert result.code == 0, result.err
    blocks = result.out.split("\n\n")
    titles = [block.splitlines()[0] for block in blocks]
    assert titles[0] == "digits: fields of 4 pixels by their variance, 4 draws"
    assert titles[1:5] == [
        "sigma 0.5, Pearson r of fields, corrected for the noise of draws, ± standard error",
        "sigma 0.5, the same, excluding the pixel itself",
        "sigma 0.5, chance: Pearson r of fields of two different pixels",
        "sigma 0.5, R2 of estimates: how much of the column the row explains ± standard error",
    ]
    assert titles[9] == "R2 of 2 samples from the same noise in 2 steps ± standard error"
    assert titles[10] == "held-out error / Wiener's, by sigma"
    assert blocks[1].splitlines()[1].split()[-1] == "reliability"
    assert blocks[1].splitlines()[2].split()[:2] == ["wiener", "1.000"]
    assert blocks[10].splitlines()[2].split()[-1] == "0.75"


def test_options_stay_with_their_model() -> None:
    assert _names("wiener,unet") == ["wiener", "unet"]
    assert _names("ls:window=3,rule=row,unet,untrained:dit:depth=2,heads=1,x:a=1") == [
        "ls:window=3,rule=row",
        "unet",
        "untrained:dit:depth=2,heads=1",
        "x:a=1",
    ]


def test_without_trained_networks_it_says_what_to_do(shell: Shell) -> None:
    line = refused(shell("agreement", "digits"))
    assert "No network is trained on digits. Train one with python -m locality train, or name two models" in line


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (("--networks", "wiener"), "needs at least two models, got only 'wiener'."),
        (("--networks", "wiener,,unet"), "--networks 'wiener,,unet' has an empty name."),
        (("--networks", "wiener,wiener"), "'wiener' is given twice"),
        (("--networks", "wiener,unett"), "Unknown model for digits 'unett'."),
        (("--networks", "wiener,nearest", "--draws", 1), "--draws=1 is outside [4, 4096]."),
        (("--networks", "wiener,nearest", "--sigmas", "a,b"), "--sigmas 'a,b' is not a list of numbers."),
        (("--networks", "wiener,nearest", "--sigmas", "nan"), "--sigmas=(nan,) is outside [1e-06, 1e+06]."),
        (("--networks", "wiener,nearest", "--step", 8), "step=8 leaves one pixel"),
        (("--networks", "wiener,nearest", "--memory", 0), "--memory 0: give at least 1 (MB)."),
        (("--networks", "wiener,nearest", "--out", "/"), "--out / is a folder or a device."),
        (("--networks", "wiener,nearest", "--device", "no"), "--device 'no' cannot be used here"),
    ],
)
def test_bad_input_is_one_line(shell: Shell, options: tuple[object, ...], text: str) -> None:
    assert text in refused(shell("agreement", "digits", *options))
