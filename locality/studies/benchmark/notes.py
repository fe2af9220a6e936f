"""What must be said beside a model's numbers: where it is not exact, or has not seen all training images."""

from __future__ import annotations

from locality.denoisers import DenoiserSpec
from locality.studies.models import Model


def model_notes(model: Model, whole: int) -> list[str]:
    """Everything that keeps an analytic model from being exact over all `whole` training images; [] for nothing."""
    spec, source = model.spec, model.source
    if spec is None:
        return []
    seen = source.count()
    notes = [f"fitted to the first {seen:,} of {whole:,} training images"] if seen < whole else []
    usual = model.note()
    if usual:
        notes.append(usual.removeprefix(f"{spec.name}: ").removeprefix(f"{spec.name} ").rstrip("."))
    elif 0 < (first := int(getattr(spec, "first", 0))) < seen:
        notes.append(f"averages the first {first:,} of {seen:,} training images")
    return notes + _approximations(spec)


def _approximations(spec: DenoiserSpec) -> list[str]:
    notes = []
    if getattr(spec, "classes", ()):
        notes.append(f"averages the classes {', '.join(map(str, spec.classes))} only")  # type: ignore[attr-defined]
    if getattr(spec, "neighbours", 0):
        notes.append(f"averages the {spec.neighbours:,} nearest images only")  # type: ignore[attr-defined]
    if getattr(spec, "softmax", "exact") == "batch":
        notes.append(f"normalised in batches of {spec.batch_size:,}: depends on the order")  # type: ignore[attr-defined]
    if spec.name == "golddiff":
        notes.append("averages a retrieved tenth to twentieth of the images: another estimator, not only a faster one")
    return notes
