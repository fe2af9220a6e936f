"""The one spelling of datasets, edits, models and networks: reading it and writing it are inverse.

    chain   item+item+...              a dataset and its edits, edits alone, the members of a stack
    item    name:option=value,option=value
    value   any text | (any text whose parentheses match) | %(text with %25, %28 and %29 for %, ( and ))

Parentheses around a value are not part of it, and nothing inside them is special but that they match: a value
holds a text of this grammar, to any depth, as in `mix:dataset=(faces:variation=0.5+blur:radius=2),share=0.3` or
`stack:members=(wiener:rank=10+patch_mixture:window=5)`. Written are they around values that hold `,` or `+`, start
with `(` or `%(`, or start or end with a space; `%(` where the value's own parentheses do not match. All other
characters (`: = # ; %`, quotes, spaces, any letter) stand for themselves.

Read are also values without parentheses. They end before

- a comma; but where the option holds any text and no `option=` follows, the comma is part of the value:
  `folder:path=/x/cats, dogs`;
- in a chain, a `+` with an item's name and then `:`, `+` or the end behind it; where the option holds any text,
  only with a name that exists: `folder:path=/x/cats+dogs+blur:2` is the folder `/x/cats+dogs`, blurred.

The first option may go without its name where a plug-in says which one is meant: `pattern:W`.

Numbers are written so that every bit comes back: with 12 digits where these suffice, else with all 17.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from locality.errors import BadInput

Item = tuple[str, dict[str, str]]
_SPACE = " \t\n\r\f\v"
_OPTION = re.compile(r"[ \t\n\r\f\v]*([\w-]+)[ \t\n\r\f\v]*=[ \t\n\r\f\v]*", re.ASCII)
_HEAD = re.compile(r"[^:,=(]*:[ \t\n\r\f\v]*[\w-]+[ \t\n\r\f\v]*=[ \t\n\r\f\v]*", re.ASCII)
_NEXT = re.compile(r"\+[ \t\n\r\f\v]*([A-Za-z_]\w*)[ \t\n\r\f\v]*(?=[:+]|\Z)", re.ASCII)


@dataclass(frozen=True)
class Words:
    """What must be known of a plug-in: `main`, the option that may go unnamed, and those that hold any text."""

    main: str = ""
    texts: Collection[str] = ()


def read(text: str, words: Mapping[str, Words] | None = None) -> Item:
    """`name:option=value,...` -> name and options; a `+` is part of the value it stands in.

    Raises:
        BadInput: an option without a value.
    """
    return _Reader(text, words, None).items()[0]


def read_chain(text: str, first: Mapping[str, Words], more: Mapping[str, Words]) -> list[Item]:
    """`item+item+...` -> name and options of each; `first` and `more` say which names exist in which place.

    An unknown name is returned as it is: whoever looks it up has the better message.

    Raises:
        BadInput: an option without a value.
    """
    return _Reader(text, first, more).items()


def write(name: str, options: Mapping[str, str]) -> str:
    """The text that `read` takes apart into just these."""
    listed = ",".join(f"{option}={quoted(value)}" for option, value in options.items())
    return f"{name}:{listed}" if listed else name


def quoted(value: str) -> str:
    """A value as it stands in a text."""
    plain = "," not in value and "+" not in value and value == value.strip(_SPACE)
    return value if plain and not value.startswith(("(", "%(")) else _wrapped(value)


def _wrapped(value: str) -> str:
    if _closing(f"({value})", 0) == len(value) + 1:
        return f"({value})"
    return "%(" + value.replace("%", "%25").replace("(", "%28").replace(")", "%29") + ")"


def read_list(text: str) -> list[str]:
    """`item,item,...` -> items; an item that holds commas of its own is in parentheses, but for those of its options.

    `ls:window=3,border=zeros,unet` is two.
    """
    reader = _Reader(text, None, None)
    found: list[str] = []
    begin, plain = 0, False
    while not found or reader.next(","):
        start = reader.at
        more = _OPTION.match(reader.text, start) if plain and ":" in found[-1] else None
        head = more or _HEAD.match(reader.text, start)
        reader.at = head.end() if head else start
        value, whole = reader.value(False)
        if more:
            found[-1] = reader.text[begin : reader.at].strip(_SPACE)
        else:
            begin, plain = start, whole or head is not None
            found.append(reader.text[begin : reader.at].strip(_SPACE) if plain else value)
    return found


def write_list(items: Iterable[str]) -> str:
    """The text that `read_list` takes apart into just these."""
    return ",".join(item if read_list(f"a:b=c,{item},d") == ["a:b=c", item, "d"] else _wrapped(item) for item in items)


def command(*words: object) -> str:
    """`python -m locality ...` as a shell reads it, whatever the words hold."""
    return shlex.join(["python", "-m", "locality", *map(str, words)])


def value_text(value: Any) -> str:
    """A number, flag, text or tuple of whole numbers, not quoted yet."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return "-".join(map(value_text, value))
    if isinstance(value, float):
        short = f"{value:.12g}"
        return (short if float(short) == value else repr(value)).replace("e+", "e")  # a + would have to be quoted
    return str(value)


def _closing(text: str, start: int) -> int:
    """Where the parenthesis that opens at `start` closes, -1 where it does not."""
    depth = 0
    for i in range(start, len(text)):
        depth += {"(": 1, ")": -1}.get(text[i], 0)
        if depth == 0:
            return i
    return -1


class _Reader:
    """One pass over a text from left to right; `more` is None where a `+` is no separator."""

    def __init__(self, text: str, first: Mapping[str, Words] | None, more: Mapping[str, Words] | None) -> None:
        self.text, self.at, self.first, self.more = text.strip(_SPACE), 0, first, more

    def items(self) -> list[Item]:
        found = [self._item(self.first)]
        while self.next("+"):
            found.append(self._item(self.more))
        return found

    def next(self, mark: str) -> bool:
        """Go past a mark, if it is what comes next."""
        found = self.text.startswith(mark, self.at)
        self.at += len(mark) if found else 0
        return found

    def _item(self, known: Mapping[str, Words] | None) -> Item:
        start = self.at
        while self.at < len(self.text) and self.text[self.at] not in (":" if self.more is None else ":+"):
            self.at += 1
        name = self.text[start : self.at].strip(_SPACE)
        words = Words() if known is None else known.get(name)
        return name, self._options(name, words) if self.next(":") else {}

    def _options(self, name: str, words: Words | None) -> dict[str, str]:
        known, words = words is not None, words or Words()
        options: dict[str, str] = {}
        begin, free, first = 0, "", True  # where the value of the option `free` starts, which may hold commas
        while first or self.next(","):
            named = _OPTION.match(self.text, self.at)
            option = named[1] if named else words.main if first else ""
            if named:
                self.at, free = named.end(), option if option in words.texts else ""
            start = self.at
            value, plain = self.value(bool(free))
            if named or (option and value):
                options[option], begin, free = value, start, free if plain else ""
            elif value and free:
                options[free] = self.text[begin : self.at].strip(_SPACE)
            elif value and known:  # else the name itself is what is wrong
                raise BadInput(f"Option {value!r} of {name!r} has no value. Write {name}:{value}=VALUE.")
            first = False
        return options

    def value(self, free: bool) -> tuple[str, bool]:
        """The value that starts here, and whether it is without parentheses; a free one may hold a `+`."""
        for mark in ("(", "%("):
            if self.text.startswith(mark, self.at):
                end = _closing(self.text, self.at + len(mark) - 1)
                behind = self.text[end + 1 :].lstrip(_SPACE)
                if end >= 0 and (not behind or behind[0] == "," or (behind[0] == "+" and self.more is not None)):
                    inner = self.text[self.at + len(mark) : end]
                    self.at = len(self.text) - len(behind)
                    return (inner if mark == "(" else unquote(inner)), False
        start = self.at
        while self.at < len(self.text) and self.text[self.at] != "," and not self._item_follows(free):
            self.at += 1
        return self.text[start : self.at].strip(_SPACE), True

    def _item_follows(self, free: bool) -> bool:
        """Whether a `+` here ends the item."""
        if self.more is None:
            return False
        found = _NEXT.match(self.text, self.at)
        return found is not None and (not free or found[1] in self.more)
