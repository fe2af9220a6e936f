"""What is asked for: models with their options and how images are drawn. All of it is in the address bar."""

from __future__ import annotations

from dataclasses import dataclass, fields

import streamlit as st

from locality.datasets import Source
from locality.denoisers import DENOISERS
from locality.errors import BadInput, LocalityError, UnknownName
from locality.grammar import read, value_text, write
from locality.studies import Sampling
from pages._ui.cached import networks_of
from pages._ui.controls import option, start_option
from pages._ui.guard import guard
from pages._ui.samples.rows import grid_of

MOST = 64  # images a model: more columns are not looked at one by one
LARGEST = 200 * 10**6  # bytes of one model's trajectory: a server holds several
_USUAL = ("optimal", "wiener", "pca_locality")
_VISIBLE = ("count", "steps", "seed")
_URL = {"count": "n"}  # names in the address bar where they differ
_MODELS, _PREFIX = "samples_models", "sampling"


@dataclass(frozen=True)
class Asked:
    """Models as text, `name:option=value,...`, in rows from the top, and how images are drawn."""

    texts: tuple[str, ...]
    sampling: Sampling


def choose(source: Source) -> Asked:
    """Draw the controls, started from the link, and write what they say back to it.

    Raises:
        BadInput: options that do not go together, or more numbers than a page can hold.
        DataUnavailable: neither images nor statistics nor a network of this dataset are on the machine.
    """
    trained = networks_of(source.text)
    if not trained and not source.available:
        source.known_fingerprint("train")  # nothing could run: say once what is missing
    known = [*DENOISERS, *(name for name in trained if name not in DENOISERS)]
    _start(source, known)
    names = st.multiselect(
        "Models",
        known,
        key=_MODELS,
        persist_state="session",
        placeholder="Choose one or more",
        format_func=lambda name: name if name in DENOISERS else f"{name} (trained network)",
        help="Each generates a row of images from the same noise. Point at a row's name to read what it does.",
    )
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        values = _sampling()
        texts = _models(names)
    sampling = Sampling.parse(values)
    _check_size(source, sampling)
    _write_address(texts, values)
    return Asked(texts, sampling)


def _start(source: Source, known: list[str]) -> None:
    """First values of all widgets, from the link where it has them; what is wrong with it is reported once."""
    if _MODELS not in st.session_state:
        asked = st.query_params.get_all("model")
        found = [name for text in asked if (name := _start_model(text, known))]
        st.session_state[_MODELS] = list(dict.fromkeys(found)) or _defaults(source, known)
    for name in [field.name for field in fields(Sampling)]:
        _start_sampling(name)
    chosen = st.session_state[_MODELS]
    if not set(chosen) <= set(known):  # another dataset has other networks
        st.session_state[_MODELS] = [name for name in chosen if name in known] or _defaults(source, known)
    for name in st.session_state[_MODELS]:
        _start_model(name, known)


def _defaults(source: Source, known: list[str]) -> list[str]:
    """Those whose samples come with the repository; else a few, that average training images only where these are."""
    grid = grid_of(source)
    if grid is not None:
        return [name for name in grid.drawn if name in known]
    usual = _USUAL if source.available else ("wiener",)
    return [name for name in (*usual, *list(networks_of(source.text))[:1]) if name in known]


def _start_model(text: str, known: list[str]) -> str:
    """The model's name, its options' widgets started; "" where the text makes no model."""
    with guard():
        name, options = read(text)
        if name not in known:
            raise UnknownName("model", name, known)
        if name not in DENOISERS:
            if options:
                raise BadInput(f"The trained network {name!r} has no options; the link asks for {text!r}.")
            return name
        cls = DENOISERS[name]
        cls.parse(options)
        for field in fields(cls):
            start_option(cls, field.name, prefix=f"samples_{name}", text=options.get(field.name))
        return name
    return ""


def _start_sampling(name: str) -> None:
    asked = st.query_params.get(_URL.get(name, name))
    with guard():
        try:
            if name == "count" and asked is not None and Sampling.parse({name: asked}).count > MOST:
                raise BadInput(f"At most {MOST} images per model here; `python -m locality sample` takes more.")
            start_option(Sampling, name, prefix=_PREFIX, text=asked)
        except LocalityError as error:
            start_option(Sampling, name, prefix=_PREFIX)
            usual = value_text(st.session_state[f"{_PREFIX}_{name}"])
            raise BadInput(f"The link asks for {_URL.get(name, name)}={asked}. {error} Showing {usual}.") from error


def _sampling() -> dict[str, str]:
    """Controls of the sampling options; those that differ from the defaults, as text."""
    found: dict[str, str | None] = {}
    count, steps, seed = (st.session_state[f"{_PREFIX}_{name}"] for name in _VISIBLE)
    with st.popover(f"{count} images, {steps} steps, seed {seed}", icon=":material/tune:"):
        for name in _VISIBLE:
            changed = {"high": MOST, "label": "Images"} if name == "count" else {}
            found[name] = option(Sampling, name, prefix=_PREFIX, **changed)
        for field in fields(Sampling):
            if field.name not in _VISIBLE:
                found[field.name] = option(Sampling, field.name, prefix=_PREFIX)
    return {name: text for name, text in found.items() if text is not None}


def _models(names: list[str]) -> tuple[str, ...]:
    """A popover with the options of all models that have some; the models as text."""
    if not any(name in DENOISERS and fields(DENOISERS[name]) for name in names):
        return tuple(names)
    with st.popover("Options of the models", icon=":material/tune:"):
        return tuple(_model(name) for name in names)


def _model(name: str) -> str:
    """A model's options; the model as text."""
    if name not in DENOISERS or not fields(DENOISERS[name]):
        return name
    cls = DENOISERS[name]
    st.markdown(f"**{name}**")
    st.caption(f"{(cls.__doc__ or '').strip().splitlines()[0]} Time grows as {cls.cost}. {cls.paper}.")
    found = {field.name: option(cls, field.name, prefix=f"samples_{name}") for field in fields(cls)}
    return write(name, {key: text for key, text in found.items() if text is not None})


def _check_size(source: Source, sampling: Sampling) -> None:
    need = 8 * sampling.count * sampling.steps * source.shape.d
    if need > LARGEST:
        most = LARGEST // (8 * sampling.count * source.shape.d)
        raise BadInput(
            f"{sampling.count} images in {sampling.steps} steps take {need / 1e6:,.0f} MB per model; the page holds "
            f"{LARGEST / 1e6:,.0f} MB. Ask for fewer images or at most {most} steps; the command line takes more."
        )


def _write_address(texts: tuple[str, ...], values: dict[str, str]) -> None:
    if st.query_params.get_all("model") != list(texts):
        st.query_params["model"] = list(texts)
    for name in [field.name for field in fields(Sampling)]:
        url, text = _URL.get(name, name), values.get(name)
        if text is None:
            st.query_params.pop(url, None)
        elif st.query_params.get(url) != text:
            st.query_params[url] = text
