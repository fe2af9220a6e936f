"""How far each averaging model is from its plain double loop: a table of the largest differences."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from locality.store import Store
from tests import naive
from tests.small_sets import COLOUR, eight_bit, fit, noisy

Array = np.ndarray
SIGMAS = (0.1, 0.5, 2.0)


def run() -> None:
    """Print the table: 12 images of 2x5x6 pixels of 8 bits, two noisy images, three noise levels."""
    images = eight_bit(12)
    plain = images.x0().reshape(-1, *COLOUR).numpy()
    mirrored = naive.with_mirrored(plain)
    draws = torch.randn(10, COLOUR.d, generator=torch.Generator().manual_seed(0)).double()

    def sets(rule: Callable[[Array, float], list[list[int]]]) -> Callable[[Array, float], Array]:
        return lambda x, s: naive.masked(x, plain, s, rule(naive.wiener_matrix(plain, s), 0.1))

    def flexible(x: Array, s: float) -> Array:
        field = naive.wiener_matrix(plain, s)
        return naive.masked(x, mirrored, s, naive.flexible_sets(field, tuple(COLOUR), 0.5))

    def batches(x: Array, s: float) -> Array:
        return naive.masked(x, plain, s, naive.row_rule(naive.wiener_matrix(plain, s), 0.1), 1.0, 5)

    loops: dict[str, Callable[[Array, float], Array]] = {
        "optimal": lambda x, s: naive.optimal(x, plain, s),
        "nearest": lambda x, s: naive.nearest(x, plain),
        "smoothed": lambda x, s: naive.smoothed(x, plain, s, (draws * 0.1 * (1 + s)).reshape(-1, *COLOUR).numpy()),
        "ls:window=3": lambda x, s: naive.local_score(x, plain, s, 3),
        "els:window=3": lambda x, s: naive.equivariant(x, plain, s, 3),
        "bbels:window=3": lambda x, s: naive.border_aware(x, plain, s, 3),
        "pspc_square:window=3": lambda x, s: naive.square_patches(x, mirrored, s, 3),
        "pspc_flex:fraction=0.5": flexible,
        "pca_locality:tau=0.1": sets(naive.row_rule),
        "pca_locality:tau=0.1,mask_rule=code": sets(naive.code_rule),
        "pca_locality:tau=0.1,softmax=batch,batch_size=5": batches,
    }
    print("| largest difference from a plain double loop | float64 | float32 |\n|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder))
        for text, loop in loops.items():
            model, worst = fit(text, images, store), {torch.float64: 0.0, torch.float32: 0.0}
            for sigma in SIGMAS:
                x = noisy(images, 2, sigma)
                expected = np.stack([loop(query, sigma).reshape(-1) for query in x.reshape(-1, *COLOUR).numpy()])
                for dtype in worst:
                    found = model(x.to(dtype), sigma).double().numpy()
                    worst[dtype] = max(worst[dtype], float(np.abs(found - expected).max()))
            print(f"| `{text}` | {worst[torch.float64]:.0e} | {worst[torch.float32]:.0e} |")
        store.close()
