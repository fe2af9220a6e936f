"""An agreement study as tables for people."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

from locality.cli.parts.app import table

if TYPE_CHECKING:
    from torch import Tensor

    from locality.studies import Agreement

_TITLES = {
    "pearson": "Pearson r of fields, corrected for the noise of draws, ± standard error",
    "off_centre": "the same, excluding the pixel itself",
    "pearson_chance": "chance: Pearson r of fields of two different pixels",
    "single": "fields at the same noisy image: Pearson r excluding the pixel itself, mean over images ± standard error",
    "single_varying": "the same of what changes with the image, ± standard error; share: of the field, what changes",
    "r2_outputs": "R2 of estimates: how much of the column the row explains ± standard error",
}


_NONE: Mapping[str, Tensor] = MappingProxyType({})


def agreement_text(made: Agreement) -> str:
    """Per noise level r, chance and R2; then samples; then held-out errors of the networks."""
    plan, names, arrays = made.plan, made.names, made.arrays()
    blocks = [f"{made.dataset}: fields of {len(made.pixels)} pixels by their variance, {plan.draws} draws"]
    if any(model["kind"] == "untrained" for model in made.models) and plan.seeds > 1:
        blocks.append(f"Untrained networks: mean over {plan.seeds} initialisations, ± the standard error over these.")
    for s, sigma in enumerate(made.sigmas):
        for name in (name for name in _TITLES if name in arrays):
            errors = arrays[f"{name}_stderr"][s] if f"{name}_stderr" in arrays else None
            own = {kind: arrays[f"{name}_{kind}"][s] for kind in ("reliability",) if f"{name}_{kind}" in arrays}
            own |= {"share": arrays["single_share"][s]} if name == "single_varying" else {}
            blocks.append(f"sigma {sigma:.3g}, {_TITLES[name]}\n{_matrix(names, arrays[name][s], errors, own)}")
    if made.r2_samples is not None:
        title = f"R2 of {plan.samples} samples from the same noise in {plan.steps} steps ± standard error"
        blocks.append(f"{title}\n{_matrix(names, made.r2_samples.value, made.r2_samples.stderr)}")
    ratios = {model["name"]: model["error_ratio"] for model in made.models if model["error_ratio"]}
    rows = [{"": name, **{sigma: f"{ratio:.2f}" for sigma, ratio in by.items()}} for name, by in ratios.items()]
    if rows:
        blocks.append(f"held-out error / Wiener's, by sigma\n{table(rows, {key: key for row in rows for key in row})}")
    return "\n\n".join(blocks)


def _matrix(names: list[str], values: Tensor, errors: Tensor | None, own: Mapping[str, Tensor] = _NONE) -> str:
    rows = []
    for i, name in enumerate(names):
        row = {"": name}
        for j, column in enumerate(names):
            error = "" if errors is None or i == j else f"±{float(errors[i, j]):.3f}"
            row[column] = f"{float(values[i, j]):.3f}{error}"
        row |= {title: f"{float(column[i]):.3f}" for title, column in own.items()}
        rows.append(row)
    return table(rows, {key: key for key in rows[0]})
