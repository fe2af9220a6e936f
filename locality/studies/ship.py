"""Make the files under cache/shipped: what a fresh clone shows without images, downloads or waiting."""

from __future__ import annotations

import math
from collections.abc import Generator, Sequence
from pathlib import Path

from locality.datasets import Source, ship_excerpt
from locality.denoisers import DENOISERS, DenoiserSpec
from locality.device import Compute
from locality.edits import EDITS, EditSpec
from locality.errors import BadInput
from locality.fields.codec import LEARNED_SIGMAS
from locality.grammar import command
from locality.linear.compact import Tolerance, pack_compact
from locality.linear.statistics import KIND, store_key
from locality.linear.stored import pack
from locality.store import Store, default_store
from locality.studies.fields.draws import Draws
from locality.studies.fields.tables import LEARNED, learned_key, make_learned_table
from locality.studies.models import fit_wiener
from locality.studies.shipped import ship
from locality.studies.trained import find_network
from locality.work import Progress


def ship_statistics(
    source: Source, folder: Path | None = None, tolerance: Tolerance | None = None
) -> Generator[Progress, None, str]:
    """Compute a dataset's eigendecomposition, and what its edits need of the images.

    With a folder, write both there, the first compactly: in 16 bits a value, or as coarsely as a tolerance allows.
    """
    local = Store(default_store().local)
    wiener = yield from fit_wiener(source, store=local)
    if folder is None:
        return f"{source.text}: eigendecomposition of {wiener.count} images is in the local cache."
    yield Progress(0.9, 1.0, "Compact basis")
    artifact = pack(wiener, compact=True) if tolerance is None else pack_compact(wiener, tolerance)
    options = [] if tolerance is None else ["--tolerance", f"{tolerance.field:g},{tolerance.row:g}"]
    about = {"images": wiener.count, "command": command("precompute", source.text, *options, "--ship", "cache/shipped")}
    path = ship(source, source.slug, KIND, store_key(source.fingerprint), artifact, about, folder)
    beside = []
    for cls in EDITS.values():
        if cls.shipment is EditSpec.shipment:
            continue
        sent = cls().shipment(source.edited((cls(),)).stage(0, store=local))
        if sent is not None:
            ship(source, source.slug, *sent, about, folder)
            beside.append(f", and {sent.kind}/{source.slug}")
    return f"{path}: {path.stat().st_size / 1e6:.1f} MB{''.join(beside)}"


def ship_held_out(source: Source, folder: Path) -> str:
    """Write those held-out images of a dataset that may come with the repository. Raises BadInput where none may."""
    written = command("precompute", source.text, "--held-out", "--ship", "cache/shipped")
    path = ship_excerpt(source.spec, folder, written)
    return f"{path}: {path.stat().st_size / 1e6:.2f} MB, and its LICENSE"


def ship_learned_table(
    source: Source,
    network: str,
    draws: Draws,
    step: int,
    folder: Path | None = None,
    sigmas: Sequence[float] = LEARNED_SIGMAS,
) -> Generator[Progress, None, str]:
    """Compute the hover table of a trained network; kept locally, or with a folder written there."""
    trained = find_network(source, network)
    if trained.is_of_variant(source):
        raise BadInput(f"{trained.warning(source)} Its table is filed under the network: make it of {trained.dataset}.")
    table = yield from make_learned_table(source, trained.load(), draws, step=step, sigmas=sigmas)
    error = float(table.arrays["error"].median())
    if folder is None:
        default_store().put(LEARNED, learned_key(trained), table)
        return f"{source.text} {trained.name}: table in the local cache, median relative standard error {error:.1%}."
    words = ["precompute", source.text, "--network", trained.name, "--draws", draws.count, "--step", step]
    words += [] if tuple(sigmas) == LEARNED_SIGMAS else ["--sigmas", ",".join(f"{sigma:.6g}" for sigma in sigmas)]
    about = {
        "network": trained.name,
        "median_relative_standard_error": round(error, 4) if math.isfinite(error) else None,
        "command": command(*words, "--ship", "cache/shipped"),
    }
    path = ship(source, f"{source.slug}-{trained.name}", LEARNED, learned_key(trained), table, about, folder)
    return f"{path}: {path.stat().st_size / 1e6:.1f} MB, median relative standard error {error:.1%}"


def ship_model(source: Source, text: str, folder: Path | None = None) -> Generator[Progress, None, str]:
    """Fit a model whose fit takes minutes from a dataset's images; with a folder, write it there compactly.

    Raises:
        BadInput: a model that has nothing to keep.
    """
    spec, local = DENOISERS.parse(text), Store(default_store().local)
    if type(spec).shipment is DenoiserSpec.shipment:
        long = " or ".join(name for name, cls in DENOISERS.items() if cls.shipment is not DenoiserSpec.shipment)
        raise BadInput(f"{text!r} has no long fit to keep. Give {long}, or no --model for statistics.")
    fitted = yield from spec.fit(source, Compute(), local)
    if folder is None:
        return f"{source.text}: {spec.name} is in the local cache."
    sent = spec.shipment(source, fitted, local)
    assert sent is not None
    written = command("precompute", source.text, "--model", text, "--ship", "cache/shipped")
    path = ship(source, f"{source.slug}-{spec.name}", *sent, {"command": written}, folder)
    return f"{path}: {path.stat().st_size / 1e6:.2f} MB"
