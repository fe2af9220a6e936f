"""More noise, wider look: the half-mass radius against the noise level, and the kernel in Fourier space."""

from __future__ import annotations

from pathlib import Path

from pages._ui.lessons.guess import Number
from pages._ui.lessons.lesson import Figure, Lesson, Result

LEVELS = (0.05, 0.07, 0.1, 0.14, 0.2, 0.3, 0.5, 0.7, 1.0, 1.4, 2.0, 3.0, 5.0, 7.0, 10.0, 14.0, 20.0, 30.0, 50.0)
ENDLESS = 1e4  # noise so strong that W is S / sigma^2
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
    limit, _ = widths(pixel_rows(wiener, chosen, ENDLESS))
    asked, seen = LEVELS.index(ASKED), LEVELS.index(SEEN)
    near = nearest_level(stored.sigmas, ASKED)
    sigma, (r, error) = stored.sigmas[near], learned_radii[near]
    at_theirs = [widths(pixel_rows(wiener, chosen, level))[0] for level in stored.sigmas]
    apart = max(abs(theirs - ours) for (theirs, _), ours in zip(learned_radii, at_theirs, strict=True))
    return Figure(
        answer=round(radii[asked][0], 3),
        result=Result(
            r,
            error,
            f"[[Half-mass radius|half-mass radius]] that a trained [[UNet]] learned at σ = {sigma:.3g}: mean of "
            f"{len(inner)} pixels of CIFAR-10 ± [[standard error]] over pixels, each averaged over "
            f"{stored.draws} noisy [[held-out images]]. Predicted from $S$: {at_theirs[near]:.2f} px.",
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
            "pixels": len(inner),
            "side": 32,
            "radii": [list(one) for one in radii],
            "limit": limit,
            "learned": {"sigmas": list(stored.sigmas), "radii": [list(one) for one in learned_radii]},
        },
        arrays={
            "predicted": torch.stack([one[own] for one in predicted]).flatten().float().numpy(),
            "learned": torch.stack([one[own] for one in learned]).flatten().float().numpy(),
            "power": power.flatten().numpy(),
            "frequency": rings.frequency.numpy(),
            "typical": rings.power.numpy(),
        },
        facts={
            "count": str(len(inner)),
            "low": f"{radii[0][0]:.1f}",
            "seen": f"{radii[seen][0]:.1f}",
            "asked": f"{radii[asked][0]:.1f}",
            "high": f"{radii[-1][0]:.1f}",
            "highest": f"{LEVELS[-1]:g}",
            "limit": f"{limit:.1f}",
            "apart": f"{apart:.1f}",
            "over": f"{float(rings.power[rings.frequency >= 1].max()) ** 0.5:.0f}",
            "overall": f"{float(power.max()) ** 0.5:.0f}",
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

How wide a [[sensitivity field]] is we measure by its [[half-mass radius]]: half of all weight, in size, lies within
that distance of the pixel.
""",
    guess=Number(
        """
On CIFAR-10 it is {low} px (pixels) at $σ$ = 0.05 and {seen} px at $σ$ = 1: drag the noise level from its left end and
see it grow, in the yellow circle. (Both, and the circle, are means of {count} pixels; the picture is of one of them.)
**How large is it at $σ$ = 5**, when noise is five times as strong again?
""",
        label="Radius at σ = 5",
        low=0,
        high=16,
        step=0.5,
        near=1,
        unit="px",
    ),
    answer="""
{asked} px: five times the noise, {times} times the radius. The points are a trained UNet: from examples alone it
learned these widths to within {apart} px.

**In Fourier space** one sees why. For [[stationary]] images every frequency is denoised on its own, multiplied by the
[[gain]] $P(f) / (P(f) + σ²)$: near 1 where the images’ [[power|power spectrum]] is far above the noise’s, ½ where they
cross, near 0 beyond. More noise moves the crossing to the left, and a filter that passes fewer frequencies is wider in
pixels. Power falls steeply with frequency, so the crossing moves slowly.

**Where noise drowns everything** there is nothing left to cross: from $σ$ ≈ {over} on it is stronger than every
frequency in the chart, from $σ$ ≈ {overall} on than the mean brightness too. Then $W$ approaches $S / σ²$: more noise
makes the field fainter and hardly wider. Its shape becomes that of the covariance itself, whose radius is {limit} px.
""",
    trying="""
Choose **In Fourier space** and drag $σ$ from 0.05 to 3: watch where power and noise cross, how the gain follows, and
how its kernel (the gain’s inverse Fourier transform, in pixels) widens. Then drag on to {highest}.
""",
    seen="""
Power falls from left to right, so as noise rises the crossing moves to lower frequencies, fewer pass, and the kernel
widens: at $σ$ = 0.05 the radius is {low} px, at {highest} it is {high} px, near its limit of {limit} px. From
$σ$ ≈ {over} on nothing is left to cross in the chart.
""",
    not_shown="""
One radius hides the shape: fields are not round everywhere, and near the border or on faces (lesson 5) no single kernel
serves all pixels.
""",
    figure=figure,
    script=Path(__file__).with_suffix(".js"),
)
