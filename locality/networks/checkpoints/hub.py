"""Checkpoints of Hugging Face's hub: looked up, described with size and licence, fetched when asked to, never before.

`ORG/NAME`, or `ORG/NAME/FOLDER-OR-FILE` for a part of a repository. What arrives is checked against the digests that
the hub lists; a download that was stopped goes on where it was.
"""

from __future__ import annotations

import hashlib
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from locality.errors import BadInput, DataUnavailable, DigestMismatch, TooLarge, first_line
from locality.places import user_data_dir
from locality.store.atomic import sha256_of
from locality.work import Progress

HUB = "https://huggingface.co"
FOLDER = "checkpoints"  # in the user's data folder
_NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*(/.+)?")
_SUFFIXES = (".json", ".safetensors", ".pt", ".pth", ".ckpt", ".md", ".txt", "LICENSE")  # no pickles without a reader


@dataclass(frozen=True)
class Listed:
    """A file of a repository. `sha256`, or for small files `blob`, git's digest, is what it must be."""

    name: str
    size: int
    sha256: str
    blob: str

    def matches(self, path: Path) -> bool:
        """Whether the bytes are those the hub lists."""
        if self.sha256:
            return sha256_of(path) == self.sha256
        payload = path.read_bytes()
        return hashlib.sha1(b"blob %d\0" % len(payload) + payload).hexdigest() == self.blob


@dataclass(frozen=True)
class HubOffer:
    """What would be fetched, as `Download` says it of datasets."""

    repo: str
    revision: str
    licence: str
    files: tuple[Listed, ...]
    mirrors: tuple[str, ...]

    @property
    def title(self) -> str:
        return f"{self.repo} at {self.revision[:12]}, {len(self.files)} files"

    @property
    def size(self) -> int:
        """Bytes to transfer."""
        return sum(file.size for file in self.files)

    @property
    def folder(self) -> str:
        """Below the data folder."""
        return f"{FOLDER}/{self.repo.replace('/', '--')}"

    def run(self, target: Path | None = None, *, mirrors: Any = None) -> Iterator[Progress]:
        """Fetch every file; progress in bytes, file by file.

        Raises:
            DataUnavailable: the hub cannot be reached. DigestMismatch: other bytes than listed; the file is removed.
            TooLarge: not enough free space.
        """
        from huggingface_hub import hf_hub_download  # heavy import: only when something is fetched

        folder = (target or user_data_dir()) / self.folder
        folder.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(folder).free
        if free < self.size:
            raise TooLarge(f"Downloading {self.repo} to {folder}", self.size, free, "Free some space and try again.")
        done = 0
        for file in self.files:
            yield Progress(done, self.size, file.name)
            place = folder / file.name
            if not (place.is_file() and file.matches(place)):
                _asked(
                    lambda name=file.name: hf_hub_download(
                        self.repo, name, revision=self.revision, local_dir=folder, endpoint=self.mirrors[0]
                    ),
                    self.repo,
                )
                if not file.matches(place):
                    place.unlink()
                    raise DigestMismatch(
                        f"{file.name} of {self.repo} is not what the hub lists. It was removed: try again later."
                    )
            done += file.size
        yield Progress(self.size, self.size, f"{self.repo} is in {folder}")


def hub_offer(text: str, endpoint: str | None = None) -> HubOffer:
    """Look a repository up: its files of weights and descriptions, sizes and licence.

    Args:
        text: ORG/NAME, or ORG/NAME/PART.
        endpoint: another address than the hub's own, with its interface.
    Raises:
        BadInput: no name of a repository, or one without a file that can be opened here.
        DataUnavailable: it cannot be reached, or there is none of that name.
    """
    from huggingface_hub import HfApi

    if not _NAME.fullmatch(text):
        raise BadInput(f"checkpoint:{text} names no repository. Write checkpoint:ORG/NAME, or ORG/NAME/FOLDER.")
    org, name, *part = text.split("/", 2)
    repo, address = f"{org}/{name}", (endpoint or HUB).rstrip("/")
    info = _asked(lambda: HfApi(endpoint=address).model_info(repo, files_metadata=True), repo)
    files = [_listed(one) for one in info.siblings or []]
    wanted = [file for file in files if file.name.endswith(_SUFFIXES) and _inside(file.name, part[0] if part else "")]
    if not any(file.name.endswith(_SUFFIXES[1:5]) for file in wanted):
        there = ", ".join(file.name for file in files[:5]) or "nothing"
        raise BadInput(f"{text} has no weights as {', '.join(_SUFFIXES[1:5])}. It holds {there}.")
    card = info.card_data.to_dict() if info.card_data else {}
    licence = str(card.get("license") or "not stated: ask its authors before you use it")
    return HubOffer(repo, str(info.sha), licence, tuple(wanted), (address,))


def _listed(one: Any) -> Listed:
    if ".." in Path(one.rfilename).parts or Path(one.rfilename).is_absolute():
        raise BadInput(f"The hub lists a file {one.rfilename!r} outside the repository. Nothing was fetched.")
    sha256 = one.lfs.sha256 if one.lfs else ""
    return Listed(one.rfilename, int(one.size or 0), str(sha256), str(one.blob_id or ""))


def _inside(name: str, part: str) -> bool:
    """Whether a file belongs to a part of a repository; its licence always does."""
    return not part or name in (part, "LICENSE") or name.startswith(f"{part.rstrip('/')}/")


def _asked(ask: Any, repo: str) -> Any:
    """What the hub answers. Raises DataUnavailable."""
    from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, LocalEntryNotFoundError, RepositoryNotFoundError

    try:
        return ask()
    except GatedRepoError:
        raise DataUnavailable(
            f"{repo} is given only to those who accept its terms on {HUB}/{repo}. Fetch it there and give its folder."
        ) from None
    except RepositoryNotFoundError:
        raise DataUnavailable(f"There is no public repository {repo} on the hub. Check its name.") from None
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError, ValueError) as error:
        raise DataUnavailable(
            f"{repo} could not be fetched ({first_line(error)}). Run the same command again to go on, or copy the "
            "repository from a connected machine and give its folder as --model."
        ) from None
    except Exception as error:
        if not type(error).__module__.startswith(("http", "requests")):
            raise
        raise DataUnavailable(
            f"{repo} could not be reached ({first_line(error)}). Run the same command again to go on."
        ) from None
