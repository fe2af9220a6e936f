"""What every network plug-in declares, and the network as a denoiser."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Protocol, TypeVar, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor, nn

from locality.errors import BadInput
from locality.fields.jacobian import differentiate
from locality.grammar import read
from locality.networks.parts.apart import apart, parts_of, takes_images_apart
from locality.networks.parts.precondition import PREDICTIONS, V, noise_label, scalars
from locality.networks.parts.quick import can_be_quick, quicken
from locality.schedule import check_sigma
from locality.specs import Registry, Spec, param
from locality.types import ImageShape

N = TypeVar("N", bound="NetworkSpec")
_MANY = 8  # outputs, from which a copy of the network with quick convolutions is worth making
_FEW = 4  # images, of which a core takes no fewer


@dataclass(frozen=True)
class NetworkSpec(Spec):
    """Base of the network plug-ins: architecture fields live in the subclasses."""

    heading: ClassVar[str]
    sees: ClassVar[str]  # a few words for what it may look at: its spatial bias
    presets: ClassVar[Mapping[str, str]] = {}  # name -> options, as they are typed; `small` is the defaults
    quick: ClassVar[str] = ""  # options of a size that learns in minutes, as they are typed
    weights: ClassVar[Mapping[str, int]] = {}  # how many the defaults have, by shape: 1x28x28; held to by its checks

    prediction: str = param("edm", help="What the raw network predicts.", choices=PREDICTIONS)
    sigma_data: float = param(0.5, help="Data scale in EDM's preconditioning.", low=0.01, high=10.0)

    @classmethod
    def parse(cls: type[N], options: Mapping[str, str]) -> N:
        """As every spec, and `preset=NAME` for a named size; options beside it go before its own.

        Raises:
            BadInput: an option or a preset that does not exist, does not parse or is out of range.
        """
        presets = {"small": "", **cls.presets}
        preset = options.get("preset", "small")
        if preset not in presets:
            raise BadInput(f"{cls.name} has no preset {preset!r}. Its presets: {', '.join(presets)}.")
        given = {option: value for option, value in options.items() if option != "preset"}
        return super().parse({**read(f"{cls.name}:{presets[preset]}")[1], **given})

    def identity(self) -> dict[str, Any]:
        """The key, and for v-prediction which sign it has: what it trains towards."""
        return {**self.key(), **({"v": V} if self.prediction == "v" else {})}

    def label(self, sigma: Float[Tensor, " b"]) -> Float[Tensor, " b"]:
        """How the network learns the noise level."""
        return noise_label(sigma)

    def fresh(self, shape: ImageShape, seed: int) -> nn.Module:
        """The network as it starts: a function of spec, shape and seed; the global generator is left alone."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)  # layers initialise from the global generator only
            return self.build(shape)

    @abstractmethod
    def build(self, shape: ImageShape) -> nn.Module:
        """The raw network F: (images [b c h w], noise label [b]) -> [b c h w], freshly initialised."""


@runtime_checkable
class KnowsRows(Protocol):
    """A raw network with a way to its Jacobian rows that is quicker than a backward pass through all of it."""

    def jacobian_rows(
        self, images: Float[Tensor, "b c h w"], label: Float[Tensor, " b"], outputs: Float[Tensor, "m c h w"]
    ) -> Float[Tensor, "m b c h w"] | None:
        """outputs @ J(images) for every image, but for rounding; None where a backward pass is as quick."""
        ...


@dataclass(frozen=True, eq=False)
class NetworkDenoiser:
    """A network behind the one call every denoiser has; differentiable in x."""

    net: nn.Module
    spec: NetworkSpec
    shape: ImageShape

    def __call__(self, x: Float[Tensor, "b d"], sigma: float) -> Float[Tensor, "b d"]:
        """Raises BadInput (size of x, sigma) and NonFinite (x)."""
        self.shape.check(x)
        return self.at(x, torch.full((len(x),), check_sigma(sigma), device=x.device))

    @torch.no_grad()
    def jacobian_rows(
        self, x: Float[Tensor, "b d"], outputs: Float[Tensor, "m d"], sigma: float
    ) -> Float[Tensor, "m b d"] | None:
        """outputs @ J(x) for every image where there is a quicker way to them, else None. Raises as its call."""
        if type(self) is not NetworkDenoiser:  # others scale in other ways
            return None
        self.shape.check(x)
        if not isinstance(self.net, KnowsRows):
            quick = self._quickened() if len(outputs) >= _MANY and x.device.type == "cpu" else None
            return None if quick is None else _rows(quick, x, outputs, sigma)
        level = torch.full((len(x),), check_sigma(sigma), device=x.device)
        c = scalars(self.spec.prediction, level, self.spec.sigma_data)
        images = (c.c_in[:, None] * x).reshape(len(x), *self.shape)
        rows = self.net.jacobian_rows(images, self.spec.label(level), outputs.reshape(-1, *self.shape))
        if rows is None:
            return None
        found: Tensor = torch.addcmul(
            c.c_skip[:, None] * outputs[:, None], (c.c_out * c.c_in)[:, None], rows.flatten(2)
        )
        return found

    def _quickened(self) -> NetworkDenoiser | None:
        """As it is now, its weights behind quick layers; None where there are none for it, or it cannot be copied."""
        if not can_be_quick(self.net):
            return None
        theirs = {id(tensor): tensor for tensor in (*self.net.parameters(), *self.net.buffers())}
        try:
            net = deepcopy(self.net, theirs)
        except (RuntimeError, TypeError):  # a plug-in that keeps what it computed, or a file
            return None
        quicken(net)
        return replace(self, net=net)

    def at(self, x: Float[Tensor, "b d"], sigma: Float[Tensor, " b"]) -> Float[Tensor, "b d"]:
        """x0_hat with one sigma per image."""
        c = scalars(self.spec.prediction, sigma, self.spec.sigma_data)
        raw = self.raw(x, sigma)
        return c.c_skip[:, None] * x + c.c_out[:, None] * raw

    def raw(self, x: Float[Tensor, "b d"], sigma: Float[Tensor, " b"]) -> Float[Tensor, "b d"]:
        """The network's own output F(c_in x; c_noise), flat."""
        c = scalars(self.spec.prediction, sigma, self.spec.sigma_data)
        images = (c.c_in[:, None] * x).reshape(len(x), *self.shape)
        out: Tensor = self.net(images, self.spec.label(sigma))
        if out.shape != images.shape:
            got, want = ("x".join(map(str, tensor.shape[1:])) for tensor in (out, images))
            raise BadInput(f"The network {self.spec.name} gives {got} for images of {want}: it must keep their shape.")
        return out.float().reshape(len(x), -1)


def _rows(
    denoiser: NetworkDenoiser, x: Float[Tensor, "b d"], outputs: Float[Tensor, "m d"], sigma: float
) -> Float[Tensor, "m b d"]:
    """`differentiate`, the images shared out among the cores."""
    parts = parts_of(len(x), _FEW)
    if parts == 1 or not takes_images_apart(denoiser.net):
        return differentiate(denoiser, x, outputs, sigma)
    return torch.cat(apart(len(x), lambda a, b: differentiate(denoiser, x[a:b], outputs, sigma), parts), dim=1)


NETWORKS: Registry[NetworkSpec] = Registry("network", NetworkSpec)
