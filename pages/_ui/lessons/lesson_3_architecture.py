"""Locality is not convolution: the fields of an MLP, a UNet and W on Fashion-MNIST."""

from __future__ import annotations

from pathlib import Path

from pages._ui.lessons.guess import Match
from pages._ui.lessons.lesson import Figure, Lesson, Result

DATASET, NETWORKS, SIGMA = "fashion_mnist", ("mlp", "unet"), 2.26
SLEEVE = (9, 5)
PIXEL, STEP = (13, 13), 2  # every second of the stored pixels, so that the file stays small
NAMES = ("UNet: convolutions", "MLP: no neighbours", "W: data, no network")
SHUFFLED = (1, 2, 0)  # which of the names the three fields belong to


def figure() -> Figure:
    """Stored fields of both networks and the exact predicted ones at the same pixels and noise levels."""
    import torch

    from locality.datasets import Source
    from locality.fields.codec import decode_rows, encode_rows
    from locality.fields.jacobian import compare, measure
    from locality.schedule import nearest_level
    from locality.studies import AgreementPlan, find_network, found_agreement
    from locality.types import Pixel
    from pages._ui.lessons.parts import agreement_with_wiener, pixel_rows, stored_fields, wiener_of

    source, wiener = Source.parse(DATASET), wiener_of(DATASET)
    (mlp, stored), (unet, _) = (stored_fields(DATASET, network) for network in NETWORKS)
    side = source.shape.h
    grid = [i for i, (row, col) in enumerate(stored.pixels) if (row // 2) % STEP == 0 and (col // 2) % STEP == 0]
    grid = sorted({*grid, *(stored.pixels.index(Pixel(*pixel)) for pixel in (PIXEL, SLEEVE))})
    pixels = [stored.pixels[i] for i in grid]
    predicted = torch.stack([pixel_rows(wiener, pixels, sigma) for sigma in stored.sigmas])
    fields = [unet[:, grid], mlp[:, grid], predicted]
    coded = [encode_rows(one) for one in fields]
    level, at = nearest_level(stored.sigmas, SIGMA), pixels.index(Pixel(*PIXEL))
    shown = [decode_rows(*one)[level, at].reshape(side, side) for one in coded]
    low, high = wiener.mean.aminmax()  # the mean image is faint: it is shown on all of the grey scale
    r = {network: agreement_with_wiener(DATASET, network, SIGMA) for network in NETWORKS}
    sleeve = pixels.index(Pixel(*SLEEVE))

    def least(i: int) -> tuple[list[str], list[float]]:
        """Of all fields of a pixel at the least noise: the radius in words, and r of both networks with W."""
        maps = [one[0, i].reshape(side, side) for one in fields]
        found = [measure(one, pixels[i]).radius for one in maps]
        words = ["in the pixel itself" if one == 0 else f"within {one:.2g} px" for one in found]
        return words, [compare(one, maps[2], pixels[i]).pearson_off_centre for one in maps[:2]]

    (inside, _), (outside, apart) = least(at), least(sleeve)
    study = found_agreement(source, ["wiener", *NETWORKS], plan=AgreementPlan())
    assert study is not None  # as it gave r above
    both = float(study.off_centre.value[nearest_level(study.sigmas, SIGMA), 1, 2])
    return Figure(
        answer=list(SHUFFLED),
        result=Result(
            r["mlp"].r,
            r["mlp"].error,
            f"[[Pearson r]] of the fields of the [[MLP]] and of $W$ on Fashion-MNIST at σ = {r['mlp'].sigma:.2f}, "
            f"without the pixel itself: {r['mlp'].means}. The [[UNet]] has {r['unet'].r:.3f} ± {r['unet'].error:.3f}.",
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
        },
        arrays={
            "mean": (2 * (wiener.mean - low) / (high - low) - 1).float().numpy(),
            **{f"codes{i}": codes.flatten().numpy() for i, (codes, _) in enumerate(coded)},
            **{f"scale{i}": scale.flatten().numpy() for i, (_, scale) in enumerate(coded)},
        },
        facts={
            "sigma": f"{stored.sigmas[level]:.2f}",
            "unet": f"{compare(shown[0], shown[2], pixels[at]).pearson_off_centre:.2f}",
            "mlp": f"{compare(shown[1], shown[2], pixels[at]).pearson_off_centre:.2f}",
            **{f"mean_{network}": f"{one.r:.2f}" for network, one in r.items()},
            "draws": str(stored.draws),
            "least": f"{stored.sigmas[0]:.3g}",
            "sleeve": f"row {SLEEVE[0]}, column {SLEEVE[1]}",
            **{f"in_{name}": one for name, one in zip(("unet", "mlp", "w"), inside, strict=True)},
            **{f"out_{name}": one for name, one in zip(("unet", "mlp", "w"), outside, strict=True)},
            **{f"apart_{name}": f"{one:.2f}" for name, one in zip(("unet", "mlp"), apart, strict=True)},
            "both": f"{both:.2f}",
            **{f"seen_{network}": f"{find_network(source, network).manifest['images_seen']:,}" for network in NETWORKS},
        },
    )


LESSON = Lesson(
    number=3,
    title="Locality is not convolution",
    minutes=2,
    summary="A network without any notion of neighbours learns much the same fields as a convolutional one.",
    claim="""
Why do denoising networks look at the neighbourhood of a pixel? The usual answer: they are made of convolutions, small
windows that slide over the image.

Then fully connected layers should look anywhere. An [[MLP]] is not even told which pixels are neighbours: shuffle the
pixels of all images, and it would train just as well.
""",
    guess=Match(
        """
Here are three [[fields|sensitivity field]] of one pixel of Fashion-MNIST (28 x 28 images of clothes) at
[[$σ$|noise level]] = {sigma}: of a trained [[UNet]], of a trained [[MLP]], both averaged over {draws} noisy images, and
the row of $W$ (lesson 1) that follows from the data’s [[covariance]]. **Which is which?**
""",
        items=("Field A", "Field B", "Field C"),
        names=NAMES,
    ),
    answer="""
The MLP’s is the grainy one, and little else sets it apart: under the grain lies the same cross, along the lines of
shirts and trousers. At this pixel it [[correlates|Pearson r]] with $W$ at {mlp}, the UNet at {unet}. (Over the
whole image, corrected for the noise of the draws, it is {mean_mlp} and {mean_unet}.) The
MLP learned from examples who is near whom, since that is what [[correlations|correlation]] tell.

**How much is “the same”?** Corrected for that noise, a network whose fields are those of $W$ would have 1: what is
missing is a difference. With each other the two networks have {both}.

Convolutions do not make the field. What they save is work: the UNet was shown {seen_unet} images, this MLP {seen_mlp},
and it is still the noisier one.
""",
    trying="""
Move the pixel to the left sleeve ({sleeve}) at $σ$ = {sigma}: all three look at the *other* sleeve too. Then lower the
noise to {least}: which of the fields shrink onto the pixel, and which do in the middle of the image?
""",
    seen="""
At the sleeve, at $σ$ = {least}, only $W$ shrinks onto the pixel: half of its weight lies {out_w}, of the UNet’s
{out_unet}, of the MLP’s {out_mlp}. $r$ with $W$ there is {apart_unet} for the UNet, {apart_mlp} for the MLP. In the
middle half of the weight lies {in_w} for $W$, {in_unet} for the UNet, {in_mlp} for the MLP, whose grain stays.
""",
    not_shown="""
That networks agree where data leave them a choice: where pixels hardly vary, or outside what an architecture can reach
(its [[receptive field]]), fields differ; the Architectures page shows it with four networks.
""",
    figure=figure,
    script=Path(__file__).with_suffix(".js"),
)
