"""Distances between all generated images and the training images, one extractor at a time; kept like cells."""

from __future__ import annotations

import math
from collections.abc import Generator
from typing import Any

import torch
from jaxtyping import Float, Float64
from torch import Tensor

from locality.errors import BadInput
from locality.metrics import Summary, frechet_distance, inception_score, kernel_sums, kid
from locality.pictures.room import room
from locality.store import Artifact, Store
from locality.studies.benchmark.cells import VERSION, Cell
from locality.studies.benchmark.competitors import CONTROL, Competitor, Setup
from locality.studies.benchmark.extractors import Extractor
from locality.studies.benchmark.runner import Runner
from locality.work import Progress

KIND, REAL, SUMS = "bench-distances", "bench-real", "bench-kernel-sums"
_REAL_CHUNK = 512
Rows = list[dict[str, Any]]


def distance_key(setup: Setup, competitor: Competitor, extractor: Extractor) -> dict[str, Any]:
    """Everything the distances of one model depend on."""
    count = setup.held_out if competitor.kind == CONTROL else setup.plan.count
    return {"drawn": competitor.images_key(range(count)), "real": _real_key(setup, extractor), "version": VERSION}


def found_distances(setup: Setup, extractors: list[Extractor], store: Store) -> Rows:
    """The rows that are in the store."""
    rows: Rows = []
    for extractor in extractors:
        for competitor in setup.everyone:
            kept = store.get(KIND, distance_key(setup, competitor, extractor))
            rows += [] if kept is None else _named(kept, competitor, extractor)
    return rows


def make_distances(
    setup: Setup, extractors: list[Extractor], runner: Runner, found: list[Cell]
) -> Generator[Progress, None, None]:
    """Compare what is not compared yet. Progress in models, of all.

    Args:
        found: finished cells of features, all of a model or none; a model without any is left out.
    """
    total, done = len(extractors) * len(setup.everyone), 0
    for extractor in extractors:
        real: tuple[Float[Tensor, "m f"], Float64[Tensor, " m"]] | None = None
        for competitor in setup.everyone:
            done += 1
            mine = [cell for cell in found if cell.competitor is competitor and cell.extractor is extractor]
            key = distance_key(setup, competitor, extractor)
            if not mine or runner.store.get(KIND, key) is not None:
                continue
            if real is None:
                real = yield from _real(setup, extractor, runner)
            yield Progress(done - 1, total, f"{competitor.name}: distances, {extractor.name}")
            runner.store.put(KIND, key, _compare(extractor, _stored(runner, mine), real))


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


def _named(kept: Artifact, competitor: Competitor, extractor: Extractor) -> Rows:
    about = {"features": extractor.name, "feature_dimension": kept.meta["feature_dimension"], "real": kept.meta["real"]}
    return [{"model": competitor.name, **row, **about} for row in kept.meta["rows"]]


def _stored(runner: Runner, mine: list[Cell]) -> dict[str, Tensor]:
    """Features, and probabilities where there are some, of all images in order."""
    parts = []
    for cell in sorted(mine, key=lambda cell: cell.images.start):
        kept = runner.store.get(cell.store_kind, cell.key)
        if kept is None:  # evicted, or another process emptied the cache
            raise BadInput(f"{cell.label} left the cache while it was needed. Run the same command again.")
        parts.append(kept.arrays)
    return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}


def _real_key(setup: Setup, extractor: Extractor) -> dict[str, Any]:
    return {
        "fingerprint": setup.whole.fingerprint,
        "count": min(setup.plan.real, setup.whole.count()),
        "extractor": extractor.key,
    }


def _real(
    setup: Setup, extractor: Extractor, runner: Runner
) -> Generator[Progress, None, tuple[Float[Tensor, "m f"], Float64[Tensor, " m"]]]:
    """Features of the training images that samples are compared with, and what KID needs of them."""
    train, count = setup.whole.train, min(setup.plan.real, setup.whole.count())
    made: Tensor | None = None
    for start in range(0, count, _REAL_CHUNK):
        yield Progress(start, count, f"Training images: {extractor.name}")
        rows = range(start, min(start + _REAL_CHUNK, count))
        key = {**_real_key(setup, extractor), "count": None, "images": [rows.start, rows.stop], "version": VERSION}

        def read(rows: range = rows) -> Artifact:
            return Artifact({"features": runner.extractor(extractor).of(train.x0(slice(rows.start, rows.stop)))})

        # pixels are read again as fast
        part = read() if extractor.is_pixels else runner.store.cached(REAL, key, read)
        some = part.arrays["features"]
        if made is None:
            size = count * some.shape[1] * some.itemsize
            made = room(count, some.shape[1], some.dtype, in_file=size > runner.compute.memory)
        made[rows.start : rows.stop] = some
    assert made is not None
    features = made
    yield Progress(0.0, 1.0, f"Training images among themselves: {extractor.name}")
    key = {**_real_key(setup, extractor), "version": VERSION}
    sums = runner.store.cached(SUMS, key, lambda: Artifact({"sums": kernel_sums(features)}))
    return features, sums.arrays["sums"]
