"""Non-local data, a non-local prediction: the eye of a cat, and the same two places on CIFAR-10."""

from __future__ import annotations

from pathlib import Path

from pages._ui.lessons.guess import Point
from pages._ui.lessons.lesson import Figure, Lesson, Result

LEVELS = (0.5, 1.0, 1.2, 1.5, 3.0, 5.0, 8.0, 12.0)  # and those of the stored fields in between
SIGMA = 1.2  # of the question
FAR = 5.0  # pixels from the eye: what lies nearer is the eye itself
RANK = 384  # components that the browser gets, enough for these noise levels
NETWORKS = ("unet", "resnet", "dit")
HEAD = (range(8, 26, 2), range(4, 28, 2))  # rows and columns of pixels that may look at their mirror image
MIRROR = 2.5  # pixels: so near it must be
PHOTO = 15  # of the shipped photographs: it looks straight at us


def figure() -> Figure:
    """Predicted fields of cats and of CIFAR-10, a photograph, and what a trained UNet learned."""
    import torch

    from locality.datasets import Source
    from locality.fields.jacobian import measure
    from locality.schedule import nearest_level
    from locality.studies import nearest_pixel
    from locality.types import Pixel
    from pages._ui.explorer.basis import contents, leading
    from pages._ui.lessons.parts import percent, pixel_rows, stored_fields, weight_around, weights_apart, wiener_of

    cats = Source.parse("afhq_cats")
    eye, other = cats.spec.landmarks().values()
    filters = {"cats": wiener_of("afhq_cats"), "cifar10": wiener_of("cifar10")}
    places = torch.arange(32 * 32)
    row, col = places // 32, places % 32
    away = (row - eye.row) ** 2 + (col - eye.col) ** 2 > FAR**2

    def share(field: torch.Tensor) -> float:
        return weight_around(field, other, 32)

    exact = {name: pixel_rows(one, [eye], SIGMA)[0] for name, one in filters.items()}
    looks = int(exact["cats"].masked_fill(~away, -torch.inf).argmax())
    fields, stored = stored_fields("afhq_cats", "unet")
    levels = sorted({*LEVELS, *(round(level, 3) for level in stored.sigmas if LEVELS[0] < level < LEVELS[-1])})
    tables = [fields, *(stored_fields("afhq_cats", name)[0] for name in NETWORKS if name != "unet")]
    near, at = nearest_level(stored.sigmas, SIGMA), nearest_pixel(stored.pixels, eye)
    sigma, pixel = stored.sigmas[near], stored.pixels[at]
    beside = share(pixel_rows(filters["cats"], [pixel], sigma)[0])
    reach = [  # of the predicted weight at the other eye, what each network gives it, least noise of the two first
        [
            share(table[level, at]) / share(pixel_rows(filters["cats"], [pixel], stored.sigmas[level])[0])
            for table in tables
        ]
        for level in (near, len(stored.sigmas) - 1)
    ]
    turned = eye.col + other.col  # a pixel and its mirror image: the sum of their columns
    sided = [Pixel(r, c) for r in HEAD[0] for c in HEAD[1] if abs(turned - 2 * c) > FAR + MIRROR]

    def mirrored(name: str) -> float:
        """Share of pixels of the head that look most, outside of their neighbourhood, at their mirror image."""
        found = 0
        for (r, c), field in zip(sided, pixel_rows(filters[name], sided, SIGMA), strict=True):
            near_by = (row - r) ** 2 + (col - c) ** 2 <= FAR**2
            most = int(field.masked_fill(near_by, -torch.inf).argmax())
            found += (most // 32 - r) ** 2 + (most % 32 - turned + c) ** 2 <= MIRROR**2
        return found / len(sided)

    wide = [
        measure(pixel_rows(filters["cats"], [eye], level)[0].reshape(32, 32), eye).radius
        for level in (SIGMA, LEVELS[-1])
    ]
    bound = filters["cats"].error
    bases = {name: contents(leading(one, RANK)) for name, one in filters.items()}
    apart = weights_apart(filters["cifar10"], abs(other.col - eye.col), SIGMA)
    return Figure(
        answer=[looks // 32, looks % 32],
        result=Result(
            share(exact["cats"]),
            float("nan"),
            f"Mean weight around the other eye, over the field’s largest weight, predicted from the [[covariance]] of "
            f"{filters['cats'].count:,} photographs at σ = {SIGMA:g}. The same two places on CIFAR-10: "
            f"{share(exact['cifar10']):.3f}. At the stored pixel and σ = {sigma:.2g}: predicted {beside:.3f}, learned "
            f"by the [[UNet]] {share(fields[near, at]):.3f}. "
            + (
                "Predictions are exact."
                if bound is None
                else f"No noise is in the predicted ones: with the stored basis they are exact to {bound.field:.1g} of "
                f"a field’s largest value from σ = {bound.sigma:g} on."
            ),
            "`python -m benchmarks eyes`; photographs: AFHQ, NAVER Corp., CC BY-NC 4.0",
        ),
        data={
            "levels": levels,
            "start": levels.index(SIGMA),
            "side": 32,
            "eye": list(eye),
            "learned": {"sigmas": list(stored.sigmas), "pixel": list(pixel), "draws": stored.draws},
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
            "beside": f"{beside:.3f}",
            "learned": f"{share(fields[near, at]):.3f}",
            "stored": f"{sigma:.2g}",
            "place": f"row {pixel.row}, column {pixel.col}",
            "strongest": f"{LEVELS[-1]:g}",
            "before": f"{wide[0]:.1f}",
            "after": f"{wide[1]:.1f}",
            "sided": str(len(sided)),
            "far": f"{FAR:g}",
            "mirror": f"{MIRROR:g}",
            **{f"mirrored_{name}": percent(mirrored(name)) for name in filters},
            "highest": f"{stored.sigmas[-1]:g}",
            **{
                f"{when}_{name}": percent(one)
                for when, row in zip(("low", "high"), reach, strict=True)
                for name, one in zip(NETWORKS, row, strict=True)
            },
            "far_apart": f"{float(apart.mean()):.3f}",
            "far_apart_sd": f"{float(apart.std()):.3f}",
        },
    )


LESSON = Lesson(
    number=5,
    title="Non-local data and prediction",
    minutes=2.5,
    summary="On aligned faces one eye tells about the other: the best linear denoiser looks there, networks less so.",
    claim="""
The [[covariance]] sets where the best linear [[denoiser]] looks. Then for data whose distant pixels vary together the
*predicted* field cannot be local. Whether networks follow is another question, and the answer below has numbers for it.

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
At the other eye: the weight there is {cats} of the largest one. On CIFAR-10, where nothing is aligned, it is {cifar10}
at the same two places, and {far_apart} on average over places as far apart (standard deviation {far_apart_sd}).

No architecture is in this picture: it is $S (S + σ² I)^{−1}$ of the photographs.

Networks trained on them look at the other eye less, far less where noise is little. The [[UNet]] has {learned} of its
largest weight there; predicted are {beside} (both at $σ$ = {stored}, {place}): {low_unet} of the prediction; the
[[ResNet]] {low_resnet}, the [[DiT]] {low_dit}. At $σ$ = {highest} it is {high_unet}, {high_resnet} and {high_dit}. Why
they stay behind was not studied on cats.
""",
    trying="""
Click a cheek or an ear in the photograph, or move with the arrow keys: does the pixel look at its mirror image, and on
CIFAR-10? Then raise $σ$ to {strongest}.
""",
    seen="""
Of {sided} pixels of the head, {mirrored_cats} look most (farther away than {far} px, at $σ$ = {sigma}) at their mirror
image, to within {mirror} px; of the same pixels on CIFAR-10 {mirrored_cifar10}. More noise widens the fields: half of
the weight of the eye’s lies within {before} px at $σ$ = {sigma}, within {after} px at {strongest}.
""",
    not_shown="""
The field is a mean over cats: for one photograph a network may weigh the other eye more, or not at all.
""",
    figure=figure,
    script=Path(__file__).with_suffix(".js"),
)
