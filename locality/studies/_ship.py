"""Make the files under cache/shipped: what a fresh clone shows without images, downloads or waiting."""

from __future__ import annotations

import math
from collections.abc import Generator, Sequence
from pathlib import Path

from locality.compact import Tolerance, pack_compact
from locality.datasets import Source, ship_excerpt
from locality.denoisers import DENOISERS, patch_mixture, stack
from locality.device import Compute
from locality.edits import COUPLING, Pattern
from locality.errors import BadInput
from locality.statistics import KIND, store_key
from locality.store import Store, default_store
from locality.studies._fields import Draws
from locality.studies._models import find_network, fit_wiener
from locality.studies._tables import LEARNED, learned_key, make_learned_table
from locality.tables import LEARNED_SIGMAS
from locality.types import Progress
from locality.wiener import pack


def ship_statistics(
    source: Source, folder: Path | None = None, tolerance: Tolerance | None = None
) -> Generator[Progress, None, str]:
    """Compute a dataset's eigendecomposition, and its covariance with the strengths of a planted pattern.

    With a folder, write both there, the first compactly: in 16 bits a value, or as coarsely as a tolerance allows.
    """
    local = Store(default_store().local)
    wiener = yield from fit_wiener(source, store=local)
    if folder is None:
        return f"{source.name}: eigendecomposition of {wiener.count} images is in the local cache."
    yield Progress(0.9, 1.0, "Compact basis")
    artifact = pack(wiener, compact=True) if tolerance is None else pack_compact(wiener, tolerance)
    told = "" if tolerance is None else f" --tolerance {tolerance.field:g},{tolerance.row:g}"
    command = f"python -m locality precompute {source.name}{told} --ship cache/shipped"
    about = {"dataset": source.name, "images": wiener.count, "command": command, **source.credit}
    target = Store(default_store().local, folder)
    path = target.ship(source.slug, KIND, store_key(source.fingerprint), artifact, about)
    edit = Pattern()
    stage = source.edited((edit,)).stage(0, store=local)
    edit.coupling(stage)
    coupling = local.get(COUPLING, edit.coupling_key(stage))
    assert coupling is not None
    target.ship(source.slug, COUPLING, edit.coupling_key(stage), coupling, about)
    return f"{path}: {path.stat().st_size / 1e6:.1f} MB, and {COUPLING}/{source.slug}"


def ship_held_out(source: Source, folder: Path) -> str:
    """Write those held-out images of a dataset that may come with the repository. Raises BadInput where none may."""
    command = f"python -m locality precompute {source.name} --held-out --ship cache/shipped"
    path = ship_excerpt(source.spec, folder, command)
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
    table = yield from make_learned_table(source, trained.load(), draws, step=step, sigmas=sigmas)
    error = float(table.arrays["error"].median())
    if folder is None:
        default_store().put(LEARNED, learned_key(trained), table)
        return f"{source.name} {trained.name}: table in the local cache, median relative standard error {error:.1%}."
    levels = "" if tuple(sigmas) == LEARNED_SIGMAS else f" --sigmas {','.join(f'{sigma:.6g}' for sigma in sigmas)}"
    about = {
        "dataset": source.name,
        "network": trained.name,
        "median_relative_standard_error": round(error, 4) if math.isfinite(error) else None,
        "command": f"python -m locality precompute {source.name} --network {trained.name} --draws {draws.count} "
        f"--step {step}{levels} --ship cache/shipped",
        **source.credit,
    }
    target = Store(default_store().local, folder)
    path = target.ship(f"{source.slug}-{trained.name}", LEARNED, learned_key(trained), table, about)
    return f"{path}: {path.stat().st_size / 1e6:.1f} MB, median relative standard error {error:.1%}"


def ship_model(source: Source, text: str, folder: Path | None = None) -> Generator[Progress, None, str]:
    """Fit a model whose fit takes minutes from a dataset's images; with a folder, write it there compactly.

    Raises:
        BadInput: a model that has nothing to keep.
    """
    spec, local = DENOISERS.parse(text), Store(default_store().local)
    if not isinstance(spec, patch_mixture.PatchMixture | stack.Stack):
        raise BadInput(f"{text!r} has no long fit to keep. Give patch_mixture or stack, or no --model for statistics.")
    fitted = yield from spec.fit(source, Compute(), local)
    if folder is None:
        return f"{source.name}: {spec.name} is in the local cache."
    if isinstance(spec, patch_mixture.PatchMixture):
        assert isinstance(fitted, patch_mixture.PatchMixtureDenoiser)
        kind, key = patch_mixture.KIND, patch_mixture.store_key(source.fingerprint, spec)
        artifact = patch_mixture.pack(fitted, compact=True)
    else:
        kind, key = stack.KIND, stack.store_key(source.fingerprint, spec)
        found = local.get(kind, key)
        assert found is not None
        artifact = found
    command = f"python -m locality precompute {source.name} --model {text} --ship cache/shipped"
    path = Store(default_store().local, folder).ship(
        f"{source.slug}-{spec.name}", kind, key, artifact, {"dataset": source.name, "command": command, **source.credit}
    )
    return f"{path}: {path.stat().st_size / 1e6:.2f} MB"
