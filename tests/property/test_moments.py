"""Statistics are integers in the end: no chunking, order or merge may change one of them."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from locality.linear.moments import estimate_moments

IMAGES = st.tuples(st.integers(2, 12), st.integers(1, 40)).flatmap(lambda shape: arrays(np.uint8, shape))


@settings(max_examples=60)
@given(images=IMAGES, data=st.data())
def test_integer_sums_are_exact_for_any_chunks(images: np.ndarray, data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(images)), max_size=4), label="cuts"))
    chunks = [chunk for chunk in torch.tensor_split(torch.from_numpy(images), cuts) if len(chunk)]
    shifted = images.astype(np.int64) - 128
    moments = estimate_moments(chunks)
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
