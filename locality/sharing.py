"""A server that others can reach: what its visitors may have it read, start and upload.

Off by default, for a server of one's own. On, nothing that a visitor names is read unless it lies below a folder of
LOCALITY_ROOTS, and trainings, long studies and downloads are off unless LOCALITY_ALLOW lists them.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from locality.errors import BadInput

ROOTS, ALLOW, UPLOADS = "LOCALITY_ROOTS", "LOCALITY_ALLOW", "LOCALITY_UPLOADS"
KINDS = {"train": "trainings", "bench": "benchmarks and other long studies", "download": "downloads of datasets"}
_MB = 10**6
_EACH, _TOTAL = 50, 1000  # MB of uploads at a time, where LOCALITY_UPLOADS does not say


@dataclass(frozen=True)
class Sharing:
    """What a shared server allows: folders below which visitors may name files, kinds of work, bytes of uploads."""

    roots: tuple[Path, ...] = ()
    allow: frozenset[str] = frozenset()
    each: int = _EACH * _MB
    total: int = _TOTAL * _MB

    @staticmethod
    def from_environment(environment: Mapping[str, str] = os.environ) -> Sharing:
        """What the three variables say: folders joined as those of PATH, kinds of work joined by commas, and MB of
        uploads per session and in all, `50,1000`.

        Raises:
            BadInput: a root that is no folder, a kind of work that does not exist, sizes that are none.
        """
        places = [Path(text).expanduser() for text in environment.get(ROOTS, "").split(os.pathsep) if text]
        for place in places:
            if not place.is_dir():
                raise BadInput(f"{ROOTS}: {place} is no folder. Give folders joined by {os.pathsep!r}.")
        allow = {word.strip() for word in environment.get(ALLOW, "").split(",") if word.strip()}
        if unknown := sorted(allow - KINDS.keys()):
            raise BadInput(f"{ALLOW}: {unknown[0]!r} is not known. Give some of {', '.join(KINDS)}, joined by commas.")
        each, total = _sizes(environment.get(UPLOADS, ""))
        return Sharing(tuple(place.resolve() for place in places), frozenset(allow), each, total)

    def holds(self, path: Path) -> bool:
        """Whether a path without links lies below one of the roots."""
        return any(path.is_relative_to(root) for root in self.roots)


_now: Sharing | None = None
_granted: set[Path] = set()


def share(sharing: Sharing | None) -> None:
    """Switch shared mode on for this process; None switches it off."""
    global _now
    _now = sharing
    _granted.clear()


def shared() -> Sharing | None:
    """What the server allows; None where it is not shared."""
    return _now


def grant(path: Path) -> None:
    """Let visitors name one more place, just this one: an upload under a name that only its owner knows."""
    _granted.add(path.resolve())


def revoke(path: Path) -> None:
    """Take a `grant` back."""
    _granted.discard(path.resolve())


def readable(text: str | Path) -> Path:
    """A place on this computer that a visitor named, `~` resolved.

    Raises:
        BadInput: no file can have this name; or the server is shared, and it lies outside of what is listed, itself or
            by a link in it. Whether it exists is not said.
    """
    path = Path(text)
    try:
        path.stat()
    except (OSError, ValueError) as error:  # too long for a name, or with a zero byte
        if getattr(error, "errno", errno.ENAMETOOLONG) == errno.ENAMETOOLONG:
            raise BadInput(f"{str(text)[:80]!r}… is no path: no file can have this name.") from None
    with contextlib.suppress(RuntimeError):  # a user that does not exist: then it is a folder's name
        path = path.expanduser()
    if _now is None:
        return path
    try:
        real = path.resolve()
    except (OSError, RuntimeError, ValueError):  # links in a circle, a zero byte
        raise _refused(text) from None
    if real in _granted:
        return path
    if not _now.holds(real) or not _stays(real, _now.roots):
        raise _refused(text)
    return path


def exists(text: str | Path) -> bool:
    """Whether there is something at a path, also where no file can have such a name."""
    try:
        return Path(text).exists()
    except (OSError, ValueError):  # too long, or with a zero byte
        return False


def refusal(kind: str) -> str:
    """Why a kind of work (`KINDS`) cannot be started here; "" where it can."""
    if _now is None or kind in _now.allow:
        return ""
    return f"This server is shared, and {KINDS[kind]} are off; its owner allows them with {ALLOW}={kind}."


@functools.lru_cache(maxsize=256)  # visitors cannot make links, so one look is enough
def _stays(folder: Path, roots: tuple[Path, ...]) -> bool:
    """Whether no link below a folder leads out of the roots."""
    seen: set[Path] = set()
    todo = [folder]
    while todo:
        top = todo.pop()
        if top in seen:
            continue
        seen.add(top)
        for at, folders, files in os.walk(top):
            for link in (path for name in (*folders, *files) if (path := Path(at, name)).is_symlink()):
                try:
                    target = link.resolve()
                except (OSError, RuntimeError):
                    continue  # in a circle: leads nowhere
                if not any(target.is_relative_to(root) for root in roots):
                    return False
                if target.is_dir():
                    todo.append(target)
    return True


def _refused(text: str | Path) -> BadInput:
    return BadInput(
        f"{str(text)[:200]} cannot be read: this server is shared, and its visitors can name only files below the "
        f"folders its owner lists ({ROOTS}), without links that lead out of them."
    )


def _sizes(text: str) -> tuple[int, int]:
    if not text:
        return _EACH * _MB, _TOTAL * _MB
    try:
        each, total = (int(float(part) * _MB) for part in text.split(","))
        if not 0 <= each <= total:
            raise ValueError("not in order")
    except (ValueError, OverflowError):
        raise BadInput(f"{UPLOADS}={text!r} is not two sizes in MB, per session and in all: 50,1000.") from None
    return each, total
