"""More noise, wider look: the half-mass radius against the noise level, and the kernel in Fourier space."""

from __future__ import annotations

from pathlib import Path

from pages._ui.lessons.guess import Number
from pages._ui.lessons.lesson import Figure, Lesson, Result

LEVELS = (0.05, 0.07, 0.1, 0.14, 0.2, 0.3, 0.5, 0.7, 1.0, 1.4, 2.0, 3.0, 5.0, 7.0, 10.0, 14.0, 20.0)
ASKED, SEEN = 5.0, 1.0  # the noise level of the question, and the highest one shown before it is answered
PIXEL = (17, 17)
INNER = (8, 24)  # rows and columns whose stored pixels the means are over: away from the border


def figure() -> Figure:
    """Predicted fields of CIFAR-10 and the stored ones of its UNet, their radii, and the spectrum of brightness."""
    import torch

    from locality.fields.jacobian import measure
    from locality.linear.spectrum import power_spectrum, ring_average
    from locality.schedule import nearest_level
    from locality.types import Pixel
    from pages._ui.lessons.parts import brightness, mean_and_error, pixel_rows, stored_fields, wiener_of

    wiener, (fields, stored) = wiener_of("cifar10"), stored_fields("cifar10", "unet")
    inner = [i for i, at in enumerate(stored.pixels) if all(INNER[0] <= one < INNER[1] for one in at)]
    chosen = [stored.pixels[i] for i in inner]
    own = chosen.index(Pixel(*PIXEL))

    def widths(fields: torch.Tensor) -> tuple[float, float]:
        found = [measure(one.reshape(32, 32), pixel).radius for one, pixel in zip(fields, chosen, strict=True)]
        return mean_and_error(torch.tensor(found, dtype=torch.float64))

    predicted = [pixel_rows(wiener, chosen, sigma) for sigma in LEVELS]
    learned = list(fields[:, inner])
    radii, learned_radii = [widths(one) for one in predicted], [widths(one) for one in learned]
    light = brightness("cifar10", 3**-0.5)
    power = power_spectrum(light)
    rings = ring_average(power, light.shape)
    asked, seen = LEVELS.index(ASKED), LEVELS.index(SEEN)
    near = nearest_level(stored.sigmas, ASKED)
    sigma, (r, error) = stored.sigmas[near], learned_radii[near]
    beside, _ = widths(pixel_rows(wiener, chosen, sigma))
    return Figure(
        answer=round(radii[asked][0], 3),
        result=Result(
            r,
            error,
            f"[[Half-mass radius|half-mass radius]] that a trained [[UNet]] learned at σ = {sigma:.3g}: mean of "
            f"{len(inner)} pixels of CIFAR-10 ± [[standard error]] over pixels, each averaged over "
            f"{stored.draws} noisy [[held-out images]]. Predicted from $S$: {beside:.2f} px.",
            "`python -m locality precompute cifar10 --network unet --draws 32`",
            unit="px",
            digits=2,
        ),
        data={
            "levels": list(LEVELS),
            "start": seen,
            "seen": seen,
            "asked": asked,
            "pixel": list(PIXEL),
            "side": 32,
            "radii": [list(one) for one in radii],
            "learned": {"sigmas": list(stored.sigmas), "radii": [list(one) for one in learned_radii]},
            "pixels": len(inner),
            "draws": stored.draws,
        },
        arrays={
            "predicted": torch.stack([one[own] for one in predicted]).flatten().float().numpy(),
            "learned": torch.stack([one[own] for one in learned]).flatten().float().numpy(),
            "power": power.flatten().numpy(),
            "frequency": rings.frequency.numpy(),
            "typical": rings.power.numpy(),
        },
        facts={
            "low": f"{radii[0][0]:.1f}",
            "seen": f"{radii[seen][0]:.1f}",
            "asked": f"{radii[asked][0]:.1f}",
            "high": f"{radii[-1][0]:.1f}",
            "times": f"{radii[asked][0] / radii[seen][0]:.1f}",
        },
    )


LESSON = Lesson(
    number=2,
    title="More noise, wider look",
    minutes=3,
    summary="The noise level sets how far a denoiser looks, and the images’ power spectrum says how far.",
    claim="""
A denoiser has no fixed window. With little noise a pixel is best estimated from itself; with much noise it has to ask
ever more distant pixels, and averages over them.

How wide a [[sensitivity field]] is we measure by its [[half-mass radius]]: the distance that holds half of all weight.
""",
    guess=Number(
        """
On CIFAR-10 it is {low} px at $σ$ = 0.05 and {seen} px at $σ$ = 1 (drag the noise and see it grow). **How large is it
at $σ$ = 5**, when noise is five times as strong again?
""",
        label="Radius at σ = 5",
        low=0,
        high=16,
        step=0.5,
        near=1,
        unit="px",
    ),
    answer="""
{asked} px: five times the noise, {times} times the radius. The points are a trained UNet: it learned nearly the same
widths from examples.

**In Fourier space** one sees why. For [[stationary]] images every frequency is denoised on its own, with the [[gain]]
$P(f) / (P(f) + σ²)$: frequencies whose [[power|power spectrum]] is above the noise pass, the others are lost. More
noise moves the crossing to the left, and a filter that passes fewer frequencies is wider in pixels. Power falls
steeply with frequency, so the crossing moves slowly.
""",
    trying="""
Choose **In Fourier space** and drag $σ$ from 0.05 to 3: watch where the power meets the noise. The kernel beside it
is the gain’s inverse Fourier transform.
""",
    not_shown="""
One radius hides the shape: fields are not round everywhere, and near the border or on faces (lesson 5) no single kernel
serves all pixels.
""",
    figure=figure,
    script=Path(__file__).with_suffix(".js"),
)
