"""One spelling: what is written is read back as it was, for every plug-in, option, edit, member and nesting."""

from __future__ import annotations

import dataclasses
import re
import struct
from typing import Any

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from locality.datasets import DATASETS, Source
from locality.denoisers import DENOISERS
from locality.edits import EDITS, chain_text, parse_chain
from locality.edits.parts.masks import is_picture
from locality.errors import BadInput, UnknownName
from locality.grammar import Words, quoted, read, read_chain, read_list, value_text, write, write_list
from locality.networks import NETWORKS
from locality.specs import Registry, Spec

AWKWARD = st.text(alphabet="ab/.+,=:#%();&?\"' \t\n\\é猫") | st.text()
REGISTRIES: tuple[Registry[Any], ...] = (DATASETS, EDITS, DENOISERS, NETWORKS)
CLASSES = [pytest.param(kind, kind[name], id=f"{kind.kind}-{name}") for kind in REGISTRIES for name in kind]


def values(field: dataclasses.Field[Any]) -> st.SearchStrategy[Any]:
    """Any value that a field may hold."""
    about = field.metadata["param"]
    if about.choices:
        return st.sampled_from(about.choices)
    whole = st.integers(about.low, about.high)
    kinds: dict[type, st.SearchStrategy[Any]] = {
        bool: st.booleans(),
        int: whole,
        float: st.floats(about.low, about.high, allow_nan=False, allow_infinity=False),
        str: AWKWARD.filter(lambda text: not is_picture(text)),  # a picture is read: the mask is its pixels
        tuple: st.one_of(*(st.tuples(*[whole] * size) for size in range(4))),
    }
    return kinds[type(field.default)]


def options(cls: type[Spec]) -> st.SearchStrategy[dict[str, Any]]:
    """Any options of a class, by name."""
    return st.fixed_dictionaries({}, optional={field.name: values(field) for field in dataclasses.fields(cls)})


def made(cls: type[Spec], given: dict[str, Any]) -> Any:
    """The spec, where the options go together. (Not within a strategy: the shape checker draws random numbers.)"""
    try:
        return cls(**given)
    except BadInput:
        assume(False)


def bits(spec: Spec) -> list[Any]:
    """The values, floats to the last bit."""
    found = (getattr(spec, field.name) for field in dataclasses.fields(spec))
    return [struct.pack("<d", one) if isinstance(one, float) else one for one in found]


CHANGES = st.sampled_from(list(EDITS)).flatmap(lambda name: st.tuples(st.just(name), options(EDITS[name])))


@pytest.mark.parametrize(("registry", "cls"), CLASSES)
@given(data=st.data())
def test_every_plug_in_comes_back_from_its_text(registry: Registry[Any], cls: type[Spec], data: st.DataObject) -> None:
    spec = made(cls, data.draw(options(cls)))
    found = registry.parse(spec.text())
    assert type(found) is cls
    assert bits(found) == bits(spec)
    assert found.text() == spec.text()


@pytest.mark.parametrize("base", list(DATASETS))
@given(data=st.data(), changes=st.lists(CHANGES, max_size=3))
def test_every_dataset_with_edits_comes_back_from_its_text(base: str, data: st.DataObject, changes: list[Any]) -> None:
    spec = made(DATASETS[base], data.draw(options(DATASETS[base])))
    edits = [made(EDITS[name], given) for name, given in changes]
    text = "+".join([spec.text(), chain_text(edits)] if edits else [spec.text()])
    (name, found), *items = read_chain(text, DATASETS.words(), EDITS.words())
    assert DATASETS[name].parse(found) == spec
    assert [EDITS[name].parse(found) for name, found in items] == edits


@given(value=AWKWARD, name=st.sampled_from(["path", "a", "last"]), before=AWKWARD, after=AWKWARD)
@example(value="a=(b", name="path", before="x", after="d)")
def test_any_text_survives_in_any_order_and_depth(value: str, name: str, before: str, after: str) -> None:
    given = {"first": before, name: value, "z": after}
    known = {"thing": Words("", ["z"]), "b": Words()}
    for thing in (given, dict(reversed(given.items()))):
        text = write("thing", thing)
        assert read(text) == ("thing", thing)
        outer = write("outer", {"of": text, "z": after})
        assert read(read(outer)[1]["of"]) == ("thing", thing)
        found = read_chain(f"{text}+b+{outer}", known, known)
        assert found == [("thing", thing), ("b", {}), ("outer", {"of": text, "z": after})]


ITEMS = st.one_of(
    AWKWARD, st.sampled_from(["wiener", "ls:window=3,border=zeros", "untrained:unet:channels=16-32,blocks=2"])
)


@given(st.lists(ITEMS, min_size=1, max_size=4))
@example(["stack:members=(wiener:rank=1,shrinkage=0.5+optimal),first=3", "unet"])
@example(["ls:window=3", "first=3"])
def test_lists_come_back(items: list[str]) -> None:
    assert read_list(write_list(items)) == items


def test_a_list_as_one_types_it() -> None:
    found = read_list(
        "wiener, ls:window=3,border=zeros,unet,stack:members=(wiener:rank=2,shrinkage=0+nearest),first=3,/a:b=c"
    )
    assert found == [
        "wiener",
        "ls:window=3,border=zeros",
        "unet",
        "stack:members=(wiener:rank=2,shrinkage=0+nearest),first=3",
        "/a:b=c",
    ]


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_floats_come_back_to_the_last_bit_and_need_no_quotes(value: float) -> None:
    text = value_text(value)
    assert struct.pack("<d", float(text)) == struct.pack("<d", value)
    assert quoted(text) == text


def test_the_spelling_of_old_texts_stays() -> None:
    edits = "pattern:mask=W,strength=0.5+blur:radius=1+mix:dataset=mnist,share=0.5"
    assert chain_text(parse_chain("pattern:W+blur+mix:mnist")) == edits
    assert Source.parse(f"faces+{edits}").edits == parse_chain(edits)


@pytest.mark.parametrize(
    ("text", "path", "edits"),
    [
        ("folder:resolution=32,path=/x/cats+dogs", "/x/cats+dogs", ""),
        ("folder:path=/x/cats+dogs,resolution=32", "/x/cats+dogs", ""),
        ("folder:path=/x/cats+dogs+blur:2", "/x/cats+dogs", "blur:2"),
        ("folder:path=/x/cats+blur", "/x/cats", "blur"),
        ("folder:path=(/x/cats+blur)", "/x/cats+blur", ""),
        ("folder:path=(/x/cats+blur),resolution=8+blur", "/x/cats+blur", "blur"),
        ("folder:path=/x/a, b,,c (1),resolution=8", "/x/a, b,,c (1)", ""),
        ("folder:path=/x/100%2B #1;=:", "/x/100%2B #1;=:", ""),
        ("folder:path=%(/x/:-%29 100%25)", "/x/:-) 100%", ""),
        ("folder:path=/a+b/c+d.zip,resolution=32+pattern:W+blur", "/a+b/c+d.zip", "pattern:W+blur"),
        (" folder : path = /x/y , resolution = 8 + blur ", "/x/y", "blur"),
    ],
)
def test_paths_as_one_types_them(text: str, path: str, edits: str) -> None:
    source = Source.parse(text)
    assert source.spec.path == path  # type: ignore[attr-defined]
    assert source.edits == parse_chain(edits)


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("mnist+dogs", UnknownName, "Unknown edit 'dogs'"),
        ("power_law:a=1+dogs", UnknownName, "Unknown edit 'dogs'"),
        ("mnist+pattern:W+blurr", UnknownName, "Unknown edit 'blurr'"),
        ("mnist+pattern:W,strength=0.5+blurr:2", UnknownName, "Unknown edit 'blurr'"),
        ("mnist+", UnknownName, "Unknown edit ''"),
        ("mnist+pattern:W,ring", BadInput, "Option 'ring' of 'pattern' has no value. Write pattern:ring=VALUE."),
        ("power_law:a=1,contrast", BadInput, "Option 'contrast' of 'power_law' has no value"),
        ("folder:path=/x,colour=red", BadInput, "folder has no option 'colour'"),
    ],
)
def test_what_cannot_be_read_is_named(text: str, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=re.escape(message)):
        Source.parse(text)
