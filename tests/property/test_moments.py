"""Statistics are integers in the end: no chunking, order or merge may change one of them."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from locality.linear.moments import PixelMoments, estimate_moments

IMAGES = st.tuples(st.integers(2, 12), st.integers(1, 40)).flatmap(lambda shape: arrays(np.uint8, shape))


@settings(max_examples=60)
@given(images=IMAGES, data=st.data())
def test_integer_sums_are_exact_for_any_chunks(images: np.ndarray, data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(images)), max_size=4), label="cuts"))
    chunks = [chunk for chunk in torch.tensor_split(torch.from_numpy(images), cuts) if len(chunk)]
    shifted = images.astype(np.int64) - 128
    moments = estimate_moments(chunks)
    assert isinstance(moments, PixelMoments)
    assert moments.count == len(images)
    assert (moments.sums.numpy() == shifted.sum(axis=0)).all()
    assert (np.triu(moments.gram.numpy()) == np.triu(shifted.T @ shifted)).all()


@settings(max_examples=30)
@given(images=IMAGES, data=st.data())
def test_order_and_merging_change_nothing(images: np.ndarray, data: st.DataObject) -> None:
    order = data.draw(st.permutations(range(len(images))), label="order")
    cut = data.draw(st.integers(1, len(images) - 1), label="cut")
    shuffled = torch.from_numpy(images[order])
    merged = estimate_moments([shuffled[:cut]]) + estimate_moments([shuffled[cut:]])
    whole = estimate_moments([torch.from_numpy(images)])
    assert torch.equal(merged.cov(), whole.cov())
    assert torch.equal(merged.mean(), whole.mean())


WHOLE = st.tuples(st.integers(2, 12), st.integers(1, 20)).flatmap(
    lambda shape: arrays(np.int64, shape, elements=st.integers(-1000, 1000))
)


@settings(max_examples=60)
@given(images=WHOLE, offset=st.integers(-(10**6), 10**6), data=st.data())
def test_float_images_merge_in_any_order_and_chunks(images: np.ndarray, offset: int, data: st.DataObject) -> None:
    """Against whole numbers; each of the two means is rounded to 2e-10 at most, and enters times a deviation."""
    order = data.draw(st.permutations(range(len(images))), label="order")
    cut = data.draw(st.integers(1, len(images) - 1), label="cut")
    size = data.draw(st.integers(1, len(images)), label="size")
    n, whole = len(images), images.astype(object)
    sums = whole.sum(axis=0)
    exact = (n * (whole.T @ whole) - np.outer(sums, sums)).astype(float) / (n * (n - 1))
    values = torch.from_numpy(images[order] + offset).double()
    first, second = (estimate_moments(part.split(size)) for part in (values[:cut], values[cut:]))
    for moments in (first + second, second + first, estimate_moments(values.split(size))):
        assert moments.count == n
        bound = 1e-12 * 1000**2 + 2e-9 * 1000
        np.testing.assert_allclose(moments.cov().numpy(), exact, rtol=0, atol=bound)
