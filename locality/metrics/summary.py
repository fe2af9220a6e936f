"""Many scores as one number with its error; two models over the same images as one difference."""

from __future__ import annotations

import math
from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from locality.errors import BadInput

LEVEL = 0.95  # of the confidence intervals


@dataclass(frozen=True)
class Summary:
    """Mean of n scores and its standard error, nan where it is not defined: of one score, or of none.

    `undefined` scores (nan) were left out, and are no part of n.
    """

    mean: float
    stderr: float
    n: int
    undefined: int = 0


@dataclass(frozen=True)
class Difference:
    """Mean of n paired differences, its standard error, and the interval [low, high] at confidence `level`."""

    mean: float
    stderr: float
    low: float
    high: float
    n: int
    level: float = LEVEL


def summarise(scores: Float[Tensor, " n"]) -> Summary:
    """Mean and standard error s / sqrt(n), s with 1/(n - 1), in float64; nan scores are left out and counted.

    Raises:
        BadInput: an infinite score.
    """
    values = _finite_or_nan(scores)
    kept = values[values.isfinite()]
    n = len(kept)
    mean = float(kept.mean()) if n else math.nan
    stderr = float(kept.std(correction=1)) / math.sqrt(n) if n > 1 else math.nan
    return Summary(mean, stderr, n, len(values) - n)


def paired_difference(ours: Float[Tensor, " n"], theirs: Float[Tensor, " m"], *, level: float = LEVEL) -> Difference:
    """Mean of ours - theirs over the images where both are defined, with Student's interval of n - 1 degrees.

    Runs share noise, so the difference of two models is often known far better than either mean. The interval is of
    one comparison: with many of them some will miss by chance. nan where there are fewer than two pairs.

    Raises:
        BadInput: another number of scores, an infinite one, or a level outside (0, 1).
    """
    from scipy.special import stdtrit  # a fifth of a second that commands without pairs need not wait

    if len(ours) != len(theirs):
        raise BadInput(f"{len(ours)} and {len(theirs)} scores are no pairs: give both models the same images.")
    if not 0.0 < level < 1.0:
        raise BadInput(f"level={level:g}: give a share between 0 and 1, for example 0.95.")
    found = summarise(_finite_or_nan(ours) - _finite_or_nan(theirs))
    half = float(stdtrit(found.n - 1, 0.5 + level / 2)) * found.stderr if found.n > 1 else math.nan
    return Difference(found.mean, found.stderr, found.mean - half, found.mean + half, found.n, level)


def _finite_or_nan(scores: Float[Tensor, " n"]) -> Tensor:
    values = scores.detach().double().cpu()
    if bool(values.isinf().any()):
        raise BadInput("A score is infinite: its mean says nothing. Leave that image out (nan), or check the model.")
    return values
