"""Field tables as files the browser fetches once: content-addressed, under static/, bounded in size."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from locality.fields.codec import TABLE_SIGMAS
from locality.linear.wiener import WienerFilter
from locality.places import home
from locality.store.artifact import Artifact, digest
from locality.store.atomic import write_atomic
from locality.studies import predicted_table
from locality.types import ImageShape
from pages._ui.lab.mount import pack

_STATIC = home() / "static"
_LIMIT = 400 * 10**6  # bytes kept there; the oldest leave first
_LARGEST = 40 * 10**6  # bytes of all predicted tables of a dataset
_VERSION = 2


def predicted_names(fingerprint: str) -> list[str]:
    """File names of a dataset's predicted tables, one per noise level."""
    stem = digest("predicted_file", {"fingerprint": fingerprint, "version": _VERSION})[:24]
    return [f"{stem}-{i:02d}.bin" for i in range(len(TABLE_SIGMAS))]


def tables_fit(shape: ImageShape) -> bool:
    """Whether the tables of every pixel are small enough to make and to fetch; else a basis does their work."""
    return len(TABLE_SIGMAS) * (shape.h * shape.w) ** 2 <= _LARGEST


def ready(names: list[str]) -> bool:
    """Whether all files are there."""
    return all((_STATIC / name).is_file() for name in names)


def write_predicted(fingerprint: str, wiener: WienerFilter) -> None:
    """Make the missing predicted tables: (h w)^2 bytes each, 12.6 MB in all at 32x32."""
    for i, name in enumerate(predicted_names(fingerprint)):
        head = {"sigma": TABLE_SIGMAS[i]}
        address(name, lambda i=i, head=head: payload(predicted_table(wiener, i), head))


def learned_address(sha256: str, table: Artifact) -> str:
    """Address of a learned table's file, written when missing."""
    facts = {key: table.meta[key] for key in ("sigmas", "pixels", "draws")}
    name = digest("learned_file", {"weights": sha256, "version": _VERSION})[:24] + ".bin"
    return address(name, lambda: payload(table, facts, errors_of(table)))


def address(name: str, make: Callable[[], bytes]) -> str:
    """Address of a file, relative to the page; one that is not there, or no longer, is made."""
    if not ready([name]):
        write(name, make())
    return url(name)


def url(name: str) -> str:
    """Address of a file that is there."""
    return f"app/static/{name}"


def errors_of(table: Artifact) -> tuple[str, ...]:
    """What a learned table says about its own errors."""
    return tuple(part for part in ("error", "radius_error") if part in table.arrays)


def payload(table: Artifact, head: dict[str, Any], more: tuple[str, ...] = ()) -> bytes:
    """A table as the browser reads it."""
    return pack(head, {part: table.arrays[part].numpy() for part in ("scale", "codes", *more)})


def write(name: str, content: bytes) -> None:
    """Put a file where a browser can fetch it, in one step; the oldest ones leave where there are too many."""
    write_atomic(_STATIC / name, content)
    _prune()


def _prune() -> None:
    files = sorted(_STATIC.glob("*.bin"), key=lambda path: path.stat().st_mtime, reverse=True)
    kept = 0
    for path in files:
        kept += path.stat().st_size
        if kept > _LIMIT:
            path.unlink(missing_ok=True)
