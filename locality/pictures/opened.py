"""A path of the user's -> the images in it, by what the first bytes are and not by what the name says."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from locality.errors import BadInput
from locality.pictures.archive import FolderArchive, ZipArchive, open_zip
from locality.pictures.arrays import named_arrays
from locality.pictures.arrayset import ArraySet
from locality.pictures.names import is_image, left_out, no_images
from locality.pictures.parquet import ParquetSet
from locality.pictures.scratch import Scratch
from locality.pictures.sets import FileSet, ImageSet
from locality.pictures.tars import is_packed, is_tar, open_tars
from locality.pictures.walk import Found, walk

KINDS = "a folder, a zip, tar, npy, npz or parquet"
_TARS = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")
_ARRAYS = "Save its images as an array: np.savez(FILE, images=array)."
_PICKLE = f"is a pickle, which may run code, and is not opened. CIFAR-10 is the dataset cifar10. {_ARRAYS}"
_OTHERS = {
    b"\x89HDF": f"is HDF5. {_ARRAYS}",
    b"MATLAB": f"is a MATLAB file. {_ARRAYS}",
    **{bytes([0x80, version]): _PICKLE for version in (2, 3, 4, 5)},
    b"Rar!": "is a RAR archive. Unpack it, and give the folder.",
    b"7z\xbc\xaf": "is a 7z archive. Unpack it, and give the folder.",
    b"(\xb5/\xfd": "is packed by zstd. Unpack it first.",
    b"ARROW1": "is an Arrow file. Save it as parquet.",
    b"%PDF": "is a PDF. Save its images as PNG in a folder.",
}


@contextmanager
def open_images(path: Path, key: str, scratch: Scratch, found: Found | None = None) -> Iterator[ImageSet]:
    """The images of a folder or a file; `found`: what a walk of the folder just met.

    Raises:
        BadInput: nothing of this kind can be read, or it is damaged; says what to do.
        TooLarge: it unpacks to more than there is room for.
    """
    with ExitStack() as stack:
        if path.is_dir():
            yield _folder(path, found or walk(path), key, scratch, stack)
        else:
            yield _file(path, key, scratch, stack)


def _folder(path: Path, found: Found, key: str, scratch: Scratch, stack: ExitStack) -> ImageSet:
    if not any(is_image(name) for name in found.files):
        for kinds in ((".parquet",), _TARS):
            shards = {name: path / name for name in found.files if name.lower().endswith(kinds)}
            if shards:
                return _shards(path.name, shards, found, key, scratch, stack)
        single = next((name for name in found.files if name.lower().endswith((".npz", ".npy", ".zip"))), None)
        if single:
            raise BadInput(f"{no_images(path.name, list(found.files))} Or give {single} itself: path={path / single}.")
    return FileSet(FolderArchive(path, found), key)


def _shards(
    title: str, shards: Mapping[str, Path], found: Found, key: str, scratch: Scratch, stack: ExitStack
) -> ImageSet:
    if next(iter(shards)).lower().endswith(".parquet"):
        made: ImageSet = ParquetSet(title, shards, key, stack)
    else:
        made = FileSet(stack.enter_context(open_tars(title, shards, scratch)), key)
    made.beside = left_out([name for name in found.files if name not in shards])
    return made


def _file(path: Path, key: str, scratch: Scratch, stack: ExitStack) -> ImageSet:
    try:
        with path.open("rb") as file:
            head = file.read(512)
    except OSError as error:
        raise BadInput(f"{path} cannot be read ({error.strerror}). Give this user the right to.") from None
    if not head:
        raise BadInput(f"{path.name} is empty. Copy or download it again.")
    if head.startswith(b"\x93NUMPY"):
        return ArraySet(named_arrays(path, scratch), key, path.name)
    if head.startswith(b"PAR1"):
        return ParquetSet(path.name, {path.name: path}, key, stack)
    if head.startswith(b"PK"):
        archive = stack.enter_context(open_zip(path))
        names = archive.namelist()
        if any(name.endswith(".npy") for name in names) and not any(map(is_image, names)):
            return ArraySet(named_arrays(path, scratch), key, path.name)
        return FileSet(ZipArchive(path.name, archive), key)
    if is_tar(path, head):
        return FileSet(stack.enter_context(open_tars(path.name, {path.name: path}, scratch)), key)
    raise BadInput(_refusal(path, head))


def _refusal(path: Path, head: bytes) -> str:
    name, lower = path.name, path.name.lower()
    for magic, text in _OTHERS.items():
        if head.startswith(magic):
            return f"{name} {text}"
    if is_image(lower) or lower.endswith((".heic", ".heif")):
        return f"{name} is one image. Give the folder that holds it and the others: path={path.parent}."
    if is_packed(head):
        return f"{name} is packed, and no tar is in it. Unpack it, and give what is inside."
    if lower.endswith((".npz", ".zip")):
        kind = lower.rpartition(".")[2]
        return f"{name} is not a readable {kind} by its first bytes: mislabelled or damaged. Save it again."
    return f"{name} is no set of images that can be read. Give {KINDS} with your images."
