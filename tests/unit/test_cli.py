"""The command line: results and their schema, numbers against plain numpy, one line for every bad input.

Commands run in this process through `main`, as the shell calls it; only Ctrl-C needs a process of its own.
"""

from __future__ import annotations

import json
import os
import pty
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import typer

from locality.cli import app
from locality.dataset import Dataset
from locality.datasets import DATASETS
from locality.fields.codec import LEARNED_SIGMAS
from locality.store import default_store
from locality.studies import learned_table, trained_networks
from tests.pictures import pngs, write_folder
from tests.shell import Shell, refused

pytestmark = [
    pytest.mark.timeout(300),
    pytest.mark.usefixtures("one_thread"),
]  # seconds on an idle machine; others may be at work
TINY = "unet:channels=16-16,groups=8"
COMMANDS = sorted(typer.main.get_command(app).commands)  # type: ignore[attr-defined]


def numpy_rows(data: Dataset, coords: list[int], sigma: float) -> np.ndarray:
    """Rows of S (S + sigma^2 I)^-1 from pixels by numpy alone: covariance, then a solve, no eigenvectors."""
    x0 = data.data.numpy().astype(np.float64) / 127.5 - 1
    cov = np.cov(x0.T)
    return np.linalg.solve(cov + sigma**2 * np.eye(len(cov)), cov[:, coords]).T


def relative(got: np.ndarray, want: np.ndarray) -> float:
    return float(np.linalg.norm(got - want) / np.linalg.norm(want))


# --- results


def test_help_names_every_command(shell: Shell) -> None:
    for args in ((), ("--help",)):
        result = shell(*args)
        assert result.code == 0
        for command in COMMANDS:
            assert command in result.out


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(shell: Shell, command: str) -> None:
    result = shell(command, "--help")
    assert result.code == 0
    assert "Usage:" in result.out
    assert result.err == ""


def test_datasets_as_json(shell: Shell) -> None:
    rows = shell("datasets", "--json").json
    assert [row["name"] for row in rows] == list(DATASETS)
    for row in rows:
        assert set(row) == {"name", "title", "shape", "number", "available", "how_to_get", "notes", "licence", "source"}
        assert len(row["shape"]) == 3
        assert row["available"] == (row["how_to_get"] == "")
        assert row["licence"]
    digits = next(row for row in rows if row["name"] == "digits")
    assert (digits["shape"], digits["number"], digits["available"]) == ([1, 8, 8], 1617, True)


def test_datasets_as_text(shell: Shell) -> None:
    lines = shell("datasets").out.splitlines()
    assert lines[0].split()[:3] == ["name", "shape", "images"]
    assert len(lines) == len(DATASETS) + 1


def test_datasets_lists_a_broken_folder_with_its_reason(
    shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "celeba_hq").mkdir()
    (tmp_path / "celeba_hq" / "only.jpg").write_bytes(b"not a picture")
    monkeypatch.setenv("LOCALITY_DATA", str(tmp_path))
    row = next(row for row in shell("datasets", "--json").json if row["name"] == "celeba_hq")
    assert not row["available"]
    assert "celeba_hq holds 1 im" in row["how_to_get"]


def test_what_is_not_read_of_ones_own_images_is_said(shell: Shell, tmp_path: Path) -> None:
    write_folder(tmp_path, {**pngs(12, 8, 8, 3), "list.csv": b"x", "more.heic": b"y"})
    name, note = f"folder:path={tmp_path},resolution=8", "2 files not read: 1 .csv, 1 .heic (list.csv, more.heic). HEIC"
    (row,) = shell("datasets", name, "--json").json
    assert (row["name"], row["number"]) == (f"folder:path={tmp_path},resolution=8", 10)
    assert row["notes"][0].startswith(note)
    assert note in shell("datasets", name).out
    assert f"note: {note}" in shell("stats", name).out
    assert shell("stats", name, "--json").json["notes"][0].startswith(note)


def test_stats_equal_numpy(shell: Shell) -> None:
    result = shell("stats", "digits", "--json")
    got = result.json
    x0 = DATASETS["digits"]().load().data.numpy() / 127.5 - 1
    eigvals = np.linalg.eigvalsh(np.cov(x0.T))[::-1]
    assert (got["n"], got["d"], got["shape"]) == (1617, 64, [1, 8, 8])
    assert got["trace"] == pytest.approx(eigvals.sum(), rel=1e-10)
    assert got["largest_eigenvalues"] == pytest.approx(eigvals[:10].tolist(), rel=1e-9)
    assert got["seconds"] > 0
    assert got["peak_memory_bytes"] is None or got["peak_memory_bytes"] > 10**7
    assert result.err == ""


def test_stats_of_the_first_images(shell: Shell) -> None:
    got = shell("stats", "digits", "--first", 100, "--json").json
    x0 = DATASETS["digits"]().load().data[:100].numpy() / 127.5 - 1
    assert got["n"] == 100
    assert got["trace"] == pytest.approx(np.trace(np.cov(x0.T)), rel=1e-10)


def test_stats_as_text(shell: Shell) -> None:
    out = shell("stats", "digits").out
    assert "n = 1617, d = 64, trace = 18.759" in out
    assert "largest eigenvalues: 2.709, 2.578" in out


@pytest.mark.parametrize("first", [None, 200])
def test_field_equals_numpy_on_digits(shell: Shell, tmp_path: Path, first: int | None) -> None:
    out = tmp_path / "new" / "f.npz"
    more = () if first is None else ("--first", first)
    result = shell("field", "digits", "--pixel", "3,4", "--sigma", 0.7, "--out", out, "--json", *more)
    with np.load(out) as file:
        assert set(file) == {"field", "pixel", "sigma"}
        assert file["field"].dtype == np.float32
        assert file["field"].shape == (1, 1, 8, 8)
        assert file["pixel"].tolist() == [3, 4]
        assert float(file["sigma"]) == 0.7
        want = numpy_rows(DATASETS["digits"]().load().first(first), [28], 0.7)
        assert relative(file["field"].reshape(1, 64), want) < 1e-5
    got = result.json
    assert set(got) == {"dataset", "model", "pixel", "sigma", "shape", "radius", "outside", "error", "out"}
    assert got["error"] is None  # exact
    assert (got["dataset"], got["model"], got["pixel"], got["shape"]) == ("digits", "wiener", [3, 4], [1, 1, 8, 8])
    assert 0 <= got["radius"] < 10
    assert 0 <= got["outside"] <= 1


def test_field_equals_numpy_on_cifar10(shell: Shell, tmp_path: Path) -> None:
    if DATASETS["cifar10"]().missing():
        pytest.skip("the CIFAR-10 images are not under LOCALITY_DATA")
    out = tmp_path / "f.npz"
    result = shell("field", "cifar10", "--pixel", "16,9", "--sigma", 0.5, "--first", 2000, "--out", out)
    assert result.code == 0
    coords = [channel * 1024 + 16 * 32 + 9 for channel in range(3)]
    want = numpy_rows(DATASETS["cifar10"]().load().first(2000), coords, 0.5)
    with np.load(out) as file:
        assert file["field"].shape == (3, 3, 32, 32)
        for got, row in zip(file["field"].reshape(3, 3072), want, strict=True):
            assert relative(got, row) < 1e-4


@pytest.mark.parametrize(
    ("sigma", "said"), [(0.1, "noise levels); --exact"), (0.05, "none is stated at sigma 0.05; --exact")]
)
def test_an_error_bound_is_not_stated_below_its_noise_level(
    shell: Shell, tmp_path: Path, sigma: float, said: str
) -> None:
    out = shell("field", "afhq_cats", "--pixel", "16,11", "--sigma", sigma, "--out", tmp_path / "f.npz").out
    assert "for sigma >= 0.1" in out
    assert said in out


def test_field_of_a_constant_pixel_is_zero_and_has_no_radius(shell: Shell, tmp_path: Path) -> None:
    """The corner of every digit is empty. JSON has no nan: the radius is null."""
    out = tmp_path / "f.npz"
    got = shell("field", "digits", "--pixel", "0,0", "--sigma", 1, "--out", out, "--json").json
    assert got["radius"] is None
    assert got["outside"] is None
    with np.load(out) as file:
        assert (file["field"] == 0).all()
    assert "zero everywhere" in shell("field", "digits", "--pixel", "0,0", "--sigma", 1, "--out", out).out


def test_precompute_keeps_the_statistics(shell: Shell) -> None:
    result = shell("precompute", "digits")
    assert result.code == 0
    assert "digits: eigendecomposition of 1617 images is in the local cache." in result.out


# --- bad input

F = ("--out", "f.npz")
GOOD = ("--pixel", "1,1", "--sigma", "1", *F)
REFUSED = {
    "command": (("fields",), "No such command 'fields'"),
    "option": (("stats", "digits", "--frist", "3"), "No such option: --frist"),
    "no dataset": (("stats",), "Missing argument 'DATASET'"),
    "no pixel": (("field", "digits", "--sigma", "1", *F), "Missing option '--pixel'"),
    "dataset": (
        ("stats", "digitz"),
        "Unknown dataset 'digitz'. Did you mean 'digits'? Known: afhq_cats, afhqv2, celeba_hq",
    ),
    "dataset option": (("stats", "digits:size=3"), "digits has no option 'size'"),
    "first zero": (("stats", "digits", "--first", "0"), "--first 0: digits has 1617 train images; give 1..1617."),
    "first many": (("stats", "digits", "--first", "1618"), "--first 1618: digits has 1617"),
    "first one": (("stats", "digits", "--first", "1"), "A covariance needs at least two images, got 1."),
    "first text": (("stats", "digits", "--first", "x"), "Invalid value for '--first'"),
    "sigma nan": (("field", "digits", "--pixel", "1,1", "--sigma", "nan", *F), "sigma=nan is not a noise level"),
    "sigma inf": (("field", "digits", "--pixel", "1,1", "--sigma", "inf", *F), "sigma=inf is not a noise level"),
    "sigma zero": (("field", "digits", "--pixel", "1,1", "--sigma", "0", *F), "sigma=0 is not a noise level"),
    "sigma minus": (("field", "digits", "--pixel", "1,1", "--sigma", "-1", *F), "sigma=-1 is not a noise level"),
    "sigma huge": (("field", "digits", "--pixel", "1,1", "--sigma", "1e200", *F), "sigma=1e+200 is not a noise"),
    "sigma text": (("field", "digits", "--pixel", "1,1", "--sigma", "one", *F), "Invalid value for '--sigma'"),
    "pixel outside": (("field", "digits", "--pixel", "8,0", "--sigma", "1", *F), "Pixel 8,0 is outside the 8x8 image"),
    "pixel minus": (("field", "digits", "--pixel", "0,-1", "--sigma", "1", *F), "Pixel 0,-1 is outside"),
    "pixel text": (("field", "digits", "--pixel", "a,b", "--sigma", "1", *F), "--pixel 'a,b' is not ROW,COL"),
    "pixel three": (("field", "digits", "--pixel", "1,2,3", "--sigma", "1", *F), "is not ROW,COL"),
    "pixel nan": (("field", "digits", "--pixel", "nan,1", "--sigma", "1", *F), "is not ROW,COL"),
    "model": (("field", "digits", *GOOD, "--model", "vienna"), "Unknown model for digits 'vienna'. Known: "),
    "untrained": (("field", "digits", *GOOD, "--model", "unet"), "No unet is trained on digits. Train one: python -m"),
    "model option": (("field", "digits", *GOOD, "--model", "wiener:depth=3"), "wiener has no option 'depth'"),
    "draws": (("field", "digits", *GOOD, "--draws", "0"), "draws=0: give 1..4096."),
    "seed": (("field", "digits", *GOOD, "--seed", "99999999999999999999"), "seed=99999999999999999999: give 0.."),
    "networks": (("networks", "digitz"), "Unknown dataset 'digitz'"),
    "download": (("download", "digits"), "digits cannot be downloaded here"),
}


@pytest.mark.parametrize(("args", "text"), REFUSED.values(), ids=REFUSED)
def test_bad_input_is_one_line(
    shell: Shell, args: tuple[str, ...], text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert text in refused(shell(*args))
    assert list(tmp_path.iterdir()) == []


TRAIN_REFUSED = {
    "both lengths": (("--images", "8", "--minutes", "1"), "--images N or --minutes M, one of them"),
    "no length": ((), "--images N or --minutes M, one of them"),
    "no images": (("--images", "0"), "--images N or --minutes M, one of them"),
    "nan minutes": (("--minutes", "nan"), "--images N or --minutes M, one of them"),
    "nothing to resume": (("--images", "8", "--resume"), "holds no training to resume"),
    "option": (("--images", "8", "--option", "rates=1"), "TrainSpec has no option 'rates'. Its options: batch, rate"),
    "option range": (("--images", "8", "--option", "rate=7"), "TrainSpec:rate=7.0 is outside [1e-06, 1]"),
    "option value": (("--images", "8", "--option", "batch"), "has no value"),
    "device": (("--images", "8", "--device", "abacus"), "--device 'abacus' cannot be used here"),
    "few images": (("--images", "8", "--first", "1"), "at least two images"),
}


@pytest.mark.parametrize(("args", "text"), TRAIN_REFUSED.values(), ids=TRAIN_REFUSED)
def test_bad_training_is_one_line(shell: Shell, tmp_path: Path, args: tuple[str, ...], text: str) -> None:
    assert text in refused(shell("train", "digits", "--network", TINY, "--out", tmp_path / "n", *args))


@pytest.mark.parametrize(
    ("network", "text"),
    [
        ("unett", "Unknown network 'unett'. Did you mean 'unet'? Known: "),
        ("unet:depth=3", "unet has no option 'depth'"),
        ("unet:channels=8-8-8-8-8", "5 levels need sides divisible by 16, got 8x8"),
        ("unet:prediction=score", "Choose one of: edm, v, eps"),
    ],
)
def test_bad_networks_are_one_line(shell: Shell, tmp_path: Path, network: str, text: str) -> None:
    assert text in refused(shell("train", "digits", "--network", network, "--out", tmp_path, "--images", 8))


def test_places_that_cannot_be_written_are_reported_before_the_work(shell: Shell, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    out = tmp_path / "file" / "f.npz"
    assert "file" in refused(shell("field", "digits", "--pixel", "1,1", "--sigma", 1, "--out", out))
    assert "file" in refused(shell("train", "digits", "--network", TINY, "--out", out, "--images", 8))


def test_a_name_of_two_lines_is_reported_in_one(shell: Shell, tmp_path: Path) -> None:
    folder = tmp_path / "two\nlines"
    folder.mkdir()
    assert "two lines is not a trained network" in refused(shell("field", "digits", *GOOD, "--model", folder))


def test_images_that_are_not_here_are_reported(shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCALITY_DATA", str(tmp_path))
    if not DATASETS["cifar10"]().missing():
        pytest.skip("CIFAR-10 is in the user's data folder")
    line = refused(shell("stats", "cifar10", "--first", 10))
    assert "The cifar10 images are not on this machine" in line
    assert "python -m locality download cifar10" in line


# --- training


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("trained") / "unet"


def test_train_end_to_end(shell: Shell, trained: Path) -> None:
    options = ("--option", "batch=8", "--option", "warmup=8", "--flips")
    result = shell("train", "digits", "--network", TINY, "--out", trained, "--images", 64, "--json", *options)
    assert result.code == 0, result.err
    got = result.json
    assert (got["name"], got["dataset"], got["images_seen"]) == ("unet", "digits", 64)
    assert list(got["error_ratio"]) == ["0.1", "0.2", "0.5", "1", "2", "5"]
    assert all(ratio > 0 for ratio in got["error_ratio"].values())
    assert got["file_size"] == (trained / "weights.safetensors").stat().st_size
    manifest = json.loads((trained / "manifest.json").read_text())
    assert manifest["train"]["flips"] is True
    assert manifest["command"].startswith("python -m locality train digits --network unet:channels=16-16,groups=8")
    assert manifest["parameters"] == got["parameters"]


def test_field_of_a_checkpoint_folder(shell: Shell, trained: Path, tmp_path: Path) -> None:
    args = ("--pixel", "3,4", "--sigma", 0.7, "--model", trained, "--draws", 3)
    fields = []
    for name, more in (("a", ()), ("b", ()), ("c", ("--seed", 1))):
        result = shell("field", "digits", *args, *more, "--out", tmp_path / name)
        assert result.code == 0, result.err
        with np.load(tmp_path / name) as file:
            fields.append(file["field"])
    assert fields[0].shape == (1, 1, 8, 8)
    assert np.isfinite(fields[0]).all()
    assert (fields[0] == fields[1]).all()
    assert (fields[0] != fields[2]).any()


def test_checkpoint_of_another_shape_is_refused(shell: Shell, trained: Path) -> None:
    line = refused(shell("field", "faces", *GOOD, "--model", trained))
    assert "was trained on 1x8x8 images of digits; those of faces are 3x32x32" in line


def test_damaged_checkpoints_are_one_line(shell: Shell, trained: Path, tmp_path: Path) -> None:
    broken = shutil.copytree(trained, tmp_path / "broken")
    weights = (broken / "weights.safetensors").read_bytes()
    (broken / "weights.safetensors").write_bytes(weights[:-5])
    assert "is not the file its manifest describes" in refused(shell("field", "digits", *GOOD, "--model", broken))
    (broken / "manifest.json").write_text("{")
    assert "no usable manifest.json" in refused(shell("field", "digits", *GOOD, "--model", broken))
    (broken / "manifest.json").unlink()
    assert "is not a trained network" in refused(shell("field", "digits", *GOOD, "--model", broken))


def test_networks_lists_what_is_trained(shell: Shell, trained: Path, tmp_path: Path) -> None:
    assert shell("networks", "digits", "--json").json == []
    home = default_store().local / "networks" / "digits-unet"
    shutil.copytree(trained, home)
    try:
        (row,) = shell("networks", "digits", "--json").json
        assert set(row) == {"name", "dataset", "parameters", "images_seen", "error_ratio", "file_size"}
        assert (row["name"], row["dataset"], row["images_seen"]) == ("unet", "digits", 64)
        assert "unet" in shell("networks").out
        out = tmp_path / "f.npz"
        assert shell("field", "digits", "--pixel", "1,1", "--sigma", 1, "--out", out, "--model", "unet").code == 0
        assert ", unet, wiener." in refused(shell("field", "digits", *GOOD, "--model", "vienna"))
        table = shell("precompute", "digits", "--network", "unet", "--draws", 2, "--step", 4)
        assert "digits unet: table in the local cache, median relative standard error" in table.out
        assert "step=9: give 1..8" in refused(shell("precompute", "digits", "--network", "unet", "--step", 9))
        few = ("precompute", "digits", "--network", "unet", "--draws", 2, "--step", 4, "--sigmas")
        assert shell(*few, "2.263,0.5").code == 0
        kept = learned_table(trained_networks("digits")[0])
        assert kept is not None
        assert kept.meta["sigmas"] == [0.5, LEARNED_SIGMAS[3]]
        assert "--sigmas 'a' is not a list of numbers" in refused(shell(*few, "a"))
    finally:
        shutil.rmtree(home)


def test_training_over_a_training_is_refused(shell: Shell, trained: Path) -> None:
    args = ("train", "digits", "--network", TINY, "--out", trained, "--images", 64)
    assert "holds a training already. Add --resume" in refused(shell(*args))
    assert "a training with other data or options" in refused(shell(*args, "--resume"))


def test_interrupt_keeps_the_work_and_resume_finishes_it(shell: Shell, tmp_path: Path) -> None:
    """A real Ctrl-C to a real process, on a terminal, once its bar says that steps are being made."""
    out = tmp_path / "n"
    args = ["train", "digits", "--network", TINY, "--out", str(out)]
    args += ["--option", "batch=8", "--option", "schedule=inverse_sqrt"]
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "locality", *args, "--minutes", "30"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=theirs, start_new_session=True)
    os.close(theirs)
    try:
        shown = _read_until(ours, b"loss")
        process.send_signal(signal.SIGINT)
        shown += _read_until(ours, None)
        stdout, _ = process.communicate(timeout=60)
    finally:
        process.kill()
        os.close(ours)
    assert process.returncode == 2
    assert stdout == b""
    assert "Error: Stopped." in shown.decode(errors="replace")
    assert (out / "state.safetensors").exists()
    assert not (out / "manifest.json").exists()
    result = shell(*args, "--images", 2048, "--resume", "--json")
    assert result.code == 0, result.err
    assert result.json["images_seen"] >= 2048
    assert (out / "manifest.json").exists()


def _read_until(terminal: int, mark: bytes | None) -> bytes:
    """What a terminal shows until a mark appears, or until its program ends."""
    shown = b""
    while mark is None or mark not in shown:
        try:
            part = os.read(terminal, 65536)
        except OSError:  # Linux says so when the last program on the terminal has ended
            part = b""
        if not part:
            assert mark is None, shown.decode(errors="replace")
            break
        shown += part
    return shown
