"""Hugging Face's parquet files: images as {bytes, path} or bytes, and their labels."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from locality.errors import BadInput, TooLarge
from locality.pictures.archive import MAX_FILE
from locality.pictures.images import read_picture
from locality.pictures.names import marks_of, split_of
from locality.pictures.recipe import Picture
from locality.pictures.sets import ImageSet, Rows

_LABELS = ("label", "labels", "fine_label", "class", "y", "target")
_BATCH = 64  # rows in memory at a time
_GROUP = 4_000_000_000  # bytes of the images of one row group, unpacked


class ParquetSet(ImageSet):
    """Rows of one file, or of several by name: `train-00000-of-00002.parquet` and folders say the split.

    Raises:
        BadInput: damaged, no column of images, or several.
        TooLarge: rows that unpack to more than 4 GB in one group.
    """

    def __init__(self, title: str, paths: Mapping[str, Path], key: str, stack: ExitStack) -> None:
        self.title = title
        self._files = [stack.enter_context(_open(path)) for path in paths.values()]
        self._names = list(paths)
        self._image = _image_column(self._files[0], key, self._names[0])
        self._label = _label_column(self._files[0])
        self._doubts: list[str] = []
        for name, file in zip(self._names, self._files, strict=True):
            if self._image not in file.schema_arrow.names:
                raise BadInput(f"{name} has no column {self._image}, which the others have. Take it out of the folder.")
        self._counts = [file.metadata.num_rows for file in self._files]
        counted = list(zip(self._names, self._counts, strict=True))
        self.names = [f"row {i} of {name}" for name, count in counted for i in range(count)]
        self.marks = np.repeat(marks_of(split_of(f"{name}/row") for name in self._names), self._counts)

    @property
    def notes(self) -> list[str]:
        others = [one for one in self._files[0].schema_arrow.names if one not in (self._image, self._label)]
        return [*([f"Columns not read: {', '.join(others[:8])}."] if others else []), *self._doubts]

    def classes(self) -> NDArray[np.int64] | None:
        if self._label is None:
            return None
        found: list[Any] = []
        for name, file in zip(self._names, self._files, strict=True):
            with _explained(name):
                found += file.read(columns=[self._label]).column(0).to_pylist()
        hidden = sum(value is None or value == -1 for value in found)  # -1: a test set without its labels
        if hidden:
            self._doubts = [f"{hidden:,} of {len(found):,} rows have no {self._label}: labels are left out."]
            return None
        kinds = {value: i for i, value in enumerate(sorted(set(found)))} if isinstance(found[0], str) else None
        return np.array([value if kinds is None else kinds[value] for value in found], np.int64)

    def pictures(self, rows: Rows) -> Iterator[tuple[int, Picture]]:
        wanted, start = iter([*rows.tolist(), -1]), 0
        row = next(wanted)
        for name, file in zip(self._names, self._files, strict=True):
            for group in range(file.metadata.num_row_groups):
                end = start + file.metadata.row_group(group).num_rows
                if not start <= row < end:
                    start = end
                    continue
                _check_group(file, group, self._image, name)
                with _explained(name):
                    for batch in file.iter_batches(_BATCH, row_groups=[group], columns=[self._image]):
                        while start <= row < start + len(batch):
                            yield row, self._picture(batch.column(0)[row - start].as_py(), row)
                            row = next(wanted)
                        start += len(batch)
                        if not start <= row < end:
                            break  # of a large group the rest need not be decoded
                start = end

    def _picture(self, value: Any, row: int) -> Picture:
        raw = value.get("bytes") if isinstance(value, dict) else value
        if not raw:
            elsewhere = isinstance(value, dict) and value.get("path")
            raise BadInput(
                f"{self.names[row]} has no image in it{f', only the path {elsewhere}' if elsewhere else ''}. "
                "Save the set with its images embedded, or take the row out."
            )
        if len(raw) > MAX_FILE:
            raise TooLarge(self.names[row], len(raw), MAX_FILE, "Take it out of the set, or save it smaller.")
        return read_picture(raw, self.names[row])


@contextmanager
def _explained(name: str) -> Iterator[None]:
    """Turns what Arrow raises on damaged files into one message."""
    import pyarrow

    try:
        yield
    except (pyarrow.ArrowException, OSError, EOFError, UnicodeDecodeError) as error:
        text = " ".join(str(error).split())[:120] or type(error).__name__
        raise BadInput(f"{name} is cut short or damaged ({text}). Copy or download it again.") from None


def _open(path: Path) -> Any:
    import pyarrow.parquet as pq

    with _explained(path.name):
        return pq.ParquetFile(path)


def _check_group(file: Any, group: int, column: str, name: str) -> None:
    about = file.metadata.row_group(group)
    size = sum(
        about.column(i).total_uncompressed_size
        for i in range(about.num_columns)
        if about.column(i).path_in_schema.partition(".")[0] == column
    )
    if size > _GROUP:
        raise TooLarge(f"A row group of {name}", size, _GROUP, "Save it with smaller row groups.")


def _features(file: Any) -> dict[str, Any]:
    """What the datasets library noted about the columns; {} where it noted nothing."""
    try:
        noted = json.loads((file.schema_arrow.metadata or {})[b"huggingface"])["info"]["features"]
        return noted if isinstance(noted, dict) else {}
    except (KeyError, ValueError, TypeError, RecursionError):
        return {}


def _image_column(file: Any, key: str, name: str) -> str:
    import pyarrow as pa

    schema, noted = file.schema_arrow, _features(file)
    if key:
        if key not in schema.names:
            raise BadInput(f"key={key}: {name} has the columns {', '.join(schema.names)}.")
        return key
    typed = [one for one, about in noted.items() if isinstance(about, dict) and about.get("_type") == "Image"]
    found = [one for one in typed if one in schema.names]
    if not found:
        binary = (pa.types.is_binary, pa.types.is_large_binary)
        for field in schema:
            inner = field.type.field("bytes").type if _has_bytes(field.type) else field.type
            found += [field.name] if any(test(inner) for test in binary) else []
    if not found:
        raise BadInput(
            f"{name} has no column of images: its columns are {', '.join(schema.names) or 'none'}. An image is bytes, "
            "or {bytes, path} as the datasets library writes it."
        )
    if len(found) > 1 and "image" not in found:
        raise BadInput(f"{name} has several columns of images. Say which: key={found[0]} or key={found[1]}.")
    return "image" if "image" in found else found[0]


def _has_bytes(kind: Any) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_struct(kind)) and any(kind.field(i).name == "bytes" for i in range(kind.num_fields))


def _label_column(file: Any) -> str | None:
    import pyarrow as pa

    schema, noted = file.schema_arrow, _features(file)
    typed = [one for one, about in noted.items() if isinstance(about, dict) and about.get("_type") == "ClassLabel"]
    candidates = [one for one in (*_LABELS, *typed) if one in schema.names]
    for one in candidates:
        kind = schema.field(one).type
        if pa.types.is_integer(kind) or pa.types.is_string(kind) or pa.types.is_boolean(kind):
            return one
    return None
