"""Hyper-parameters that describe themselves.

A spec is a frozen dataclass whose fields are made by `param`: controls on the pages, options on
the command line and cache keys all follow from the same fields.
"""

from __future__ import annotations

import dataclasses
import math
from abc import ABC
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, TypeVar

from locality.errors import BadInput
from locality.grammar import Words, value_text, write
from locality.sharing import readable

T = TypeVar("T")
S = TypeVar("S", bound="Spec")


@dataclass(frozen=True)
class Param:
    """What a field may hold and how to explain it.

    `alias` is the name it had before: texts may still give it by that name, and keys hold it by that name for ever.
    `place`: it is a path on this computer, which a shared server refuses outside of what its owner lists.
    `later`: it came after results were kept, so that keys leave it out at its default.
    `zero`: the word for 0 in texts.
    """

    help: str
    low: float | int | None = None
    high: float | int | None = None
    unit: str = ""
    choices: tuple[str | int, ...] = ()
    alias: str = ""
    place: bool = False
    later: bool = False
    zero: str = ""


def param(
    default: T,
    *,
    help: str,
    low: float | int | None = None,
    high: float | int | None = None,
    unit: str = "",
    choices: tuple[str | int, ...] = (),
    alias: str = "",
    place: bool = False,
    later: bool = False,
    zero: str = "",
) -> T:
    """A dataclass field with its range, unit and one sentence of help."""
    about = Param(help, low, high, unit, choices, alias, place, later, zero)
    made: T = dataclasses.field(default=default, metadata={"param": about})
    return made


@dataclass(frozen=True)
class Spec(ABC):
    """Base of all hyper-parameter sets: immutable, hashable, checked when made.

    A plug-in says everything about itself on its class: a class variable that a base declares and gives no value
    is one that every plug-in of the kind must give. Its registry refuses a class that leaves one out.
    """

    name: ClassVar[str] = ""
    examples: ClassVar[tuple[str, ...]]  # texts of specs that the contract checks run: every path through its code
    place: ClassVar[int] = 100  # in lists for people: the smaller first, those of one place by name
    source: ClassVar[str] = ""  # digest of the file it comes from where that lies outside the package
    main: ClassVar[str] = ""  # the option a text may give without its name: pattern:W is pattern:mask=W
    named: ClassVar[tuple[str, ...]] = ()  # options that the text always names, at their default too

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            _check(type(self).called(), field.name, getattr(self, field.name), field.metadata["param"])

    def key(self) -> dict[str, Any]:
        """Everything that identifies this spec, as plain JSON values: a plug-in from outside by its file too."""
        about, values = self.params(), dataclasses.asdict(self)
        usual = {field.name: field.default for field in dataclasses.fields(self) if about[field.name].later}
        values = {option: value for option, value in values.items() if option not in usual or value != usual[option]}
        options = {about[option].alias or option: value for option, value in values.items()}
        return {"name": self.name, **options, **({"source": self.source} if self.source else {})}

    @property
    def exempt(self) -> Mapping[str, str]:
        """Contracts that this spec does not meet, each with the reason; the names are those of `locality.checks`."""
        return {}

    @property
    def tolerance(self) -> Mapping[str, float]:
        """Contracts that it meets only to so much, in the units of what is compared, where the usual is finer."""
        return {}

    def text(self) -> str:
        """The spec as it is typed: name, then the options that differ from their defaults; `parse` gives it back."""
        values = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        usual = {field.name: field.default for field in dataclasses.fields(self) if field.name not in self.named}
        given = {option: value for option, value in values.items() if option not in usual or value != usual[option]}
        zeros = {option: about.zero for option, about in self.params().items() if about.zero and not values[option]}
        return write(self.name, {option: zeros.get(option) or value_text(value) for option, value in given.items()})

    def typed(self, **short: str) -> list[str]:
        """The options that differ from their defaults, as a command takes them; `short`: what is not --NAME there."""
        words: list[str] = []
        for field in dataclasses.fields(self):
            value, option = getattr(self, field.name), short.get(field.name, f"--{field.name.replace('_', '-')}")
            if value == field.default:
                continue
            if isinstance(value, bool):
                words.append(option if value else f"--no-{field.name}")
                continue
            many = value if isinstance(value, tuple) else (value,)
            texts = [str(one) for one in many] if isinstance(many[0], str) else [",".join(map(value_text, many))]
            words += [word for text in texts for word in (option, text)]
        return words

    @classmethod
    def words(cls) -> Words:
        """What the grammar must know of it."""
        fields = dataclasses.fields(cls)
        texts = [one.name for one in fields if isinstance(one.default, str) and not one.metadata["param"].choices]
        return Words(cls.main, texts)

    @classmethod
    def called(cls) -> str:
        """What messages call it: its name, or that of its class where it is no plug-in."""
        return cls.name or cls.__name__

    @classmethod
    def summary(cls) -> str:
        """The first line of its documentation, a sentence."""
        return (cls.__doc__ or "").strip().partition("\n")[0]

    @classmethod
    def params(cls) -> dict[str, Param]:
        """Field name -> its description, in declaration order."""
        return {field.name: field.metadata["param"] for field in dataclasses.fields(cls)}

    @classmethod
    def gaps(cls) -> list[str]:
        """What a plug-in of this kind lacks, in words; [] where nothing is. Kinds add what only they ask for."""
        return []

    @classmethod
    def parse(cls: type[S], options: Mapping[str, str]) -> S:  # not Self: the shape checker of the tests refuses it
        """Build from strings, as they come from a command line or a URL.

        Raises:
            BadInput: an option that does not exist, is given twice, does not parse or is out of range.
        """
        fields = {field.name: field for field in dataclasses.fields(cls)}
        now = {about.alias: name for name, about in cls.params().items() if about.alias}
        values: dict[str, Any] = {}
        for given, text in options.items():
            option = now.get(given, given)
            if option not in fields:
                known = ", ".join(fields) or "none"
                raise BadInput(f"{cls.called()} has no option {option!r}. Its options: {known}.")
            if option in values:
                raise BadInput(f"{cls.called()}: {given} is another name of {option}. Give it once.")
            zero = fields[option].metadata["param"].zero
            written = "0" if zero and text == zero else text
            values[option] = _parse(cls.called(), option, written, fields[option].default)
        return cls(**values)


def _flag(text: str) -> bool:
    known = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
    return known[text.lower()]


def _parse(owner: str, option: str, text: str, default: Any) -> Any:
    readers: dict[type, Callable[[str], Any]] = {
        bool: _flag,
        int: int,
        float: float,
        str: str,
        tuple: lambda value: tuple(int(part) for part in value.split("-")) if value else (),
    }
    try:
        return readers[type(default)](text)
    except (ValueError, KeyError):
        kind = {bool: "true or false", int: "a whole number", float: "a number"}
        want = kind.get(type(default), "whole numbers joined by '-'")
        raise BadInput(f"{owner}:{option}={text!r} is not {want}.") from None


def _check(owner: str, option: str, value: Any, about: Param) -> None:
    if about.place and value:
        readable(value)
    if about.choices and value not in about.choices:
        allowed = ", ".join(map(str, about.choices))
        raise BadInput(f"{owner}:{option}={value!r} is not allowed. Choose one of: {allowed}.")
    for number in value if isinstance(value, tuple) else (value,):
        if isinstance(number, str | bool):
            continue
        low = -math.inf if about.low is None else about.low
        high = math.inf if about.high is None else about.high
        if not (math.isfinite(number) and low <= number <= high):
            raise BadInput(f"{owner}:{option}={value!r} is outside [{low:g}, {high:g}].")
