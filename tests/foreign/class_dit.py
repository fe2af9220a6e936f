"""Somebody's network: a Transformer told the class; 50 noise levels of its own, images in [-0.5, 0.5], predicts x0."""

import torch
from torch import nn

from locality.networks import adapt

ALPHA_BAR = 1 / (1 + torch.logspace(-1.7, 1.0, 50, dtype=torch.float64) ** 2)
CLASSES = 10


class DiT(nn.Module):
    def __init__(self, width=64, depth=2):
        super().__init__()
        self.enter = nn.Linear(4, width)
        self.places = nn.Parameter(0.02 * torch.randn(16, width))
        self.time, self.classes = nn.Sequential(nn.Linear(32, width), nn.SiLU()), nn.Embedding(CLASSES, width)
        self.blocks = nn.ModuleList(
            nn.TransformerEncoderLayer(width, 4, 2 * width, dropout=0.0, batch_first=True, norm_first=True)
            for _ in range(depth)
        )
        self.last = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, 4))

    def forward(self, x, t, y):
        patches = x.unfold(2, 2, 2).unfold(3, 2, 2).flatten(4).flatten(1, 3)  # b 16 4
        angles = t[:, None].float() * torch.exp(-torch.arange(16) / 4)
        level = (self.time(torch.cat([angles.sin(), angles.cos()], dim=1)) + self.classes(y))[:, None]
        h = self.enter(patches) + self.places
        for block in self.blocks:
            h = block(h + level)
        out = self.last(h).reshape(len(x), 4, 4, 2, 2).permute(0, 1, 3, 2, 4)
        return out.reshape(len(x), 1, 8, 8) + (1 - t / 50).float()[:, None, None, None] * x


def build(weights="dit", **changes):
    facts = {"schedule": "alpha_bar", "levels": ALPHA_BAR, "label": "index", "gives": "x0", **changes}
    facts = {"values": (-0.5, 0.5), "classes": CLASSES, **facts}
    return adapt(DiT(), shape=(1, 8, 8), weights=weights, trained_on="digits", **facts)
