"""The derivatives of a denoiser, its sensitivity field: contracts of every denoiser."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from locality.checks.denoisers import PIXELS, SIGMA, DenoiserCase, averages, contract
from locality.checks.named import close, hold
from locality.checks.small import small
from locality.fields.jacobian import Differentiates, differentiate, field_rows, pixel_outputs
from locality.fields.rows import Linear, output_rows


@contract()
def derivative_is_finite_and_true(case: DenoiserCase) -> None:
    """Rows of the Jacobian along a direction are the change of the answer along it, a central difference in float64.

    A difference over 2e-4 sigma errs by the third derivative times 1e-8 and by rounding over the step.
    """
    for name in case.sets:
        model, x = case.model(name), case.x(name, 2)
        outputs = torch.cat([pixel_outputs(model.shape, pixel) for pixel in PIXELS]).double()
        rows = field_rows(model, x, outputs, SIGMA)  # refuses what is not finite
        along = torch.randn(x.shape[1], generator=torch.Generator().manual_seed(4), dtype=torch.float64)
        step = 1e-4 * SIGMA * along
        change = (model(x + step, SIGMA) - model(x - step, SIGMA)) / (2e-4 * SIGMA)
        close(rows @ along, outputs @ change.T, 1e-4 * (1 + float(change.abs().max())))
        single = field_rows(model, x.float(), outputs.float(), SIGMA)
        hold(single.dtype == torch.float32, f"the field of float32 images is {single.dtype}")
        close(single.double(), rows, 1e-3 * (1 + float(rows.abs().max())))


@contract()
def known_derivatives_are_true(case: DenoiserCase) -> None:
    """A linear model's own rows, and a derivative that a model knows, are those of a backward pass.

    Rows of a filter are float32: 1e-5 of rows of size one.
    """
    atol = case.spec.tolerance.get("known_derivatives_are_true", 1e-9)
    for name in case.sets:
        model, x = case.model(name), case.x(name, 2)
        outputs = torch.cat([pixel_outputs(model.shape, pixel) for pixel in PIXELS])
        outputs = torch.cat([outputs, outputs[:1] + 0.5 * torch.eye(x.shape[1])[7:8]]).double()  # of two together
        truth = differentiate(model, x, outputs, SIGMA)
        largest = 1 + float(truth.abs().max())
        found = output_rows(model, outputs, SIGMA, _always(x)).each
        close(found.expand_as(truth).double(), truth, 1e-5 * largest)
        if not isinstance(model, Differentiates) or isinstance(model, Linear):
            continue
        known = model.jacobian_rows(x, outputs, SIGMA)
        if known is not None:
            close(known, truth, atol * largest)
            single = model.jacobian_rows(x.float(), outputs.float(), SIGMA)
            if single is None:
                raise AssertionError("it knows the derivative in float64 and not in float32")
            close(single.double(), truth, 1e-3 * largest)


@contract(when=averages)
def gradient_streams(case: DenoiserCase) -> None:
    """Through several chunks of training images the gradient is that through one."""
    images, x = case.sets["colour"], case.x(count=2)
    outputs = pixel_outputs(images.shape, PIXELS[0]).double()
    whole = field_rows(case.model(), x, outputs, SIGMA)  # windows are found here, and not in small chunks
    parts = field_rows(small(lambda compute: case.fit(images, compute), x, SIGMA), x, outputs, SIGMA)
    close(parts, whole, 1e-9)


def _always(x: Tensor) -> Callable[[float], Tensor]:
    return lambda sigma: x
