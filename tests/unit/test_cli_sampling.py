"""sample, denoise and models: numbers against plain numpy, the same file twice, one line for every bad input."""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from locality.cli.parts import npz
from locality.datasets import DATASETS
from locality.denoisers import DENOISERS
from locality.sampler import start_noise
from locality.store import default_store
from locality.types import ImageShape
from tests.made_up import made_up
from tests.shell import Shell, refused
from tests.untimed import untimed

pytestmark = pytest.mark.timeout(300)  # seconds on an idle machine; others may be at work
WIENER = ("--model", "wiener")


@pytest.fixture
def shell(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Shell:
    untimed(monkeypatch)
    return Shell(capsys, monkeypatch)


@pytest.fixture
def never() -> Iterator[str]:
    """The name of a model that must not be fitted."""

    def fit(images: object, reference: object) -> Any:
        raise AssertionError("fitted before the mistake was reported")

    with made_up("never", fit):
        yield "never"


def arrays(path: Path) -> dict[str, NDArray[Any]]:
    with np.load(path, allow_pickle=False) as file:
        return dict(file)


def wiener(x: NDArray[np.float64], sigma: float) -> NDArray[np.float64]:
    """mu + S (S + sigma^2 I)^-1 (x - mu) of the digits by numpy alone."""
    x0 = DATASETS["digits"]().load().data.numpy().astype(np.float64) / 127.5 - 1
    mean, cov = x0.mean(axis=0), np.cov(x0.T)
    return mean + np.linalg.solve(cov + sigma**2 * np.eye(64), cov @ (x - mean).T).T


# --- results


def test_sample_writes_every_step(shell: Shell, tmp_path: Path) -> None:
    out = tmp_path / "new" / "s.npz"
    result = shell("sample", "digits", *WIENER, "-n", 3, "--steps", 5, "--seed", 4, "--out", out, "--json")
    assert result.code == 0, result.err
    file = arrays(out)
    assert {name: (array.shape, array.dtype) for name, array in file.items()} == {
        "x0_hat": ((5, 3, 1, 8, 8), np.float32),
        "x": ((5, 3, 1, 8, 8), np.float32),
        "sigmas": ((5,), np.float64),
    }
    sigmas = file["sigmas"]
    z = start_noise(ImageShape(1, 8, 8), 3, 4).numpy()
    assert file["x"][0].reshape(3, 64) == pytest.approx(np.sqrt(1 + sigmas[0] ** 2) * z, rel=1e-5)
    for i, sigma in enumerate(sigmas):
        want = wiener(file["x"][i].reshape(3, 64).astype(np.float64), float(sigma))
        assert file["x0_hat"][i].reshape(3, 64) == pytest.approx(want, abs=1e-4)
    got = result.json
    assert set(got) == {
        *("dataset", "model", "n", "steps", "seed", "sigmas", "shape", "seconds", "seconds_per_step"),
        *("peak_memory_bytes", "note", "out", "expected"),
    }
    assert (got["dataset"], got["model"], got["n"], got["steps"], got["seed"]) == ("digits", "wiener", 3, 5, 4)
    assert (got["shape"], got["note"], got["out"]) == ([1, 8, 8], "", str(out))
    assert got["sigmas"] == sigmas.tolist()
    assert got["seconds"] > 0
    assert got["seconds_per_step"] > 0
    assert result.err == ""


@pytest.fixture
def other_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[], None]]:
    """A switch to an empty cache."""
    with pytest.MonkeyPatch.context() as patch:

        def switch() -> None:
            patch.setenv("LOCALITY_CACHE", str(tmp_path_factory.mktemp("other")))
            default_store.cache_clear()

        yield switch
        default_store().close()
    default_store.cache_clear()


def test_the_same_command_gives_the_same_bytes(shell: Shell, tmp_path: Path, other_cache: Callable[[], None]) -> None:
    """Found in the store, drawn again with an empty one, and with every default written out."""
    args = ("sample", "digits", *WIENER, "-n", 2, "--steps", 3)
    assert shell(*args, "--out", tmp_path / "a").code == 0
    assert shell(*args, "--out", tmp_path / "b").code == 0
    other_cache()
    spelled = ("--seed", 0, "--grid", "ddpm", "--sampler", "ddim", "--eta", 0, "--clip", "--start", "ddpm")
    assert shell(*args, *spelled, "--memory", 64, "--device", "cpu", "--out", tmp_path / "c").code == 0
    first = (tmp_path / "a").read_bytes()
    assert (tmp_path / "b").read_bytes() == first
    assert (tmp_path / "c").read_bytes() == first
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b", "c"]


@pytest.mark.parametrize(
    "options",
    [
        ("--grid", "edm", "--start", "edm"),
        ("--grid", "log", "--sampler", "heun"),
        ("--eta", "0.5", "--no-clip"),
        ("--first", "100"),
    ],
)
def test_sample_takes_every_option(shell: Shell, tmp_path: Path, options: tuple[str, ...]) -> None:
    args = ("sample", "digits", *WIENER, "-n", 2, "--steps", 3, "--out")
    assert shell(*args, tmp_path / "usual").code == 0
    result = shell(*args, tmp_path / "other", *options)
    assert result.code == 0, result.err
    assert not np.array_equal(arrays(tmp_path / "usual")["x0_hat"], arrays(tmp_path / "other")["x0_hat"])


def test_sample_as_text(shell: Shell, tmp_path: Path) -> None:
    result = shell("sample", "digits", *WIENER, "-n", 2, "--out", tmp_path / "s.npz")
    assert "s.npz: 2 images of 1x8x8 by wiener in 10 steps, sigma 60.8 to 0.01\n" in result.out
    assert "per step when computed" in result.out


@pytest.mark.parametrize("kind", ["float32", "float64", ">f4", "columns first", "compressed"])
def test_denoise_equals_numpy(shell: Shell, tmp_path: Path, kind: str) -> None:
    x = np.random.default_rng(0).normal(size=(5, 1, 8, 8)).astype(np.float32)
    given = {"columns first": np.asfortranarray(x), "compressed": x}.get(kind)
    save = np.savez_compressed if kind == "compressed" else np.savez
    save(tmp_path / "f.npz", x=x.astype(kind) if given is None else given)
    args = ("--input", tmp_path / "f.npz", "--sigma", 0.7, "--out", tmp_path / "g.npz")
    result = shell("denoise", "digits", *WIENER, *args, "--json")
    assert result.code == 0, result.err
    file = arrays(tmp_path / "g.npz")
    assert list(file) == ["x0_hat"]
    assert (file["x0_hat"].shape, file["x0_hat"].dtype) == ((5, 1, 8, 8), np.float32)
    want = wiener(x.reshape(5, 64).astype(np.float64), 0.7)
    assert file["x0_hat"].reshape(5, 64) == pytest.approx(want, abs=1e-5)
    got = result.json
    assert set(got) == {
        *("dataset", "model", "n", "sigma", "shape", "seconds", "peak_memory_bytes", "note", "out", "expected"),
    }
    assert (got["n"], got["sigma"], got["shape"]) == (5, 0.7, [1, 8, 8])


def test_what_must_be_said_is_said(shell: Shell, tmp_path: Path) -> None:
    np.savez(tmp_path / "f.npz", x=np.zeros((1, 1, 8, 8)))
    io = ("--input", tmp_path / "f.npz", "--sigma", 1, "--out", tmp_path / "g.npz")
    with made_up("made_up", lambda images, reference: lambda x, sigma: x / 2, note="Only the first of {} images."):
        for command in (("sample", "digits", "--out", tmp_path / "s.npz"), ("denoise", "digits", *io)):
            result = shell(*command, "--model", "made_up", "--first", 50, "--json")
            assert result.json["note"] == "Only the first of 50 images."
            assert result.err == "Note: Only the first of 50 images.\n"


def test_models_as_json(shell: Shell) -> None:
    rows = shell("models", "--json").json
    assert [row["name"] for row in rows] == list(DENOISERS)
    for row in rows:
        assert set(row) == {"name", "about", "paper", "cost", "options"}
        for option in row["options"]:
            assert set(option) == {"name", "default", "low", "high", "choices", "unit", "help"}


def test_models_as_text(shell: Shell) -> None:
    with made_up("made_up", lambda images, reference: lambda x, sigma: x):
        lines = shell("models").out.splitlines()
    assert lines[0].split() == ["name", "cost", "paper"]
    assert [line.split()[0] for line in lines[1 : lines.index("")]] == sorted([*DENOISERS, "made_up"])
    start = lines.index("made_up: A model of a test.")
    assert [line.split() for line in lines[start + 1 : start + 5]] == [
        ["option", "default", "allowed", "meaning"],
        ["strength", "0.5", "0.0..1.0", "px", "How", "much."],
        ["sides", "3-5", "1..9", "Which."],
        ["rule", "row", "row,", "code", "How."],
    ]


# --- bad input: reported in one line, before any work, and nothing is left behind

O = ("--out", "s.npz")  # noqa: E741
BAD_SAMPLES = {
    "no model": (("--out", "s.npz"), "Missing option '--model'"),
    "no out": (("--model", "never"), "Missing option '--out'"),
    "no images": (("--model", "never", "-n", "0", *O), "-n=0 is outside [1, 4096]."),
    "many images": (("--model", "never", "-n", "5000", *O), "-n=5000 is outside [1, 4096]."),
    "one step": (("--model", "never", "--steps", "1", *O), "--steps=1 is outside [2, 1000]."),
    "seed": (("--model", "never", "--seed", "-1", *O), "--seed=-1 is outside [0, "),
    "grid": (("--model", "never", "--grid", "ddim", *O), "--grid='ddim' is not allowed. Choose one of: ddpm, edm, log"),
    "sampler": (("--model", "never", "--sampler", "ddpm", *O), "--sampler='ddpm' is not allowed. Choose one of: ddim"),
    "eta": (("--model", "never", "--eta", "2", *O), "--eta=2.0 is outside [0, 1]."),
    "eta nan": (("--model", "never", "--eta", "nan", *O), "--eta=nan is outside [0, 1]."),
    "heun eta": (("--model", "never", "--eta", "1", "--sampler", "heun", *O), "eta=1: heun adds no noise."),
    "start": (("--model", "never", "--start", "0", *O), "--start='0' is not allowed. Choose one of: ddpm, edm."),
    "model": (("--model", "nevr", *O), "Unknown model for digits 'nevr'. Did you mean 'never'? Known: "),
    "option": (("--model", "never:depth=3", *O), "never has no option 'depth'. Its options: strength, sides, rule."),
    "range": (("--model", "never:strength=3", *O), "never:strength=3.0 is outside [0, 1]."),
    "value": (("--model", "never:strength", *O), "Option 'strength' of 'never' has no value."),
    "network": (("--model", "unet", *O), "No unet is trained on digits. Train one: python -m locality train digits"),
    "first": (("--model", "never", "--first", "1618", *O), "--first 1618: digits has 1617 train images; give 1..1617."),
    "memory": (("--model", "never", "--memory", "0", *O), "--memory 0: give at least 1 (MB)."),
    "device": (("--model", "never", "--device", "abacus", *O), "--device 'abacus' cannot be used here"),
    "size": (("--model", "never", "-n", "4096", "--steps", "1000", *O), "needs 2.1 GB; the budget is 2 GB. Draw fewer"),
    "a folder": (("--model", "never", "--out", "."), "--out . is a folder or a device. Name a file, for example"),
}


@pytest.mark.parametrize(("args", "text"), BAD_SAMPLES.values(), ids=BAD_SAMPLES)
def test_bad_samples_are_one_line(
    shell: Shell, never: str, args: tuple[str, ...], text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert text in refused(shell("sample", "digits", *args))
    assert list(tmp_path.iterdir()) == []


def write_pickle(path: Path) -> None:
    np.savez(path, x=np.array([{}], dtype=object))


def write_claim(path: Path, shape: tuple[int, ...], held: int) -> None:
    """An npz whose header claims a shape and which holds so many zero bytes."""
    with zipfile.ZipFile(path, "w") as archive, archive.open("x.npy", "w") as file:
        np.lib.format.write_array_header_1_0(file, {"descr": "<f4", "fortran_order": False, "shape": shape})
        file.write(bytes(held))


BAD_INPUTS = {
    "missing": (lambda path: None, "f.npz is not a readable npz ([Errno 2] No such file"),
    "folder": (lambda path: path.mkdir(), "f.npz is not a readable npz ([Errno 21]"),
    "empty": (lambda path: path.write_bytes(b""), "f.npz is not a readable npz (File is not a zip file)"),
    "npy": (lambda path: np.save(path.open("wb"), np.zeros(3)), "is not a readable npz (File is not a zip file)"),
    "key": (
        lambda path: np.savez(path, y=np.zeros(3), z=np.zeros(3)),
        "has the arrays y, z; call the noisy images 'x'",
    ),
    "no key": (lambda path: np.savez(path), "has the arrays none; call the noisy images 'x'."),
    "flat": (lambda path: np.savez(path, x=np.zeros((2, 64))), "has shape [2, 64]; these images need [n, 1, 8, 8]"),
    "channels": (lambda path: np.savez(path, x=np.zeros((2, 3, 8, 8))), "has shape [2, 3, 8, 8]; these images need"),
    "none": (lambda path: np.savez(path, x=np.zeros((0, 1, 8, 8))), "has shape [0, 1, 8, 8]; these images need"),
    "scalar": (lambda path: np.savez(path, x=np.float32(0)), "has shape []; these images need [n, 1, 8, 8]"),
    "uint8": (lambda path: np.savez(path, x=np.zeros((2, 1, 8, 8), np.uint8)), "is uint8; give float32 images"),
    "complex": (lambda path: np.savez(path, x=np.zeros((2, 1, 8, 8), complex)), "is complex128; give float32 images"),
    "pickle": (write_pickle, "is object; give float32 images"),
    "nan": (lambda path: np.savez(path, x=np.full((2, 1, 8, 8), np.nan)), "'x' in f.npz holds NaN or infinity"),
    "float64": (lambda path: np.savez(path, x=np.full((2, 1, 8, 8), 1e300)), "'x' in f.npz holds NaN or infinity"),
    "huge": (lambda path: write_claim(path, (10**9, 1, 8, 8), 64), "'x' in f.npz needs 256 GB; the budget is 2 GB."),
    "short": (lambda path: write_claim(path, (2, 1, 8, 8), 64), "'x' is cut short or damaged: 64 bytes, 512 expected"),
    "long": (lambda path: write_claim(path, (1, 1, 8, 8), 999), "'x' is cut short or damaged: 257 bytes, 256 expected"),
    "garbled": (
        lambda path: zipfile.ZipFile(path, "w").writestr("x.npy", b"\x93NUMPY\x01\x00\x06\x00{(['\n "),
        "f.npz is not a readable npz (",
    ),
    "version": (
        lambda path: zipfile.ZipFile(path, "w").writestr("x.npy", b"\x93NUMPY\x09\x00\x06\x00{}    \n"),
        "f.npz is not a readable npz (",
    ),
}


@pytest.mark.parametrize(("write", "text"), BAD_INPUTS.values(), ids=BAD_INPUTS)
@pytest.mark.filterwarnings("ignore::ResourceWarning")  # of the files written here
def test_bad_inputs_are_one_line(
    shell: Shell, never: str, write: Any, text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write(Path("f.npz"))
    args = ("--model", never, "--input", "f.npz", "--sigma", 1, "--out", "g.npz")
    assert text in refused(shell("denoise", "digits", *args))
    assert not Path("g.npz").exists()


def test_a_damaged_npz_is_one_line(shell: Shell, never: str, tmp_path: Path) -> None:
    path = tmp_path / "f.npz"
    np.savez_compressed(path, x=np.random.default_rng(0).normal(size=(4, 1, 8, 8)))
    good = path.read_bytes()
    for raw in (good[:300], good[:200] + bytes(200) + good[400:]):
        path.write_bytes(raw)
        line = refused(
            shell("denoise", "digits", "--model", never, "--input", path, "--sigma", 1, "--out", tmp_path / "g.npz")
        )
        assert "f.npz is not a readable npz (" in line
    assert [file.name for file in tmp_path.iterdir()] == ["f.npz"]


@pytest.mark.parametrize("sigma", ["0", "-1", "nan", "inf"])
def test_bad_noise_levels_are_one_line(shell: Shell, never: str, tmp_path: Path, sigma: str) -> None:
    args = ("--model", never, "--input", tmp_path / "f.npz", "--sigma", sigma, "--out", tmp_path / "g.npz")
    assert "is not a noise level. Give a positive number" in refused(shell("denoise", "digits", *args))


def test_places_that_cannot_be_written_are_reported_before_the_work(shell: Shell, never: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    np.savez(tmp_path / "f.npz", x=np.zeros((1, 1, 8, 8)))
    io = ("--input", tmp_path / "f.npz", "--sigma", 1)
    os.mkfifo(tmp_path / "pipe")  # stands for /dev/null, which a fault here would replace by a file
    too_long = tmp_path / ("s" * (os.pathconf(tmp_path, "PC_NAME_MAX") + 1))
    for out in (tmp_path / "file" / "s.npz", too_long, Path("/proc/none/s.npz"), tmp_path / "pipe"):
        for command in (
            ("sample", "digits", "--model", never),
            ("denoise", "digits", "--model", never, *io),
            ("field", "digits", "--pixel", "3,3", "--sigma", 1),
        ):
            line = refused(shell(*command, "--out", out))
            assert f"--out {out} cannot be written (" in line or "is a folder or a device" in line
    assert (tmp_path / "pipe").is_fifo()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["f.npz", "file", "pipe"]


def test_a_network_that_is_missing_is_one_line(shell: Shell, tmp_path: Path) -> None:
    with made_up("follower", lambda images, reference: reference, network="unet"):
        line = refused(shell("sample", "digits", "--model", "follower", "--out", tmp_path / "s.npz"))
    assert "follower follows the trained network 'unet', which digits has not; trained on it: none. Train it: " in line
    assert list(tmp_path.iterdir()) == []


def test_a_memory_budget_too_small_is_one_line(shell: Shell, tmp_path: Path) -> None:
    def fit(images: object, reference: object) -> Any:
        return lambda x, sigma: x

    with made_up("made_up", fit, memory=1024**2 + 1):
        args = ("sample", "digits", "--model", "made_up", "--out", tmp_path / "s.npz", "--memory")
        assert "A model of a test needs 1.05 MB; the budget is 1.05 MB. Give more." in refused(shell(*args, 1))
        assert list(tmp_path.iterdir()) == []
        assert shell(*args, 2).code == 0


# --- stopping


def test_a_stop_leaves_no_file_and_keeps_the_old_one(shell: Shell, tmp_path: Path) -> None:
    calls: list[float] = []

    def call(x: Tensor, sigma: float) -> Tensor:
        calls.append(sigma)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return x / 2

    out = tmp_path / "s.npz"
    out.write_bytes(b"what was there")
    with made_up("made_up", lambda images, reference: call):
        result = shell("sample", "digits", "--model", "made_up", "--seed", 9, "--out", out)
        assert (result.code, result.out) == (130, "")  # 128 + SIGINT, as shells have it
        assert len(calls) == 3
        assert out.read_bytes() == b"what was there"
        assert [path.name for path in tmp_path.iterdir()] == ["s.npz"]
        again = shell("sample", "digits", "--model", "made_up", "--seed", 9, "--out", out)
        assert again.code == 0  # nothing was kept: all steps are made
        assert len(calls) == 3 + 10
    assert arrays(out)["x0_hat"].shape == (10, 8, 1, 8, 8)


def test_a_failure_while_writing_leaves_the_old_file(tmp_path: Path) -> None:
    out = tmp_path / "s.npz"
    out.write_bytes(b"what was there")

    class Unwritable:
        def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
            raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        npz.write_npz(out, x=torch.zeros(3).numpy(), y=Unwritable())
    assert out.read_bytes() == b"what was there"
    assert [path.name for path in tmp_path.iterdir()] == ["s.npz"]


@pytest.mark.parametrize("process", [7, 4_194_303])
def test_every_name_the_folder_takes_can_be_written(
    tmp_path: Path, process: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "getpid", lambda: process)
    out = tmp_path / ("s" * os.pathconf(tmp_path, "PC_NAME_MAX"))
    npz.check_out(out)
    assert list(tmp_path.iterdir()) == []
    npz.write_npz(out, x=np.arange(3))
    assert [path.name for path in tmp_path.iterdir()] == [out.name]


def test_a_link_is_written_through(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "s.npz").symlink_to(tmp_path / "real" / "t.npz")
    npz.check_out(tmp_path / "s.npz")
    npz.write_npz(tmp_path / "s.npz", x=np.arange(3))
    assert (tmp_path / "s.npz").is_symlink()
    assert arrays(tmp_path / "real" / "t.npz")["x"].tolist() == [0, 1, 2]


def test_json_holds_no_nan(shell: Shell, tmp_path: Path) -> None:
    result = shell("sample", "digits", *WIENER, "-n", 1, "--steps", 2, "--out", tmp_path / "s.npz", "--json")
    assert json.loads(result.out, parse_constant=lambda name: pytest.fail(name))["n"] == 1


def test_the_command_of_a_shipped_grid_repeats_its_options(shell: Shell, tmp_path: Path) -> None:
    shell("sample-grid", "digits", *WIENER, "-n", 2, "--steps", 3, "--grid", "log", "--no-clip", "--ship", tmp_path)
    about = json.loads((tmp_path / "sample_grids/digits.json").read_text())["about"]
    assert about["command"] == (
        "python -m locality sample-grid digits --model wiener -n 2 --steps 3 --grid log --no-clip --ship cache/shipped"
    )
