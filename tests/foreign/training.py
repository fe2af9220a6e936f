"""Trains the four networks of this folder in plain torch, by their own conventions, and saves them as people do."""

from __future__ import annotations

import argparse
import copy
import importlib.util
import json
import math
import shutil
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

HERE = Path(__file__).parent
NAMES = ("layernorm_unet", "cosine_cnn", "blind_cnn", "class_dit")


def module(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"foreign_{name}", HERE / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


def digits() -> tuple[Tensor, Tensor]:
    """scikit-learn's own digits [n 1 8 8] in [0, 1], without those the package holds out, and their classes."""
    from locality.datasets import Source

    data = Source.parse("digits").train
    assert data.labels is not None
    return (data.x0(slice(0, len(data))).reshape(-1, 1, 8, 8) + 1) / 2, data.labels


def trained(net: nn.Module, loss: Callable[[Tensor, Tensor], Tensor], steps: int, rate: float = 2e-3) -> Any:
    """The network and its running average after so many steps of Adam on batches of 64."""
    images, classes = digits()
    adam = torch.optim.Adam(net.parameters(), rate)
    falling = torch.optim.lr_scheduler.OneCycleLR(adam, rate, total_steps=steps)
    average = copy.deepcopy(net)
    for step in range(steps):
        pick = torch.randint(len(images), (64,))
        value = loss(images[pick], classes[pick])
        adam.zero_grad()
        value.backward()
        adam.step()
        falling.step()
        share = min(0.99, step / (step + 10))
        for old, new in zip(average.state_dict().values(), net.state_dict().values(), strict=True):
            if old.is_floating_point():
                old.lerp_(new, 1 - share)
            else:
                old.copy_(new)
    return net.eval(), average.eval()


def diffused(u0: Tensor, alpha_bar: Tensor) -> tuple[Tensor, Tensor]:
    """x_t and the noise in it, each image with its own alpha-bar."""
    eps = torch.randn_like(u0)
    a = alpha_bar[:, None, None, None].float()
    return a.sqrt() * u0 + (1 - a).sqrt() * eps, eps


def layernorm_unet(folder: Path, steps: int) -> None:
    net = module("layernorm_unet").UNet()
    alpha_bar = torch.cumprod(1 - torch.linspace(1e-4, 0.02, 1000, dtype=torch.float64), dim=0)

    def loss(images: Tensor, classes: Tensor) -> Tensor:
        t = torch.randint(1000, (len(images),))
        x_t, eps = diffused(2 * images - 1, alpha_bar[t])
        return (net(x_t, t) - eps).square().mean()

    net, average = trained(net, loss, steps)
    kept = {"epoch": 7, "model": net.state_dict(), "ema": average.state_dict(), "loss": 0.1}
    torch.save(kept, folder / "unet.pth")


def cosine_cnn(folder: Path, steps: int) -> None:
    net, total = module("cosine_cnn").CNN(), module("cosine_cnn").STEPS
    t = torch.arange(total + 1, dtype=torch.float64) / total
    f = torch.cos((t + 0.008) / 1.008 * math.pi / 2) ** 2
    alpha_bar = torch.cumprod(1 - (1 - f[1:] / f[:-1]).clamp(max=0.999), dim=0)

    def loss(images: Tensor, classes: Tensor) -> Tensor:
        t = torch.randint(total, (len(images),))
        u0 = 2 * images - 1
        x_t, eps = diffused(u0, alpha_bar[t])
        a = alpha_bar[t][:, None, None, None].float()
        return (net(x_t, t + 1) - (a.sqrt() * eps - (1 - a).sqrt() * u0)).square().mean()

    net, average = trained(net, loss, steps)
    state = {f"net.{name}": tensor for name, tensor in average.state_dict().items()}
    state["criterion.scale"] = torch.ones(1)
    kept = {"state_dict": state, "hyper_parameters": argparse.Namespace(lr=1e-3), "epoch": 3}
    torch.save(kept, folder / "cosine.ckpt")


def blind_cnn(folder: Path, steps: int) -> None:
    made = module("blind_cnn")
    net = made.DnCNN()

    def loss(images: Tensor, classes: Tensor) -> Tensor:
        ln = torch.empty(len(images)).uniform_(math.log(made.LOW), math.log(made.HIGH))
        s = ln.exp()[:, None, None, None]
        noise = s * torch.randn_like(images)
        return ((net(images + noise) - noise) / s.sqrt()).square().mean()

    net, _ = trained(net, loss, steps)
    torch.save(net.state_dict(), folder / "blind.pt", _use_new_zipfile_serialization=False)


def class_dit(folder: Path, steps: int) -> None:
    made = module("class_dit")
    net = made.DiT()

    def loss(images: Tensor, classes: Tensor) -> Tensor:
        t = torch.randint(50, (len(images),))
        x_t, _ = diffused(images - 0.5, made.ALPHA_BAR[t])
        s2 = (1 / made.ALPHA_BAR[t] - 1).float()[:, None, None, None]
        weight = ((s2 + 0.06) / s2).clamp(max=30)  # about the inverse of the least error there is
        return (weight * (net(x_t, t, classes) - (images - 0.5)).square()).mean()

    _, average = trained(net, loss, steps)
    sharded(average.state_dict(), folder / "dit")


def sharded(state: dict[str, Tensor], folder: Path) -> None:
    """As transformers and diffusers write large networks."""
    folder.mkdir()
    names = sorted(state)
    parts = {"model-00001-of-00002.safetensors": names[::2], "model-00002-of-00002.safetensors": names[1::2]}
    for file, part in parts.items():
        save_file({name: state[name].contiguous() for name in part}, folder / file)
    where = {name: file for file, part in parts.items() for name in part}
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": where}))


def make(name: str, folder: Path, steps: int) -> Path:
    """Train one network into a folder, with its Python file beside the weights; its text as a model."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        globals()[name](folder, steps)
    shutil.copy(HERE / f"{name}.py", folder)
    return folder / f"{name}.py"
