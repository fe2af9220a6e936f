"""S is all a linear denoiser needs: two pixels, a line, an image of CIFAR-10 in grey."""

from __future__ import annotations

from pathlib import Path

from pages._ui.lessons.guess import Draw
from pages._ui.lessons.lesson import Figure, Lesson, Result, signed

SIGMA, LEVELS = 0.2, (0.05, 0.07, 0.1, 0.14, 0.2, 0.3, 0.5, 0.7, 1.0, 1.4, 2.0, 3.0, 5.0, 7.0, 10.0)
STRONG = 1.0  # of what to try
ROW = COL = 16
REACH = 5  # pixels of the sketch on either side


def figure() -> Figure:
    """Line, image and their weights from the shipped statistics of CIFAR-10; the UNet's agreement from its study."""
    import torch

    from locality.linear.wiener import coordinates
    from locality.types import Pixel
    from pages._ui.lessons.parts import agreement_with_wiener, brightness, weights

    grey = brightness("cifar10", 1 / 3)
    cov = grey.eigvecs.double() * grey.eigvals @ grey.eigvecs.double().T
    here, line = ROW * 32 + COL, slice(ROW * 32, ROW * 32 + 32)
    along = cov[line, line]
    fields = torch.stack([grey.rows(coordinates(grey.shape, Pixel(ROW, COL)), sigma)[0] for sigma in LEVELS])
    two, one = along[COL : COL + 2, COL : COL + 2], along[COL : COL + 1, COL : COL + 1]
    whole = fields[LEVELS.index(SIGMA)].double()
    left = {  # expected squared error: sigma^2 times the pixel's own weight
        "one": weights(one, 0, SIGMA)[0],
        "two": weights(two, 0, SIGMA)[0],
        "line": weights(along, COL, SIGMA)[COL],
        "image": whole[here],
    }
    drawn = weights(along, COL, SIGMA)
    scale = cov.diagonal().sqrt()
    found = agreement_with_wiener("cifar10", "unet", 0.76)
    return Figure(
        answer=[round(float(v), 4) for v in drawn[COL - REACH : COL + REACH + 1]],
        result=Result(
            found.r,
            found.error,
            "[[Pearson r]] of the fields that a trained [[UNet]] learned and that $S$ predicts, on CIFAR-10 in colour "
            f"at σ = {found.sigma:.2g}, without the pixel itself: {found.means}. Nobody told the UNet what $S$ is.",
            "`python -m locality agreement cifar10 --networks wiener,unet`",
        ),
        data={
            "levels": list(LEVELS),
            "start": LEVELS.index(SIGMA),
            "at": [ROW, COL],
            "side": 32,
            "reach": REACH,
        },
        arrays={
            "line": along.contiguous().numpy(),
            "correlation": (cov[here] / scale[here] / scale).float().numpy(),
            "fields": fields.flatten().numpy(),
        },
        facts={
            "sigma": f"{SIGMA:g}",
            "rho": f"{float(two[0, 1] / (two[0, 0] * two[1, 1]).sqrt()):.2f}",
            "far": f"{float(along[COL, COL + REACH] / along[COL, COL]):.2f}",
            "own": f"{float(drawn[COL]):.2f}",
            "beside": f"{float(drawn[COL + 1]):.2f}",
            "next": f"{float(drawn[COL + 2]):.2f}",
            **{f"left_{name}": f"{SIGMA**2 * float(own):.3f}" for name, own in left.items()},
            "strong": f"{STRONG:g}",
            "total": f"{float(drawn.sum()):.2f}",
            "total_strong": f"{float(weights(along, COL, STRONG).sum()):.2f}",
            "noise": f"{SIGMA**2:.3f}",
            "spread": f"{float(scale[here]):.2f}",
        },
    )


LESSON = Lesson(
    number=1,
    title="S is all a linear denoiser needs",
    minutes=3,
    summary="From how pixels vary together follows whom a denoiser listens to.",
    claim="""
Take an image $x$₀ and add noise: $x = x$₀$ + σ ε$, with $ε$ drawn from a normal distribution of variance 1 at every
pixel. To get a pixel back, a linear [[denoiser]] takes a weighted sum of noisy pixels (all less their means). At a
given $σ$ the best weights depend on one thing only: the [[covariance]] $S$ of the images, how every pixel varies with
every other.

$$ W = S (S + σ² I)^{−1} $$

Each row of $W$ holds the weights with which one pixel is estimated. This is the [[Wiener filter]]: no network, no
training.
""",
    guess=Draw(
        """
Here is a line of 32 pixels through the middle of CIFAR-10’s images, in grey. The middle pixel and its neighbour are
[[correlated|correlation]] at {rho}; five pixels away it is still {far}. The pixel’s [[standard deviation]] over the
images is {spread}; that of the noise is $σ$ = {sigma}. **Sketch the weights** with which the best linear denoiser
estimates the middle pixel: drag over the empty chart, or use the arrow keys.
""",
        label=f"Your sketch: weights at σ = {SIGMA:g}",
        names=tuple(signed(f"{offset:+d}") if offset else "pixel" for offset in range(-REACH, REACH + 1)),
        low=-0.2,
        high=1.0,
    ),
    answer="""
It is tempting to draw the correlation. But the pixel two away says little that the nearer one has not said: the
weights are {own}, then {beside}, then only {next}. What counts is not how much a pixel knows, but how much it *adds*.

More pixels help: the expected squared error is {noise} if the noisy pixel is taken as it is, {left_one} if it is
weighed by its own variance, {left_two} with one neighbour, {left_line} with the line and {left_image} with the whole
image.
""",
    trying="""
Raise $σ$ to {strong}: with more noise a single pixel is less reliable, more of them share the weight, and what happens
to its total? Then choose **An image**: the row of $W$ is itself a picture, the [[sensitivity field]] of the pixel.
Nobody told it to be local.
""",
    seen="""
The weights of the line add up to {total} at $σ$ = {sigma} and to {total_strong} at {strong}: the estimate shrinks
towards the mean, which is all there is left to say when noise is strong.
""",
    not_shown="""
That images are more than mean and covariance: a denoiser that is not linear can do better, and lesson 8 shows where.
""",
    figure=figure,
    script=Path(__file__).with_suffix(".js"),
)
