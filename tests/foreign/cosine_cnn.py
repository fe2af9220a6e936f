"""Somebody's network: a plain CNN on a cosine schedule of 30 steps whose label counts from 1; predicts v."""

import math

import torch
from torch import nn

from locality.networks import adapt

STEPS = 30


class CNN(nn.Module):
    def __init__(self, width=32):
        super().__init__()
        self.time = nn.Sequential(nn.Linear(64, 64), nn.SiLU())
        self.enter = nn.Conv2d(1, width, 3, padding=1)
        self.convs = nn.ModuleList(nn.Conv2d(width, width, 3, padding=1) for _ in range(4))
        self.levels = nn.ModuleList(nn.Linear(64, 2 * width) for _ in range(4))
        self.last = nn.Conv2d(width, 1, 3, padding=1)

    def forward(self, x, t):
        rates = torch.exp(-math.log(1000) * torch.arange(32) / 32)
        angles = t[:, None].float() * rates
        level = self.time(torch.cat([angles.sin(), angles.cos()], dim=1))
        h = self.enter(x)
        for conv, linear in zip(self.convs, self.levels, strict=True):
            scale, shift = linear(level)[:, :, None, None].chunk(2, dim=1)
            h = h + conv(nn.functional.silu(h * (1 + scale) + shift))
        return self.last(h)


def build(weights="cosine.ckpt", prefix="net.", **changes):
    facts = {"schedule": "cosine", "steps": STEPS, "label": "index", "offset": 1, "gives": "v", **changes}
    return adapt(CNN(), shape=(1, 8, 8), weights=weights, prefix=prefix, trained_on="digits", **facts)
