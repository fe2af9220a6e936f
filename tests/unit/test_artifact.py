"""Artefacts survive their bytes; what cannot survive is refused by name."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
import torch

from locality.errors import BadInput, DigestMismatch
from locality.store.artifact import Artifact, as_stored, decode, digest, encode


def test_digest_is_sha256_of_the_documented_text() -> None:
    text = '{"key":{"a":[1,2],"b":0.5},"kind":"wiener"}'
    assert digest("wiener", {"b": 0.5, "a": (1, 2)}) == hashlib.sha256(text.encode()).hexdigest()


@pytest.mark.parametrize(
    ("kind", "key"), [("other", {"a": 1}), ("k", {"a": 2}), ("k", {"b": 1}), ("k", {"a": 1, "b": None}), ("k", {})]
)
def test_digest_tells_kinds_and_keys_apart(kind: str, key: dict[str, Any]) -> None:
    assert digest(kind, key) != digest("k", {"a": 1})


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (float("nan"), r"key\.key\.a is nan: JSON holds finite numbers only"),
        (float("inf"), r"key\.key\.a is inf"),
        ({1: 2}, r"key\.key\.a has the key 1: give strings"),
        ([{"b": {3}}], r"key\.key\.a\[0\]\.b is a set: .* Give a digest of it instead"),
        (torch.zeros(1), r"key\.key\.a is a Tensor"),
        (b"x", r"key\.key\.a is a bytes"),
    ],
)
def test_digest_refuses_what_json_cannot_hold(value: Any, text: str) -> None:
    with pytest.raises(BadInput, match=text):
        digest("k", {"a": value})


@pytest.mark.parametrize(
    "dtype", [torch.uint8, torch.int16, torch.int64, torch.float16, torch.bfloat16, torch.float64, torch.bool]
)
def test_arrays_come_back_bit_by_bit(dtype: torch.dtype) -> None:
    tensor = (torch.arange(24).reshape(2, 3, 4) % 2 + 1).to(dtype)
    back = decode(encode(Artifact({"x": tensor}, {"n": 3}))).arrays["x"]
    assert back.dtype == dtype
    assert back.shape == tensor.shape
    assert torch.equal(back, tensor)


def test_empty_scalar_strided_and_shared_arrays_come_back() -> None:
    whole = torch.arange(12.0).reshape(3, 4)
    arrays = {"t": whole.T, "row": whole[1], "whole": whole, "none": torch.zeros(0, 5), "one": torch.tensor(7)}
    back = decode(encode(Artifact(arrays))).arrays
    assert list(back) == sorted(arrays)
    assert all(torch.equal(back[name], arrays[name]) for name in arrays)


def test_facts_come_back_as_json_values_whether_fresh_or_read() -> None:
    made = Artifact({"b": torch.ones(1), "a": torch.ones(2)}, {"shape": (3, 4), "s": {"é": None}})
    fresh, read = as_stored(made), decode(encode(made))
    assert fresh.meta == read.meta == {"shape": [3, 4], "s": {"é": None}}
    assert list(fresh.arrays) == list(read.arrays)


def test_arrays_safetensors_cannot_hold_are_named() -> None:
    with pytest.raises(BadInput, match=r"cannot be kept .*: z torch\.complex128\. Use real numbers"):
        encode(Artifact({"z": torch.zeros(2, dtype=torch.complex128)}))


@pytest.mark.parametrize("payload", [b"", b"\x05\0\0\0\0\0\0\0hello", encode(Artifact({"a": torch.ones(9)}))[:-4]])
def test_other_bytes_are_not_decoded(payload: bytes) -> None:
    with pytest.raises(DigestMismatch, match="are not a stored artefact"):
        decode(payload)
