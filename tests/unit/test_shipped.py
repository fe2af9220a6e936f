"""Shipped artefacts: found by their key, checked against their manifest, replaced when damaged."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from locality.errors import BadInput, DataUnavailable, DigestMismatch
from locality.store import Artifact, Store, digest

KIND, KEY = "wiener", {"data": "ab12", "spec": {"name": "wiener"}}


def _made() -> Artifact:
    return Artifact({"x": torch.arange(100.0)}, {"n": 5})


def _store(tmp_path: Path) -> Store:
    return Store(tmp_path / "local", tmp_path / "shipped")


@pytest.fixture
def payload(tmp_path: Path) -> Path:
    return _store(tmp_path).ship("cifar10", KIND, KEY, _made(), {"command": "make it"})


def _no_data() -> Artifact:
    raise DataUnavailable("The images are not on this machine.")


def test_the_manifest_says_what_it_is_and_how_it_was_made(tmp_path: Path, payload: Path) -> None:
    assert payload == tmp_path / "shipped" / KIND / "cifar10.safetensors"
    manifest = json.loads(payload.with_suffix(".json").read_text())
    assert manifest == {
        "format": 1,
        "kind": KIND,
        "name": "cifar10",
        "key": KEY,
        "digest": digest(KIND, KEY),
        "sha256": hashlib.sha256(payload.read_bytes()).hexdigest(),
        "bytes": payload.stat().st_size,
        "about": {"command": "make it"},
    }
    assert _store(tmp_path).shipped(KIND) == [manifest]
    assert sorted(path.name for path in payload.parent.iterdir()) == ["cifar10.json", "cifar10.safetensors"]


def test_a_shipped_artefact_is_read_without_a_build_or_a_cache_folder(tmp_path: Path, payload: Path) -> None:
    found = _store(tmp_path).cached(KIND, KEY, _no_data)
    assert torch.equal(found.arrays["x"], _made().arrays["x"])
    assert found.meta == {"n": 5}
    assert not (tmp_path / "local").exists()


def test_what_is_shipped_is_seen_at_once_and_again_when_replaced(tmp_path: Path) -> None:
    store = _store(tmp_path)
    assert store.shipped(KIND) == []
    for number in (1.0, 2.0):
        store.ship("one", KIND, KEY, Artifact({"x": torch.tensor(number)}), {})
        found = store.get(KIND, KEY)
        assert found is not None
        assert found.arrays["x"] == number
    assert len(store.shipped(KIND)) == 1


def _flip(payload: Path) -> None:
    raw = bytearray(payload.read_bytes())
    raw[-1] ^= 1
    payload.write_bytes(raw)


@pytest.mark.parametrize("damage", [_flip, Path.unlink])
def test_a_damaged_payload_is_never_used_but_built_again(
    tmp_path: Path, payload: Path, caplog: pytest.LogCaptureFixture, damage: Callable[[Path], None]
) -> None:
    damage(payload)
    store = _store(tmp_path)
    assert store.get(KIND, KEY) is None
    assert "is not the file its manifest describes" in caplog.text
    assert store.cached(KIND, KEY, lambda: Artifact({"x": torch.zeros(2)})).arrays["x"].tolist() == [0, 0]
    found = store.get(KIND, KEY)
    assert found is not None
    assert found.arrays["x"].tolist() == [0, 0]
    store.close()


def test_where_it_cannot_be_built_the_damage_is_what_is_said(tmp_path: Path, payload: Path) -> None:
    _flip(payload)
    with pytest.raises(DigestMismatch, match=r"cifar10\.safetensors is not the file .* Restore it with `git checkout"):
        _store(tmp_path).cached(KIND, KEY, _no_data)
    with pytest.raises(DataUnavailable):  # another key: the damage is not its reason
        _store(tmp_path).cached(KIND, {}, _no_data)


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"format": 1, "name": "bad", "kind": "wiener", "key": {}, "digest": "0"}', "\xff"]
)
def test_an_unreadable_manifest_is_logged_and_left_out(
    tmp_path: Path, payload: Path, caplog: pytest.LogCaptureFixture, text: str
) -> None:
    payload.with_name("bad.json").write_bytes(text.encode("latin-1"))
    assert [manifest["name"] for manifest in _store(tmp_path).shipped(KIND)] == ["cifar10"]
    assert "bad.json is not a manifest" in caplog.text


def test_a_manifest_of_another_key_is_not_believed(tmp_path: Path, payload: Path) -> None:
    path = payload.with_suffix(".json")
    path.write_text(path.read_text().replace("ab12", "cd34"))
    assert _store(tmp_path).get(KIND, KEY) is None


@pytest.mark.parametrize(("name", "kind"), [("../x", KIND), ("a/b", KIND), ("", KIND), (".x", KIND), ("x", "../k")])
def test_names_are_one_file_name(tmp_path: Path, name: str, kind: str) -> None:
    with pytest.raises(BadInput, match="is not one file name"):
        _store(tmp_path).ship(name, kind, KEY, _made(), {})
    assert not list(tmp_path.rglob("*.safetensors"))


def test_a_store_without_a_shipped_folder_ships_nothing(tmp_path: Path) -> None:
    store = Store(tmp_path)
    assert store.shipped(KIND) == []
    with pytest.raises(BadInput, match="this store has no"):
        store.ship("x", KIND, KEY, _made(), {})
