"""Names -> plug-in classes. A new file in a plug-in folder registers itself, if its class is complete."""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import pkgutil
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Any, ClassVar, Generic, TypeVar

from locality.errors import BadInput, UnknownName
from locality.grammar import Words, read
from locality.specs.spec import Param, Spec

S = TypeVar("S", bound=Spec)
DIGEST = "__plugin_digest__"  # of a module from outside the package: the digest of its file
_NAME = re.compile(r"[a-z][a-z0-9_]*")


class Registry(Mapping[str, type[S]], Generic[S]):
    """The spec classes of one kind, by name. `base` is what they all derive from."""

    every: ClassVar[list[Registry[Any]]] = []

    def __init__(self, kind: str, base: type = Spec) -> None:
        Registry.every.append(self)
        self.kind = kind
        self._base = base
        self._classes: dict[str, type[S]] = {}

    def register(self, name: str) -> Callable[[type[S]], type[S]]:
        """Class decorator: give the spec its name and list it.

        Raises:
            BadInput: the name is taken or no name, or the class is not complete; says what it lacks.
        """

        def add(cls: type[S]) -> type[S]:
            where = f"The {self.kind} {name!r} ({cls.__module__}.{cls.__qualname__})"
            if not _NAME.fullmatch(name):
                raise BadInput(f"{where} has no name to type: small letters, digits and _, a letter first.")
            if name in self._classes:
                other = self._classes[name]
                raise BadInput(f"{where}: the name is taken by {other.__module__}.{other.__qualname__}. Give another.")
            cls.name = name
            cls.source = getattr(sys.modules.get(cls.__module__), DIGEST, "")
            if lacks := self._lacks(cls):
                raise BadInput(f"{where} is not complete: {'; '.join(lacks)}.")
            self._classes[name] = cls
            return cls

        return add

    def forget(self, module: str) -> None:
        """Leave out the classes of a module."""
        self._classes = {name: cls for name, cls in self._classes.items() if cls.__module__ != module}

    def parse(self, text: str) -> S:
        """`name:option=value,...` -> a checked spec.

        Raises:
            UnknownName: no such plug-in.
            BadInput: an option that does not exist or is out of range.
        """
        name, options = read(text, self.words())
        return self[name].parse(options)

    def words(self) -> dict[str, Words]:
        """What the grammar must know of each plug-in."""
        return {name: cls.words() for name, cls in self._classes.items()}

    def listed(self) -> list[str]:
        """All names in the order in which people are shown them."""
        return sorted(self._classes, key=lambda name: (self._classes[name].place, name))

    def examples(self) -> list[str]:
        """The examples of all classes, by name: what the contract checks run."""
        return [text for name in self for text in self._classes[name].examples]

    def _lacks(self, cls: type[S]) -> list[str]:
        """What keeps a class from being a plug-in; [] for nothing."""
        if not issubclass(cls, self._base):
            return [f"it does not derive from {self._base.__name__}"]
        made = cls.__dict__.get("__dataclass_params__")
        if made is None or not made.frozen:
            return ["it is no frozen dataclass: write @dataclass(frozen=True) below the line that registers it"]
        lacks = [f"{method}() is not written" for method in sorted(cls.__abstractmethods__)]
        lacks += [f"{attribute} is missing" for attribute in _declared(cls) if not hasattr(cls, attribute)]
        lacks += [
            f"the field {field.name} is not made by param(default, help=...)"
            for field in dataclasses.fields(cls)
            if not isinstance(field.metadata.get("param"), Param)
        ]
        if (cls.__doc__ or "").startswith(f"{cls.__name__}("):  # what dataclass writes where there is none
            lacks.append("it has no docstring, whose first line says what it is")
        return lacks or [*_bad_examples(cls), *cls.gaps()]

    def __getitem__(self, name: str) -> type[S]:
        if name not in self._classes:
            raise UnknownName(self.kind, name, self._classes)
        return self._classes[name]

    def __contains__(self, name: object) -> bool:
        return name in self._classes  # Mapping's own waits for a KeyError, which UnknownName is not

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._classes))

    def __len__(self) -> int:
        return len(self._classes)


def import_siblings(package: str, path: list[str]) -> None:
    """Import every module of a plug-in folder; a folder in it, such as `parts`, holds what the plug-ins share."""
    for module in pkgutil.iter_modules(path):
        if not module.ispkg:
            importlib.import_module(f"{package}.{module.name}")


def _declared(cls: type) -> list[str]:
    """The class variables that a class and its bases declare."""
    each = (inspect.get_annotations(base).items() for base in reversed(cls.__mro__))
    return list(dict.fromkeys(name for found in each for name, kind in found if "ClassVar" in str(kind)))


def _bad_examples(cls: type[Spec]) -> list[str]:
    found = [] if cls.examples else ["examples is empty: give at least its name"]
    for text in cls.examples:
        name, options = read(text, {cls.name: cls.words()})
        try:
            if name != cls.name:
                raise BadInput(f"it names {name!r}, and this class is registered as {cls.name!r}")
            cls.parse(options)
        except BadInput as error:
            found.append(f"its example {text!r} does not hold: {str(error).rstrip('.')}")
    return found
