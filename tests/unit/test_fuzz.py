"""Damaged input is read or refused with one message, in bounded time and memory; `make fuzz` tries far more of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from locality.errors import BadInput
from tests.fuzz import CASES, Hang, bounded, fuzz, try_one
from tests.fuzzed import TARGETS, Target

INPUTS = 60  # of each target


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_damaged_input_is_read_or_refused(target: Target) -> None:
    assert not fuzz(target, max(INPUTS // target.cost, 1), 1, keep=False)


KEPT = sorted(CASES.glob("*-*"))


@pytest.mark.parametrize("case", KEPT, ids=lambda case: case.name)
def test_what_once_failed(case: Path, tmp_path: Path) -> None:
    target = {target.name: target for target in TARGETS}.get(case.name.rpartition("-")[0])
    if target is not None:
        assert not try_one(target, case.read_bytes(), tmp_path)


def _raises(_: bytes, __: Path) -> None:
    raise KeyError("x")


def _grows(_: bytes, __: Path) -> None:
    bytearray(b"x") * 2_000_000_000


def _refuses(_: bytes, __: Path) -> None:
    raise BadInput("two\nlines")


@pytest.mark.parametrize(("read", "told"), [(_raises, "KeyError"), (_refuses, "two"), (_grows, "MB")])
def test_the_check_sees_what_it_is_for(read: object, told: str, tmp_path: Path) -> None:
    assert told in try_one(Target("x", [b"x"], read), b"x", tmp_path)  # type: ignore[arg-type]


def test_a_hang_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.fuzz.SECONDS", 0.2)

    def spin() -> None:
        with bounded():
            while True:
                pass

    with pytest.raises(Hang, match="0 s of the processor"):
        spin()
