"""Files that come inside installed packages, found without importing the package."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from locality.errors import DataUnavailable


def package_file(package: str, *parts: str) -> Path:
    """Path of a file shipped inside an installed package.

    Raises:
        DataUnavailable: the package, or the file in it, is not installed.
    """
    spec = find_spec(package)
    path = Path(spec.origin).parent.joinpath(*parts) if spec and spec.origin else None
    if path is None or not path.is_file():
        raise DataUnavailable(f"{'/'.join(parts)} of {package} is not installed: `pip install -r requirements.txt`.")
    return path


def missing_files(files: list[tuple[str, ...]]) -> str:
    """Empty when every (package, *parts) is there, else the message for the first that is not."""
    try:
        for package, *parts in files:
            package_file(package, *parts)
    except DataUnavailable as error:
        return str(error)
    return ""
