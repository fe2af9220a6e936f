"""Locality is not convolution: the fields of an MLP, a UNet and W on Fashion-MNIST."""

from __future__ import annotations

from pathlib import Path

from pages._ui.lessons.guess import Match
from pages._ui.lessons.lesson import Figure, Lesson, Result

DATASET, NETWORKS, SIGMA = "fashion_mnist", ("mlp", "unet"), 2.26
PIXEL, STEP = (13, 13), 2  # every second of the stored pixels, so that the file stays small
NAMES = ("UNet: convolutions", "MLP: no neighbours", "W: data, no network")
SHUFFLED = (1, 2, 0)  # which of the names the three fields belong to


def figure() -> Figure:
    """Stored fields of both networks and the exact predicted ones at the same pixels and noise levels."""
    import torch

    from locality.datasets import Source
    from locality.fields.codec import decode_rows, encode_rows
    from locality.fields.jacobian import compare
    from locality.schedule import nearest_level
    from locality.studies import find_network
    from locality.types import Pixel
    from pages._ui.lessons.parts import agreement_with_wiener, pixel_rows, stored_fields, wiener_of

    source, wiener = Source.parse(DATASET), wiener_of(DATASET)
    (mlp, stored), (unet, _) = (stored_fields(DATASET, network) for network in NETWORKS)
    side = source.shape.h
    grid = [i for i, (row, col) in enumerate(stored.pixels) if (row // 2) % STEP == 0 and (col // 2) % STEP == 0]
    grid = sorted({*grid, stored.pixels.index(Pixel(*PIXEL))})
    pixels = [stored.pixels[i] for i in grid]
    predicted = torch.stack([pixel_rows(wiener, pixels, sigma) for sigma in stored.sigmas])
    fields = [unet[:, grid], mlp[:, grid], predicted]
    coded = [encode_rows(one) for one in fields]
    level, at = nearest_level(stored.sigmas, SIGMA), pixels.index(Pixel(*PIXEL))
    shown = [decode_rows(*one)[level, at].reshape(side, side) for one in coded]
    r_mlp, error, sigma = agreement_with_wiener(DATASET, "mlp", SIGMA)
    r_unet, error_unet, _ = agreement_with_wiener(DATASET, "unet", SIGMA)
    return Figure(
        answer=list(SHUFFLED),
        result=Result(
            r_mlp,
            error,
            f"[[Pearson r]] of the fields of the [[MLP]] and of $W$ on Fashion-MNIST at σ = {sigma:.2f}, without the "
            "pixel itself: mean over 49 pixels ± [[standard error]] over 16 noisy images. The [[UNet]] has "
            f"{r_unet:.3f} ± {error_unet:.3f}.",
            "`python -m locality agreement fashion_mnist --networks wiener,unet,mlp`",
        ),
        data={
            "side": side,
            "levels": list(stored.sigmas),
            "start": level,
            "pixels": [list(pixel) for pixel in pixels],
            "at": at,
            "names": ["UNet", "MLP", "W"],
            "shuffled": list(SHUFFLED),
            "draws": stored.draws,
        },
        arrays={
            **{f"codes{i}": codes.flatten().numpy() for i, (codes, _) in enumerate(coded)},
            **{f"scale{i}": scale.flatten().numpy() for i, (_, scale) in enumerate(coded)},
        },
        facts={
            "sigma": f"{stored.sigmas[level]:.2f}",
            "unet": f"{compare(shown[0], shown[2], pixels[at]).pearson_off_centre:.2f}",
            "mlp": f"{compare(shown[1], shown[2], pixels[at]).pearson_off_centre:.2f}",
            **{f"seen_{network}": f"{find_network(source, network).manifest['images_seen']:,}" for network in NETWORKS},
        },
    )


LESSON = Lesson(
    number=3,
    title="Locality is not convolution",
    minutes=2,
    summary="A network without any notion of neighbours learns the same fields as a convolutional one.",
    claim="""
Why do denoising networks look at the neighbourhood of a pixel? The usual answer: they are made of convolutions, small
windows that slide over the image.

Then fully connected layers should look anywhere. An [[MLP]] is not even told which pixels are neighbours: shuffle the
pixels of all images, and it would train just as well.
""",
    guess=Match(
        """
Here are three [[fields|sensitivity field]] of one pixel of Fashion-MNIST at $σ$ = {sigma}: of a trained [[UNet]], of a
trained [[MLP]], and the row of $W$ that follows from the data’s [[covariance]]. **Which is which?**
""",
        items=("Field A", "Field B", "Field C"),
        names=NAMES,
    ),
    answer="""
The MLP’s is the grainy one, and little else sets it apart: the same cross, along the lines of shirts and
trousers, lies under them. With $W$ it correlates at {mlp}, the UNet at {unet}. It learned from examples who is near
whom, since that is what [[correlations|correlation]] tell.

Convolutions do not make the field. What they save is work: the UNet was shown {seen_unet} images, this MLP {seen_mlp},
and it is still the noisier one.
""",
    trying="""
Move the pixel to a sleeve, near the left or right border, at $σ$ = {sigma}: all three look at the *other* sleeve too.
Then lower the noise: all three shrink together.
""",
    not_shown="""
That networks agree where data leave them a choice: where pixels hardly vary, or outside what an architecture can reach
(its [[receptive field]]), fields differ; the Architectures page shows it with four networks.
""",
    figure=figure,
    script=Path(__file__).with_suffix(".js"),
)
