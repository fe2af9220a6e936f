"""A network with its five facts as a denoiser, and any function that is one already."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from locality.errors import BadInput
from locality.networks.adapter.facts import Facts
from locality.networks.adapter.weights import fit_weights, read_weights
from locality.networks.checkpoints.opened import UNKNOWN
from locality.networks.parts.precondition import outputs
from locality.networks.parts.spec import NetworkDenoiser, NetworkSpec
from locality.types import ImageShape


@dataclass(frozen=True)
class PythonSpec(NetworkSpec):
    """A network made by a Python file: opened, never trained here, and so not in the registry."""

    name: ClassVar[str] = "python"

    def build(self, shape: ImageShape) -> nn.Module:
        """Raises BadInput: only its file makes it."""
        raise BadInput("A network of a Python file is made by that file alone.")


@dataclass(frozen=True, eq=False)
class AdaptedDenoiser(NetworkDenoiser):
    """x0_hat of a network that was trained by other conventions; differentiable in x.

    `trained_on` is a dataset's text.
    """

    facts: Facts
    trained_on: str = UNKNOWN

    def at(self, x: Float[Tensor, "b d"], sigma: Float[Tensor, " b"]) -> Float[Tensor, "b d"]:
        """x0_hat with one sigma per image. Raises BadInput: outside its noise levels, or an output of another shape."""
        scale, shift = self.facts.scale, self.facts.shift
        s, u = scale * sigma, scale * x + shift
        skip, out = outputs(self.facts.gives, s)
        u0 = skip[:, None] * u + out[:, None] * self.raw(x, sigma)
        return (u0 - shift) / scale

    def raw(self, x: Float[Tensor, "b d"], sigma: Float[Tensor, " b"]) -> Float[Tensor, "b d"]:
        """The network's own output for noisy images in [-1, 1], flat."""
        s, u = self.facts.scale * sigma, self.facts.scale * x + self.facts.shift
        seen = u * torch.rsqrt(1 + s**2)[:, None] if self.facts.takes == "scaled" else u
        return self.told(seen, self.label(sigma))

    def label(self, sigma: Float[Tensor, " b"]) -> Tensor | None:
        """What the network is told at a noise level. Raises BadInput outside its range."""
        return self.facts.label_of(sigma)

    def told(self, seen: Float[Tensor, "b d"], label: Tensor | None) -> Float[Tensor, "b d"]:
        """The network's output for what it sees and is told; averaged over the classes where no one is chosen."""
        images = seen.reshape(len(seen), *self.shape)
        given: tuple[Any, ...] = (images,) if label is None else (images, label)
        if not self.facts.classes:
            return self._flat(self.net(*given), images)
        asked = range(self.facts.classes) if self.facts.image_class is None else [self.facts.image_class]
        whole = (torch.full((len(images),), one, device=images.device) for one in asked)
        return sum(self._flat(self.net(*given, one), images) for one in whole) / torch.tensor(float(len(asked)))

    def _flat(self, out: Any, images: Float[Tensor, "b c h w"]) -> Float[Tensor, "b d"]:
        """One tensor of the images' shape; further channels, a learned variance, are left out."""
        out = getattr(out, "sample", out)
        raw = out[0] if isinstance(out, tuple | list) and out else out
        if not isinstance(raw, Tensor) or raw.shape[:1] + raw.shape[2:] != images.shape[:1] + images.shape[2:]:
            got = "x".join(map(str, raw.shape[1:])) if isinstance(raw, Tensor) else type(raw).__name__
            raise BadInput(f"The network gives {got} for images of {self.shape}: it must keep their shape.")
        if raw.shape[1] not in (self.shape.c, 2 * self.shape.c):
            raise BadInput(
                f"The network gives {raw.shape[1]} channels for images of {self.shape}: {self.shape.c}, or with a "
                "variance twice as many, are expected."
            )
        return raw[:, : self.shape.c].float().flatten(1)

    def of_class(self, image_class: int) -> AdaptedDenoiser:
        """Asked for one class. Raises BadInput where it has no such class."""
        return replace(self, facts=replace(self.facts, image_class=image_class))


@dataclass(frozen=True, eq=False)
class FunctionDenoiser(NetworkDenoiser):
    """A function (x [b d], sigma) -> x0_hat [b d] of somebody's own; `net` holds its weights where it has any."""

    function: Callable[[Tensor, float], Any]
    trained_on: str = UNKNOWN

    def __call__(self, x: Float[Tensor, "b d"], sigma: float) -> Float[Tensor, "b d"]:
        self.shape.check(x)
        out = self.function(x, sigma)
        if not isinstance(out, Tensor) or out.shape != x.shape:
            got = "x".join(map(str, out.shape)) if isinstance(out, Tensor) else type(out).__name__
            raise BadInput(
                f"The denoiser gives {got} for x of {'x'.join(map(str, x.shape))}: it must return x0_hat of x's shape, "
                f"flat images of {self.shape.d} values."
            )
        return out

    def at(self, x: Float[Tensor, "b d"], sigma: Float[Tensor, " b"]) -> Float[Tensor, "b d"]:
        """x0_hat with one sigma per image, image by image."""
        return torch.cat([self(x[i : i + 1], float(sigma[i])) for i in range(len(x))])


def adapt(
    net: nn.Module,
    *,
    shape: Sequence[int],
    takes: str = "scaled",
    values: tuple[float, float] = (-1.0, 1.0),
    schedule: str = "linear",
    steps: int = 1000,
    betas: tuple[float, float] = (1e-4, 0.02),
    levels: Sequence[float] | Tensor | None = None,
    sigma_range: tuple[float, float] | None = None,
    label: str = "index",
    offset: int = 0,
    gives: str = "eps",
    classes: int = 0,
    image_class: int | None = None,
    trained_on: str = UNKNOWN,
    weights: str | Path | None = None,
    key: str = "",
    prefix: str = "",
) -> AdaptedDenoiser:
    """A network `net(images [b c h w], label [b], class [b]) -> [b c h w]` as a denoiser.

    `net` is called with what the facts say it takes: without a label where label="none", without a class where
    classes=0. The facts are those of `locality.networks.adapter.facts`; those left out are DDPM's.

    Args:
        shape: channels, rows and columns of its images.
        trained_on: the dataset it was trained on, as commands take it: `checkpoint` checks it on these images.
        weights: a file of weights to read (see `read_weights`), beside the Python file that calls this.
        key, prefix: which set of weights, and which of its names.
    Raises:
        BadInput: facts that contradict each other, or a file that cannot be read.
        CheckpointMismatch, NonFinite: weights that do not fit, or hold NaN.
    """
    if not isinstance(net, nn.Module):
        raise BadInput(f"adapt() needs a torch module, not {type(net).__name__}. A denoiser is returned as it is.")
    facts = Facts(
        takes=takes,
        values=(float(values[0]), float(values[1])),
        schedule=schedule,
        steps=steps,
        betas=betas,
        levels=_as_levels(levels),
        sigma_range=sigma_range,
        label=label,
        offset=offset,
        gives=gives,
        classes=classes,
        image_class=image_class,
    )
    if weights is not None:
        fit_weights(net, read_weights(beside(weights), key=key, prefix=prefix), str(weights))
    return AdaptedDenoiser(net.eval().requires_grad_(False), PythonSpec(), image_shape(shape), facts, trained_on)


def _as_levels(values: Sequence[float] | Tensor | None) -> tuple[float, ...]:
    try:
        return () if values is None else tuple(float(value) for value in values)
    except (TypeError, ValueError):
        raise BadInput(f"levels={values!r} is no list of numbers, one for each step.") from None


def image_shape(value: Any) -> ImageShape:
    """Three positive numbers. Raises BadInput."""
    try:
        numbers = [int(side) for side in value]
    except (TypeError, ValueError):
        numbers = []
    if len(numbers) != 3 or min(numbers) < 1:
        raise BadInput(f"shape={value!r}: give channels, rows and columns, such as (1, 28, 28).")
    return ImageShape(*numbers)


MAKING: list[Path] = []  # of the Python files that are making a network now


def beside(path: str | Path) -> Path:
    """A path as the Python file means it that makes the network: relative ones lie beside it, or where one works."""
    path = Path(path).expanduser()
    here = MAKING[-1] / path if MAKING else path
    return here if here.exists() or path.is_absolute() else path
