"""Decoded sets on disk, memory-mapped: read once, then opened at once, and larger than memory where they have to be.

A set is kept under the names, sizes and times of its files and under how they are read. It is written under another
name and renamed when it is complete: nothing half-written is ever read.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from locality.errors import BadInput
from locality.pictures.decode import Plan, Report, Request, decode_together
from locality.pictures.decoded import ABOUT, LABELS, PIXELS, Kept, read
from locality.pictures.opened import open_images
from locality.pictures.scratch import check_disk, pictures_folder, reserve, scratch_folder, unusable
from locality.pictures.sets import ImageSet
from locality.pictures.walk import Found, walk
from locality.work import heartbeat

VERSION = 2  # of what reading makes of files
ROOM = 40_000_000_000  # bytes of all kept sets; the ones not used for longest leave first
_STALE = 86_400.0  # seconds after which what a killed process left is removed


def address(request: Request, found: Found | None = None) -> str:
    """What a set is kept under; `found`: what a walk of its folder just met.

    Raises BadInput (a folder that may not be read).
    """
    path = Path(request.path)
    if path.is_dir():
        found = found or walk(path)
        files: Any = [list(found.files.items()), found.dead, found.loops]
    else:
        about = path.stat()
        files = [path.name, about.st_size, about.st_mtime_ns]
    facts = {**asdict(replace(request, path=str(path.resolve()))), "files": files, "version": VERSION}
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:32]


def obtain(request: Request, report: Report = heartbeat) -> Kept:
    """The set, read now if it is not kept.

    Raises:
        BadInput: no images, a damaged one, too few, or all of them the same; a cache folder that cannot be used.
        TooLarge: one image, or the whole set, is over its budget.
    """
    from filelock import FileLock

    folder = pictures_folder() / address(request)
    if found := read(folder):
        return found
    try:
        with FileLock(folder.with_suffix(".lock")):  # a process that dies lets go
            return read(folder) or _make(request, folder, report)
    except OSError as error:
        raise unusable(folder.parent, error) from None


def forget(path: Path) -> None:
    """Remove the sets read from a path or from below it: of images that were lent for a while."""
    for about in pictures_folder().glob(f"*/{ABOUT}"):
        try:
            source = Path(json.loads(about.read_bytes())["path"])
        except (OSError, ValueError, TypeError, KeyError):
            continue  # damaged: it will never be opened
        if source.is_relative_to(path.resolve()):
            shutil.rmtree(about.parent, ignore_errors=True)


def listed(request: Request) -> tuple[int, int, list[str]]:
    """Numbers of training and held-out images and the notes, without reading them. Raises as `obtain`."""
    path = Path(request.path)
    found = walk(path) if path.is_dir() else None
    if kept := read(pictures_folder() / address(request, found)):
        return kept.train, kept.test, list(kept.notes)
    with scratch_folder() as scratch, open_images(path, request.key, scratch, found) as images:
        plan = Plan.of(images, request.limit)
        return plan.train, len(plan.rows) - plan.train, _notes(images)


def _make(request: Request, folder: Path, report: Report) -> Kept:
    _make_room(folder.parent)
    with scratch_folder() as scratch, open_images(Path(request.path), request.key, scratch) as images:
        plan, usual = Plan.of(images, request.limit), request.recipe
        classes = images.classes()
        images.check(plan.rows)
        recipe = replace(usual, values=images.understood(usual.values))
        with _part(folder) as part:
            size = len(plan.rows) * recipe.size * np.dtype(recipe.values.type).itemsize
            shape = f"{recipe.channels}x{recipe.resolution}x{recipe.resolution}"
            check_disk(folder.parent, f"The decoded set of {len(plan.rows):,} images of {shape}", size)
            reserve(part / PIXELS, size)
            facts = decode_together(request, images, plan, recipe, part / PIXELS, scratch, report)
            about = Kept(
                part,
                str(Path(request.path).resolve()),
                plan.train,
                len(plan.rows) - plan.train,
                recipe.size,
                np.dtype(recipe.values.type).name,
                classes is not None,
                (*_notes(images), *facts.sentences(recipe.values)),
            )
            if address(request) != folder.name:
                raise BadInput(
                    f"{request.path} changed while its images were read. Let nothing write to it, and run the same "
                    "command again."
                )
            _check_varies(about.pixels("train"), images.title)
            if classes is not None:
                ordered = np.empty(len(plan.rows), np.int64)
                ordered[plan.places] = classes[plan.rows]
                np.save(part / LABELS, ordered)
            told = {name: value for name, value in asdict(about).items() if name != "folder"}
            (part / ABOUT).write_text(json.dumps(told))
            shutil.rmtree(folder, ignore_errors=True)  # damaged, else it would have been opened
            part.rename(folder)
    return replace(about, folder=folder)


@contextmanager
def _part(folder: Path) -> Iterator[Path]:
    made = Path(tempfile.mkdtemp(prefix=".part-", dir=folder.parent))
    try:
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)


def _make_room(folder: Path) -> None:
    """Remove what killed processes left, and the sets not used for longest where there are too many."""
    for left in folder.glob(".[ps]*-*"):
        if time.time() - left.stat().st_mtime > _STALE:
            shutil.rmtree(left, ignore_errors=True)
    sets = sorted(folder.glob(f"*/{ABOUT}"), key=lambda about: about.stat().st_mtime, reverse=True)
    total = 0
    for about in sets:
        total += sum(file.stat().st_size for file in about.parent.iterdir())
        if total > ROOM:
            shutil.rmtree(about.parent, ignore_errors=True)


def _check_varies(train: NDArray[Any], title: str) -> None:
    for start in range(0, len(train), 4096):
        if (train[start : start + 4096] != train[0]).any():
            return
    raise BadInput(
        f"All {len(train)} training images of {title} are the same: nothing varies, so there is "
        "no statistic to learn. Give different images."
    )


def _notes(images: ImageSet) -> list[str]:
    return [*images.notes, *filter(None, [images.beside])]
