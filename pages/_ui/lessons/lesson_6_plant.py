"""Plant a W: the statistics predict that a field shows it; does a network that was only trained on the images?"""

from __future__ import annotations

import math
from pathlib import Path

from pages._ui.lessons.guess import Pick
from pages._ui.lessons.lesson import Figure, Lesson, Result

ON, OFF = (13, 5), (7, 9)  # a pixel on the W, and one beside it: both are stored
CASES = (  # strength c of the W, pixel, words
    (1.0, ON, "on the W (c\u00a0=\u00a01)"),
    (0.5, ON, "on the W (c\u00a0=\u00a0½)"),
    (1.0, OFF, "beside it (c\u00a0=\u00a01)"),
    (0.0, ON, "no W (c\u00a0=\u00a00)"),
)
LEVEL = 2  # of the stored noise levels
SEEN = 1.25  # times the mass on the W when none is planted: then a field is said to show it


def figure() -> Figure:
    """Predicted fields of the edited statistics, stored fields of the UNets trained on edited images, and the sweep."""
    import torch

    from locality.datasets import Source
    from locality.edits import EDITS
    from locality.fields.jacobian import mass_on
    from locality.studies import PREDICTED, mask_of, shipped_sweeps
    from locality.types import Pixel
    from pages._ui.lessons.parts import percent, pixel_rows, stored_fields, wiener_of

    plain = Source.parse("fashion_mnist")
    mask = mask_of(EDITS.parse("pattern:mask=W"), plain.shape).reshape(28, 28)
    predicted, learned, shares, beside = [], [], [], math.nan
    for strength, place, _ in CASES:
        name, pixel = f"fashion_mnist+pattern:mask=W,strength={strength:g}", Pixel(*place)
        (fields, stored), wiener = stored_fields(name, "unet"), wiener_of(name)
        sigmas, draws = stored.sigmas, stored.draws
        pair = [
            torch.stack([pixel_rows(wiener, [pixel], sigma)[0] for sigma in sigmas]),
            fields[:, stored.pixels.index(pixel)].float(),
        ]
        for one, all_ in zip(pair, (predicted, learned), strict=True):
            all_.append(one)
        shares.append([[mass_on(one.reshape(28, 28), mask, pixel) for one in either] for either in pair])
        if strength == 0.0:  # the pixel beside the letter, where none is planted
            at = stored.pixels.index(Pixel(*OFF))
            beside = mass_on(fields[LEVEL, at].float().reshape(28, 28), mask, Pixel(*OFF))
    usual = shares[-1][1][LEVEL]
    shows = [i for i, (_, theirs) in enumerate(shares) if theirs[LEVEL] > SEEN * usual]
    sweep = next(iter(shipped_sweeps(plain, EDITS.parse("pattern:W"))))
    ours, theirs = (
        {strength: (value, error) for strength, value, error in sweep.curve(model, "mass_without_own")}
        for model in (PREDICTED, "unet")
    )
    return Figure(
        answer=shows,
        result=Result(
            theirs[1.0][0],
            theirs[1.0][1],
            f"Share of the [[UNet]]’s field on the letter at c = 1 and σ = {sweep.plan.sigma:g}, without the pixel "
            f"itself: mean of {len(sweep.pixels)} pixels of the letter (the figure has one of them) ± [[standard "
            f"error]] over {sweep.plan.draws} noisy [[held-out images]]. Predicted: {ours[1.0][0]:.3f}. With none "
            f"planted: {theirs[0.0][0]:.3f}. The letter covers {sweep.chance:.3f} of the image.",
            "`python -m locality sweep fashion_mnist --edit pattern:W --strengths 0,0.25,0.5,0.75,1`",
        ),
        data={
            "side": 28,
            "cases": [{"words": words, "pixel": list(place)} for _, place, words in CASES],
            "strengths": [strength for strength, _, _ in CASES],
            "levels": [round(sigma, 3) for sigma in sigmas],
            "start": LEVEL,
            "draws": draws,
            "shares": shares,
            "chance": float(mask.double().mean()),
        },
        arrays={
            "mask": mask.flatten().to(torch.uint8).numpy(),
            "predicted": torch.stack(predicted).flatten().float().numpy(),
            "learned": torch.stack(learned).flatten().numpy(),
        },
        facts={
            "sigma": f"{sigmas[LEVEL]:.2g}",
            "full": percent(shares[0][1][LEVEL]),
            "predicted": percent(shares[0][0][LEVEL]),
            "half": percent(shares[1][1][LEVEL]),
            "beside": percent(beside),
            "shares_predicted": ", ".join(percent(one) for one in shares[0][0]),
            "shares_learned": ", ".join(percent(one) for one in shares[0][1]),
            "half_predicted": ", ".join(percent(one) for one in shares[1][0]),
            "half_learned": ", ".join(percent(one) for one in shares[1][1]),
            "sigmas": ", ".join(f"{sigma:.2g}" for sigma in sigmas),
            "off": percent(shares[2][1][LEVEL]),
            "none": percent(usual),
            "chance": percent(float(mask.double().mean())),
        },
        guess={"several": len(shows)},
    )


LESSON = Lesson(
    number=6,
    title="Plant a W",
    minutes=2.5,
    summary="Add a W of random strength to every image: both the prediction and a trained network look along it.",
    claim="""
If data statistics make the field, whoever changes the statistics changes the field. So we add a letter W, the image
$w$, to every image of Fashion-MNIST, with a strength $c$ and a random number $z$ of each image’s own (normal, variance
1, positive or negative):

$$x₀ + c z w$$

The mean stays; the [[covariance]] gains $c² w w^{T}$: pixels of the letter now vary together, wherever they are.
""",
    guess=Pick(
        """
Four cases: the yellow pixel lies on the letter or beside it, and the letter has strength $c$. What the [[covariance]]
predicts for each is below. For each strength a [[UNet]] was trained on the changed images, and nobody told it of the
letter. **In which two cases does the UNet’s [[field|sensitivity field]] show the letter**, that is, put clearly more
weight on it than without any?
""",
        options=tuple(words for _, _, words in CASES),
        several=2,
    ),
    answer="""
For the pixel on the letter: {full} of the learned field’s weight lies on it at $c$ = 1 and {half} at $c$ = ½, but
{none} with none planted (at $σ$ = {sigma}, the pixel itself left out; it covers {chance} of the image). For the pixel
beside it: {off} with the letter at $c$ = 1, {beside} with none.

A pixel that does not take part in the pattern has nothing to learn from it. The network found out about $w$, one
direction among 784, from images alone.
""",
    trying="""
Choose the first case and drag $σ$ from its lowest value up: with little noise the neighbours say enough, more noise
asks the whole letter. Does the network’s share follow the predicted one?
""",
    seen="""
No. At $σ$ = {sigmas} the prediction puts {shares_predicted} on the letter: it rises. The network has {shares_learned}:
about as much at every noise level. (At $c$ = ½: {half_predicted} predicted, {half_learned} learned.) One pixel each;
the network’s fields are means over noisy images.
""",
    not_shown="""
At $c$ = 1 the network puts more weight on the letter than predicted ({full} against {predicted}); the prediction is
that of the best *linear* denoiser, and why the network does more is not in this figure.
""",
    figure=figure,
    script=Path(__file__).with_suffix(".js"),
)
