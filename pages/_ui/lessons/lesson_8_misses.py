"""What a linear filter misses: five models beside a network on Fashion-MNIST, by R2, image by image."""

from __future__ import annotations

from pathlib import Path

from pages._ui.lessons.guess import Order
from pages._ui.lessons.lesson import Figure, Lesson, Result, signed

MODELS = {
    "wiener": "Wiener",  # as the page Benchmark calls them
    "prism": "Prism",
    "patch_mixture": "Patch mixture",
    "optimal": "Optimal",
    "nearest": "Nearest",
}
SHOWN = 8  # samples that are kept


def figure() -> Figure:
    """Samples, R2 of every image and its curve over noise, from the shipped benchmark; agreement from its study."""
    import torch

    from pages._ui.bench.names import plain
    from pages._ui.lessons.parts import agreement_with_wiener, leaderboard_of, percent

    made = leaderboard_of("fashion_mnist", "unet")
    names = [name for name in MODELS if name in made.names]
    means = {name: made.summary(name, "r2_final") for name in names}
    ranked = sorted(range(len(names)), key=lambda i: -means[names[i]].mean)
    best = names[ranked[0]]
    # Alike: intervals of one standard error overlap.
    ties = [
        [i, j]
        for i, a in enumerate(names)
        for j, b in enumerate(names)
        if i < j and abs(means[a].mean - means[b].mean) <= means[a].stderr + means[b].stderr
    ]
    second = next(one.name for one in made.results if one.kind == "ceiling")
    theirs = made.summary(second, "r2_final")
    each = torch.stack([made.values(name, "r2_final")[:SHOWN] for name in names])
    hard = int(each[ranked[0]].argmin())
    nearer = (made.values(second, "r2_final") > made.values(best, "r2_final")).double().mean()
    gap = made.difference(best, "wiener", "r2_final")
    pearson = made.summary("wiener", "pearson")
    agreed = agreement_with_wiener("fashion_mnist", "unet", 2.0)
    return Figure(
        answer=ranked,
        result=Result(
            means[best].mean,
            means[best].stderr,
            f"R² of the best of the five, {MODELS[best]}: share of the variance of the network’s samples that its "
            f"samples explain, mean of {means[best].n} ± [[standard error]]; {gap.mean:.3f} more than the Wiener "
            f"filter (95 % interval {gap.low:.3f} to {gap.high:.3f}, paired). r above: {agreed.means}.",
            "`python -m locality bench fashion_mnist --reference unet --model prism -n 128`",
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
            "best_name": MODELS[best],
            "worst": signed(f"{min(one.mean for one in means.values()):.2f}"),
            "last": MODELS[names[ranked[-1]]],
            "samples": str(means[best].n),
            "second": plain(made, second),
            "nearer": percent(float(nearer)),
            "second_r2": f"{theirs.mean:.3f} ± {theirs.stderr:.3f}",
            "hard": str(hard + 1),
            "hard_r2": signed(f"{float(each[ranked[0], hard]):.2f}"),
            "easy": str(int(each[ranked[0]].argmax()) + 1),
            "easy_r2": signed(f"{float(each[ranked[0]].max()):.2f}"),
            "ties": "".join(
                f" {MODELS[a]} ({means[a].mean:.2f} ± {means[a].stderr:.2f}) and {MODELS[b]} ({means[b].mean:.2f} ± "
                f"{means[b].stderr:.2f}) are a tie: either order counts as right."
                for a, b in ((names[i], names[j]) for i, j in ties)
            ),
        },
        guess={"ties": ties},
    )


LESSON = Lesson(
    number=8,
    title="What a linear filter misses",
    minutes=2.5,
    summary="Fields alike on average do not make equal images: five models, by what they explain of a network.",
    claim="""
On Fashion-MNIST the [[Wiener filter]]’s fields and a [[UNet]]’s, averaged over images, agree ([[$r$|Pearson r]] = {r}
at $σ$ = {sigma}). Does the filter then draw the same images?

Start both from the same noise, denoise step by step, and compare the images by $R²$: 1 for the network’s very image, 0
for one no closer to it than a grey square, less for one that is farther.

Four others join in, named as on the page *Benchmark*: **Prism**, Wiener filters of all images, of kinds of images and
of patches in one; **Patch mixture**, a mixture of Gaussians over patches; **Optimal**, the optimal denoiser (lesson 7);
and **Nearest**, the training image nearest to the noisy one.
""",
    guess=Order(
        """
None of these five was trained: all follow from the data. **Order them by how much of the network’s images they
explain**; the order given may be your answer.
""",
        items=tuple(MODELS.values()),
        ends=("explains most", "explains least"),
    ),
    answer="""
No. The best of the five, {best_name}, has a mean $R²$ of {best} over {samples} samples, the Wiener filter
{wiener}.{ties}

Its images do [[correlate|Pearson r]] with the network’s, at {pearson}. But a single covariance knows how pixels vary
together over *all* images, not that this one is a shoe; filters for kinds of images know a little more. {last} comes
last ({worst}): a sharp picture of another shoe is farther away than a blur of the right kind.
""",
    trying="""
Step through the eight samples and find the one where the best model fails most: what did the network draw there?
""",
    seen="""
Sample {hard}: $R²$ = {hard_r2}, the caption says “its worst”; sample {easy} is its best, with {easy_r2}.
""",
    not_shown="""
What would count as the same: another network trained on these images, {second}, explains this one with $R²$ =
{second_r2}, not 1: nearer than {best_name} in {nearer} of the samples, but far off in some.

In one sentence: the data’s covariance says where a denoiser looks, networks learn much of that from images alone, and
an image takes more. Go on with all models on the page *Benchmark*, every pixel in the *Explorer*, your network in
*Train*.
""",
    figure=figure,
    script=Path(__file__).with_suffix(".js"),
)
