"""Untrained networks do not have it: fields of trained and untrained networks of the same architectures on CIFAR-10."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from pages._ui.lessons.guess import Pick
from pages._ui.lessons.lesson import Figure, Lesson, Result, signed

DATASET, NETWORKS, SIGMA, PIXEL = "cifar10", ("unet", "resnet", "dit"), 2.26, (17, 17)
HIGH = 0.75  # a correlation of the recording that its text is about
SEEDS, DRAWS = 8, 2  # of untrained weights, and noisy images each: their fields hardly depend on the image
LETTERS = "ABCDEF"
ORDER = ((0, "untrained"), (1, "trained"), (2, "untrained"), (0, "trained"), (1, "untrained"), (2, "trained"))


def figure() -> Figure:
    """Trained fields from the stored tables, untrained ones differentiated here, and how both correlate with W."""
    import torch

    from locality.datasets import Source
    from locality.fields.jacobian import compare
    from locality.networks import network_spec
    from locality.schedule import nearest_level
    from locality.studies import Untrained, find_network
    from locality.types import Pixel
    from pages._ui.lessons.parts import (
        field_of,
        mean_and_error,
        pixel_rows,
        recording,
        stored_fields,
        wiener_of,
    )

    source, wiener, pixel = Source.parse(DATASET), wiener_of(DATASET), Pixel(*PIXEL)
    side = source.shape.h
    x0 = wiener.sample(DRAWS, torch.Generator().manual_seed(0))  # images of these statistics: there may be no others
    trained, untrained = [], []
    for name in NETWORKS:
        fields, table = stored_fields(DATASET, name)
        level = nearest_level(table.sigmas, SIGMA)
        sigma = table.sigmas[level]
        trained.append(fields[level, table.pixels.index(pixel)])
        network = find_network(source, name)
        spec = network_spec(network.manifest["network"], network.folder)
        seeds = [Untrained(spec, source.shape, seed).build() for seed in range(SEEDS)]
        untrained.append(torch.stack([field_of(net, pixel, sigma, x0) for net in seeds]))
    predicted = pixel_rows(wiener, [pixel], sigma)[0]

    def r(field: torch.Tensor) -> float:
        return compare(predicted.reshape(side, side), field.reshape(side, side), pixel).pearson_off_centre

    before = torch.tensor([[r(field) for field in seeds] for seeds in untrained], dtype=torch.float64)
    after = [r(field) for field in trained]
    mean, error = mean_and_error(before.flatten())
    six = [(untrained[i][0] if kind == "untrained" else trained[i]) for i, kind in ORDER]
    played, moments = recording()
    story = _story(played, moments) if played else "r, the correlation with the prediction, is above a learned field."
    return Figure(
        answer=[i for i, (_, kind) in enumerate(ORDER) if kind == "untrained"],
        result=Result(
            mean,
            error,
            f"[[Pearson r]] of the fields of [[untrained]] networks and of $W$ at σ = {sigma:.2f}, without the pixel "
            f"itself: mean of {before.numel()} networks, {SEEDS} [[seeds|seed]] of three architectures, ± "
            f"[[standard error]] over networks. The trained ones have {', '.join(f'{one:.2f}' for one in after)}.",
            "`Untrained(spec, shape, seed).build()` of `locality.studies`, fields at row 17, column 17; trained ones "
            "from the shipped tables",
            digits=2,
        ),
        data={
            "side": side,
            "pixel": list(PIXEL),
            "sigma": sigma,
            "names": [f"{kind} {label(NETWORKS[i])}" for i, kind in ORDER],
            "r": [r(field) for field in six],
            "recording": played,
        },
        arrays={
            "fields": torch.stack(six).flatten().float().numpy(),
            "goal": predicted.float().numpy(),
            **moments,
        },
        facts={
            "sigma": f"{sigma:.2f}",
            "low": f"{min(after):.2f}",
            "high": f"{max(after):.2f}",
            "least": signed(f"{float(before.min()):.2f}"),
            "most": signed(f"{float(before.max()):.2f}"),
            "seeds": str(before.numel()),
            "clipped": LETTERS[ORDER.index((NETWORKS.index("resnet"), "trained"))],
            "story": story,
            "then": f"**Play the recording** of a {label(played['network'])} that learns from {played['dataset']}: "
            "after how many images has its field the shape that is predicted, and what is missing at the end?"
            if played
            else "Open the Train page and watch a field appear while a network learns.",
        },
    )


def _story(played: Mapping[str, Any], moments: Mapping[str, NDArray[Any]]) -> str:
    """A recorded training in words: r at its moments, and the weight at the other eye where its pixel is an eye."""
    import torch

    from locality.datasets import Source
    from locality.fields.codec import decode_rows
    from locality.fields.jacobian import compare
    from locality.types import Pixel
    from pages._ui.lessons.parts import weight_around

    side, images, pixel = played["side"], played["images"], Pixel(*played["pixel"])
    coded = {name: torch.from_numpy(array) for name, array in moments.items()}
    fields = decode_rows(coded["codes"].reshape(len(images), -1), coded["scale"])
    predicted = decode_rows(coded["predicted"].reshape(1, -1), coded["predicted_scale"])[0]
    r = [
        compare(predicted.reshape(side, side), one.reshape(side, side), pixel).pearson_off_centre
        if one.abs().sum() > 0
        else 0.0
        for one in fields
    ]
    told = f"Before training $r$ = {signed(f'{r[0]:.2f}')}, after {images[1]:,} images {r[1]:.2f}"
    below = [i for i, one in enumerate(r) if one <= HIGH]
    first = next((i for i, one in enumerate(r) if one > HIGH), None)
    if first is not None:
        told += f"; first above {HIGH} after {images[first]:,}"
        if first < below[-1] < len(r) - 1:
            told += f", for good from {images[below[-1] + 1]:,} on"
    told += f"; at the end, after {images[-1]:,}, {r[-1]:.2f} (one pixel, σ = {played['sigma']:g})."
    places = {place: name for name, place in Source.parse(played["source"]).spec.landmarks().items()}
    other = [place for place in places if place != pixel]
    if pixel in places and len(other) == 1:
        ours, theirs = (weight_around(one, other[0], side) for one in (predicted, fields[-1]))
        told += (
            f" A high $r$ is not all: the pixel is the {places[pixel]}, and the {places[other[0]]} should have "
            f"{ours:.2f} of the largest weight; after the last image it still has only {signed(f'{theirs:.2f}')}."
        )
    return told


def label(name: str) -> str:
    """A network as people write it."""
    return {"unet": "UNet", "resnet": "ResNet", "dit": "DiT", "mlp": "MLP"}[name]


LESSON = Lesson(
    number=4,
    title="Untrained networks do not have it",
    minutes=2,
    summary="An architecture says how far a network could look; only training says where it does.",
    claim="""
If an architecture alone made the field, a network with random weights would already have the one that $W$, the best
linear denoiser (lesson 1), predicts from the data.

Two things are easily confused: that a field is *local*, and that it is *shaped like* $W$. A chain of convolutions is
local whatever its weights are: it cannot look beyond its [[receptive field]], and with random ones hardly looks as
far as that. How weights are spread within it the architecture does not say.
""",
    guess=Pick(
        """
Six [[sensitivity fields|sensitivity field]] of one pixel at $σ$ = {sigma}, of a [[UNet]], a [[ResNet]] and a [[DiT]],
each once trained on CIFAR-10 and once [[untrained]]. **Pick the three untrained ones.**
""",
        options=tuple(LETTERS),
        several=3,
    ),
    answer="""
The untrained ones have no shape: signs change from pixel to pixel. The trained ones
[[correlate|Pearson r]] with $W$ at $r$ = {low} to {high}; over {seeds} untrained networks $r$ runs from {least} to
{most} about zero.

Two of the untrained fields are *local* by architecture: with random weights little comes from far through a chain of
convolutions, and little from other patches. That is not the data’s kind of local. Training makes these fields larger,
and smooth; only where the architecture cannot look further do they end ({clipped}, at its receptive field).
""",
    trying="""
{then}
""",
    seen="""
{story}
""",
    not_shown="""
Untrained weights here are drawn as PyTorch draws them; other starts have other random fields. And of every trained
network there is one: another training gives a slightly different field.
""",
    figure=figure,
    script=Path(__file__).with_suffix(".js"),
)
