"""The optimal denoiser memorises: samples of Fashion-MNIST beside their nearest training images, and N_eff."""

from __future__ import annotations

from pathlib import Path

from pages._ui.lessons.guess import Pick
from pages._ui.lessons.lesson import Figure, Lesson, Result

MODELS = {
    "unet": "a trained UNet",
    "wiener": "the Wiener filter",
    "optimal": "the optimal denoiser",
    "patch_mixture": "a mixture of Gaussians over patches",
}
LETTERS = ("Row A", "Row B", "Row C", "Row D")
LEVELS = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.7, 1.0, 1.4, 2.0, 3.0, 5.0, 10.0)
COUNTS = (5, 50, 500, 1617)
DRAWS, SEED = 64, 0
SHOWN = 6  # samples of a row


def figure() -> Figure:
    """Rows of the shipped benchmark and how many of each are copies; how many digits the average really is over."""
    import torch

    from locality.datasets import Source
    from locality.fields.jacobian import draw_inputs
    from pages._ui.lessons.parts import leaderboard_of, percent

    made = leaderboard_of("fashion_mnist", "unet")
    names = [name for name in MODELS if name in made.names]
    copies = {name: made.summary(name, "memorised") for name in names}
    worst = max(names, key=lambda name: copies[name].mean)
    digits = Source.parse("digits")
    train, held_out = digits.train.x0(slice(None)).double(), digits.held_out.x0(slice(0, DRAWS)).double()

    def effective(sigma: float, count: int) -> tuple[float, float]:
        """exp of the entropy of the posterior over training images: mean over noisy held-out digits, its error."""
        x = draw_inputs(held_out.float(), sigma, SEED).double()
        spread = torch.linspace(0, len(train) - 1, count).long()
        weights = (-torch.cdist(x, train[spread]).square() / (2 * sigma**2)).softmax(dim=1)
        found = torch.special.entr(weights).sum(dim=1).exp()
        return float(found.mean()), float(found.std() / DRAWS**0.5)

    curves = {count: [effective(sigma, count) for sigma in LEVELS] for count in COUNTS}
    few = {
        count: max(sigma for sigma, (n, _) in zip(LEVELS, curve, strict=True) if n <= 2)
        for count, curve in curves.items()
    }
    apart = {name: [made.result(name).of(part)[:SHOWN].mean() for part in ("nearest", "second")] for name in names}
    share, own = copies["optimal"], made.summary("held-out images", "memorised")
    # Where all of n are copies, the share is at least a with 1 - a^n = 95 % confidence.
    least = f", at least {0.05 ** (1 / share.n):.3f} with 95 % confidence" if share.mean == 1 else ""
    return Figure(
        answer=names.index(worst),
        result=Result(
            share.mean,
            share.stderr,
            f"Share of {share.n} samples of the optimal denoiser that are copies (the nearest of 60,000 training "
            f"images is less than a third as far as the second), ± [[standard error]]{least}. The UNet’s samples: "
            f"{copies['unet'].mean:.3f}; held-out images themselves: {own.mean:.3f}.",
            "`python -m locality bench fashion_mnist --reference unet --model optimal -n 128`",
        ),
        data={
            "side": 28,
            "names": [MODELS[name] for name in names],
            "copies": [[copies[name].mean, copies[name].stderr] for name in names],
            "shown": SHOWN,
            "apart": [[float(one) for one in apart[name]] for name in names],
            "levels": list(LEVELS),
            "counts": list(COUNTS),
            "curves": {str(count): [list(point) for point in curve] for count, curve in curves.items()},
            "draws": DRAWS,
            "set": f"{digits.spec.info.title}, not of the clothes above",
        },
        arrays={"row": torch.stack([made.result(name).images[:SHOWN] for name in names]).flatten().numpy()},
        facts={
            "copies": percent(share.mean),
            "unet": percent(copies["unet"].mean),
            "counts": f"{COUNTS[-1]:,}",
            "chart": ", ".join(f"{count:,}" for count in COUNTS),
            "holds": ", ".join(f"{few[count]:g}" for count in COUNTS),
            "few": f"{few[COUNTS[0]]:g}",
            "many": f"{few[COUNTS[-1]]:g}",
            "draws": str(DRAWS),
        },
    )


LESSON = Lesson(
    number=7,
    title="The optimal denoiser memorises",
    minutes=2.5,
    summary="The denoiser with the least training error returns training images; networks are useful as they do not.",
    claim="""
Training asks a [[denoiser]] for the mean of all training images that could lie under the noise, weighed by how well
each explains the noisy image. That mean has a closed form, the **optimal denoiser**:

$$D(x) = Σ p x₀,   p ∝ exp(−|x − x₀|² / 2σ²)$$

The sum runs over all training images $x₀$, and their weights $p$ add up to 1. No network has a smaller training error.
A sample is made by denoising pure noise in steps, each with less noise left. Nobody wants the samples of this one.
""",
    guess=Pick(
        "Four models of Fashion-MNIST made samples from the same six noise images. A *copy* is less than a third as "
        "far from its nearest training image as from the second. **Which row holds copies of training images?**",
        options=LETTERS,
        across=2,
    ),
    answer="""
The optimal denoiser’s: {copies} of its samples are copies. They look best because
they are photographs. As noise falls, one training image explains the noisy one far better than all others, and the
weighted mean is that image.

**How many images it averages**, effectively (the exponential of the entropy of the weights), is in the chart, for other
data: {draws} noisy digits of 8 x 8 pixels. With five training images it is two or fewer up to $σ$ = {few}, with all
{counts} still up to {many}: more images push that point down slowly.

“Nearest” and “second” under a row: its mean L2 distances to the nearest and second nearest training image.
""",
    trying="""
Choose **5 images**, then 50, 500 and all: from which $σ$ on does the average hold more than two (the line at 2)? What
does ten times as much data gain?
""",
    seen="""
With {chart} images the average holds at most two up to $σ$ = {holds}: ten times as much data lowers that level a
little.
""",
    not_shown="""
Why a network does not do it: it cannot reach this optimum, with its limited capacity and training and the shape its
layers give it (arXiv 2310.02557, 2412.20292; not measured here). Networks memorise too when they are large and the
images few; and a copy in pixels is not the only kind.
""",
    figure=figure,
    script=Path(__file__).with_suffix(".js"),
)
