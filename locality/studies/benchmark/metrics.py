"""The metrics of a benchmark: what each is, its unit and range, and which end is better."""

from __future__ import annotations

from dataclasses import dataclass

HIGHER, LOWER, NEITHER = "higher", "lower", ""


@dataclass(frozen=True)
class Metric:
    """A column of the leaderboard. `by_sigma`: there is a row for each noise level too."""

    name: str
    title: str
    better: str
    about: str
    by_sigma: bool = False


_R2 = "1 - sum (a - u)^2 / sum (u - mean u)^2 over all pixels and channels of an image, a the model, u the reference"
_DISTANCE = "between the drawn images and training images (`real` of them), through `features`"

METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric(
            "r2_final",
            "R2 final",
            HIGHER,
            f"{_R2}: last estimates, each on its own trajectory from the same noise, not clamped; mean over images; "
            "at most 1, can be negative, dimensionless; images whose u is constant are left out (`undefined`)",
        ),
        Metric(
            "r2_trajectory",
            "R2 on-trajectory",
            HIGHER,
            f"{_R2}: both estimates at the noisy image x of the REFERENCE's trajectory, which isolates the denoiser; "
            "by noise level, and with sigma null each image's mean over all steps; at most 1",
            by_sigma=True,
        ),
        Metric("r2_own", "R2 per step", HIGHER, f"{_R2}: as r2_final at every step, by noise level", by_sigma=True),
        Metric(
            "pearson",
            "Pearson r",
            HIGHER,
            "correlation of the last estimates over all pixels and channels of an image; in [-1, 1]; blind to scale "
            "and offset, so never to be compared with R2",
        ),
        Metric(
            "mse", "MSE", LOWER, "mean squared difference of the last estimates, not clamped; [-1, 1] units squared"
        ),
        Metric(
            "mse01",
            "MSE, [0, 1]",
            LOWER,
            "mean squared difference of the last images, clamped to [-1, 1] and scaled to [0, 1]; in [0, 1]",
        ),
        Metric(
            "denoise_ratio",
            "error / Wiener",
            LOWER,
            "mean of |D(x0 + sigma eps) - x0|^2 over held-out images, over the same mean of the Wiener filter (fitted "
            "to the benchmark's training images) on the same images and noise; by noise level, and with sigma null the "
            "geometric mean of the ratios over the levels; 1 is as good as Wiener; standard error by the delta method",
            by_sigma=True,
        ),
        Metric(
            "memorised",
            "memorised",
            LOWER,
            "share of the drawn images that are copies: L2 distance to the nearest training image below a third of "
            "that to the second nearest; in [0, 1]; compare with the row of held-out images. A model is compared with "
            "the training images it was given, a network with all",
        ),
        Metric(
            "nn_distance",
            "nearest",
            NEITHER,
            "L2 distance of the drawn images, not clamped, to the nearest training image; units of [-1, 1], summed "
            "over pixels and channels under the root",
        ),
        Metric(
            "kid",
            "KID",
            LOWER,
            f"kernel distance, unbiased, kernel (a.b / f + 1)^3, {_DISTANCE}; can be negative; jackknife of both sets",
        ),
        Metric(
            "fid",
            "FID",
            LOWER,
            f"Frechet distance {_DISTANCE} = inception; only where there are more drawn images than features (2,048); "
            "biased upwards with few images; jackknife over the drawn images",
        ),
        Metric(
            "frechet",
            "Frechet distance",
            LOWER,
            f"Frechet distance {_DISTANCE}, which is no FID; only where there are more drawn images than features; "
            "biased upwards with few images: compare rows of the same n, and with the row of held-out images",
        ),
        Metric(
            "is",
            "IS",
            HIGHER,
            "inception score, of all drawn images at once; only where there are more of them than features; at least 1",
        ),
        Metric(
            "class_score",
            "class score",
            HIGHER,
            "the inception score's formula on the class probabilities of `features`, which is no IS: 1 (all alike) to "
            "the number of classes",
        ),
    )
}

ABOUT: dict[str, str] = {
    **{name: metric.about for name, metric in METRICS.items()},
    "rows": "one number each: mean, standard error and number n of images; sigma in units of images in [-1, 1], null "
    "for aggregates; stderr null where it is not defined (one image)",
    "kind": "reference: the network that is explained. ceiling: a second network trained on the same data, for scale: "
    "what two networks share follows from the data; a weak one is no upper limit. analytic, network: the models. "
    "control: real held-out images in the place of drawn ones",
    "undefined": "images left out of a row because its score is not defined there (constant images)",
    "seconds_per_step": "seconds of one denoising step of a batch of `batch` images on the model's own trajectory, "
    "mean over steps and batches, as measured when they were drawn; without the fit",
    "peak_bytes": "largest resident memory of the whole process while the model's steps ran, data, fit and libraries "
    "included (on CUDA: of PyTorch's allocator); null where the system does not tell",
    "differences": "mean over images of a model's score minus another's, the same images and noise for both, with "
    "Student's interval [low, high] at confidence `level`, of one comparison; to the best analytic model of the metric "
    "(`best`) and to Wiener (`wiener`)",
    "ablations": "the same, of the entries of a preset to its baseline",
    "features": "what images are compared by: inception, a classifier trained on the dataset's labels, or raw pixels",
    "missing": "cells that are not finished: the rows are of the images that are",
}
