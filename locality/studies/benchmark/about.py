"""What every number of a benchmark's JSON is, in a sentence each."""

from __future__ import annotations

from locality.studies.benchmark.metrics import METRICS

ABOUT: dict[str, str] = {
    **{name: metric.sentence for name, metric in METRICS.items()},
    "rows": "one number each: mean, standard error and number n of images; sigma in units of images in [-1, 1], null "
    "for aggregates; stderr null where it is not defined (one image)",
    "kind": "reference: the network that is explained. ceiling: the second network, trained on the same data, for "
    "scale: what two networks share follows from the data; a weak one is no upper limit. analytic, network: the "
    "models. control: real held-out images in place of generated ones",
    "undefined": "images left out of a row because its score is not defined there (constant images)",
    "seconds_per_step": "seconds of one denoising step of a batch of `batch` images on the model's own trajectory, "
    "mean over steps and batches, as measured when they were generated; without the fit",
    "peak_bytes": "largest resident memory of the whole process while the model's steps ran, data, fit and libraries "
    "included (on CUDA: of PyTorch's allocator); null where the system does not report it",
    "differences": "mean over images of a model's score minus another's, the same images and noise for both, with "
    "Student's interval [low, high] at confidence `level`, of one comparison; to the best analytic model of the metric "
    "(`best`) and to Wiener (`wiener`)",
    "ablations": "the same, between the entries of a preset and its baseline",
    "published": "with the preset paper: our numbers beside the published ones, and what differs; else null",
    "features": "what images are compared by: inception, a classifier trained on the dataset's labels, or raw pixels",
    "missing": "cells that are not finished: rows average the images that are",
}
