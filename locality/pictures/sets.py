"""All images of one place, numbered in one order, whatever kind of files hold them."""

from __future__ import annotations

import io
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from locality.errors import BadInput
from locality.pictures.archive import DAMAGE, Archive
from locality.pictures.images import check_header, read_picture
from locality.pictures.names import (
    Marks,
    folder_classes,
    is_image,
    left_out,
    marks_of,
    no_images,
    noted_classes,
    split_of,
)
from locality.pictures.recipe import Picture, Recipe
from locality.pictures.tars import TarArchive, sample_classes, sample_key
from locality.pictures.values import Values

NOTES = "dataset.json"
Rows = NDArray[np.int64]  # of pictures, ascending


class ImageSet(ABC):
    """Pictures `0..n-1`; `marks` say to which split each belongs (`marks_of`)."""

    title: str
    names: Sequence[str]  # what messages call each picture
    marks: Marks
    splits_work = True  # whether processes that read parts of it side by side are faster
    beside = ""  # what lies beside it and is not read

    def __len__(self) -> int:
        return len(self.names)

    @property
    @abstractmethod
    def notes(self) -> list[str]:
        """What is left out or was understood in one way of several, in sentences."""

    @abstractmethod
    def classes(self) -> NDArray[np.int64] | None:
        """The class number of every picture. Raises BadInput (labels that do not fit)."""

    @abstractmethod
    def pictures(self, rows: Rows) -> Iterator[tuple[int, Picture]]:
        """Some pictures in ascending order. Raises BadInput, TooLarge."""

    def check(self, rows: Rows) -> None:  # noqa: B027 - where all rows lie in one file nothing is to be done
        """Refuse at once what the beginning of each file shows to be damaged. Raises BadInput, TooLarge."""

    def understood(self, values: Values) -> Values:
        """What the values of the pictures mean where nothing is said about them."""
        return values

    def blocks(self, rows: Rows, recipe: Recipe) -> Iterator[tuple[int, NDArray[np.generic]]] | None:
        """Many at once [k c h w], each with the place of its first in `rows`; None where it goes one by one."""
        return None


class FileSet(ImageSet):
    """Image files of a folder, a zip or tars; StyleGAN's dataset.json and WebDataset's .cls are read.

    Raises:
        BadInput: no images, or samples of several images without a word which.
    """

    def __init__(self, archive: Archive, key: str = "") -> None:
        self._archive, self.title = archive, archive.title
        names = [name for name in archive.names if is_image(name)]
        if not names:
            raise no_images(archive.title, archive.names)
        self._web = isinstance(archive, TarArchive) and any(name.endswith(".cls") for name in archive.names)
        self.names = _one_each(names, key, archive.title) if self._web else names
        if key and not self._web:
            raise BadInput(f"key={key}: {archive.title} holds image files, not named arrays or columns. Leave it out.")
        self.marks = marks_of(map(split_of, self.names))

    @property
    def notes(self) -> list[str]:
        taken = set(self.names)
        known = (".cls",) if self._web else ()
        taken.add(NOTES)
        rest = [name for name in self._archive.names if name not in taken and not name.endswith(known)]
        odd = [f"Not followed: {text}." for text in self._archive.odd]
        return [*filter(None, [left_out(rest)]), *odd]

    def classes(self) -> NDArray[np.int64] | None:
        if NOTES in self._archive.names:
            found = noted_classes(self.names, self._archive.read(NOTES))
        elif self._web:
            found = sample_classes(self._archive, self.names)
        else:
            found = folder_classes(self.names)
        return None if found is None else np.array(found, np.int64)

    def check(self, rows: Rows) -> None:
        for row in rows:
            name = self.names[row]
            if self._archive.size(name) == 0:
                raise BadInput(f"{name} is not a readable image (it is empty). Take it out, or save it again.")
            try:
                with self._archive.stream(name) as file:
                    check_header(file, name)
            except (BadInput, *DAMAGE):  # `read` has the words for damage of the archive itself
                check_header(io.BytesIO(self._archive.read(name)), name)

    def pictures(self, rows: Rows) -> Iterator[tuple[int, Picture]]:
        for row in rows:
            yield row, read_picture(self._archive.read(self.names[row]), self.names[row])


def _one_each(names: Sequence[str], key: str, title: str) -> list[str]:
    """The image of every sample: the only one, or the one whose ending is `key`."""
    if key:
        found = [name for name in names if name.rpartition("/")[2].partition(".")[2].lower() == key.lower()]
        if not found:
            raise BadInput(f"key={key}: no sample of {title} has an image NAME.{key}.")
        return found
    first: dict[str, str] = {}
    for name in names:
        other = first.setdefault(sample_key(name), name)
        if other != name:
            ends = sorted(one.rpartition("/")[2].partition(".")[2] for one in (other, name))
            raise BadInput(
                f"Samples of {title} hold several images ({', '.join(ends)}). Say which one is meant: key={ends[0]}."
            )
    return list(names)
