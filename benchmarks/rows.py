"""Rows of many pixels, as tables and agreement ask for them, beside a backward pass for each: processor time."""

from __future__ import annotations

import time

import torch
from jaxtyping import Float
from torch import Tensor

from benchmarks.timing import alternate_ms
from locality.datasets import Source
from locality.fields.jacobian import differentiate, draw_inputs, field_rows, pixel_outputs
from locality.heap import keep_freed
from locality.networks import NetworkDenoiser
from locality.studies import Draws, find_network
from locality.types import Pixel

NETWORKS = {"cifar10": ("unet", "dit", "resnet"), "mnist": ("unet", "dit", "resnet", "mlp")}


def run() -> None:
    """Print the tables. Needs the images of both datasets and the shipped networks."""
    if torch.get_num_threads() > 1:
        _cores()
    print(
        "| 16 pixels, 16 draws, sigma 0.5, processor time | a backward pass each | now | ratio | largest difference |"
    )
    print("|---|---|---|---|---|")
    for dataset, names in NETWORKS.items():
        total = torch.zeros(2)
        source = Source.parse(dataset)
        x, outputs = _asked(source)
        for name in names:
            network, found = find_network(source, name).load(), {}

            def ours(network=network, x=x, outputs=outputs, found=found) -> None:  # type: ignore[no-untyped-def]
                found["ours"] = field_rows(network, x, outputs, 0.5)

            def plain(network=network, x=x, outputs=outputs, found=found) -> None:  # type: ignore[no-untyped-def]
                found["plain"] = differentiate(network, x, outputs, 0.5)

            new, old = alternate_ms(ours, plain, repeats=2, clock=time.process_time)
            total += torch.tensor([old, new])
            off = float((found["ours"] - found["plain"]).abs().max() / found["plain"].abs().max())
            print(f"| {dataset} {name} | {old:,.0f} ms | {new:,.0f} ms | {old / new:.1f}x | {off:.0e} |")
        old, new = total.tolist()
        print(f"| {dataset}, all | {old:,.0f} ms | {new:,.0f} ms | {old / new:.1f}x | |")


def _cores() -> None:
    """Print the table of all cores, by the clock: each takes some images, or all are at each layer."""
    keep_freed(one_heap=True)  # as commands do
    print(f"| 16 pixels, 16 draws, {torch.get_num_threads()} threads | all at each layer | each its images | ratio |")
    print("|---|---|---|---|")
    for dataset in NETWORKS:
        source = Source.parse(dataset)
        x, outputs = _asked(source)
        network = find_network(source, "unet").load()
        assert isinstance(network, NetworkDenoiser)

        def ours(network=network, x=x, outputs=outputs) -> None:  # type: ignore[no-untyped-def]
            network.jacobian_rows(x, outputs, 0.5)

        def layers(network=network, x=x, outputs=outputs) -> None:  # type: ignore[no-untyped-def]
            quick = network._quickened()
            assert quick is not None
            differentiate(quick, x, outputs, 0.5)

        apart, together = alternate_ms(ours, layers, repeats=3)
        print(f"| {dataset} unet | {together:,.0f} ms | {apart:,.0f} ms | {together / apart:.2f}x |")
    print()


def _asked(source: Source) -> tuple[Float[Tensor, "k d"], Float[Tensor, "m d"]]:
    """Sixteen noisy held-out images, and as many pixels."""
    places = [Pixel(row, col) for row in range(2, source.shape.h, 8) for col in range(2, source.shape.w, 8)]
    outputs = torch.cat([pixel_outputs(source.shape, place) for place in places])
    return draw_inputs(Draws(16).images(source), 0.5, 0), outputs
