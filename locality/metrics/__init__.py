"""Metrics of denoisers and samples: pure functions, float64, one score per image wherever there can be one."""

from locality.metrics.class_score import inception_score
from locality.metrics.denoising import RATIO_SIGMAS, denoising_errors, error_ratio, ratio_scores
from locality.metrics.frechet import frechet_distance
from locality.metrics.images import explained, pearson, squared_error, squared_error01
from locality.metrics.kernel import kernel_sums, kid
from locality.metrics.score import SCORES, ScoreSpec
from locality.metrics.summary import Difference, Summary, paired_difference, summarise
from locality.metrics.training import COPY, effective_number, is_copy
from locality.specs import import_siblings

import_siblings(__name__, __path__)  # a metric plug-in of the package is one file here

__all__ = [
    "COPY",
    "RATIO_SIGMAS",
    "SCORES",
    "Difference",
    "ScoreSpec",
    "Summary",
    "denoising_errors",
    "effective_number",
    "error_ratio",
    "explained",
    "frechet_distance",
    "inception_score",
    "is_copy",
    "kernel_sums",
    "kid",
    "paired_difference",
    "pearson",
    "ratio_scores",
    "squared_error",
    "squared_error01",
    "summarise",
]
