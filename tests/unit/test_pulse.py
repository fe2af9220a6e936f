"""Beats: who hears them, nested calls, cancelling, and that every streaming model sends them."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
import torch

from locality.device import Compute
from locality.pulse import beat, listening, within
from locality.store import Store
from locality.types import Denoiser
from tests.contracts_denoisers import small
from tests.small_sets import eight_bit, fit, noisy


class Stop(Exception):
    """What a listener raises to cancel."""


def test_beats_reach_the_innermost_listener_only() -> None:
    outer: list[float] = []
    inner: list[float] = []
    beat(0.1)  # nobody listens: nothing happens
    with listening(outer.append):
        beat(0.2)
        with listening(inner.append):
            beat(0.3)
        beat(0.4)
    beat(0.5)
    assert (outer, inner) == ([0.2, 0.4], [0.3])


def test_a_listener_that_raises_cancels_and_is_gone() -> None:
    def stop(fraction: float) -> None:
        raise Stop

    with pytest.raises(Stop), listening(stop):
        beat(0.5)
    beat(0.6)


def test_parts_fill_their_share_of_the_whole() -> None:
    heard: list[float] = []
    with listening(heard.append):
        with within(0.5, 1.0):
            beat(0.0)
            with within(0.0, 0.5):
                beat(1.0)
            beat(1.0)
        beat(0.25)
    assert heard == [0.5, 0.75, 1.0, 0.25]


def test_a_part_of_nothing_beats_nowhere() -> None:
    with within(0.0, 0.5):
        beat(1.0)


def test_beats_stay_in_their_thread() -> None:
    heard: list[float] = []
    with listening(heard.append):
        other = threading.Thread(target=beat, args=(0.5,))
        other.start()
        other.join()
    assert heard == []


STREAMING = [
    "optimal",
    "nearest",
    "smoothed:points=2",
    "ls:window=3",
    "els:window=3",
    "els:window=6",
    "bbels:window=3",
    "pspc_square:window=3",
    "pspc_flex",
    "pca_locality",
    "pca_locality:softmax=batch,batch_size=5",
    "golddiff",
    "stack:members=optimal+pca_locality,judges=8",
]


@pytest.mark.parametrize("text", STREAMING)
def test_models_beat_from_chunk_to_chunk_and_can_be_cancelled(text: str, tmp_path: Path) -> None:
    """Fractions rise to 1; little memory makes more chunks; what a listener raises passes through."""
    images, store = eight_bit(), Store(tmp_path)
    x = noisy(images, 2, 0.6, dtype=torch.float32)

    def fitted(compute: Compute) -> Denoiser:
        return fit(text, images, store, compute=compute)

    heard = []
    for model in (fitted(Compute()), small(fitted, x, 0.6)):
        beats: list[float] = []
        with listening(beats.append):
            model(x, 0.6)
        assert beats == sorted(beats)
        assert beats[-1] == pytest.approx(1.0)
        assert 0 < beats[0] <= 1
        heard.append(len(beats))
    assert heard[1] > heard[0] or "batch" in text or "bbels" in text  # whose chunks are batches and border types

    def stop(fraction: float) -> None:
        raise Stop

    with pytest.raises(Stop), listening(stop):
        model(x, 0.6)
    store.close()
