"""Names -> plug-ins."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from locality.errors import BadInput, UnknownName
from locality.params import Spec, param
from locality.registry import Registry, import_siblings


@pytest.fixture
def registry() -> Registry[Spec]:
    made: Registry[Spec] = Registry("thing")

    @made.register("zeta")
    @dataclass(frozen=True)
    class Zeta(Spec):
        size: int = param(1, help="Size.", low=1, high=9)

    @made.register("alpha")
    @dataclass(frozen=True)
    class Alpha(Spec):
        pass

    return made


def test_a_registry_is_a_sorted_mapping_of_classes(registry: Registry[Spec]) -> None:
    assert list(registry) == ["alpha", "zeta"]
    assert len(registry) == 2
    assert "zeta" in registry
    assert registry["zeta"].name == "zeta"


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
