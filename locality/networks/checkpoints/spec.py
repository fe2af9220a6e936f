"""A network of another library as a spec: its constructor's options and its schedule, as JSON."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from locality.errors import BadInput
from locality.networks.checkpoints.ddpm_unet import Sizes, UNet
from locality.networks.checkpoints.timesteps import Timeline, timeline
from locality.networks.parts.library import diffusers_class
from locality.networks.parts.spec import NetworkSpec
from locality.specs import param
from locality.types import ImageShape

KINDS = ("UNet2DModel", "DiTTransformer2DModel", "UNet of the Locality code")


@dataclass(frozen=True)
class ExternalSpec(NetworkSpec):
    """A network trained elsewhere on timesteps; opened, never trained here, and so not in the registry."""

    name: ClassVar[str] = "foreign"

    kind: str = param("UNet2DModel", help="The class it was made by.", choices=KINDS)
    options: str = param("{}", help="Options of that class, as JSON.")
    schedule: str = param("{}", help="Options that fix the noise of each timestep, as JSON.")
    image_class: str = param(
        "", help="The class asked for, by number, or mean; of a Transformer by default none.", later=True
    )

    @property
    def classes(self) -> int:
        """How many classes it knows; 0 for none."""
        options = json.loads(self.options)
        return int(options.get("num_embeds_ada_norm") or options.get("num_class_embeds") or 0)

    def asked(self) -> list[int] | None:
        """The classes whose estimates are averaged, None where it is told of none. Raises BadInput."""
        if not self.classes:
            if self.image_class:
                raise BadInput(f"class={self.image_class}: this {self.kind} is told of no class. Leave it out.")
            return None
        if not self.image_class and self.kind == KINDS[1]:
            return [self.classes]  # the embedding it learned for images without a class
        if self.image_class in ("", "mean"):
            return list(range(self.classes))
        if self.image_class.isdecimal() and int(self.image_class) < self.classes:
            return [int(self.image_class)]
        raise BadInput(f"class={self.image_class} is none of its classes, 0 to {self.classes - 1}, and not mean.")

    @property
    def timeline(self) -> Timeline:
        """The noise level of every timestep."""
        return timeline(self.schedule)

    def label(self, sigma: Float[Tensor, " b"]) -> Float[Tensor, " b"]:
        """The timestep, not whole in general. Raises BadInput outside the schedule."""
        return self.timeline.t_of(sigma)

    def build(self, shape: ImageShape) -> nn.Module:
        """Raises what the class raises for options it cannot take."""
        options: dict[str, Any] = json.loads(self.options)
        if self.kind == KINDS[2]:
            return Adapted(UNet(Sizes(**options)), shape.c)
        made = diffusers_class(self.kind)(**options)
        return Adapted(made, shape.c, classes=self.asked(), whole=options.get("time_embedding_type") == "learned")


class Adapted(nn.Module):
    """The network behind one call (images, timesteps) -> images.

    Further output channels, a learned variance, are left out.
    One that is told a class is told each of `classes`, and what it gives is averaged.
    """

    def __init__(
        self, inner: nn.Module, channels: int, *, classes: list[int] | None = None, whole: bool = False
    ) -> None:
        super().__init__()
        self.inner, self.channels, self.classes, self.whole = inner, channels, classes, whole

    def forward(self, images: Float[Tensor, "b c h w"], t: Float[Tensor, " b"]) -> Float[Tensor, "b c h w"]:
        t = t.round().long() if self.whole else t  # a table of timesteps has no rows between them
        if self.classes is None:
            return self._raw(self.inner(images, t))
        each = (torch.full((len(images),), one, device=images.device) for one in self.classes)
        outs = [self._raw(self.inner(images, timestep=t, class_labels=labels)) for labels in each]
        return outs[0] if len(outs) == 1 else torch.stack(outs).mean(dim=0)

    def _raw(self, out: Any) -> Float[Tensor, "b c h w"]:
        raw: Tensor = out if isinstance(out, Tensor) else out.sample
        return raw[:, : self.channels]
