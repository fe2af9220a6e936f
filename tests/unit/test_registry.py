"""Names -> plug-ins."""

from __future__ import annotations

import sys
from abc import abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import pytest

from locality.errors import BadInput, UnknownName
from locality.specs import Registry, Spec, import_siblings, param


@pytest.fixture
def registry() -> Registry[Spec]:
    made: Registry[Spec] = Registry("thing")

    @made.register("zeta")
    @dataclass(frozen=True)
    class Zeta(Spec):
        """Last in the alphabet."""

        examples: ClassVar[tuple[str, ...]] = ("zeta", "zeta:size=4")

        size: int = param(1, help="Size.", low=1, high=9)

    @made.register("alpha")
    @dataclass(frozen=True)
    class Alpha(Spec):
        """First in the alphabet, and last in a list."""

        examples: ClassVar[tuple[str, ...]] = ("alpha",)
        place: ClassVar[int] = 101

    return made


def test_a_registry_is_a_sorted_mapping_of_classes(registry: Registry[Spec]) -> None:
    assert list(registry) == ["alpha", "zeta"]
    assert len(registry) == 2
    assert "zeta" in registry
    assert registry["zeta"].name == "zeta"


def test_people_see_the_order_that_classes_ask_for(registry: Registry[Spec]) -> None:
    assert registry.listed() == ["zeta", "alpha"]
    assert registry.examples() == ["alpha", "zeta", "zeta:size=4"]


@dataclass(frozen=True)
class Kind(Spec):
    """What all of a kind share."""

    paper: ClassVar[str]  # without a value: every plug-in gives it
    colour: ClassVar[str] = "red"

    @abstractmethod
    def fit(self) -> None: ...


@dataclass(frozen=True)
class Whole(Kind):
    """Nothing is missing."""

    paper: ClassVar[str] = "Somebody 1949"
    examples: ClassVar[tuple[str, ...]] = ("whole:size=3",)
    size: int = param(1, help="Size.", low=1, high=9)

    def fit(self) -> None:
        return None


def test_a_complete_class_is_listed() -> None:
    kinds: Registry[Kind] = Registry("kind", Kind)
    assert kinds.register("whole")(Whole) is Whole
    assert kinds["whole"].name == "whole"
    assert kinds.parse("whole:size=3").size == 3  # type: ignore[attr-defined]


@dataclass(frozen=True)
class Bare(Kind):
    """Names nothing and does nothing."""


@dataclass(frozen=True)
class Plain(Whole):
    """Has a field of its own making."""

    loose: int = 3


class Unmade(Whole):
    """No dataclass of its own."""


@dataclass(frozen=True)
class Silent(Whole):
    examples: ClassVar[tuple[str, ...]] = ("whole",)


@dataclass(frozen=True)
class Stranger(Spec):
    """Of another kind."""

    examples: ClassVar[tuple[str, ...]] = ("whole",)


@dataclass(frozen=True)
class Unlike(Whole):
    """Its examples do not hold."""

    examples: ClassVar[tuple[str, ...]] = ("other", "whole:size=10", "whole:colour=red")


@dataclass(frozen=True)
class Empty(Whole):
    """Gives none."""

    examples: ClassVar[tuple[str, ...]] = ()


@dataclass(frozen=True)
class Particular(Whole):
    """Its kind asks for more."""

    @classmethod
    def gaps(cls) -> list[str]:
        return ["symbol is missing"]


@pytest.mark.parametrize(
    ("cls", "lacks"),
    [
        (Bare, r"fit\(\) is not written; examples is missing; paper is missing\."),
        (Plain, r"the field loose is not made by param\(default, help=\.\.\.\)\."),
        (Unmade, r"it is no frozen dataclass: write @dataclass\(frozen=True\) below the line that registers it\."),
        (Silent, r"it has no docstring, whose first line says what it is\."),
        (Stranger, r"it does not derive from Kind\."),
        (
            Unlike,
            r"'other' does not hold: it names 'other', and this class is registered as 'whole'; "
            r".*size=10 is outside \[1, 9\].*no option 'colour'",
        ),
        (Empty, r"examples is empty: give at least its name\."),
        (Particular, r"symbol is missing\."),
    ],
)
def test_a_class_that_is_not_complete_is_refused_by_name(cls: type[Kind], lacks: str) -> None:
    kinds: Registry[Kind] = Registry("kind", Kind)
    with pytest.raises(BadInput, match=rf"^The kind 'whole' \(.*{cls.__name__}\) is not complete: .*{lacks}"):
        kinds.register("whole")(cls)
    assert "whole" not in kinds


def test_a_name_is_given_once(registry: Registry[Spec]) -> None:
    with pytest.raises(BadInput, match=r"^The thing 'zeta' \(.*Whole\): the name is taken by .*Zeta\. Give another\."):
        registry.register("zeta")(Whole)
    assert registry["zeta"].__name__ == "Zeta"
    assert Whole.name == "whole"


@pytest.mark.parametrize("name", ["", "Zeta", "2d", "my-model", "a b", "a+b", "a:b"])
def test_a_name_can_be_typed(registry: Registry[Spec], name: str) -> None:
    with pytest.raises(BadInput, match="has no name to type: small letters, digits and _, a letter first"):
        registry.register(name)(Whole)


def test_parse_makes_a_spec_that_parses_back(registry: Registry[Spec]) -> None:
    spec = registry.parse("zeta:size=4")
    assert spec.key() == {"name": "zeta", "size": 4}
    assert registry.parse("zeta") == registry["zeta"]()


def test_unknown_names_list_what_exists(registry: Registry[Spec]) -> None:
    with pytest.raises(UnknownName, match=r"Unknown thing 'zet'\. Did you mean 'zeta'\? Known: alpha, zeta\."):
        registry.parse("zet")
    assert "zet" not in registry
    with pytest.raises(BadInput, match=r"zeta:size=10 is outside \[1, 9\]"):
        registry.parse("zeta:size=10")


def test_siblings_are_imported_but_for_shared_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "plugins_under_test"
    (package / "parts").mkdir(parents=True)
    for name in ("__init__", "one", "parts/__init__", "parts/shared"):
        (package / f"{name}.py").write_text("")
    monkeypatch.syspath_prepend(str(tmp_path))
    import_siblings("plugins_under_test", [str(package)])
    loaded = {name for name in sys.modules if name.startswith("plugins_under_test")}
    for name in loaded:
        monkeypatch.delitem(sys.modules, name)
    assert loaded == {"plugins_under_test", "plugins_under_test.one"}
