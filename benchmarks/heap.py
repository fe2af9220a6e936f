"""A UNet's passes where freed memory goes back to the system, and where it is kept; processes in turns."""

from __future__ import annotations

import time
from multiprocessing import get_context

import torch

from benchmarks.timing import median_ms
from locality.datasets import Source
from locality.fields.jacobian import draw_inputs, pixel_outputs
from locality.heap import keep_freed
from locality.studies import Draws, find_network
from locality.types import Pixel


def run() -> None:
    """Print the table. Needs the CIFAR-10 images and the shipped network."""
    context = get_context("spawn")
    each: dict[bool, list[tuple[float, ...]]] = {False: [], True: []}
    for kept in (False, True) * 2:
        with context.Pool(1) as pool:
            each[kept].append(pool.apply(_passes, (kept,)))
    print("| CIFAR-10 UNet, 16 images, processor time | freed memory returned | kept | ratio |\n|---|---|---|---|")
    for i, what in enumerate(("forward, no gradients", "forward", "backward to the image")):
        old, new = (min(times[i] for times in each[kept]) for kept in (False, True))
        print(f"| {what} | {old:.0f} ms | {new:.0f} ms | {old / new:.2f}x |")


def _passes(kept: bool) -> tuple[float, ...]:
    """Processor milliseconds of a forward pass without and with gradients, and of a backward pass."""
    if kept and not keep_freed():
        raise RuntimeError("mallopt is not to be had here")
    source = Source.parse("cifar10")
    network, x = find_network(source, "unet").load(), draw_inputs(Draws(16).images(source), 0.5, 0)
    leaf, output = x.clone().requires_grad_(True), pixel_outputs(source.shape, Pixel(16, 16)).expand_as(x)
    x0_hat = network(leaf, 0.5)
    works = (
        torch.no_grad()(lambda: network(leaf, 0.5)),
        lambda: network(leaf, 0.5),
        lambda: torch.autograd.grad(x0_hat, leaf, output, retain_graph=True),
    )
    return tuple(median_ms(work, repeats=5, clock=time.process_time) for work in works)
