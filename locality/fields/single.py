"""Fields of models at the same noisy images, one image at a time: what fields averaged over draws cannot show.

The row of model a at image k, less its mean and excluding its own pixel, is v_ak. Over pixels by weight:

    value      mean over images of cos(v_ak, v_bk): a linear model has one row for all images
    varying    of what changes with the image, w_ak = (v_ak - mean_k v_ak) / rms_k |v_ak|:
               sum_k w_ak . w_bk / sqrt(sum_k |w_ak|^2 sum_k |w_bk|^2); nothing is left of a linear model

Rows at a given image have no noise of draws. Errors are over images: of a mean, and by the jackknife.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Float64, Int
from torch import Tensor

from locality.fields.jackknife import jackknife
from locality.fields.similarity import centred

_ROUNDING = 1e-12  # of a squared length: less than this is float32's rounding, no change


@dataclass(frozen=True, eq=False)
class Single:
    """Of all pairs of n models at k images; nan where no pixel has both fields, or one of the fields never varies.

    `each`: r at every image, whose mean is `value`. `left`: `varying` without each image, of which its error is made.
    `share`: of the squared length of a model's fields what varies from image to image, 0 for a linear model.
    """

    value: Float64[Tensor, "*s n n"]
    stderr: Float64[Tensor, "*s n n"]
    each: Float64[Tensor, "*s k n n"]
    varying: Float64[Tensor, "*s n n"]
    varying_stderr: Float64[Tensor, "*s n n"]
    left: Float64[Tensor, "*s k n n"]
    share: Float64[Tensor, "*s n"]

    def among(self, places: Sequence[int], n: int) -> Single:
        """The same of n models, of which these are the measured ones, in order; nan for the others."""
        index = torch.tensor(list(places))

        def wide(found: Tensor, axes: int) -> Tensor:
            made = torch.full((*found.shape[:-axes], *(n,) * axes), torch.nan, dtype=found.dtype)
            made[(..., index[:, None], index) if axes == 2 else (..., index)] = found
            return made

        return Single(**{name: wide(found, 1 if name == "share" else 2) for name, found in vars(self).items()})


class SingleTally:
    """Adds up one noise level, chunk of pixels by chunk."""

    def __init__(self) -> None:
        self._r: Tensor | float = 0.0
        self._counts: Tensor | float = 0.0
        self._varying: Tensor | float = 0.0
        self._weight: Tensor | float = 0.0

    def add(self, fields: Float[Tensor, "p k n q"], centres: Int[Tensor, " p"], share: Float64[Tensor, " p"]) -> None:
        """Fields of p more pixels at k images, two or more.

        Args:
            centres: the pixels' places among the q.
            share: how much each pixel counts.
        """
        vectors, before = centred(fields.double(), centres, "off_centre")
        squares = vectors.square().sum(dim=-1)
        defined = squares > _ROUNDING * before.square().sum(dim=-1)
        units = vectors / torch.where(defined, squares, torch.inf).sqrt()[..., None]
        self._r = self._r + torch.einsum("p,pknq,pkmq->knm", share, units, units)
        self._counts = self._counts + torch.einsum("p,pkn,pkm->knm", share, defined.double(), defined.double())
        mean = squares.mean(dim=1)
        length = torch.where(defined.any(dim=1), mean, torch.inf).sqrt()
        away = (vectors - vectors.mean(dim=1, keepdim=True)) / length[:, None, :, None]
        self._varying = self._varying + torch.einsum("p,pknq,pkmq->knm", share, away, away)
        self._weight = self._weight + share @ length.isfinite().double()

    def result(self) -> Single:
        """The similarities over all pixels."""
        assert isinstance(self._r, Tensor)
        assert isinstance(self._counts, Tensor)
        assert isinstance(self._varying, Tensor)
        assert isinstance(self._weight, Tensor)
        k = len(self._r)
        each = self._r / torch.where(self._counts > 0, self._counts, torch.nan)
        total = self._varying.sum(dim=0)
        # Without image j the sum of products about the mean is less by k / (k - 1) of its own (Welford 1962).
        left = _normed(total - self._varying * (k / (k - 1)), self._weight * (k - 1))
        share = total.diagonal() / ((k - 1) * torch.where(self._weight > 0, self._weight, torch.nan))
        return Single(
            value=each.mean(dim=0),
            stderr=each.std(dim=0) / k**0.5,
            each=each,
            varying=_normed(total, self._weight * k),
            varying_stderr=jackknife(left),
            left=left,
            share=share.where(share > _ROUNDING, share * 0.0),
        )


def _normed(products: Float64[Tensor, "*k n n"], most: Float64[Tensor, " n"]) -> Float64[Tensor, "*k n n"]:
    """Products over the lengths on their diagonal; nan where one is rounding of `most`, the length it might have."""
    own = products.diagonal(dim1=-2, dim2=-1)
    own = torch.where(own > _ROUNDING * most, own, torch.nan)
    return products / (own[..., :, None] * own[..., None, :]).sqrt()
