"""The UNet of the public DDPM code in PyTorch, which the Locality code trained too; layout of its checkpoints.

A `ckpt_epoch_*.pt` of Lukoianov et al. (2025, arXiv 2509.09672) holds `model_state_dict` with the names below. Sizes
follow from the shapes of the tensors; noise is the linear DDPM schedule, the network predicts eps.

    time_embedding.timembedding.{0,1,3}   table of sines [T, ch], then two layers
    head                                  3x3 convolution to ch channels
    downblocks.N                          residual blocks (block1, temb_proj, block2, shortcut, attn), halvings (main)
    middleblocks.{0,1}                    two residual blocks, the first with attention
    upblocks.N                            residual blocks that take the skips, and doublings (main)
    tail.{0,2}                            normalisation and 3x3 convolution to the image
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from locality.errors import CheckpointMismatch

_GROUPS, _DROPOUT = 32, 0.15
_ANCHORS = ("head.weight", "tail.2.weight", "time_embedding.timembedding.0.weight", "downblocks.0.block2.3.weight")


@dataclass(frozen=True)
class Sizes:
    """What the shapes of the tensors say: channels of the image and per level, blocks, levels with attention."""

    image: int
    steps: int
    first: int
    channels: Sequence[int]
    blocks: int
    attention: Sequence[int]


def sizes_of(shapes: Mapping[str, tuple[int, ...]], where: str) -> Sizes:
    """Read the sizes off a state's shapes; that every tensor fits them is for the caller to check.

    Raises:
        CheckpointMismatch: tensors without which nothing is known are missing; names the first three.
    """
    lost = [name for name in _ANCHORS if len(shapes.get(name, ())) != (2 if "time" in name else 4)]
    if lost:
        raise CheckpointMismatch(
            f"{where} is not the UNet of the Locality code: {', '.join(lost[:3])} missing or of another rank; "
            f"it holds {', '.join(sorted(shapes)[:3]) or 'nothing'}. Weights of any other network open with the Python "
            "file that makes it: --model my_net.py:build (see the README)."
        )
    count = 1 + max(int(name.split(".")[1]) for name in shapes if name.startswith("downblocks.") and _numbered(name))
    levels: list[list[int]] = [[]]
    for index in range(count):
        if f"downblocks.{index}.main.weight" in shapes:
            levels.append([])
        else:
            levels[-1].append(index)
    channels = [_channels(shapes, level) for level in levels]
    return Sizes(
        image=shapes["head.weight"][1],
        steps=shapes["time_embedding.timembedding.0.weight"][0],
        first=shapes["head.weight"][0],
        channels=tuple(channels),
        blocks=max(len(level) for level in levels),
        attention=tuple(i for i, level in enumerate(levels) if any(_attends(shapes, index) for index in level)),
    )


def _numbered(name: str) -> bool:
    number = name.split(".")[1]
    return number.isascii() and number.isdigit() and len(number) < 4


def _attends(shapes: Mapping[str, tuple[int, ...]], index: int) -> bool:
    return any(name.startswith(f"downblocks.{index}.attn.") for name in shapes)


def _channels(shapes: Mapping[str, tuple[int, ...]], level: list[int]) -> int:
    """Width of a level, from whichever of its tensors is there; 1 where none is."""
    names = (f"downblocks.{index}.{part}.bias" for index in level for part in ("block2.3", "block1.2", "temb_proj.1"))
    return next((shapes[name][0] for name in names if len(shapes.get(name, ())) == 1), 1)


class UNet(nn.Module):
    """Residual blocks on each level, one block with attention in the middle; takes the timestep, predicts eps."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        wide, now, skips = 4 * sizes.first, sizes.first, [sizes.first]
        self.time_embedding = _TimeTable(sizes.steps, sizes.first, wide)
        self.head = nn.Conv2d(sizes.image, now, 3, padding=1)
        self.downblocks, self.upblocks = nn.ModuleList(), nn.ModuleList()
        for i, out in enumerate(sizes.channels):
            if i > 0:
                self.downblocks.append(_Scale(now, 0.5))
                skips.append(now)
            for _ in range(sizes.blocks):
                self.downblocks.append(_Residual(now, out, wide, attends=i in sizes.attention))
                now = out
                skips.append(now)
        self.middleblocks = nn.ModuleList(_Residual(now, now, wide, attends=first) for first in (True, False))
        for i, out in reversed(list(enumerate(sizes.channels))):
            for _ in range(sizes.blocks + 1):
                self.upblocks.append(_Residual(now + skips.pop(), out, wide, attends=i in sizes.attention))
                now = out
            if i > 0:
                self.upblocks.append(_Scale(now, 2.0))
        self.tail = nn.Sequential(nn.GroupNorm(_GROUPS, now), nn.SiLU(), nn.Conv2d(now, sizes.image, 3, padding=1))

    def forward(self, images: Float[Tensor, "b c h w"], t: Float[Tensor, " b"]) -> Float[Tensor, "b c h w"]:
        level = self.time_embedding(t)
        skips = [self.head(images)]
        for block in self.downblocks:
            skips.append(block(skips[-1], level))
        h = skips[-1]
        for block in self.middleblocks:
            h = block(h, level)
        for block in self.upblocks:
            h = block(torch.cat([h, skips.pop()], dim=1) if isinstance(block, _Residual) else h, level)
        out: Tensor = self.tail(h)
        return out


class _TimeTable(nn.Module):
    """A row per timestep, then two layers; between timesteps the nearest one, as a table has no rows between."""

    def __init__(self, steps: int, width: int, wide: int) -> None:
        super().__init__()
        table = nn.Embedding(steps, width)
        self.timembedding = nn.Sequential(table, nn.Linear(width, wide), nn.SiLU(), nn.Linear(wide, wide))

    def forward(self, t: Float[Tensor, " b"]) -> Float[Tensor, "b wide"]:
        out: Tensor = self.timembedding(t.round().long())
        return out


class _Scale(nn.Module):
    """Half or twice the sides, and a 3x3 convolution."""

    def __init__(self, width: int, factor: float) -> None:
        super().__init__()
        self.factor = factor
        self.main = nn.Conv2d(width, width, 3, stride=2 if factor < 1 else 1, padding=1)

    def forward(self, h: Float[Tensor, "b k h w"], level: Float[Tensor, "b wide"]) -> Float[Tensor, "b k i j"]:
        out: Tensor = self.main(functional.interpolate(h, scale_factor=2.0) if self.factor > 1 else h)
        return out


class _Residual(nn.Module):
    """Two convolutions with the noise level between them, a shortcut, and attention where asked."""

    def __init__(self, width: int, out: int, wide: int, *, attends: bool) -> None:
        super().__init__()
        self.block1 = nn.Sequential(nn.GroupNorm(_GROUPS, width), nn.SiLU(), nn.Conv2d(width, out, 3, padding=1))
        self.temb_proj = nn.Sequential(nn.SiLU(), nn.Linear(wide, out))
        last = nn.Conv2d(out, out, 3, padding=1)
        self.block2 = nn.Sequential(nn.GroupNorm(_GROUPS, out), nn.SiLU(), nn.Dropout(_DROPOUT), last)
        self.shortcut = nn.Identity() if width == out else nn.Conv2d(width, out, 1)
        self.attn = _Attention(out) if attends else nn.Identity()

    def forward(self, h: Float[Tensor, "b k h w"], level: Float[Tensor, "b wide"]) -> Float[Tensor, "b l h w"]:
        inner = self.block1(h) + self.temb_proj(level)[:, :, None, None]
        out: Tensor = self.attn(self.block2(inner) + self.shortcut(h))
        return out


class _Attention(nn.Module):
    """One head over all places."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.group_norm = nn.GroupNorm(_GROUPS, width)
        self.proj_q, self.proj_k, self.proj_v, self.proj = (nn.Conv2d(width, width, 1) for _ in range(4))

    def forward(self, h: Float[Tensor, "b k h w"]) -> Float[Tensor, "b k h w"]:
        normed = self.group_norm(h)
        q, k, v = (layer(normed).flatten(2).transpose(1, 2) for layer in (self.proj_q, self.proj_k, self.proj_v))
        mixed = functional.scaled_dot_product_attention(q, k, v)
        out: Tensor = h + self.proj(mixed.transpose(1, 2).reshape(h.shape))
        return out
