"""Training a denoiser: one loop, as a generator of progress, with exact resume.

The loss is the mean squared error of the raw network against the target its preconditioning
implies, which weights every sigma about equally (Karras et al. 2022, section 5).
"""

from __future__ import annotations

import math
import time
from collections.abc import Generator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

from locality.dataset import Dataset
from locality.device import fast_bfloat16, sent
from locality.errors import BadInput, NonFinite
from locality.metrics import denoising_errors
from locality.networks.checkpoints.files import clone_state
from locality.networks.parts.apart import takes_images_apart
from locality.networks.parts.precondition import scalars
from locality.networks.parts.quick import ready
from locality.networks.parts.spec import NetworkDenoiser, NetworkSpec
from locality.networks.training.ambient import Pair
from locality.networks.training.batch import draw_batch
from locality.networks.training.machine import ALONE, Machine
from locality.networks.training.moments import forget_moments, moments_of, save_moment
from locality.networks.training.muon import Muon
from locality.networks.training.plan import Budget, TrainSpec
from locality.networks.training.slopes import add_slopes
from locality.networks.training.state import STATE, read_state, write_state
from locality.types import Denoiser
from locality.work import Progress

HELD_OUT_SIGMA = 0.5  # where the live held-out curve is measured
_READ = 0.1  # seconds between two looks at the loss of a GPU, which is waited for
_APART = 1_000_003  # between the seeds of two processes


@dataclass(eq=False)
class Training:
    """A training in progress; `run` advances it, `denoiser` is the averaged network so far."""

    dataset: Dataset
    spec: NetworkSpec
    train: TrainSpec
    folder: Path
    held_out: Dataset | None = None
    machine: Machine = ALONE
    images: int = 0
    seconds: float = 0.0
    net: nn.Module = field(init=False)
    ema: dict[str, Tensor] = field(init=False)

    def __post_init__(self) -> None:
        self.net = self._fresh()
        self._runner = self.machine.runner(self.net)
        self._apart = self.machine.shares_images(self.bfloat16) and takes_images_apart(self.net.train())
        self.ema = clone_state(self.net)
        self._optimiser = self._optimiser_of(self.net)
        self._generator = torch.Generator().manual_seed(self.train.seed)

    def ready(self) -> Generator[Progress, None, None]:
        """Have what its steps need compiled; else the first one waits for it, and nobody is told."""
        return ready(self.net)

    def run(
        self, budget: Budget, *, resume: bool = False, save_every: float = 60.0, moments: int = 0
    ) -> Generator[Progress, None, None]:
        """Train until the budget is used, saving the state every `save_every` seconds and at the end.

        Closing the iterator between events saves too, so that an interrupted run loses nothing. `moments` averaged
        networks are kept along the way (`read_moments`), at numbers of images in a geometric series up to the budget.

        Raises:
            BadInput: resume without a saved state, or a state where a new training should start; another budget
                for a rate that falls to zero at the end of the first; moments of a budget in minutes; at once.
            CheckpointMismatch: the saved state belongs to another training; at once.
            NonFinite: the loss became NaN.
        """
        self._due = moments_of(budget, moments)
        self._check_ranks(budget)
        if resume:
            self._load(budget)
            self.machine.meet()  # before the first one writes
        elif (self.folder / STATE).exists():
            raise BadInput(f"{self.folder} holds a training already. Add --resume, or choose another folder.")
        elif self.machine.first:
            forget_moments(self.folder)
        self.folder.mkdir(parents=True, exist_ok=True)  # a folder that cannot be made is reported before the work
        self._budget = budget
        return self._steps(budget, save_every)

    def _check_ranks(self, budget: Budget) -> None:
        """Raises BadInput: several processes cannot share this training."""
        ranks = self.machine.ranks
        if ranks > 1 and budget.images is None:
            raise BadInput("Several processes do not agree on what the time is: give the length as --images N.")
        if ranks > self.train.batch:
            least = f"Give --option batch={ranks} or more."
            raise BadInput(f"{ranks} processes cannot share a batch of {self.train.batch} images. {least}")

    def _steps(self, budget: Budget, save_every: float) -> Generator[Progress, None, None]:
        before, start, saved, measured, read = self.seconds, time.monotonic(), time.monotonic(), -math.inf, -math.inf
        first = self.images
        numbers: dict[str, float] = {}
        try:
            while (used := budget.fraction(self.images, self.seconds)) < 1.0:
                loss = self._step(used)
                if self.machine.kind == "cpu" or time.monotonic() - read > _READ:
                    numbers["loss"], read = self._read(loss), time.monotonic()
                now = time.monotonic()
                self.seconds = before + now - start
                numbers |= {"images": self.images, "rate": (self.images - first) / max(now - start, 1e-9)}
                if self.machine.first and any(self.images - self.train.batch < due <= self.images for due in self._due):
                    save_moment(self.folder, self.denoiser(), self.images, self.seconds)
                if self.held_out is not None and now - measured > min(save_every / 2, 2.0 + (now - start) / 10):
                    numbers["held_out"] = self.held_out_error(self.denoiser())
                    measured = time.monotonic()
                if now - saved > save_every:
                    self._save()
                    saved = time.monotonic()
                yield Progress(budget.fraction(self.images, self.seconds), 1.0, "training", dict(numbers))
        except GeneratorExit:
            self._save()
            raise
        self._save()
        self.machine.meet()  # only now may any of them end: the first one has kept the weights

    def denoiser(self) -> NetworkDenoiser:
        """The averaged weights as a denoiser (a copy)."""
        net = self._fresh()
        net.load_state_dict(self.ema)
        return NetworkDenoiser(net.eval().requires_grad_(False), self.spec, self.dataset.shape)

    @property
    def device(self) -> str:
        """Where the network is."""
        return self.machine.device

    @property
    def bfloat16(self) -> bool:
        """Whether the network runs in bfloat16: where it is wanted and the device has it."""
        return self.train.bfloat16 and fast_bfloat16(self.machine.kind)

    def _optimiser_of(self, net: nn.Module) -> torch.optim.Optimizer:
        options: dict[str, Any] = {"lr": self.train.rate, "betas": (0.9, 0.99), "fused": True}
        if self.train.optimiser == "muon":
            return Muon(net, torch.bfloat16 if self.bfloat16 else torch.float32, **options)
        return torch.optim.AdamW(net.parameters(), **options)

    def _fresh(self) -> nn.Module:
        return self.machine.placed(self.spec.fresh(self.dataset.shape, self.train.seed), self.bfloat16)

    def _step(self, used: float) -> Float[Tensor, ""]:
        """One optimiser step on a fresh batch; returns its loss, for which nobody has waited yet."""
        t, machine = self.train, self.machine
        pair, sigma = draw_batch(self.dataset, t, self._generator)
        each = zip(*(machine.shares(tensor) for tensor in (*pair, sigma)), strict=True)
        loss = torch.zeros((), device=self.device)
        self._optimiser.zero_grad(set_to_none=True)
        self.net.train()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(t.seed + self.images + machine.rank * _APART)  # dropout repeats on resume
            for part in each:
                pair, levels = Pair(*(sent(tensor, loss.device) for tensor in part[:-1])), sent(part[-1], loss.device)
                loss += self._slopes(pair, levels)
        machine.add_up([loss, *(weight.grad for weight in self.net.parameters() if weight.grad is not None)])
        if machine.kind == "cpu":  # a GPU would be waited for
            self._read(loss)
        for group in self._optimiser.param_groups:
            group["lr"] = t.rate_at(self.images, used)
        self._optimiser.step()
        self.images += t.batch
        self._average()
        return loss

    def _slopes(self, pair: Pair, sigma: Float[Tensor, " b"]) -> Float[Tensor, ""]:
        """Add a part's gradients to those of the weights; its share of the loss of the batch."""
        share = len(sigma) / self.train.batch
        each = (*pair, sigma)
        return add_slopes(self.net, each, lambda *part: self._loss(Pair(*part[:-1]), part[-1]) * share, self._apart)

    def _loss(self, pair: Pair, sigma: Float[Tensor, " b"]) -> Float[Tensor, ""]:
        c = scalars(self.spec.prediction, sigma, self.spec.sigma_data)
        target = (pair.goal - (pair.keep * c.c_skip)[:, None] * pair.x) / c.c_out[:, None]
        wrapped = NetworkDenoiser(self._runner, self.spec, self.dataset.shape)
        with torch.autocast(self.machine.kind, torch.bfloat16, enabled=self.bfloat16):
            raw = wrapped.raw(pair.x, sigma)
        return (pair.keep[:, None] * raw - target).square().mean()

    def _read(self, loss: Float[Tensor, ""]) -> float:
        """The loss as a number; a GPU is waited for. Raises NonFinite."""
        value = float(loss)
        if not math.isfinite(value):
            raise NonFinite(f"The loss became {value} after {self.images} images. Start again with a lower rate.")
        return value

    def _average(self) -> None:
        """A half-life h of the images seen is the power function of exponent log(2) / h - 1 (Karras et al. 2024)."""
        half_life = max(self.train.ema * self.images, 1e-9)
        now = {name: tensor.float() for name, tensor in self.net.state_dict().items()}
        merge = get_ema_multi_avg_fn(0.5 ** (self.train.batch / half_life))
        merge([self.ema[name] for name in now], list(now.values()), None)

    def held_out_error(self, denoiser: Denoiser) -> float:
        """Squared error at HELD_OUT_SIGMA, mean over up to 128 held-out images; the same noise for every denoiser."""
        assert self.held_out is not None
        x0 = self.held_out.x0(slice(0, 128)).to(self.device)
        return float(denoising_errors(denoiser, x0, HELD_OUT_SIGMA).mean())

    def _identity(self) -> dict[str, object]:
        return {"network": self.spec.identity(), "train": self.train.key(), "fingerprint": self.dataset.fingerprint}

    def _save(self) -> None:
        if not self.machine.first:
            return
        if not all(bool(tensor.isfinite().all()) for tensor in self.net.state_dict().values()):
            raise NonFinite(f"Weights became NaN or infinite by {self.images} images: what was kept before stays.")
        about = {"identity": self._identity(), "images": self.images, "seconds": self.seconds}
        about["budget"] = asdict(self._budget)
        write_state(self.folder, about, self.net, self.ema, self._optimiser, self._generator)

    def _load(self, budget: Budget) -> None:
        about, ema = read_state(self.folder, self._identity(), self.net, self._optimiser, self._generator)
        first = about.get("budget", asdict(budget))  # states from before it was kept
        if first != asdict(budget) and not self.train.open_ended:
            words = f"--images {first['images']}" if first["images"] else f"--minutes {first['minutes']:g}"
            raise BadInput(
                f"The rate of {self.folder} falls to 0 over {words}: resume it with that. "
                "A new training with --option schedule=inverse_sqrt can go on for longer."
            )
        self.images, self.seconds = int(about["images"]), float(about["seconds"])
        self.ema = {name: tensor.to(self.device) for name, tensor in ema.items()}
