"""Somebody's network: a small UNet with LayerNorm and a table of sines; DDPM's linear schedule, images in [-1, 1]."""

import math

import torch
from torch import nn
from torch.nn import functional

from locality.networks import adapt


class Block(nn.Module):
    def __init__(self, width, time):
        super().__init__()
        self.norm = nn.GroupNorm(1, width)  # over channels and places, as LayerNorm
        self.first = nn.Conv2d(width, width, 3, padding=1)
        self.second = nn.Conv2d(width, width, 3, padding=1)
        self.time = nn.Linear(time, width)

    def forward(self, h, level):
        inner = self.first(functional.gelu(self.norm(h))) + self.time(level)[:, :, None, None]
        return h + self.second(functional.gelu(inner))


class UNet(nn.Module):
    def __init__(self, width=24, steps=1000):
        super().__init__()
        rates = torch.exp(-math.log(10_000) * torch.arange(0, 32) / 32)
        angles = torch.arange(steps)[:, None] * rates
        self.register_buffer("table", torch.cat([angles.sin(), angles.cos()], dim=1))
        self.time = nn.Sequential(nn.Linear(64, 64), nn.GELU())
        self.enter = nn.Conv2d(1, width, 3, padding=1)
        self.above, self.below = Block(width, 64), Block(2 * width, 64)
        self.down = nn.Conv2d(width, 2 * width, 2, stride=2)
        self.up = nn.ConvTranspose2d(2 * width, width, 2, stride=2)
        self.last = nn.Sequential(nn.GroupNorm(1, 2 * width), nn.GELU(), nn.Conv2d(2 * width, 1, 3, padding=1))

    def forward(self, x, t):
        level = self.time(self.table[t])
        high = self.above(self.enter(x), level)
        low = self.up(self.below(self.down(high), level))
        return self.last(torch.cat([high, low], dim=1))


def build(weights="unet.pth", key="ema", **changes):
    facts = {"schedule": "linear", "label": "index", "gives": "eps", **changes}
    return adapt(UNet(), shape=(1, 8, 8), weights=weights, key=key, trained_on="digits", **facts)
