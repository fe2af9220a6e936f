"""Figures that others published, each with its source and protocol: to stand beside ours, marked, never among them.

They were made with other networks, images, seeds and, in part, definitions. No test compares anything with them.
"""

from __future__ import annotations

from dataclasses import dataclass

GOLDDIFF_TABLE = "Table in the repository of GoldDiff: Shang, Sun, Lin, Shen, ICML 2026 (arXiv 2602.16498)"
GOLDDIFF_PROTOCOL = (
    "against an attention-free UNet, DDIM in 10 steps, mean of 128 samples; R2 final of their code, whose variance has "
    "n - 1, a factor (n - 1)/n on 1 - R2; MSE of images clamped and scaled to [0, 1]"
)
KAMB_GANGULI = "Kamb, Ganguli, ICML 2025 (arXiv 2412.20292)"
KAMB_GANGULI_PROTOCOL = (
    "against a UNet, windows calibrated on that network, median over 100 seeds; the script computes Pearson's r, "
    "though the axis of the figure says r^2: not to be compared with R2"
)


@dataclass(frozen=True)
class Figure:
    """One published number. `dataset` is its name here, `model` as its authors call it, `metric` as in `bench`."""

    dataset: str
    title: str
    model: str
    metric: str
    value: float
    statistic: str
    source: str
    protocol: str


_SETS = {"cifar10": "CIFAR-10", "celeba_hq": "CelebA-HQ, 64 px", "afhqv2": "AFHQ, 64 px"}
_GOLDDIFF = {  # R2 final, MSE in [0, 1], in the order of _SETS
    "Optimal": ((-0.401, 0.030), (0.010, 0.021), (-0.713, 0.039)),
    "Wiener": ((0.553, 0.008), (0.781, 0.012), (0.687, 0.010)),
    "Kamb-Ganguli": ((0.411, 0.011), (0.720, 0.011), (0.576, 0.034)),
    "PCA locality": ((0.670, 0.008), (0.802, 0.009), (0.703, 0.008)),
    "GoldDiff": ((0.683, 0.007), (0.836, 0.008), (0.731, 0.007)),
}
_KG_SETS = {"cifar10": "CIFAR-10", "mnist": "MNIST", "fashion_mnist": "Fashion-MNIST"}
_KG = {"ELS": (0.90, 0.89, 0.93), "LS": (0.87, 0.88, 0.93), "ideal": (0.41, 0.70, 0.80)}  # in the order of _KG_SETS


def _golddiff() -> list[Figure]:
    return [
        Figure(dataset, title, model, metric, value, "mean", GOLDDIFF_TABLE, GOLDDIFF_PROTOCOL)
        for model, pairs in _GOLDDIFF.items()
        for (dataset, title), pair in zip(_SETS.items(), pairs, strict=True)
        for metric, value in zip(("r2_final", "mse01"), pair, strict=True)
    ]


def _kamb_ganguli() -> list[Figure]:
    return [
        Figure(dataset, title, model, "pearson", value, "median", KAMB_GANGULI, KAMB_GANGULI_PROTOCOL)
        for model, values in _KG.items()
        for (dataset, title), value in zip(_KG_SETS.items(), values, strict=True)
    ]


FIGURES: tuple[Figure, ...] = (*_golddiff(), *_kamb_ganguli())


def figures_of(dataset: str) -> list[Figure]:
    """The published figures of a dataset, by the name it has here; [] where there are none."""
    return [figure for figure in FIGURES if figure.dataset == dataset]
