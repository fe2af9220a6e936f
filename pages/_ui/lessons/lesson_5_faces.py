"""Non-local data, non-local fields: the eye of a cat, and the same two places on CIFAR-10."""

from __future__ import annotations

from pathlib import Path

from pages._ui.lessons.guess import Point
from pages._ui.lessons.lesson import Figure, Lesson, Result

LEVELS = (0.5, 1.0, 1.2, 1.5, 3.0, 5.0, 8.0, 12.0)  # and those of the stored fields in between
SIGMA = 1.2  # of the question
FAR = 5.0  # pixels from the eye: what lies nearer is the eye itself
RANK = 384  # components that the browser gets, enough for these noise levels
PATCH = 1.6  # pixels: radius of an eye
PHOTO = 15  # of the shipped photographs: it looks straight at us


def figure() -> Figure:
    """Predicted fields of cats and of CIFAR-10, a photograph, and what a trained UNet learned."""
    import torch

    from locality.datasets import Source
    from locality.schedule import nearest_level
    from locality.studies import nearest_pixel
    from pages._ui.explorer.basis import contents, leading
    from pages._ui.lessons.parts import pixel_rows, stored_fields, wiener_of

    cats = Source.parse("afhq_cats")
    eye, other = cats.spec.landmarks().values()
    filters = {"cats": wiener_of("afhq_cats"), "cifar10": wiener_of("cifar10")}
    places = torch.arange(32 * 32)
    row, col = places // 32, places % 32
    around = (row - other.row) ** 2 + (col - other.col) ** 2 <= PATCH**2
    away = (row - eye.row) ** 2 + (col - eye.col) ** 2 > FAR**2

    def share(field: torch.Tensor) -> float:
        return float(field[around].mean() / field.abs().max())

    exact = {name: pixel_rows(one, [eye], SIGMA)[0] for name, one in filters.items()}
    looks = int(exact["cats"].masked_fill(~away, -torch.inf).argmax())
    fields, stored = stored_fields("afhq_cats", "unet")
    levels = sorted({*LEVELS, *(round(level, 3) for level in stored.sigmas if LEVELS[0] < level < LEVELS[-1])})
    near, at = nearest_level(stored.sigmas, SIGMA), nearest_pixel(stored.pixels, eye)
    sigma, pixel = stored.sigmas[near], stored.pixels[at]
    beside = share(pixel_rows(filters["cats"], [pixel], sigma)[0])
    bases = {name: contents(leading(one, RANK)) for name, one in filters.items()}
    return Figure(
        answer=[looks // 32, looks % 32],
        result=Result(
            share(exact["cats"]),
            float("nan"),
            f"Mean weight around the other eye, over the field’s largest weight, predicted from the [[covariance]] of "
            f"{filters['cats'].count:,} photographs at σ = {SIGMA:g}. The same two places on CIFAR-10: "
            f"{share(exact['cifar10']):.3f}. At the stored pixel and σ = {sigma:.2g}: predicted {beside:.3f}, learned "
            f"by the [[UNet]] {share(fields[near, at]):.3f}.",
            "`python -m benchmarks eyes`; photographs: AFHQ, NAVER Corp., CC BY-NC 4.0",
        ),
        data={
            "levels": levels,
            "start": levels.index(SIGMA),
            "side": 32,
            "eye": list(eye),
            "learned": {"sigmas": stored.sigmas, "pixel": list(pixel), "draws": stored.draws},
            "bases": {name: head for name, (head, _) in bases.items()},
        },
        arrays={
            "photo": cats.held_out.x0(slice(PHOTO, PHOTO + 1))[0].numpy(),
            "learned": fields[:, at].float().flatten().numpy(),
            **{f"{name}.{part}": array for name, (_, arrays) in bases.items() for part, array in arrays.items()},
        },
        facts={
            "sigma": f"{SIGMA:g}",
            "eye": f"row {eye.row}, column {eye.col}",
            "cats": f"{share(exact['cats']):.2f}",
            "cifar10": f"{share(exact['cifar10']):.3f}",
            "beside": f"{beside:.2f}",
            "learned": f"{share(fields[near, at]):.2f}",
            "stored": f"{sigma:.2g}",
            "times": f"{share(exact['cats']) / share(exact['cifar10']):.0f}",
        },
    )


LESSON = Lesson(
    number=5,
    title="Non-local data, non-local fields",
    minutes=2.5,
    summary="On aligned faces one eye tells about the other, so a denoiser looks there: locality is in the data.",
    claim="""
If the [[covariance]] sets where a [[denoiser]] looks, then data whose distant pixels vary together must have fields
that are not local at all.

Photographs of cats, aligned so that eyes lie at the same place, are such data: cats have two eyes of one colour, lit by
one lamp.
""",
    guess=Point(
        """
The yellow square is the pixel being denoised: an eye of the photograph ({eye}), at [[$σ$|noise level]] = {sigma}.
**Where else does its [[sensitivity field]] look most**, outside the eye itself? Click there, or use the arrow keys.
""",
        label="Where else the eye looks",
        rows=32,
        columns=32,
        near=2.5,
    ),
    answer="""
At the other eye: the weight there is {cats} of the largest one, {times} times that of the same two places on CIFAR-10
({cifar10}), where nothing is aligned.

No architecture is in this picture: it is $S (S + σ² I)^{−1}$ of the photographs.

A convolutional [[UNet]] trained on them has a similar field around the eye, but looks at the other one far more weakly:
{learned} of its largest weight against {beside} predicted, both at $σ$ = {stored}. What keeps networks from the
prediction is measured on the page *Why not exactly equal?*.
""",
    trying="""
Click a cheek or an ear in the photograph, or move with the arrow keys: on the head most pixels look at their mirror
image, on CIFAR-10 far fewer. Then raise $σ$ to 12: more and more of the head counts.
""",
    not_shown="""
The field is a mean over cats: for one photograph a network may weigh the other eye more, or not at all.
""",
    figure=figure,
    script=Path(__file__).with_suffix(".js"),
)
