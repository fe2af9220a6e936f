"""What must not happen inside a step on a GPU, found without one: the host waits for the device, or it for the host."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache

import pytest
import torch

from locality.checks.sets import SmallNetwork, eight_bit, noisy
from locality.denoisers import DENOISERS
from locality.denoisers.parts import compiled, products, walk
from locality.device import Compute, Movable, placed, sent
from locality.store import Store
from locality.types import Denoiser, ImageShape
from locality.work import finish
from tests.elsewhere import without_values

META, IMAGES = torch.device("meta"), eight_bit()
SENT = "device.py: return tensor.to(device)"  # without waiting, on a GPU


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Denoiser]]:
    store = Store(tmp_path_factory.mktemp("store"))

    @cache
    def fit(text: str) -> Denoiser:
        spec = DENOISERS.parse(text)
        return finish(spec.fit(IMAGES, Compute(), store, SmallNetwork(IMAGES.shape) if spec.network_needed() else None))

    yield fit
    store.close()


@pytest.fixture
def as_on_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """No compiled loops, fast products of integers; whether x is finite, which is asked once a call, is not asked."""
    for module in (compiled, walk):
        monkeypatch.setattr(module, "kernels", lambda: None)
    monkeypatch.setattr(products, "fast_integers", lambda kind: True)
    monkeypatch.setattr(ImageShape, "check", lambda shape, x: None)


@pytest.mark.usefixtures("as_on_a_gpu")
@pytest.mark.parametrize("text", DENOISERS.examples())
def test_a_call_neither_reads_nor_moves_a_value(fitted: Callable[[str], Denoiser], text: str) -> None:
    """Once the masks of a noise level are made: with little noise (float64) and with much (integers)."""
    model = fitted(text)
    for sigma in (0.05, 5.0):
        model(noisy(IMAGES, 2, sigma, dtype=torch.float32), sigma)  # makes them
        there = placed(model, META)
        x = torch.empty(3, IMAGES.shape.d, device=META)
        there(x, sigma)  # moves them
        seen = without_values(lambda there=there, x=x, sigma=sigma: there(x, sigma))
        assert [copy for copy in seen.copies if SENT not in copy] == []
        assert seen.meetings == []


def test_what_is_read_and_what_moves_is_found() -> None:
    """The watch itself: each mistake it is for."""
    x, here = torch.empty(3, 4, device=META), torch.ones(4)
    assert len(without_values(lambda: here.to(META)).copies) == 1
    assert len(without_values(lambda: x.copy_(torch.ones(3, 4))).copies) == 1
    assert len(without_values(lambda: x.scatter(1, torch.zeros(3, 1).long(), x)).meetings) == 1
    assert without_values(lambda: (x * 2.0, x * torch.tensor(2.0), x[:, 1])).meetings == []
    readings = (lambda: x.sum().item(), lambda: x.tolist(), lambda: bool(x.any()), lambda: x[x > 0], lambda: x.cpu())
    for reading in readings:
        with pytest.raises((RuntimeError, NotImplementedError)):
            without_values(reading)


def test_the_watch_sees_a_sent_tensor_as_sent() -> None:
    assert SENT in without_values(lambda: sent(torch.ones(3), META)).copies[0]


def test_models_are_placed_part_by_part(fitted: Callable[[str], Denoiser]) -> None:
    """What calls read is on the device; what numbers are read from, and what is there already, stays as it is."""
    for text in DENOISERS.examples():
        model = fitted(text)
        assert placed(model, torch.device("cpu")) is model or isinstance(model, Movable)
    stack = placed(fitted("stack:members=wiener+optimal+pca_locality,validation=8"), META)
    assert [str(part.device) for part in (stack.mean, stack.means, stack.weights)] == ["meta", "meta", "cpu"]  # type: ignore[attr-defined]
    blended = placed(fitted("patch_mixture:window=3,components=2"), META)
    assert blended.mixture.eigvecs.device == blended.blend.wiener.eigvecs.device == META  # type: ignore[attr-defined]
    assert blended.blend.weights.device.type == "cpu"  # type: ignore[attr-defined]
