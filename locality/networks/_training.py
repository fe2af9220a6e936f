"""Training a denoiser: one loop, as a generator of progress, with exact resume.

The loss is the mean squared error of the raw network against the target its preconditioning
implies, which weights every sigma about equally (Karras et al. 2022, section 5).
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import torch
from jaxtyping import Float
from safetensors.torch import save
from torch import Tensor, nn

from locality.dataset import Dataset
from locality.errors import BadInput, CheckpointMismatch, NonFinite
from locality.metrics import denoising_errors
from locality.networks._checkpoint import clone_state, read_tensors, write_atomic
from locality.networks._plan import Budget, TrainSpec
from locality.networks._precondition import scalars
from locality.networks._spec import NetworkDenoiser, NetworkSpec
from locality.types import Progress

STATE = "state.safetensors"
HELD_OUT_SIGMA = 0.5  # where the live held-out curve is measured


@dataclass(eq=False)
class Training:
    """A training in progress; `run` advances it, `denoiser` is the averaged network so far."""

    dataset: Dataset
    spec: NetworkSpec
    train: TrainSpec
    folder: Path
    held_out: Dataset | None = None
    device: str = "cpu"
    images: int = 0
    seconds: float = 0.0
    net: nn.Module = field(init=False)
    ema: dict[str, Tensor] = field(init=False)

    def __post_init__(self) -> None:
        self.net = self._fresh()
        self.ema = clone_state(self.net)
        self._optimiser = torch.optim.AdamW(self.net.parameters(), lr=self.train.rate, betas=(0.9, 0.99))
        self._generator = torch.Generator().manual_seed(self.train.seed)

    def run(self, budget: Budget, *, resume: bool = False, save_every: float = 60.0) -> Iterator[Progress]:
        """Train until the budget is used, saving the state every `save_every` seconds and at the end.

        Closing the iterator between events saves too, so that an interrupted run loses nothing.

        Raises:
            BadInput: resume without a saved state, or a state where a new training should start; at once.
            CheckpointMismatch: the saved state belongs to another training; at once.
            NonFinite: the loss became NaN.
        """
        if resume:
            self._load()
        elif (self.folder / STATE).exists():
            raise BadInput(f"{self.folder} holds a training already. Add --resume, or choose another folder.")
        self.folder.mkdir(parents=True, exist_ok=True)  # a folder that cannot be made is told before the work
        return self._steps(budget, save_every)

    def _steps(self, budget: Budget, save_every: float) -> Iterator[Progress]:
        before, start, saved, measured = self.seconds, time.monotonic(), time.monotonic(), -math.inf
        first = self.images
        numbers: dict[str, float] = {}
        try:
            while (used := budget.fraction(self.images, self.seconds)) < 1.0:
                loss = self._step(used)
                now = time.monotonic()
                self.seconds = before + now - start
                rate = (self.images - first) / max(now - start, 1e-9)
                numbers |= {"loss": loss, "images": self.images, "rate": rate}
                if self.held_out is not None and now - measured > save_every / 2:
                    numbers["held_out"] = self._held_out_error()
                    measured = time.monotonic()
                if now - saved > save_every:
                    self._save()
                    saved = time.monotonic()
                yield Progress(budget.fraction(self.images, self.seconds), 1.0, "training", dict(numbers))
        except GeneratorExit:
            self._save()
            raise
        self._save()

    def denoiser(self) -> NetworkDenoiser:
        """The averaged weights as a denoiser (a copy)."""
        net = self._fresh()
        net.load_state_dict(self.ema)
        return NetworkDenoiser(net.eval().requires_grad_(False), self.spec, self.dataset.shape)

    def _fresh(self) -> nn.Module:
        """The network as it starts: a function of spec, shape and seed; the global generator is left alone."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.train.seed)  # layers initialise from the global generator only
            return self.spec.build(self.dataset.shape).to(self.device)

    def _step(self, used: float) -> float:
        """One optimiser step on a fresh batch; returns its loss."""
        t = self.train
        x0, sigma, eps = self._draw()
        x = x0 + sigma[:, None] * eps
        c = scalars(self.spec.prediction, sigma, self.spec.sigma_data)
        target = (x0 - c.skip[:, None] * x) / c.out[:, None]
        wrapped = NetworkDenoiser(self.net.train(), self.spec, self.dataset.shape)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(t.seed + self.images)  # dropout, the only global draw, repeats on resume
            with torch.autocast(torch.device(self.device).type, torch.bfloat16, enabled=t.bfloat16):
                raw = wrapped.raw(x, sigma)
        loss = (raw - target).square().mean()
        if not math.isfinite(value := float(loss.detach())):
            raise NonFinite(f"The loss became {value} after {self.images} images. Start again with a lower rate.")
        for group in self._optimiser.param_groups:
            group["lr"] = t.rate * min(1.0, (self.images + t.batch) / t.warmup) * 0.5 * (1 + math.cos(math.pi * used))
        self._optimiser.zero_grad(set_to_none=True)
        loss.backward()
        self._optimiser.step()
        self.images += t.batch
        self._average()
        return value

    def _draw(self) -> tuple[Float[Tensor, "b d"], Float[Tensor, " b"], Float[Tensor, "b d"]]:
        """Clean images, noise levels and unit noise, all from the one generator."""
        t, g = self.train, self._generator
        rows = torch.randint(len(self.dataset), (t.batch,), generator=g)
        x0 = self.dataset.x0(rows)
        mirror = torch.rand(t.batch, generator=g) < 0.5
        if t.flips:
            flipped = x0.reshape(-1, *self.dataset.shape).flip(-1).reshape(x0.shape)
            x0 = torch.where(mirror[:, None], flipped, x0)
        normal = t.ln_mean + t.ln_std * torch.randn(t.batch, generator=g)
        low, high = math.log(0.005), math.log(80.0)
        even = low + (high - low) * torch.rand(t.batch, generator=g)
        ln_sigma = torch.where(torch.rand(t.batch, generator=g) < t.uniform, even, normal)
        eps = torch.randn(x0.shape, generator=g)
        return x0.to(self.device), ln_sigma.exp().to(self.device), eps.to(self.device)

    @torch.no_grad()
    def _average(self) -> None:
        half_life = max(self.train.ema * self.images, 1e-9)
        keep = 0.5 ** (self.train.batch / half_life)
        for name, tensor in self.net.state_dict().items():
            self.ema[name].lerp_(tensor.float(), 1.0 - keep)

    def _held_out_error(self) -> float:
        assert self.held_out is not None
        x0 = self.held_out.x0(slice(0, 128)).to(self.device)
        generator = torch.Generator().manual_seed(0)
        return float(denoising_errors(self.denoiser(), x0, HELD_OUT_SIGMA, generator=generator).mean())

    def _identity(self) -> dict[str, object]:
        return {"network": self.spec.key(), "train": self.train.key(), "fingerprint": self.dataset.fingerprint}

    def _save(self) -> None:
        tensors = {f"net.{name}": tensor for name, tensor in self.net.state_dict().items()}
        tensors |= {f"ema.{name}": tensor for name, tensor in self.ema.items()}
        for index, moments in self._optimiser.state_dict()["state"].items():
            tensors |= {f"adam.{index}.{name}": tensor for name, tensor in moments.items()}
        tensors["generator"] = self._generator.get_state()
        about = {"identity": self._identity(), "images": self.images, "seconds": self.seconds}
        payload = {name: tensor.detach().cpu().clone().contiguous() for name, tensor in tensors.items()}
        write_atomic(self.folder / STATE, save(payload, {"about": json.dumps(about)}))

    def _load(self) -> None:
        path = self.folder / STATE
        if not path.exists():
            raise BadInput(f"{self.folder} holds no training to resume. Leave out --resume to start one.")
        tensors, meta = read_tensors(path)
        about = json.loads(meta.get("about", "{}"))
        if about.get("identity") != json.loads(json.dumps(self._identity())):
            raise CheckpointMismatch(
                f"{path} is a training with other data or options. Use the same ones, or choose another folder."
            )
        self.images, self.seconds = int(about["images"]), float(about["seconds"])
        parts: dict[str, dict[str, Tensor]] = {"net": {}, "ema": {}, "adam": {}, "generator": {}}
        for name, tensor in tensors.items():
            head, _, rest = name.partition(".")
            parts[head][rest] = tensor
        self.net.load_state_dict(parts["net"])
        self.ema = {name: tensor.to(self.device) for name, tensor in parts["ema"].items()}
        state: dict[int, dict[str, Tensor]] = {}
        for name, tensor in parts["adam"].items():
            index, _, what = name.partition(".")
            state.setdefault(int(index), {})[what] = tensor
        groups = self._optimiser.state_dict()["param_groups"]
        self._optimiser.load_state_dict({"state": state, "param_groups": groups})
        self._generator.set_state(parts["generator"][""])
