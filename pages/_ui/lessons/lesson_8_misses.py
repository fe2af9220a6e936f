"""What a linear filter misses: five models beside a network on Fashion-MNIST, by R2, image by image."""

from __future__ import annotations

from pathlib import Path

from pages._ui.lessons.guess import Order
from pages._ui.lessons.lesson import Figure, Lesson, Result, signed

MODELS = {
    "wiener": "Wiener filter",
    "gaussian_mixture": "Wiener filters by class",
    "patch_mixture": "Mixture of patches",
    "optimal": "Optimal denoiser",
    "nearest": "Nearest image",
}
SHOWN = 8  # samples that are kept


def figure() -> Figure:
    """Samples, R2 of every image and its curve over noise, from the shipped benchmark; agreement from its study."""
    import torch

    from pages._ui.lessons.parts import agreement_with_wiener, leaderboard_of

    made = leaderboard_of("fashion_mnist", "unet")
    names = [name for name in MODELS if name in made.names]
    means = {name: made.summary(name, "r2_final") for name in names}
    ranked = sorted(range(len(names)), key=lambda i: -means[names[i]].mean)
    best = names[ranked[0]]
    each = torch.stack([made.values(name, "r2_final")[:SHOWN] for name in names])
    hard = int(each[ranked[0]].argmin())
    gap = made.difference(best, "wiener", "r2_final")
    pearson = made.summary("wiener", "pearson")
    agreed = agreement_with_wiener("fashion_mnist", "unet", 2.0)
    return Figure(
        answer=ranked,
        result=Result(
            means[best].mean,
            means[best].stderr,
            f"R² of the best of the five, {_plain(best)}: share of the variance of the network’s samples that its "
            f"samples explain, mean of {means[best].n} ± [[standard error]]; {gap.mean:.3f} more than the Wiener "
            f"filter (95 % interval {gap.low:.3f} to {gap.high:.3f}, paired over images). Fields, r above: "
            f"{agreed.means}.",
            "`python -m locality bench fashion_mnist --reference unet --model gaussian_mixture -n 128`",
        ),
        data={
            "side": 28,
            "names": list(names),
            "titles": [MODELS[name] for name in names],
            "means": [[means[name].mean, means[name].stderr] for name in names],
            "each": [[round(float(v), 4) for v in row] for row in each],
            "best": ranked[0],
            "hard": hard,
            "curves": {
                name: [[s, one.mean, one.stderr] for s, one in made.curve(name, "r2_trajectory")] for name in names
            },
        },
        arrays={
            "reference": made.result(made.reference).images[:SHOWN].flatten().numpy(),
            **{name: made.result(name).images[:SHOWN].flatten().numpy() for name in names},
        },
        facts={
            "r": f"{agreed.r:.2f} ± {agreed.error:.2f}",
            "sigma": f"{agreed.sigma:.2g}",
            "pearson": f"{pearson.mean:.2f}",
            "wiener": f"{means['wiener'].mean:.2f}",
            "best": f"{means[best].mean:.2f}",
            "best_name": _plain(best),
            "worst": signed(f"{min(one.mean for one in means.values()):.2f}"),
            "last": MODELS[names[ranked[-1]]].lower(),
            "samples": str(means[best].n),
        },
    )


def _plain(name: str) -> str:
    """A model's title within a sentence."""
    title = MODELS[name]
    return title if title.startswith("Wiener") else title[0].lower() + title[1:]


LESSON = Lesson(
    number=8,
    title="What a linear filter misses",
    minutes=2.5,
    summary="Similar fields do not make equal images: five models, ordered by what they explain of a network.",
    claim="""
On Fashion-MNIST the [[Wiener filter]]’s fields and a [[UNet]]’s agree ([[$r$|Pearson r]] = {r} at $σ$ = {sigma}). Does
the filter then draw the same images?

Start both from the same noise, denoise step by step, and compare the images by $R²$: 1 for the network’s very image, 0
for one no closer to it than a grey square, less for one that is farther.

Four others join in: ten Wiener filters, one for each class of clothes; a mixture of Gaussians over patches; the optimal
denoiser (lesson 7); and the training image nearest to the noisy one.
""",
    guess=Order(
        """
None of these five was trained: all follow from the data. **Order them by how much of the network’s images they
explain.**
""",
        items=tuple(MODELS.values()),
        ends=("explains most", "explains least"),
    ),
    answer="""
No. The best of the five, {best_name}, has a mean $R²$ of {best} over {samples} samples, the Wiener filter {wiener}.

Its images do [[correlate|Pearson r]] with the network’s, at {pearson}. But a single covariance knows how pixels vary
together over *all* images, not that this one is a shoe; a filter for each class knows a little more. The {last} comes
last ({worst}): a sharp picture of another shoe is farther away than a blur of the right kind.
""",
    trying="""
Step through the eight samples and find the one where the best model fails most: what did the network draw there, and
what did the model draw instead?
""",
    not_shown="""
One network, minutes of training, and its own errors: a second network with another seed does not have $R²$ = 1
either.
""",
    figure=figure,
    script=Path(__file__).with_suffix(".js"),
)
