"""Heartbeats: who hears them, nested calls, cancelling, and that every streaming model sends them."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
import torch

from locality.checks.small import small
from locality.device import Compute
from locality.store import Store
from locality.types import Denoiser
from locality.work import heartbeat, listening, within
from tests.small_sets import eight_bit, fit, noisy


class Stop(Exception):
    """What a listener raises to cancel."""


def test_beats_reach_the_innermost_listener_only() -> None:
    outer: list[float] = []
    inner: list[float] = []
    heartbeat(0.1)  # nobody listens: nothing happens
    with listening(outer.append):
        heartbeat(0.2)
        with listening(inner.append):
            heartbeat(0.3)
        heartbeat(0.4)
    heartbeat(0.5)
    assert (outer, inner) == ([0.2, 0.4], [0.3])


def test_a_listener_that_raises_cancels_and_is_gone() -> None:
    def stop(fraction: float) -> None:
        raise Stop

    with pytest.raises(Stop), listening(stop):
        heartbeat(0.5)
    heartbeat(0.6)


def test_parts_fill_their_share_of_the_whole() -> None:
    heard: list[float] = []
    with listening(heard.append):
        with within(0.5, 1.0):
            heartbeat(0.0)
            with within(0.0, 0.5):
                heartbeat(1.0)
            heartbeat(1.0)
        heartbeat(0.25)
    assert heard == [0.5, 0.75, 1.0, 0.25]


def test_a_part_of_nothing_beats_nowhere() -> None:
    with within(0.0, 0.5):
        heartbeat(1.0)


def test_beats_stay_in_their_thread() -> None:
    heard: list[float] = []
    with listening(heard.append):
        other = threading.Thread(target=heartbeat, args=(0.5,))
        other.start()
        other.join()
    assert heard == []


def test_a_stack_beats_through_all_its_members_and_can_be_cancelled(tmp_path: Path) -> None:
    """Fractions rise to 1; little memory makes more chunks; what a listener raises passes through."""
    images, store, text = eight_bit(), Store(tmp_path), "stack:members=optimal+pca_locality,validation=8"
    x = noisy(images, 2, 0.6, dtype=torch.float32)

    def fitted(compute: Compute) -> Denoiser:
        return fit(text, images, store, compute=compute)

    heard = []
    for model in (fitted(Compute()), small(fitted, x, 0.6)):
        heartbeats: list[float] = []
        with listening(heartbeats.append):
            model(x, 0.6)
        assert heartbeats == sorted(heartbeats)
        assert heartbeats[-1] == pytest.approx(1.0)
        assert 0 < heartbeats[0] <= 1
        heard.append(len(heartbeats))
    assert heard[1] > heard[0]

    def stop(fraction: float) -> None:
        raise Stop

    with pytest.raises(Stop), listening(stop):
        model(x, 0.6)
    store.close()
