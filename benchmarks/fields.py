"""A clicked pixel: predicted field at d = 3072, learned field against plain forward and backward passes."""

from __future__ import annotations

import numpy as np
import torch

from benchmarks.timing import alternate_ms, median_ms
from locality.datasets import Source
from locality.fields.jacobian import draw_inputs, pixel_outputs
from locality.linear.wiener import coordinates
from locality.studies import Draws, find_network, finish, fit_wiener, learned_field
from locality.types import Pixel

SIGMAS = (0.1, 0.3, 1.0, 3.0, 10.0)


def run() -> None:
    """Print the table. Needs the CIFAR-10 images and the shipped network."""
    source, pixel = Source.parse("cifar10"), Pixel(16, 16)
    wiener = finish(fit_wiener(source))
    coords = coordinates(source.shape, pixel)
    each = [median_ms(lambda s=sigma: wiener.rows(coords, s)) for sigma in SIGMAS]  # type: ignore[misc]

    def dense() -> object:
        cov = wiener.eigvecs * wiener.eigvals.float() @ wiener.eigvecs.T
        return torch.linalg.solve(cov + 0.25 * torch.eye(len(cov)), cov[:, coords])

    plain_row = median_ms(dense, repeats=3)
    network = find_network(source, "unet").load()
    draws = Draws(16)
    x0 = draws.images(source)
    outputs = pixel_outputs(source.shape, pixel)
    x = draw_inputs(x0, 0.5, draws.seed)

    def passes() -> None:
        leaf = x.clone().requires_grad_(True)
        network(leaf, 0.5)[:, coords].sum().backward()

    ours, plain = alternate_ms(lambda: learned_field(network, x0, outputs, 0.5, draws), passes)
    print("| field of one CIFAR-10 pixel, d = 3072 | |\n|---|---|")
    print(f"| predicted, three channels, slowest of {len(SIGMAS)} sigmas after the first | {max(each):.1f} ms |")
    print(f"| predicted by forming S + sigma^2 I and solving (plain) | {plain_row:,.0f} ms |")
    print(f"| learned, 16 draws, noise and averaging included | {ours:.0f} ms |")
    print(f"| 16 plain forward and backward passes in one batch | {plain:.0f} ms |")
    print(f"| learned against plain passes | {ours / plain:.2f}x |")
    _check(source, wiener.rows(coords, 0.5).numpy())


def _check(source: Source, rows: np.ndarray) -> None:
    """The same rows by numpy alone, from the images."""
    images = source.train.data.numpy().astype(np.float64) / 127.5 - 1
    mean = images.mean(axis=0)
    cov = (images.T @ images - len(images) * np.outer(mean, mean)) / (len(images) - 1)
    coords = [16 * 32 + 16 + 1024 * c for c in range(3)]
    truth = np.linalg.solve(cov + 0.25 * np.eye(len(cov)), cov[:, coords]).T
    error = np.linalg.norm(rows - truth) / np.linalg.norm(truth)
    print(f"| shipped statistics against numpy on the 50,000 images, relative norm, sigma 0.5 | {error:.1e} |")
