"""One pass of the page's view: gather what is ready, show it, and compute what the browser cannot."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import streamlit as st
import torch

from locality.datasets import Source
from locality.edits import EditSpec, PlantedSpec, draw_mask, mask_names, mask_text
from locality.fields.codec import SIGMA_HIGH, SIGMA_LOW
from locality.fields.rows import Linear, rows
from locality.linear.wiener import WienerFilter
from locality.types import Pixel
from pages._ui import cached
from pages._ui.architectures import live
from pages._ui.edit.filters import planted_of
from pages._ui.edit.networks import Family, families, reported, stored
from pages._ui.edit.state import COMPONENT, Asked
from pages._ui.explorer import fields
from pages._ui.explorer.basis import basis_file, fits

_MOSAIC = (2, 2)
_SEED = 7  # of the draws that stand for images where these are not on the machine


def show(source: Source, asked: Asked) -> list[Family]:
    """Paint the view; returns the networks beside it."""
    wiener = cached.wiener(source.fingerprint, source)
    before = asked.before(source)
    edit = asked.main
    base = wiener if before == source else cached.wiener(before.fingerprint, before)
    planted = planted_of(source, asked)
    expected = planted is not None and not bool(planted.coupling.any())
    after_source = asked.after(source)
    after = None if planted else cached.wiener(after_source.fingerprint, after_source)
    colour = asked.planted.colour if asked.planted else "white"
    arrays, strengths = _images(source, before, after_source, base, after, edit)
    arrays |= _exact(wiener, planted.at(edit.level) if planted else after, asked)
    if planted is not None:
        arrays |= {
            "strengths": strengths.numpy(),
            "weights": _weights(asked.planted, source),
            "coupling": planted.spectra[1].numpy(),
        }
    beside = families(source, before, edit)
    family = next((one for one in beside if one.name == asked.network), beside[0] if beside else None)
    learned, draws = _learned(source, after_source, family, asked)
    ready = fits(wiener, colour) and fits(base, colour)
    shape = source.shape
    head = {
        "context": f"{source.fingerprint} {_without_dial(asked)} {[one.name for one in beside]}",
        "name": after_source.text,
        "file": after_source.slug,
        "title": edit.heading,
        "before": "The images as they are",
        "shape": list(shape),
        "pixel": list(asked.pixel),
        "sigma": asked.sigma,
        "level": edit.level,
        "colours": asked.colours,
        "seq": asked.seq,
        "range": [SIGMA_LOW, SIGMA_HIGH],
        "mask": None if asked.masked is None else mask_text(draw_mask(asked.masked.mask, shape.h, shape.w)),
        "shapes": {name: mask_text(draw_mask(name, shape.h, shape.w)) for name in mask_names()},
        "live": planted is not None,
        "dial": _dial(edit),
        "mosaic": list(_MOSAIC),
        "images": _captions(source, planted is not None),
        "bases": _bases(source, before, after_source, wiener, base, after, colour) if ready else {},
        "coupled": f"{before.fingerprint} {asked.planted.seed if asked.planted else 0}",
        "variance": 1.0 if planted is None else planted.variance,
        "networks": [reported(one, source) for one in beside],
        "network": family.name if family else "",
        "learned_at": family.name if family else "",
        "draws": f"{draws} draws",
        "empty": _empty(source, beside),
        "status": _status(ready, expected, asked.planted is not None),
        "texts": _TEXTS,
    }
    COMPONENT.show(head, {**arrays, **learned})
    return beside


_TEXTS = {
    "loading": "Loading…",
    "release": "Let go to compute",
    "paint": "Pattern",
    "paintSub": "Paint with the pointer, or take a shape. The field follows while you paint.",
}


def _exact(before: Linear, after: Linear, asked: Asked) -> dict[str, Any]:
    """Fields of the chosen pixel before and after, summed over channels, [hw]."""
    both = {"before": before, "after": after}
    return {name: rows(one, [asked.pixel], asked.sigma).summed()[0, 0].numpy() for name, one in both.items()}


def _images(
    source: Source, before: Source, after: Source, base: WienerFilter, edited: WienerFilter | None, edit: EditSpec
) -> tuple[dict[str, Any], torch.Tensor]:
    """A few images before the last edit where the browser plants it, else before and after all; and the mean.

    Where the images are not on this machine: draws with the same mean and covariance.
    """
    count = _MOSAIC[0] * _MOSAIC[1]
    arrays: dict[str, Any] = {"mean": base.mean.float().numpy()}
    strengths = torch.zeros(count, dtype=torch.float64)
    if isinstance(edit, PlantedSpec):
        strengths = edit.draws(count, "test")
    live_ = edited is None
    if source.available and after.available:
        plain, changed = (before if live_ else source), after
        arrays["images"] = _first(plain, count)
        if not live_:
            arrays["edited"] = _first(changed, count)
    else:
        generator = torch.Generator().manual_seed(_SEED)
        arrays["images"] = base.sample(count, generator).numpy()
        if edited is not None:
            arrays["edited"] = edited.sample(count, torch.Generator().manual_seed(_SEED)).numpy()
    return arrays, strengths


@st.cache_data(max_entries=16, show_spinner=False, hash_funcs={Source: lambda source: source.fingerprint})
def _first(source: Source, count: int) -> Any:
    """The first held-out images, flat."""
    return source.held_out.x0(slice(0, count)).numpy()


def _weights(pattern: PlantedSpec | None, source: Source) -> Any:
    """Weight of the pattern in each channel."""
    assert pattern is not None
    weights = pattern.weights(source.shape).reshape(source.shape.c, -1)
    mask = pattern.pattern(source.shape).flatten()
    first = int(torch.nonzero(mask)[0])
    return (weights[:, first] / mask[first]).float().numpy()


def _learned(source: Source, after: Source, family: Family | None, asked: Asked) -> tuple[dict[str, Any], int]:
    """Fields of the chosen network that are not stored, where the images are here."""
    found: dict[str, Any] = {}
    if family is not None and source.available and after.available:
        nearest = family.nearest(asked.main.level)
        pair = {"before": (source, family.before), "after": (after, nearest[1] if nearest else None)}
        for name, (images, network) in pair.items():
            if network is not None and stored(network) is None:
                found[f"learned_{name}"] = _field(images, network, asked.pixel, asked.sigma)
    return found, live.PLAIN.draws


def _field(images: Source, network: Any, pixel: Pixel, sigma: float) -> Any:
    sha = str(network.manifest["sha256"])
    return np.ascontiguousarray(fields.learned(sha, tuple(pixel), sigma, live.PLAIN, images, network).reshape(-1))


def _bases(
    source: Source,
    before: Source,
    after: Source,
    wiener: WienerFilter,
    base: WienerFilter,
    edited: WienerFilter | None,
    colour: str,
) -> dict[str, str]:
    """Addresses of the bases for the fields before and after."""
    found = {"before": basis_file(source.fingerprint, wiener)}
    if edited is not None:
        found["after"] = basis_file(after.fingerprint, edited)
    elif before == source and colour == "white":
        found["after"] = found["before"]
    else:
        found["after"] = basis_file(before.fingerprint, base, colour)
    return found


def _without_dial(asked: Asked) -> str:
    """The chain without what the browser changes: a new context when anything else does."""
    chain, last = asked.chain, asked.main
    usual = type(last)()
    same = last.scaled(usual.level) if last.dial else last
    if hasattr(same, "mask"):
        same = type(same)(**{**vars(same), "mask": "W"})
    return f"{[edit for edit in chain if edit is not last]} {same}"


def _dial(edit: EditSpec) -> dict[str, Any] | None:
    """The slider of the edit's strength."""
    if not edit.dial:
        return None
    low, high = edit.dial_range
    counts = isinstance(getattr(edit, edit.dial), int)
    label = edit.dial.replace("_", " ")
    step = 1 if counts else 10.0 ** math.floor(math.log10((high - low) / 100))
    return {"label": label, "symbol": edit.symbol or label, "low": low, "high": high, "step": step}


def _captions(source: Source, planted: bool) -> dict[str, str]:
    """What the mosaics show."""
    if not source.available:
        return {"before": "Draws with the same statistics", "after": "The same draws, edited"}
    return {"before": "Test images", "after": "The same, each with its own z" if planted else "The same, edited"}


def _empty(source: Source, beside: Sequence[Family]) -> dict[str, str]:
    """What to say where a learned field is missing."""
    before = "No network of this architecture is trained on the images as they are." if beside else "Train one below"
    known = any(family.after for family in beside)
    return {"before": before, "after": "" if known else "No network is trained on these images yet: train one below."}


def _status(ready: bool, expected: bool, planted: bool) -> str:
    if not ready:
        return "These images are too large for fields in the browser: they follow a click or the release of a slider."
    if expected:
        return "Expectation over the strengths z: for the value of these very images they have to be on this machine."
    return "" if planted else "This edit needs a new eigenbasis: the field follows when the slider is let go."
