"""What a fresh clone relies on: shipped networks are trained, fit their data, and their tables are theirs."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from locality.datasets import DATASETS, Source
from locality.field import pixel_outputs
from locality.metrics import RATIO_SIGMAS, error_ratio
from locality.studies import (
    Draws,
    find_network,
    finish,
    fit_wiener,
    learned_field,
    learned_table,
    table_row,
    trained_networks,
)
from locality.tables import LEARNED_SIGMAS
from locality.types import Pixel

SHIPPED = Path(__file__).resolve().parents[2] / "cache" / "shipped"
EXPECTED = ("cifar10", "faces", "fashion_mnist", "mnist")


@pytest.mark.parametrize("name", EXPECTED)
def test_a_shipped_network_counts_as_trained(name: str) -> None:
    """Held-out error below the Wiener filter's up to sigma 2, at most 1.05 times it at 5."""
    manifest = find_network(Source.parse(name), "unet").manifest
    ratios = {float(sigma): ratio for sigma, ratio in manifest["error_ratio"].items()}
    assert set(ratios) == set(RATIO_SIGMAS)
    assert all(ratio < (1.0 if sigma <= 2 else 1.05) for sigma, ratio in ratios.items()), ratios
    assert manifest["fingerprint"] == DATASETS[name].fingerprints["train"]
    assert manifest["command"].startswith("python -m locality train")


@pytest.mark.parametrize("name", EXPECTED)
def test_a_shipped_network_loads_and_has_a_table_of_its_own_fields(name: str) -> None:
    trained = find_network(Source.parse(name), "unet")
    denoiser = trained.load()
    x0_hat = denoiser(torch.zeros(2, denoiser.shape.d), 0.5)
    assert bool(x0_hat.isfinite().all())
    table = learned_table(trained)
    assert table is not None
    assert table.meta["sigmas"] == pytest.approx(LEARNED_SIGMAS)
    assert table.meta["dataset"] == name


def test_the_faces_network_has_the_error_its_manifest_states() -> None:
    """Measured again on 128 held-out images: the ratio is one of means, so a few percent may differ."""
    source = Source.parse("faces")
    trained = find_network(source, "unet")
    x0 = source.held_out.x0(slice(0, 128))
    for sigma in (0.2, 2.0):
        again = error_ratio(trained.load(), finish(fit_wiener(source)), x0, sigma)
        assert again == pytest.approx(trained.manifest["error_ratio"][f"{sigma:g}"], rel=0.06)


def test_the_faces_table_holds_the_fields_of_its_draws() -> None:
    source = Source.parse("faces")
    trained = find_network(source, "unet")
    table = learned_table(trained)
    assert table is not None
    draws = Draws(table.meta["draws"], table.meta["seed"])
    index, sigma = 100, LEARNED_SIGMAS[2]
    pixel = Pixel(*table.meta["pixels"][index])
    outputs = pixel_outputs(source.shape, pixel)
    field = learned_field(trained.load(), draws.images(source), outputs, sigma, draws)
    truth = field.values[0].sum(dim=0).flatten()
    # 8 bits after a square root: at most 0.8 % of the largest value
    assert float((table_row(table, 2, index) - truth).abs().max()) < 0.009 * float(truth.abs().max())


def test_shipped_files_stay_small() -> None:
    files = [path for path in SHIPPED.rglob("*") if path.is_file() and path.name != "state.safetensors"]
    assert sum(path.stat().st_size for path in files) < 100e6
    assert {network.dataset for network in trained_networks() if network.folder.is_relative_to(SHIPPED)} == set(
        EXPECTED
    )
