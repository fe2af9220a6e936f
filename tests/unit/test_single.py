"""Fields at single images: against plain loops and numpy, worlds where the answer is known, whole studies."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from locality.datasets import Source
from locality.fields.single import Single, SingleTally
from locality.store import Store
from locality.studies import AgreementPlan, finish, found_agreement, measure_agreement, ship_agreement
from tests.made_up import made_up

PLAN = AgreementPlan(step=3, draws=6, outputs=0, samples=0, sigmas=(0.5, 2.0), single=True)
SHARE = torch.tensor([0.1, 0.3, 0.0, 0.4, 0.2], dtype=torch.float64)
CENTRES = torch.arange(5) * 2 + 1


def fields_of(images: int = 6, models: int = 3) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    common = torch.randn(5, 1, 1, 12, generator=generator)
    return common + torch.randn(5, images, models, 12, generator=generator) + 0.5


def tally(fields: Tensor, chunk: int = 100) -> Single:
    made = SingleTally()
    for part, places, share in zip(fields.split(chunk), CENTRES.split(chunk), SHARE.split(chunk), strict=True):
        made.add(part, places, share)
    return made.result()


def varying(fields: np.ndarray) -> float:
    """Of two models' fields [p k 2 q], by loops: pixels by weight, each by its root mean square over the images."""
    sums = np.zeros((2, 2))
    for p, share in enumerate(SHARE.tolist()):
        one = np.delete(fields[p], int(CENTRES[p]), axis=-1)
        one = one - one.mean(axis=-1, keepdims=True)
        length = np.sqrt((one**2).sum(axis=-1).mean(axis=0))
        away = (one - one.mean(axis=0)) / length[:, None]
        sums += share * np.einsum("knq,kmq->nm", away, away)
    return float(sums[0, 1] / np.sqrt(sums[0, 0] * sums[1, 1]))


def test_r_at_each_image_equals_plain_loops() -> None:
    fields = fields_of()
    found, each = tally(fields), fields.double().numpy()
    want = np.array(
        [
            sum(
                share * np.corrcoef(np.delete(each[p, k], int(CENTRES[p]), axis=-1))
                for p, share in enumerate(SHARE.tolist())
            )
            for k in range(6)
        ]
    )
    np.testing.assert_allclose(found.each.numpy(), want, atol=1e-12)
    np.testing.assert_allclose(found.value.numpy(), want.mean(axis=0), atol=1e-12)
    np.testing.assert_allclose(found.stderr.numpy(), want.std(axis=0, ddof=1) / 6**0.5, atol=1e-12)


def test_what_varies_and_its_error_equal_plain_loops() -> None:
    """The jackknife by leaving every image out in earnest; lengths stay those of all images, as rms_k says."""
    fields = fields_of(models=2)
    found, each = tally(fields), fields.double().numpy()
    assert float(found.varying[0, 1]) == pytest.approx(varying(each), abs=1e-12)
    assert found.varying.diagonal().tolist() == pytest.approx([1.0, 1.0])
    lengths = [np.delete(each[p], int(CENTRES[p]), axis=-1) for p in range(5)]
    lengths = [one - one.mean(axis=-1, keepdims=True) for one in lengths]
    left = []
    for k in range(6):
        sums = np.zeros((2, 2))
        for p, share in enumerate(SHARE.tolist()):
            scale = np.sqrt((lengths[p] ** 2).sum(axis=-1).mean(axis=0))
            rest = np.delete(lengths[p], k, axis=0)
            away = (rest - rest.mean(axis=0)) / scale[:, None]
            sums += share * np.einsum("knq,kmq->nm", away, away)
        left.append(sums[0, 1] / np.sqrt(sums[0, 0] * sums[1, 1]))
    np.testing.assert_allclose(found.left[:, 0, 1].numpy(), left, atol=1e-12)
    stderr = np.sqrt(5 / 6 * np.square(np.array(left) - np.mean(left)).sum())
    assert float(found.varying_stderr[0, 1]) == pytest.approx(stderr, abs=1e-12)


def test_chunks_of_pixels_change_nothing() -> None:
    whole, parts = tally(fields_of()), tally(fields_of(), chunk=2)
    for name, array in vars(whole).items():
        torch.testing.assert_close(getattr(parts, name), array, rtol=0, atol=1e-12)


def test_what_varies_is_told_apart_from_what_does_not() -> None:
    """Two models of one mean field that follow the image in opposite ways, and one that does not follow it."""
    generator = torch.Generator().manual_seed(1)
    common, change = (torch.randn(5, 1, 12, generator=generator, dtype=torch.float64) for _ in range(2))
    follows = torch.randn(1, 6, 1, generator=generator, dtype=torch.float64)
    follows = follows - follows.mean()
    fields = torch.stack([common + follows * change, common - follows * change, common.expand(-1, 6, -1)], dim=2)
    found = tally(fields)
    assert float(found.varying[0, 1]) == pytest.approx(-1.0)
    assert found.varying[2].isnan().all()
    assert float(found.share[2]) == 0.0
    assert 0.0 < float(found.share[0]) < 1.0
    assert float(found.value[0, 2]) < 1.0
    assert found.value.diagonal().tolist() == pytest.approx([1.0] * 3)


def test_the_share_that_varies_is_the_variance_between_images() -> None:
    """Independent fields vary whole; a common part of the same length leaves half. 400 images of 12 values: 0.03."""
    generator = torch.Generator().manual_seed(2)
    noise = torch.randn(5, 400, 1, 12, generator=generator)
    one = noise - noise.mean(dim=-1, keepdim=True)
    fixed = one[:, :1] / one[:, :1].norm(dim=-1, keepdim=True) * 11**0.5
    found = tally(torch.cat([noise, noise + fixed], dim=2))
    assert found.share.tolist() == pytest.approx([1.0, 0.5], abs=0.03)


# --- whole studies


def of_two_groups(x: Tensor, sigma: float) -> Tensor:
    """The exact denoiser of two Gaussians of variances .5 and .1 along two directions, about 1 and -1 times one."""
    centre = torch.linspace(-1.0, 1.0, 64, dtype=torch.float64)
    spread = torch.stack([torch.linspace(0.5, 0.1, 64), torch.linspace(0.1, 0.5, 64)]).double()
    roll = torch.linalg.qr(torch.randn(64, 64, generator=torch.Generator().manual_seed(0), dtype=torch.float64)).Q
    answers, logs = [], []
    for mean, variance in zip((centre, -centre), spread, strict=True):
        away = (x.double() - mean) @ roll
        total = variance + sigma**2
        answers.append(mean + (away * variance / total) @ roll.T)
        logs.append(-0.5 * (away.square() / total + total.log()).sum(dim=1))
    shares = torch.stack(logs).softmax(dim=0)
    return torch.einsum("gb,gbd->bd", shares, torch.stack(answers)).to(x)


def test_the_exact_denoiser_of_a_mixture_has_r_1_and_a_linear_one_less(digits: Source, store: Store) -> None:
    with made_up("exact", lambda i, r: of_two_groups), made_up("again", lambda i, r: of_two_groups):
        made = finish(measure_agreement(digits, ["exact", "again", "wiener"], plan=PLAN, store=store))
    assert made.single is not None
    np.testing.assert_allclose(made.single.value[:, 0, 1].numpy(), 1.0, atol=1e-6)
    np.testing.assert_allclose(made.single.varying[1, 0, 1].numpy(), 1.0, atol=1e-6)
    assert (made.single.value[:, 0, 2] < 0.9).all()
    assert made.single.varying[:, :, 2].isnan().all()
    assert made.single.share[:, 2].tolist() == [0.0, 0.0]
    assert float(made.single.share[1, 0]) > 0.01


def test_linear_models_have_the_likeness_of_their_rows_at_every_image(digits: Source, store: Store) -> None:
    """r 1 with itself under another name, the same as of averaged fields between two, nothing that varies."""
    one, two = (torch.randn(64, 64, generator=torch.Generator().manual_seed(k)) for k in (3, 4))
    with (
        made_up("one", lambda i, r: lambda x, s: x @ one.T.to(x)),
        made_up("same", lambda i, r: lambda x, s: x @ one.T.to(x)),
        made_up("two", lambda i, r: lambda x, s: x @ two.T.to(x)),
    ):
        made = finish(measure_agreement(digits, ["one", "same", "two"], plan=PLAN, store=store))
    assert made.single is not None
    np.testing.assert_allclose(made.single.value[:, 0, 1].numpy(), 1.0, atol=1e-6)
    torch.testing.assert_close(made.single.value, made.off_centre.value, rtol=0, atol=1e-5)
    assert made.single.stderr.abs().max() < 1e-6
    assert made.single.varying.isnan().all()
    assert not made.single.share.any()


def test_it_is_asked_for_kept_picked_and_shipped(digits: Source, store: Store, tmp_path: Path) -> None:
    """Without the option nothing changes, its key neither; networks of several initialisations have none."""
    names = ["wiener", "again", "untrained:resnet:channels=8"]
    plain = AgreementPlan(**{name: one for name, one in PLAN.key().items() if name not in ("name", "single")})  # type: ignore[arg-type]
    with made_up("again", lambda i, r: of_two_groups):
        without = finish(measure_agreement(digits, names, plan=plain, store=store))
        made = finish(measure_agreement(digits, names, plan=PLAN, store=store))
        found = found_agreement(digits, names[::-1], plan=PLAN, store=store)
        ship_agreement(digits, made, tmp_path / "shipped", store=store)
    assert "single" not in plain.key()
    assert without.single is None
    assert not any(name.startswith("single") for name in without.arrays())
    torch.testing.assert_close(made.pearson.value, without.pearson.value, rtol=0, atol=0)
    assert found is not None
    assert made.single is not None
    for name, array in made.arrays().items():
        torch.testing.assert_close(found.pick(names).arrays()[name], array, rtol=0, atol=0, equal_nan=True)
    assert made.single.value[:, 2].isnan().all()
    assert made.single.value[:, 0, 1].isfinite().all()
    assert made.single.each.shape == (2, 6, 3, 3)
    assert " --single" in next((tmp_path / "shipped" / "agreement").glob("*.json")).read_text()
