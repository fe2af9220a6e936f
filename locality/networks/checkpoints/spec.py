"""A network of another library as a spec: its constructor's options and its schedule, as JSON."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from locality.networks.checkpoints.ddpm_unet import Sizes, UNet
from locality.networks.checkpoints.timesteps import Timeline, timeline
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
        import diffusers  # heavy import: only when a network is built

        made: Any = getattr(diffusers, self.kind)(**options)
        null = options["num_embeds_ada_norm"] if self.kind == KINDS[1] else None
        return Adapted(made, shape.c, null_class=null, whole=options.get("time_embedding_type") == "learned")


class Adapted(nn.Module):
    """The network behind one call (images, timesteps) -> images.

    Further output channels, a learned variance, are left out.
    A class-conditional Transformer is given `null_class`, the embedding it learned for images without a class.
    """

    def __init__(self, inner: nn.Module, channels: int, *, null_class: int | None = None, whole: bool = False) -> None:
        super().__init__()
        self.inner, self.channels, self.null_class, self.whole = inner, channels, null_class, whole

    def forward(self, images: Float[Tensor, "b c h w"], t: Float[Tensor, " b"]) -> Float[Tensor, "b c h w"]:
        t = t.round().long() if self.whole else t  # a table of timesteps has no rows between them
        if self.null_class is None:
            out = self.inner(images, t)
        else:
            labels = torch.full((len(images),), self.null_class, device=images.device)
            out = self.inner(images, timestep=t, class_labels=labels)
        raw: Tensor = out if isinstance(out, Tensor) else out.sample
        return raw[:, : self.channels]
