"""Distances between what everybody drew and the training images, one extractor at a time; kept like cells."""

from __future__ import annotations

import math
from collections.abc import Generator
from typing import Any

import torch
from jaxtyping import Float, Float64
from torch import Tensor

from locality.errors import BadInput
from locality.metrics import Summary, frechet_distance, inception_score, kernel_sums, kid
from locality.store import Artifact, Store
from locality.studies.benchmark._cells import VERSION, Cell
from locality.studies.benchmark._entrants import CONTROL, Contest, Entrant
from locality.studies.benchmark._extractors import Extractor
from locality.studies.benchmark._work import Workshop
from locality.types import Progress

KIND, REAL, SUMS = "bench-distances", "bench-real", "bench-kernel-sums"
_REAL_CHUNK = 512
Rows = list[dict[str, Any]]


def distance_key(contest: Contest, entrant: Entrant, extractor: Extractor) -> dict[str, Any]:
    """Everything the distances of one model depend on."""
    count = contest.held_out if entrant.kind == CONTROL else contest.plan.count
    return {"drawn": entrant.images_key(range(count)), "real": _real_key(contest, extractor), "version": VERSION}


def found_distances(contest: Contest, extractors: list[Extractor], store: Store) -> Rows:
    """The rows that are in the store."""
    rows: Rows = []
    for extractor in extractors:
        for entrant in contest.everyone:
            kept = store.get(KIND, distance_key(contest, entrant, extractor))
            rows += [] if kept is None else _named(kept, entrant, extractor)
    return rows


def make_distances(
    contest: Contest, extractors: list[Extractor], workshop: Workshop, found: list[Cell]
) -> Generator[Progress, None, None]:
    """Compare what is not compared yet. Progress in models, of all.

    Args:
        found: finished cells of features, all of a model or none; a model without any is left out.
    """
    total, done = len(extractors) * len(contest.everyone), 0
    for extractor in extractors:
        real: tuple[Float[Tensor, "m f"], Float64[Tensor, " m"]] | None = None
        for entrant in contest.everyone:
            done += 1
            mine = [cell for cell in found if cell.entrant is entrant and cell.extractor is extractor]
            key = distance_key(contest, entrant, extractor)
            if not mine or workshop.store.get(KIND, key) is not None:
                continue
            if real is None:
                real = yield from _real(contest, extractor, workshop)
            yield Progress(done - 1, total, f"{entrant.name}: distances, {extractor.name}")
            workshop.store.put(KIND, key, _compare(extractor, _stored(workshop, mine), real))


def _compare(
    extractor: Extractor, drawn: dict[str, Tensor], real: tuple[Float[Tensor, "m f"], Float64[Tensor, " m"]]
) -> Artifact:
    """KID always; the Frechet distance and the class score where there are more images than features."""
    features, probs = drawn["features"], drawn.get("probs")
    n, f = features.shape
    rows: Rows = []
    if n >= 2:
        rows.append(_row("kid", kid(features, real[0], within_y=real[1])))
    if n > f and len(real[0]) > f:
        rows.append(_row("fid" if extractor.is_inception else "frechet", frechet_distance(features, real[0])))
    if n > f and probs is not None:
        rows.append(_row("is" if extractor.is_inception else "class_score", inception_score(probs)))
    return Artifact({}, {"rows": rows, "feature_dimension": f, "real": len(real[0])})


def _row(metric: str, found: Summary) -> dict[str, Any]:
    stderr = found.stderr if math.isfinite(found.stderr) else None
    return {"metric": metric, "mean": found.mean, "stderr": stderr, "n": found.n}


def _named(kept: Artifact, entrant: Entrant, extractor: Extractor) -> Rows:
    about = {"features": extractor.name, "feature_dimension": kept.meta["feature_dimension"], "real": kept.meta["real"]}
    return [{"model": entrant.name, **row, **about} for row in kept.meta["rows"]]


def _stored(workshop: Workshop, mine: list[Cell]) -> dict[str, Tensor]:
    """Features, and probabilities where there are some, of all images in order."""
    parts = []
    for cell in sorted(mine, key=lambda cell: cell.images.start):
        kept = workshop.store.get(cell.store_kind, cell.key)
        if kept is None:  # evicted, or another process emptied the cache
            raise BadInput(f"{cell.label} left the cache while it was needed. Run the same command again.")
        parts.append(kept.arrays)
    return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}


def _real_key(contest: Contest, extractor: Extractor) -> dict[str, Any]:
    return {
        "fingerprint": contest.whole.fingerprint,
        "count": min(contest.plan.real, contest.whole.count()),
        "extractor": extractor.key,
    }


def _real(
    contest: Contest, extractor: Extractor, workshop: Workshop
) -> Generator[Progress, None, tuple[Float[Tensor, "m f"], Float64[Tensor, " m"]]]:
    """Features of the training images that samples are compared with, and what KID needs of them."""
    train, count = contest.whole.train, min(contest.plan.real, contest.whole.count())
    parts = []
    for start in range(0, count, _REAL_CHUNK):
        yield Progress(start, count, f"Training images: {extractor.name}")
        rows = range(start, min(start + _REAL_CHUNK, count))
        key = {**_real_key(contest, extractor), "count": None, "images": [rows.start, rows.stop], "version": VERSION}
        kept = None if extractor.is_pixels else workshop.store.get(REAL, key)
        if kept is None:
            features = workshop.extractor(extractor).of(train.x0(slice(rows.start, rows.stop)))
            kept = Artifact({"features": features})
            if not extractor.is_pixels:  # pixels are read again as fast
                workshop.store.put(REAL, key, kept)
        parts.append(kept.arrays["features"])
    features = torch.cat(parts)
    key = {**_real_key(contest, extractor), "version": VERSION}
    sums = workshop.store.get(SUMS, key)
    if sums is None:
        yield Progress(0.0, 1.0, f"Training images among themselves: {extractor.name}")
        sums = Artifact({"sums": kernel_sums(features)})
        workshop.store.put(SUMS, key, sums)
    return features, sums.arrays["sums"]
