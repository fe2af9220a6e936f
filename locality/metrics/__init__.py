"""Numbers that judge denoisers and samples: pure functions, float64, one score per image wherever there can be one."""

from locality.metrics._class_score import inception_score
from locality.metrics._denoising import RATIO_SIGMAS, denoising_errors, error_ratio, ratio_scores
from locality.metrics._frechet import frechet_distance
from locality.metrics._images import explained, pearson, squared_error, squared_error01
from locality.metrics._kernel import kernel_sums, kid
from locality.metrics._summary import LEVEL, Difference, Summary, paired_difference, summarise
from locality.metrics._training import COPY, effective_number, is_copy

__all__ = [
    "COPY",
    "LEVEL",
    "RATIO_SIGMAS",
    "Difference",
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
