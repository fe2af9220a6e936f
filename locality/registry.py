"""Names -> plug-in classes. A new file in a plug-in folder registers itself."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterator, Mapping
from typing import Generic, TypeVar

from locality.errors import UnknownName
from locality.grammar import Words, read
from locality.params import Spec

S = TypeVar("S", bound=Spec)


class Registry(Mapping[str, type[S]], Generic[S]):
    """The spec classes of one plug-in folder, by name."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._classes: dict[str, type[S]] = {}

    def register(self, name: str) -> Callable[[type[S]], type[S]]:
        """Class decorator: give the spec its name and list it."""

        def add(cls: type[S]) -> type[S]:
            cls.name = name
            self._classes[name] = cls
            return cls

        return add

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
