"""Networks of other people's code: trained in plain torch by their own conventions, opened from a Python file."""

from __future__ import annotations

import argparse
import importlib.util
import json
import math
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from locality.datasets import Source
from locality.errors import BadInput, CheckpointMismatch, LocalityError
from locality.networks import AdaptedDenoiser, adapt, open_code, read_weights
from locality.networks.adapter.weights import fit_weights
from locality.specs import Code, code_of, outside
from locality.specs.code import plugin_places
from locality.studies import check_network_on, find_model, finish
from tests.shell import Shell, refused

pytestmark = [
    pytest.mark.timeout(1800),
    pytest.mark.usefixtures("one_thread"),
]  # seconds on an idle machine; others may be at work
ROOT = Path(__file__).parents[2]
SLOW = pytest.mark.skipif(not os.environ.get("LOCALITY_SLOW"), reason="takes minutes: LOCALITY_SLOW=1 runs it")
STEPS = {"layernorm_unet": 350, "cosine_cnn": 350, "blind_cnn": 350, "class_dit": 600}


@pytest.fixture(autouse=True)
def typed(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a command: whoever names a file may have it opened."""
    monkeypatch.setattr(outside, "_allowed", [True])


def training() -> ModuleType:
    spec = importlib.util.spec_from_file_location("foreign_training", ROOT / "tests" / "foreign" / "training.py")
    assert spec is not None
    assert spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = made
    spec.loader.exec_module(made)
    return made


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Each network trained for some seconds, saved in its own way beside its Python file."""
    folder = tmp_path_factory.mktemp("foreign")
    return {name: training().make(name, folder, steps) for name, steps in STEPS.items()}


def denoiser(files: dict[str, Path], name: str) -> AdaptedDenoiser:
    made = open_code(Code(files[name].resolve(), "build")).denoiser
    assert isinstance(made, AdaptedDenoiser)
    return made


# --- four networks


@pytest.mark.parametrize("name", STEPS)
def test_each_opens_and_passes_the_check_on_data(files: dict[str, Path], shell: Shell, name: str) -> None:
    result = shell("checkpoint", f"{files[name]}:build")
    assert result.code == 0, result.err
    assert result.out.endswith("It passes.\n")
    assert "128 images of digits" in result.out


def column(values: Tensor) -> Tensor:
    return values.float()[:, None, None, None]


def by_hand(name: str, net: nn.Module, x: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
    """sigma and x0_hat of noisy images x at steps t, by each network's own conventions."""
    if name == "layernorm_unet":
        alpha_bar = torch.cumprod(1 - torch.linspace(1e-4, 0.02, 1000, dtype=torch.float64), dim=0)[t]
        a = column(alpha_bar)
        x_t = a.sqrt() * x
        return (1 / alpha_bar - 1).sqrt(), (x_t - (1 - a).sqrt() * net(x_t, t)) / a.sqrt()
    if name == "cosine_cnn":
        steps = torch.arange(31, dtype=torch.float64) / 30
        f = torch.cos((steps + 0.008) / 1.008 * math.pi / 2) ** 2
        alpha_bar = torch.cumprod(1 - (1 - f[1:] / f[:-1]).clamp(max=0.999), dim=0)[t]
        a = column(alpha_bar)
        x_t = a.sqrt() * x
        return (1 / alpha_bar - 1).sqrt(), a.sqrt() * x_t - (1 - a).sqrt() * net(x_t, t + 1)
    assert name == "class_dit"
    levels = torch.logspace(-1.7, 1.0, 50, dtype=torch.float64)[t]  # of images in [-0.5, 0.5]
    x_t = x / 2 / column((1 + levels**2).sqrt())
    each = [net(x_t, t, torch.full_like(t, k)) for k in range(10)]
    return 2 * levels, 2 * torch.stack(each).mean(dim=0)


@pytest.mark.parametrize(
    ("name", "steps"), [("layernorm_unet", (3, 400, 999)), ("cosine_cnn", (0, 12, 28)), ("class_dit", (0, 20, 49))]
)
def test_estimates_are_those_of_its_own_formulas(files: dict[str, Path], name: str, steps: tuple[int, ...]) -> None:
    made = denoiser(files, name)
    x = torch.randn(2, 64, generator=torch.Generator().manual_seed(0))
    for t in steps:
        sigma, want = by_hand(name, made.net, x.reshape(2, 1, 8, 8), torch.full((2,), t))
        got = made(x, float(sigma[0]))
        torch.testing.assert_close(got, want.flatten(1), rtol=1e-4, atol=1e-4 * max(1.0, float(sigma[0])))


def test_a_blind_network_is_given_the_image_alone(files: dict[str, Path]) -> None:
    made = denoiser(files, "blind_cnn")
    x = torch.randn(2, 64, generator=torch.Generator().manual_seed(0))
    u = (x + 1) / 2
    want = 2 * (u - made.net(u.reshape(2, 1, 8, 8)).flatten(1)) - 1
    for sigma in (0.1, 1.9):
        torch.testing.assert_close(made(x, sigma), want, rtol=1e-5, atol=1e-5)
    with pytest.raises(BadInput, match=r"sigma=2.5 is outside .* 0.04 to 2\. .*--grid checkpoint"):
        made(x, 2.5)


WRONG = [
    ("layernorm_unet", {"gives": "x0"}, "this predicts the noise eps", "gives='eps'"),
    ("layernorm_unet", {"values": (0.0, 1.0)}, r"the range is \[-1, 1\]", r"values=\(-1.0, 1.0\)"),
    ("layernorm_unet", {"takes": "plain"}, r"this takes images scaled by sqrt\(alpha_bar\)", "takes='scaled'"),
    ("layernorm_unet", {"schedule": "cosine"}, "the schedule is linear", "schedule='linear'"),
    ("cosine_cnn", {"offset": 0}, "the label is off by one", "offset=1"),
    ("cosine_cnn", {"gives": "eps"}, "this predicts v", "gives='v'"),
    ("cosine_cnn", {"label": "fraction"}, "the label is of the kind (index|time)", "label='(index|time)'"),
    ("cosine_cnn", {"schedule": "scaled_linear"}, "the schedule is cosine", "schedule='cosine'"),
    ("blind_cnn", {"values": (-1.0, 1.0)}, r"the range is \[0, 1\]", r"values=\(0.0, 1.0\)"),
    ("blind_cnn", {"gives": "-residual"}, "this predicts the residual, noise in the image's units", "gives='residual'"),
    ("class_dit", {"values": (0.0, 1.0)}, r"the range is \[-0.5, 0.5\]", r"values=\(-0.5, 0.5\)"),
    ("class_dit", {"gives": "eps"}, "this predicts x0", "gives='x0'"),
    ("class_dit", {"levels": "reversed"}, "the steps are listed the wrong way round", "levels="),
]  # fmt: skip


def named(one: tuple[str, dict[str, Any], str, str]) -> Any:
    """The Transformer is asked for ten classes: one of its cases is enough for every day."""
    marks = [SLOW] if one[0] == "class_dit" and "gives" not in one[1] else []
    return pytest.param(*one, marks=marks, id="-".join(map(str, (one[0], *next(iter(one[1].items()))))))


@pytest.mark.parametrize(("name", "wrong", "says", "fact"), [named(one) for one in WRONG])
def test_one_wrong_fact_is_named(
    files: dict[str, Path], name: str, wrong: dict[str, Any], says: str, fact: str
) -> None:
    made = denoiser(files, name)
    wrong = {"levels": made.facts.levels[::-1]} if "levels" in wrong else wrong
    told = replace(made, facts=replace(made.facts, **wrong))
    checked = finish(check_network_on(Source.parse("digits"), told))
    assert len(checked.better) == 1, checked.problem
    with pytest.raises(AssertionError, match=f"It looks like {says}: with {fact}"):
        raise AssertionError(checked.problem)
    assert math.prod(checked.fixed) < 0.99**6 * math.prod(checked.ratios)


def test_the_command_fails_by_name(files: dict[str, Path], shell: Shell) -> None:
    result = shell("checkpoint", f"{files['layernorm_unet']}:build:gives=x0", "--json")
    assert result.code == 2
    assert "layernorm_unet.py:build:gives=x0: It looks like this predicts the noise eps" in result.err
    assert result.json["check"]["looks_like"][0]["fact"] == "gives='eps'"


def test_facts_that_cannot_run_are_refused_when_it_opens(files: dict[str, Path]) -> None:
    table = f"{files['layernorm_unet']}:build"
    with pytest.raises(
        BadInput, match=r"no row for one of its labels, which run from 1 to 1000 .*Check steps and offset"
    ):
        open_code(Code(files["layernorm_unet"].resolve(), "build", "offset=1"))
    with pytest.raises(BadInput, match=r"does not run on 1x8x8 images.*IndexError"):
        find_model(Source.parse("digits"), f"{table}:label=time")
    with pytest.raises(BadInput, match="do not go together"):
        find_model(Source.parse("digits"), f"{table}:label=none")


def test_commands_take_them_as_models(files: dict[str, Path], shell: Shell, tmp_path: Path) -> None:
    text = f"{files['class_dit']}:build"
    field = shell(
        "field",
        "digits",
        "--pixel",
        "3,3",
        "--sigma",
        1,
        "--draws",
        2,
        "--model",
        text,
        "--out",
        tmp_path / "f.npz",
        "--json",
    )
    assert field.json["shape"] == [1, 1, 8, 8]
    drawn = (
        "sample",
        "digits",
        "--model",
        f"{text}:class=3",
        "-n",
        2,
        "--steps",
        4,
        "--grid",
        "log",
        "--out",
        tmp_path / "s.npz",
    )
    line = refused(shell(*drawn))
    assert "is outside the noise this network was trained on" in line
    assert "--grid checkpoint" in line


# --- weights as people save them


def tiny() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.Conv2d(4, 1, 3, padding=1))


FORMS: dict[str, tuple[str, Callable[[Path, dict[str, Tensor]], Any], dict[str, str]]] = {
    "pt": ("a.pt", lambda p, s: torch.save(s, p), {}),
    "pth in a dictionary": ("a.pth", lambda p, s: torch.save({"epoch": 3, "net": s}, p), {}),
    "before torch 1.6": ("a.pt", lambda p, s: torch.save(s, p, _use_new_zipfile_serialization=False), {}),
    "lightning": ("a.ckpt", lambda p, s: torch.save(
        {"state_dict": {f"net.{n}": t for n, t in s.items()}, "hyper_parameters": argparse.Namespace(lr=1)}, p),
        {"prefix": "net."}),
    "average": ("a.pt", lambda p, s: torch.save({"model": {n: t * 0 for n, t in s.items()}, "ema": {"shadow": s}}, p),
        {"key": "ema.shadow"}),
    "average by prefix": ("a.pt", lambda p, s: torch.save({**{f"ema_model.{n}": t for n, t in s.items()},
        **{f"online_model.{n}": t * 0 for n, t in s.items()}, "step": torch.tensor(3)}, p), {"prefix": "ema_model."}),
    "parallel": ("a.pt", lambda p, s: torch.save({f"module.{n}": t for n, t in s.items()}, p), {}),
    "safetensors": ("a.safetensors", lambda p, s: save_file(s, p), {}),
    "shards": ("folder", lambda p, s: training().sharded(s, p), {}),
}  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
def test_weights_are_read_however_they_were_saved(tmp_path: Path, form: str) -> None:
    name, write, how = FORMS[form]
    state = tiny().state_dict()
    write(tmp_path / name, state)
    found = read_weights(tmp_path / name, **how)
    assert found.keys() == state.keys()
    assert all(torch.equal(found[one], state[one]) and found[one].dtype == state[one].dtype for one in state)


def test_a_list_of_averages_is_read_in_the_order_of_the_parameters(tmp_path: Path) -> None:
    net, other = tiny(), tiny()
    with torch.no_grad():
        shadow = [weight + 1 for weight in net.parameters()]
    torch.save({"model": net.state_dict(), "ema": {"decay": 0.9, "shadow_params": shadow}}, tmp_path / "a.pt")
    fit_weights(other, read_weights(tmp_path / "a.pt", key="ema.shadow_params"), "a.pt")
    assert all(torch.equal(a, b) for a, b in zip(other.parameters(), shadow, strict=True))


def both(path: Path, state: dict[str, Tensor]) -> None:
    torch.save({"model": state, "ema": state}, path)


BAD_WEIGHTS: dict[str, tuple[Callable[[Path, dict[str, Tensor]], Any], dict[str, str], type[LocalityError], str]] = {
    "several": (both, {}, BadInput, r"holds 2 sets of weights: model \(9 tensors: 0.weight, ...\), ema .*key=model"),
    "no such key": (both, {"key": "av"}, BadInput, "no weights under the key 'av'. It holds model"),
    "no such prefix": (lambda p, s: torch.save(s, p), {"prefix": "net."}, BadInput, "begins with 'net.'. Its names"),
    "prefix": (lambda p, s: torch.save({f"a.b.{n}": t for n, t in s.items()}, p), {}, CheckpointMismatch,
        r"18 of 18 tensors differ\. 0.bias is missing; 0.weight is missing; .* They fit with prefix='a.b.'"),
    "shapes": (lambda p, s: torch.save({**s, "0.bias": torch.zeros(5)}, p), {}, CheckpointMismatch,
        r"0.bias has shape \(5,\), \(4,\) expected"),
    "nothing": (lambda p, s: torch.save({"epoch": 3}, p), {}, BadInput, "holds no weights by name"),
    "code": (lambda p, s: torch.save({"net": tiny()}, p), {}, BadInput, "more than plain tensors.*save its weights"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD_WEIGHTS)
def test_bad_weights_are_one_message(tmp_path: Path, case: str) -> None:
    write, how, error, text = BAD_WEIGHTS[case]
    write(tmp_path / "a.pt", tiny().state_dict())
    with pytest.raises(error, match=text):
        adapt(tiny(), shape=(1, 8, 8), weights=tmp_path / "a.pt", **how)  # type: ignore[arg-type]


def test_a_shard_that_is_missing_is_named(tmp_path: Path) -> None:
    training().sharded(tiny().state_dict(), tmp_path / "net")
    (tmp_path / "net" / "model-00002-of-00002.safetensors").unlink()
    with pytest.raises(BadInput, match="names 1 shards that are not beside it, first model-00002"):
        read_weights(tmp_path / "net")


# --- Python files that are wrong


HEAD = """
import torch
from torch import nn
from locality.networks import adapt
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 1, 3, padding=1)
    def forward(self, x, t):
        return self.conv(x) * (1 + t[:, None, None, None])
"""
BAD_CODE = {
    "raises": ("def build():\n    return 1 / 0", r"m.py:build fails \(line 12\): ZeroDivisionError: division by zero"),
    "no function": ("def make():\n    pass", r"no function 'build'\. It has: Net, make"),
    "syntax": ("def build(:", r"cannot be used\. SyntaxError"),
    "bare": ("def build():\n    return Net()", "returns a bare network.*adapt"),
    "nothing": ("def build():\n    pass", "returns NoneType: a denoiser"),
    "no shape": ("def build():\n    return lambda x, sigma: x", "without its images' shape"),
    "shape": ("def build():\n    f = lambda x, sigma: x[:, :5]\n    f.shape = (1, 8, 8)\n    return f",
        "does not run on 1x8x8 images|gives 2x5 for x of 2x64"),
    "output": ("class Half(Net):\n    def forward(self, x, t):\n        return x[..., ::2]\n"
        "def build():\n    return adapt(Half(), shape=(1, 8, 8))", "gives 1x8x4 for images of 1x8x8: it must keep"),
    "ignores": ("class Deaf(Net):\n    def forward(self, x, t):\n        return self.conv(x)\n"
        "def build():\n    return adapt(Deaf(), shape=(1, 8, 8))",
        "gives the same at every noise level, whatever its label.*schedule='blind'"),
    "gpu": ("def build():\n    return adapt(Net().cuda(), shape=(1, 8, 8))", "asks for a GPU.*map_location='cpu'"),
    "weights": ("def build():\n    n = Net()\n    n.load_state_dict({'x': torch.zeros(1)})\n    return n",
        "Error.*in loading state_dict for Net: Missing key.*conv.weight"),
    "class": ("class Told(Net):\n    def forward(self, x, t, y):\n        return self.conv(x) * t[0] * y[0]\n"
        "def build():\n    return adapt(Told(), shape=(1, 8, 8))", "missing 1 required positional argument: 'y'"),
    "steps": ("def build():\n    return adapt(Net(), shape=(1, 8, 8), schedule='alpha_bar', levels=[0.5, 0.9, 0.1])",
        "its noise does not rise, or fall, from step to step"),
    "schedule": ("def build():\n    return adapt(Net(), shape=(1, 8, 8), schedule='linaer')",
        "Unknown value of schedule= 'linaer'. Did you mean 'linear'"),
    "needs": ("def build(width):\n    return width", "needs option 'width'. Its options: width="),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD_CODE)
def test_bad_files_are_one_message(tmp_path: Path, case: str) -> None:
    if case == "gpu" and torch.cuda.is_available():
        pytest.skip("there is a GPU")
    code, text = BAD_CODE[case]
    (tmp_path / "m.py").write_text(f"{HEAD}{code}\n")
    with pytest.raises(LocalityError, match=text) as raised:
        find_model(Source.parse("digits"), f"{tmp_path}/m.py:build")
    assert "\n" not in str(raised.value)


def test_options_are_what_the_function_takes(tmp_path: Path) -> None:
    body = (
        "def build(width=3, fast=False, name='a'):\n    f = lambda x, sigma: x / (width + fast + len(name) + sigma)\n"
    )
    (tmp_path / "o.py").write_text(f"{body}    f.shape = (1, 8, 8)\n    return f\n")
    made = open_code(Code((tmp_path / "o.py").resolve(), "build", "width=5,fast=true,name=abc"))
    assert torch.equal(made.denoiser(torch.ones(1, 64), 1.0), torch.ones(1, 64) / 10.0)
    for options, text in (
        ("width=x", "width='x' is not a number like 3"),
        ("deep=1", "has no option 'deep'. Its options: w"),
    ):
        with pytest.raises(BadInput, match=text):
            open_code(Code((tmp_path / "o.py").resolve(), "build", options))


def test_what_a_file_prints_is_not_in_the_result(tmp_path: Path, shell: Shell) -> None:
    body = "print('hello')\ndef build():\n    print('made')\n    def f(x, sigma):\n        print('called')\n"
    body += "        return x\n"
    (tmp_path / "loud.py").write_text(f"{body}    f.shape = (1, 8, 8)\n    return f\n")
    result = shell("checkpoint", f"{tmp_path}/loud.py:build", "--json")
    assert result.json["kind"] == "loud.py:build"
    assert {"hello", "made", "called"} <= set(result.err.split())


def test_nobody_opens_a_file_by_typing_it_on_a_page(
    files: dict[str, Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(outside, "_allowed", [])
    (tmp_path / "evil.py").write_text(f"open({str(tmp_path / 'boom')!r}, 'w')\ndef build():\n    pass\n")
    for text in (f"{tmp_path}/evil.py:build", f"{files['blind_cnn']}:build", f"{files['blind_cnn']}:DnCNN"):
        with pytest.raises(BadInput, match=r"is Python code.*opens none that is only typed.*LOCALITY_PLUGINS"):
            find_model(Source.parse("digits"), text)
    assert not (tmp_path / "boom").exists()


def test_the_variable_names_them_for_everybody(files: dict[str, Path], tmp_path: Path) -> None:
    env = {
        **os.environ,
        "LOCALITY_PLUGINS": os.pathsep.join([f"{files['blind_cnn']}:build", f"{files['class_dit']}:build:class=3"]),
    }
    done = subprocess.run(
        [sys.executable, "-c", SERVER], cwd=ROOT, env=env, text=True, capture_output=True, timeout=600
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["digits"][-2:] == ["blind_cnn.py:build", "class_dit.py:build:class=3"]
    assert "blind_cnn.py:build" not in found["faces"]
    assert "only typed" in found["other"]


SERVER = """
import json, sys
from locality.specs import load_plugins
load_plugins()
from locality.datasets import Source
from locality.errors import BadInput
from locality.studies import find_network, networks_for
found = {name: [one.name for one in networks_for(Source.parse(name))] for name in ("digits", "faces")}
assert find_network(Source.parse("digits"), "class_dit.py:build:class=3").load().facts.image_class == 3
try:
    find_network(Source.parse("digits"), found["digits"][-1].replace("3", "4"))
except BadInput as error:
    found["other"] = str(error)
print(json.dumps(found))
"""


def test_functions_are_told_from_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file, folder = tmp_path / "net.py", tmp_path / "more"
    file.write_text("def build(width=1):\n    pass\n")
    folder.mkdir()
    text = os.pathsep.join([f"{file}:build:width=3,depth=2", str(folder), str(file)])
    monkeypatch.setenv("LOCALITY_PLUGINS", text)
    assert plugin_places() == [f"{file}:build:width=3,depth=2", str(folder), str(file)]
    assert code_of(plugin_places()[0]) == Code(file.resolve(), "build", "width=3,depth=2")
    assert code_of("wiener:rank=3") is None
    assert code_of("/x/net.pt") is None


def test_results_are_kept_under_what_made_them(tmp_path: Path) -> None:
    """Another file, another set of weights or another fact gives other results."""

    def key(name: str, body: str) -> Any:
        (tmp_path / name).write_text(f"{HEAD}{body}")
        return find_model(Source.parse("digits"), f"{tmp_path}/{name}:build").key()["weights"]

    plain = "def build():\n    return adapt(Net(), shape=(1, 8, 8)%s)\n"
    keys = [key("a.py", plain % ""), key("b.py", plain % ", gives='v'"), key("c.py", plain % "" + "\n")]
    assert len(set(keys)) == 3
    assert keys[0] == key("d.py", plain % "")


def test_the_lines_of_the_readme_run(tmp_path: Path, shell: Shell) -> None:
    text = (ROOT / "README.md").read_text().partition("### A network of your own")[2]
    code = text.partition("```python\n")[2].partition("```")[0]
    assert len([line for line in code.splitlines() if line]) <= 15
    (tmp_path / "my_net.py").write_text(code)
    torch.manual_seed(0)
    result = shell("checkpoint", f"{tmp_path}/my_net.py:build", "digits")
    assert "my_net.py:build (python), 1,010 parameters, predicts eps" in result.out
    assert (result.code, "my_net.py:build: It" in result.err) == (2, True)  # it is not trained: it cannot pass
    module = tmp_path / "net.pth"
    torch.save({name: tensor + 1 for name, tensor in open_state(tmp_path).items()}, module)
    assert shell("checkpoint", f"{tmp_path}/my_net.py:build:weights=net.pth").code == 0


def open_state(folder: Path) -> dict[str, Tensor]:
    return open_code(Code((folder / "my_net.py").resolve(), "build")).denoiser.net.state_dict()
