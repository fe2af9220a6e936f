"""Artefacts that are part of the repository: <folder>/<kind>/<name>.safetensors beside <name>.json.

The manifest says what the payload is a function of, its SHA-256, its size and how it was made.
"""

from __future__ import annotations

import hashlib
import json
import logging
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from locality.errors import BadInput, DigestMismatch
from locality.store.artifact import Artifact, canonical, decode, digest, encode
from locality.store.atomic import settle, write_pair

FORMAT = 1
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_log = logging.getLogger(__name__)


class ShippedFolder:
    """Reads and writes one folder of shipped artefacts; manifests are read once per kind."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._manifests: dict[str, list[dict[str, Any]]] = {}
        self._verified: set[Path] = set()

    def manifests(self, kind: str) -> list[dict[str, Any]]:
        """The manifests of a kind, by name; unreadable ones are left out and logged."""
        if kind not in self._manifests:
            place = self.folder / _checked("kind", kind)
            for payload in place.glob("*.safetensors"):
                settle(payload, payload.with_suffix(".json"))
            paths = sorted(place.glob("*.json"))
            self._manifests[kind] = [manifest for path in paths if (manifest := _read_manifest(path))]
        return list(self._manifests[kind])

    def find(self, kind: str, address: str) -> Artifact | None:
        """The artefact at an address, None when it is not shipped.

        The SHA-256 is compared once per process and file.

        Raises:
            DigestMismatch: the payload is missing or is not the one its manifest describes.
        """
        for manifest in self.manifests(kind):
            if manifest["digest"] == address:
                return decode(self._payload(self.folder / kind / f"{manifest['name']}.safetensors", manifest))
        return None

    def write(self, name: str, kind: str, key: Mapping[str, Any], artifact: Artifact, about: Mapping[str, Any]) -> Path:
        """Write payload and manifest, which a kill never leaves apart; returns the payload's path.

        Raises:
            BadInput: a name that is not one file name, or values JSON cannot hold.
        """
        path = self.folder / _checked("kind", kind) / f"{_checked('name', name)}.safetensors"
        payload = encode(artifact)
        facts = {
            "format": FORMAT,
            "kind": kind,
            "name": name,
            "digest": digest(kind, key),
            "sha256": hashlib.sha256(payload).hexdigest(),
            "bytes": len(payload),
            "key": key,
            "about": about,
        }
        manifest = json.dumps(json.loads(canonical(facts)), indent=1).encode() + b"\n"
        write_pair(path, payload, path.with_suffix(".json"), manifest)
        self._manifests.pop(kind, None)
        self._verified.discard(path)
        return path

    def _payload(self, path: Path, manifest: Mapping[str, Any]) -> bytes:
        payload = path.read_bytes() if path.is_file() else b""
        if path not in self._verified and hashlib.sha256(payload).hexdigest() != manifest["sha256"]:
            raise DigestMismatch(
                f"{path} is not the file its manifest describes: {len(payload)} bytes, {manifest['bytes']} expected. "
                f"Restore it with `git checkout -- {path}`."
            )
        self._verified.add(path)
        return payload


def _checked(what: str, text: str) -> str:
    if not _NAME.fullmatch(text):
        raise BadInput(f"{what} {text!r} is not one file name. Use letters, digits, '.', '_' and '-'.")
    return text


def _read_manifest(path: Path) -> dict[str, Any] | None:
    try:
        facts: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if (facts["name"], facts["format"]) != (path.stem, FORMAT):
            raise ValueError("name or format differ")
        if digest(facts["kind"], facts["key"]) != facts["digest"]:
            raise ValueError("the digest is not its key's")
        return {**facts, "sha256": str(facts["sha256"]), "bytes": int(facts["bytes"])}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, BadInput) as error:
        _log.warning("%s is not a manifest and is left out (%s: %s).", path, type(error).__name__, error)
        return None
