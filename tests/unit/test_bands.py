"""Bands of principal components: projections by hand, weights found band by band, what prism adds to a stack."""

from __future__ import annotations

import json
from contextlib import ExitStack
from pathlib import Path

import pytest
import torch
from torch import Tensor

import locality
from locality.denoisers import DENOISERS
from locality.denoisers.parts.bands import Bands, spaced
from locality.denoisers.parts.ridge import least_squares
from locality.denoisers.parts.stacked import SIGMAS, StackDenoiser
from locality.denoisers.prism import Prism
from locality.denoisers.stack import Stack
from locality.errors import BadInput
from locality.fields.jacobian import differentiate
from locality.noise import field_noise
from locality.store import Store
from tests.made_up import made_up
from tests.small_sets import COLOUR, close, eight_bit, fit, given, noisy

FORTY = eight_bit(40)
VALIDATION = 8
SHIPPED = Path(locality.__file__).parents[1] / "cache" / "shipped" / "stack"


def three() -> Bands:
    """Components 0 and 1, then 2 to 4, then all else, of COLOUR images."""
    draws = torch.randn(COLOUR.d, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return Bands(torch.linalg.qr(draws).Q, (2, 5))


def projections(bands: Bands) -> Tensor:
    first, second = (bands.basis[:, part] @ bands.basis[:, part].T for part in (slice(0, 2), slice(2, 5)))
    return torch.stack([first, second, torch.eye(COLOUR.d).double() - first - second])


def normal(*shape: int, seed: int = 1) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_bands_are_of_about_equal_width_in_the_logarithm_of_the_rank() -> None:
    assert spaced(1000, 3) == (10, 100)
    assert spaced(784, 8) == (2, 5, 12, 28, 64, 148, 341)
    assert spaced(784, 1) == ()
    assert spaced(3, 8) == (1, 2)


def test_members_are_weighed_by_projection() -> None:
    """sum_f sum_k a_kf P_k away_f with the projections as matrices, and from the outputs' side the same."""
    bands, away, weights, outputs = three(), normal(2, 4, COLOUR.d), normal(3, 2, seed=2), normal(6, COLOUR.d, seed=3)
    matrices = torch.einsum("kf,kpq->fpq", weights, projections(bands))
    close(bands.weigh(away, weights), torch.einsum("fpq,fbq->bp", matrices, away), 1e-12)
    close(bands.weighed(outputs, weights), torch.einsum("mp,fpq->fmq", outputs, matrices), 1e-12)


def test_a_split_keeps_every_square() -> None:
    bands, away = three(), normal(4, COLOUR.d)
    parts = bands.split(away)
    assert [part.shape[1] for part in parts] == [2, 3, COLOUR.d]
    sizes = torch.stack([part.square().sum(dim=1) for part in parts])
    close(sizes, torch.einsum("bp,kpq,bq->kb", away, projections(bands), away), 1e-12)


def test_one_band_is_everything() -> None:
    away, weights = normal(2, 4, COLOUR.d), normal(1, 2, seed=2)
    close(Bands.one(COLOUR.d).weigh(away, weights), torch.einsum("f,fbd->bd", weights[0], away), 1e-12)
    assert len(Bands.one(COLOUR.d)) == 1


def test_each_band_finds_the_member_that_made_it(store: Store) -> None:
    """One member knows the first six components of the images it saw, the other all else; neither the whole."""
    rest, truth = FORTY.x0()[:-VALIDATION], FORTY.x0()[-VALIDATION:]
    mean = rest.mean(dim=0)
    basis = torch.linalg.eigh((rest - mean).T @ (rest - mean)).eigenvectors[:, -6:]
    low = (truth - mean) @ basis @ basis.T
    wrong = normal(VALIDATION, COLOUR.d) @ basis @ basis.T
    with ExitStack() as made:
        for name, away in (("of_first", low), ("of_last", truth - mean - low + wrong)):
            answer = mean + away
            made.enter_context(made_up(name, lambda *_, answer=answer: lambda x, sigma: answer[: len(x)].to(x)))
        model = fit(f"stack:members=of_first+of_last,validation={VALIDATION},bands=2", FORTY, store)
    assert isinstance(model, StackDenoiser)
    assert model.bands.ends == (6,)
    close(model.weights[:, 0], torch.tensor([1.0, 0.0]).expand(12, 2), 0.02)
    close(model.weights[:, 1, 1], torch.ones(12), 0.02)


def test_weights_of_a_band_are_drawn_to_those_of_all_bands(store: Store) -> None:
    """Recomputed: first the weights of whole images, drawn to Wiener, then of each band, drawn to the former."""
    model = fit(f"stack:members=wiener+optimal,validation={VALIDATION},bands=3", FORTY, store)
    assert isinstance(model, StackDenoiser)
    rest, truth = given(FORTY.data.data[:-VALIDATION], COLOUR), FORTY.x0()[-VALIDATION:].float()
    mean = rest.x0().mean(dim=0)
    basis = torch.linalg.eigh((rest.x0() - mean).T @ (rest.x0() - mean)).eigenvectors.flip(1)
    ends = (0, *model.bands.ends, COLOUR.d)
    for level in (2, 6):
        x = truth + SIGMAS[level] * field_noise(VALIDATION, COLOUR.d, seed=0)
        answers = torch.stack([fit(name, rest, store)(x, SIGMAS[level]) - mean for name in ("wiener", "optimal")])
        shared = least_squares(answers, truth - mean, torch.tensor([1.0, 0.0]))
        for band in range(3):
            part = basis[:, ends[band] : ends[band + 1]]
            expected = least_squares(answers @ part, (truth - mean) @ part, shared)
            close(model.weights[level, band], expected, 1e-3)


def test_what_a_banded_stack_answers_by_hand(store: Store) -> None:
    """From members fitted apart and projections on the eigenvectors of all images; again from the store."""
    text = f"stack:members=wiener+optimal,validation={VALIDATION},bands=3"
    model, x = fit(text, FORTY, store), noisy(FORTY, 3, 0.5)
    assert isinstance(model, StackDenoiser)
    mean = FORTY.x0().mean(dim=0)
    basis = torch.linalg.eigh((FORTY.x0() - mean).T @ (FORTY.x0() - mean)).eigenvectors.flip(1)
    ends = (0, *model.bands.ends, COLOUR.d)
    expected = mean.expand(3, -1).clone()
    for band in range(3):
        part = basis[:, ends[band] : ends[band + 1]]
        for name, weight in zip(("wiener", "optimal"), model.weights_at(0.5)[band], strict=True):
            expected += weight * (fit(name, FORTY, store)(x, 0.5) - mean) @ part @ part.T
    close(model(x, 0.5), expected, 1e-5)
    close(fit(text, FORTY, store)(x, 0.5), model(x, 0.5), 1e-12)


def test_a_member_without_weight_is_not_asked(store: Store) -> None:
    """Nor for its field: what a member costs is paid at the levels where it counts."""

    class Refuses:
        shape = COLOUR

        def __call__(self, x: Tensor, sigma: float) -> Tensor:
            raise AssertionError("asked")

    wiener = fit("wiener", FORTY, store)
    weights = torch.tensor([[1.0, 0.0]]).double().expand(12, 3, 2)
    zeros = torch.zeros(2, COLOUR.d).double()
    model = StackDenoiser(COLOUR, (wiener, Refuses()), zeros[0], zeros, weights, three())
    x, outputs = noisy(FORTY, 2, 0.5), normal(2, COLOUR.d)
    close(model(x, 0.5), wiener(x, 0.5), 1e-6)
    close(model.jacobian_rows(x, outputs, 0.5), differentiate(wiener, x, outputs, 0.5), 1e-6)


# --- prism


def test_one_band_is_kept_as_before() -> None:
    """The shipped weights are found, and no key of a stack changes; those of bands have keys of their own."""
    shipped = json.loads((SHIPPED / "mnist-stack.json").read_text())["key"]["spec"]
    assert Stack().key() == shipped
    assert Stack(bands=2).key() == {**shipped, "bands": 2}
    assert Prism().key()["bands"] == 8


def test_prism_needs_neither_labels_nor_many_images(store: Store) -> None:
    """A fifth of few images are held out; a stack asks for fewer."""
    bare = given(FORTY.data.data, COLOUR)
    members = "wiener+gaussian_mixture:groups=clusters,components=2+patch_mixture:window=3,components=2"
    model = fit(f"prism:members=({members})", bare, store)
    assert isinstance(model, StackDenoiser)
    assert (Prism().held_out(bare), Prism(validation=8).held_out(eight_bit(100))) == (8, 8)
    assert model(noisy(FORTY, 2, 0.5), 0.5).shape == (2, COLOUR.d)


def test_prism_says_what_it_uses() -> None:
    spec = Prism()
    assert spec.note(60_000) == ""
    assert spec.approximations(60_000) == []
    assert [one.name for one in spec.specs()] == ["wiener", "gaussian_mixture", "gaussian_mixture", "patch_mixture"]
    assert DENOISERS.parse(spec.text()) == spec
    assert spec.text() == "prism"
    with pytest.raises(BadInput, match=r"prism:members='wiener\+prism': name each model once"):
        Prism(members="wiener+prism").specs()
