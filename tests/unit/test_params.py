"""Specs: parsed from strings, checked when made, plain as a key."""

from __future__ import annotations

import json
import math
from dataclasses import FrozenInstanceError, dataclass
from typing import Any, ClassVar

import pytest

from locality.errors import BadInput
from locality.grammar import read
from locality.specs import Spec, param


@dataclass(frozen=True)
class Thing(Spec):
    count: int = param(3, help="How many.", low=1, high=10)
    scale: float = param(0.5, help="How large.", low=0.0, unit="pixels")
    mode: str = param("mean", help="Which.", choices=("mean", "max"))
    widths: tuple[int, ...] = param((8, 16), help="Widths.", low=1, high=64)
    on: bool = param(False, help="Whether.")


Thing.name = "thing"


def test_parse_reads_every_type() -> None:
    spec = Thing.parse({"count": "7", "scale": "1.5", "mode": "max", "widths": "4-8-16", "on": "yes"})
    assert spec == Thing(7, 1.5, "max", (4, 8, 16), True)


def test_key_holds_every_field_and_names_the_spec() -> None:
    key = Thing().key()
    assert key == {"name": "thing", "count": 3, "scale": 0.5, "mode": "mean", "widths": (8, 16), "on": False}
    assert json.loads(json.dumps(key))["widths"] == [8, 16]


@dataclass(frozen=True)
class Renamed(Spec):
    now: int = param(3, help="How many.", low=1, high=10, alias="before")
    other: int = param(1, help="Others.")


def test_an_option_by_its_former_name_is_the_same_option() -> None:
    """Texts may give either; keys, under which results are kept, have the former one for ever."""
    assert Renamed.parse({"before": "7"}) == Renamed.parse({"now": "7"}) == Renamed(now=7)
    assert Renamed(now=7).key() == {"name": "", "before": 7, "other": 1}
    with pytest.raises(BadInput, match=r"Renamed: before is another name of now\. Give it once\."):
        Renamed.parse({"now": "7", "before": "7"})
    with pytest.raises(BadInput, match=r"Renamed has no option 'befor'\. Its options: now, other\."):
        Renamed.parse({"befor": "7"})


def test_a_class_from_outside_is_known_by_its_file_too() -> None:
    @dataclass(frozen=True)
    class Outside(Renamed):
        source: ClassVar[str] = "abc"

    assert Outside().key() == {"name": "", "before": 3, "other": 1, "source": "abc"}


def test_specs_are_frozen_hashable_and_equal_by_value() -> None:
    assert {Thing(), Thing(count=3)} == {Thing()}
    with pytest.raises(FrozenInstanceError):
        Thing().count = 4  # type: ignore[misc]


def test_params_describe_fields_in_order() -> None:
    about = Thing.params()
    assert list(about) == ["count", "scale", "mode", "widths", "on"]
    assert (about["count"].low, about["count"].high, about["scale"].unit) == (1, 10, "pixels")
    assert about["mode"].choices == ("mean", "max")


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"size": "3"}, "thing has no option 'size'. Its options: count, scale, mode, widths, on."),
        ({"count": "3.5"}, "thing:count='3.5' is not a whole number."),
        ({"count": ""}, "thing:count='' is not a whole number."),
        ({"scale": "big"}, "thing:scale='big' is not a number."),
        ({"on": "maybe"}, "thing:on='maybe' is not true or false."),
        ({"widths": "8,16"}, "thing:widths='8,16' is not whole numbers joined by '-'."),
        ({"count": "11"}, "thing:count=11 is outside [1, 10]."),
        ({"count": "0"}, "thing:count=0 is outside [1, 10]."),
        ({"scale": "-0.1"}, "thing:scale=-0.1 is outside [0, inf]."),
        ({"scale": "nan"}, "thing:scale=nan is outside [0, inf]."),
        ({"scale": "inf"}, "thing:scale=inf is outside [0, inf]."),
        ({"widths": "8-65"}, "thing:widths=(8, 65) is outside [1, 64]."),
        ({"mode": "sum"}, "thing:mode='sum' is not allowed. Choose one of: mean, max."),
    ],
)
def test_bad_options_are_named_with_what_is_allowed(options: dict[str, str], text: str) -> None:
    with pytest.raises(BadInput) as caught:
        Thing.parse(options)
    assert str(caught.value) == text


def test_both_ends_of_a_range_are_allowed() -> None:
    assert (Thing(count=1).count, Thing(count=10).count, Thing(scale=0.0).scale) == (1, 10, 0.0)


@pytest.mark.parametrize("values", [{"count": 0}, {"scale": math.nan}, {"mode": "sum"}, {"widths": (0,)}])
def test_values_are_checked_when_made_in_python_too(values: dict[str, Any]) -> None:
    with pytest.raises(BadInput, match="thing:"):
        Thing(**values)


@pytest.mark.parametrize(
    ("text", "name", "options"),
    [
        ("faces", "faces", {}),
        ("faces:", "faces", {}),
        ("faces:a=1,b=2", "faces", {"a": "1", "b": "2"}),
        (" faces : a = 1", "faces", {"a": "1"}),
        ("folder:path=/a=b", "folder", {"path": "/a=b"}),
    ],
)
def test_name_and_options_are_read(text: str, name: str, options: dict[str, str]) -> None:
    assert read(text) == (name, options)


def test_an_option_without_a_value_is_named() -> None:
    with pytest.raises(BadInput, match=r"Option 'a' of 'faces' has no value\. Write faces:a=VALUE\."):
        read("faces:a")
