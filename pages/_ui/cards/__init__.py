"""The cards of the sidebar: a dataset in a picture and a sentence, a network in one badge."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path

import streamlit as st

from locality.datasets import DATASETS
from locality.store.artifact import digest

_HERE = Path(__file__).parent
# From images in which most is to be seen to those without networks, and the reader's own.
_ORDER = ("afhq_cats", "fashion_mnist", "mnist", "cifar10", "faces", "digits", "photos", "power_law")
_LAST = ("celeba_hq", "afhqv2", "folder")


def place_of_card(name: str) -> int:
    """Where a dataset's card stands; those that are not known here come before the ones without shipped results."""
    if name in _LAST:
        return len(_ORDER) + 1 + _LAST.index(name)
    return _ORDER.index(name) if name in _ORDER else len(_ORDER)


def card(name: str) -> str:
    """A dataset's picture, an icon where there is none, and its title, as Markdown."""
    title, path = DATASETS[name].info.title, _HERE / f"{name}.png"
    icon = ":material/folder_open:" if name == "folder" else ":material/photo_library:"
    return f"![]({_picture(path)}) {title}" if path.is_file() else f"{icon} {title}"


@cache
def _picture(path: Path) -> str:
    from pages._ui.explorer import files  # which asks for the choices that these cards are part of

    content = path.read_bytes()
    name = f"card-{digest('card', {'bytes': content.hex()})[:16]}.png"
    return files.address(name, lambda: content)


def verdict(ratios: Mapping[str, float]) -> tuple[str, str]:
    """Whether a network's test error is below the Wiener filter's and at which noise levels, and a colour for it."""
    better = [sigma for sigma, ratio in ratios.items() if ratio < 1]
    if len(better) == len(ratios):
        return "Better than Wiener", "green"
    if better and list(ratios)[: len(better)] == better:
        return f"Better than Wiener up to σ = {better[-1]}", "orange"
    if better:
        return f"Better than Wiener at {len(better)} of {len(ratios)} σ", "orange"
    return "Worse than Wiener", "red"


def show_badge(ratios: Mapping[str, float]) -> None:
    """A network's verdict, and by how much at each noise level."""
    if not ratios:
        return
    (words, colour), low, high = verdict(ratios), min(ratios.values()), max(ratios.values())
    listed = ", ".join(f"{ratio:.2f} at σ = {sigma}" for sigma, ratio in ratios.items())
    st.badge(
        f"{words} (MSE × {low:.2f}–{high:.2f})",
        color=colour,  # type: ignore[arg-type]
        help=f"Test MSE ÷ Wiener MSE by noise level; lower is better, 1 is the Wiener filter: {listed}.",
    )
