"""The denoiser contract, over every registered model and its kinds of options, on small 8-bit and float sets."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from locality.denoisers import DENOISERS
from locality.denoisers.parts.bank import AveragingSpec
from locality.denoisers.parts.evidence import Explains
from locality.device import Compute
from locality.fields.jacobian import Differentiates
from locality.store import Store
from locality.types import Denoiser, Pixel
from tests import contracts_denoisers as contracts
from tests import naive
from tests.small_sets import Given, eight_bit, fit, floats, given, noisy

# Every model, and every option that takes another path through its code.
TEXTS = (
    "wiener",
    "optimal",
    "optimal:temperature=2",
    "optimal:neighbours=5",
    "optimal:classes=0-3,flips=true",
    "optimal:first=12",
    "nearest",
    "smoothed:points=3",
    "smoothed:points=3,noise=redrawn",
    "ls",
    "ls:window=3",
    "ls:window=11,flips=true",
    "els:window=3",
    "els:window=6",
    "bbels:window=3",
    "pspc_square",
    "pspc_square:window=3",
    "pspc_flex",
    "pspc_flex:fraction=0.4,flips=false",
    "pca_locality",
    "pca_locality:tau=0.3,mask_rule=code,flips=true",
    "pca_locality:temperature=0.5,tau=0.2",
    "pca_locality:softmax=batch,batch_size=7",
    "golddiff",
    "golddiff:tau=0.1,flips=true",
    "gaussian_mixture",
    "gaussian_mixture:groups=clusters,components=3",
    "patch_mixture:window=3,components=2",
    "stack:members=wiener+optimal+pca_locality,validation=8",
)
AVERAGING = tuple(text for text in TEXTS if issubclass(DENOISERS[text.split(":")[0]], AveragingSpec))
SETS: dict[str, Given] = {"colour": eight_bit(), "grey": floats()}
SIGMA = 0.6
INNER, CORNER = Pixel(2, 3), Pixel(0, 5)


def but(texts: tuple[str, ...], reasons: dict[str, str]) -> list[str]:
    """The texts without those that begin with a key of `reasons`, which says why they cannot keep the promise.

    The key "greedy" stands for models whose windows are searched for.
    """
    assert all(reasons.values())
    left = [text for text in texts if not text.startswith(tuple(reasons))]
    if "greedy" in reasons:
        left = [text for text in left if getattr(DENOISERS.parse(text), "window", "") != "greedy"]
    assert len(left) < len(texts)
    return left


ORDER = but(
    TEXTS,
    {
        "optimal:first": "the first images are others",
        "greedy": "the last images judge",
        "pca_locality:softmax=batch": "batches follow the order",
        "golddiff": "the pre-sample is a draw of places in the order",
        "gaussian_mixture:groups=clusters": "the first guess is a draw of places in the order",
        "patch_mixture": "patches are a draw of places in the order",
        "stack": "the last images judge the members",
    },
)
CHUNKS = but(TEXTS, {"greedy": "the search is slow in small chunks, and calls the model of one window only"})
FAR = but(
    TEXTS,
    {
        "nearest": "there is always a nearest image",
        "pca_locality:softmax=batch": "the last batch is smaller and counts as much as the others",
        "optimal:neighbours": "the mean of the nearest ones",
        "golddiff": "the mean of the retrieved ones",
        "patch_mixture": "a patch does not know where in the image it lies",
    },
)
CLEAN = but(
    TEXTS,
    {
        "pca_locality:softmax=batch": "batches without the image answer too",
        "stack": "weights learned on images the members have not seen are below 1",
    },
)
MAKES_ANSWER = but(AVERAGING, {"pca_locality:softmax=batch": "evidence is normalised over all images"})
ONE_WEIGHT = but(
    AVERAGING, dict.fromkeys(("pca_locality", "golddiff"), "channels differ in their weights; evidence has the mean")
)


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """Small products are slower on two threads than on one."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    made = Store(tmp_path_factory.mktemp("store"))
    yield made
    made.close()


_fitted: dict[tuple[str, str], Denoiser] = {}


@pytest.fixture
def model(store: Store) -> Callable[..., Denoiser]:
    """A fitted model by text and set, made once."""

    def of(text: str, name: str = "colour") -> Denoiser:
        if (text, name) not in _fitted:
            _fitted[text, name] = fit(text, SETS[name], store)
        return _fitted[text, name]

    return of


def x_of(name: str, count: int = 3, sigma: float = SIGMA) -> Tensor:
    return noisy(SETS[name], count, sigma)


def chosen(text: str, images: Given) -> Given:
    """The training images a model sees, mirrored ones included."""
    spec = DENOISERS.parse(text)
    if not isinstance(spec, AveragingSpec):
        return images
    data, labels = images.data.data, images.data.labels
    assert labels is not None
    rows = torch.isin(labels, torch.tensor(spec.classes)) if spec.classes else torch.ones(len(labels)).bool()
    data, labels = data[rows], labels[rows]
    data, labels = data[: spec.first or None], labels[: spec.first or None]
    if spec.flips:
        data = torch.cat([data, data.reshape(-1, *images.shape).flip(3).flatten(1)])
        labels = labels.repeat(2)
    return given(data, images.shape, labels)


both_sets = pytest.mark.parametrize("name", SETS)


# --- what a spec declares


def test_every_registered_model_is_held_to_the_contract() -> None:
    assert {text.split(":")[0] for text in TEXTS} == set(DENOISERS)


@pytest.mark.parametrize("name", DENOISERS)
def test_specs_describe_themselves(name: str) -> None:
    contracts.spec_describes_itself(DENOISERS[name])


@pytest.mark.parametrize("text", TEXTS)
def test_specs_survive_text(text: str) -> None:
    spec = DENOISERS.parse(text)
    contracts.spec_survives_text(spec)
    assert spec != DENOISERS[spec.name]() or ":" not in text


@pytest.mark.parametrize("text", [*DENOISERS, *TEXTS])
@pytest.mark.parametrize("count", [10, 50_000])
def test_notes_are_sentences(text: str, count: int) -> None:
    contracts.note_is_nothing_or_a_sentence(DENOISERS.parse(text), count)


def test_models_that_see_a_part_by_default_say_so() -> None:
    assert DENOISERS["els"]().note(1000) == ""
    assert DENOISERS["els"]().note(1001) == "els averages the first 1,000 of 1,001 training images (first=0 for all)."
    assert DENOISERS.parse("els:first=0").note(5000) == ""
    assert "first 10,000 of 60,000" in DENOISERS["stack"]().note(60_000)
    assert DENOISERS["optimal"]().note(60_000) == ""


# --- what an answer is


@both_sets
@pytest.mark.parametrize("text", TEXTS)
def test_answers_keep_shape_type_and_device(model: Callable[..., Denoiser], text: str, name: str) -> None:
    contracts.answers_keep_shape_type_and_device(model(text, name), SETS[name].shape, x_of(name), SIGMA)


@both_sets
@pytest.mark.parametrize("sigma", [0.02, 20.0])
@pytest.mark.parametrize("text", TEXTS)
def test_types_agree(model: Callable[..., Denoiser], text: str, name: str, sigma: float) -> None:
    """Logits that integer products leave right to 0.002 leave answers in [-1, 1] right to 0.002."""
    atol = 2e-3 if name == "colour" and text.startswith(("pca", "gold", "pspc_flex")) else 2e-4
    contracts.types_agree(model(text, name), x_of(name, sigma=sigma), sigma, atol)


@both_sets
@pytest.mark.parametrize("text", TEXTS)
def test_input_is_left_alone(model: Callable[..., Denoiser], text: str, name: str) -> None:
    contracts.input_is_left_alone(model(text, name), x_of(name).float(), SIGMA)


@pytest.mark.parametrize("text", TEXTS)
def test_answers_repeat_in_another_store(model: Callable[..., Denoiser], text: str, tmp_path: Path) -> None:
    """A fit of an empty store, the same fit found there, and that of another store: the same bits."""
    store = Store(tmp_path)
    fresh = fit(text, SETS["colour"], store)
    contracts.answers_repeat(fresh, model(text), x_of("colour").float(), SIGMA)
    x = x_of("colour", 2).float()
    assert torch.equal(fit(text, SETS["colour"], store)(x, SIGMA), fresh(x, SIGMA))
    store.close()


@both_sets
@pytest.mark.parametrize("text", TEXTS)
def test_batch_is_one_by_one(model: Callable[..., Denoiser], text: str, name: str) -> None:
    contracts.batch_is_one_by_one(model(text, name), x_of(name), SIGMA)


@pytest.mark.parametrize("text", CHUNKS)
def test_chunks_change_nothing(text: str, tmp_path: Path) -> None:
    """In stores of their own, so that fits are made with the small budget too: in float32 where they are learned."""
    stores = {"little": Store(tmp_path / "little"), "plenty": Store(tmp_path / "plenty")}

    def fitted(compute: Compute) -> Denoiser:
        return fit(text, SETS["colour"], stores["plenty" if compute == Compute() else "little"], compute=compute)

    learned = text.startswith(("stack", "patch_mixture"))
    contracts.chunks_change_nothing(fitted, x_of("colour", 2), SIGMA, 1e-6 if learned else 0.0)
    for store in stores.values():
        store.close()


@both_sets
@pytest.mark.parametrize("text", ORDER)
def test_order_changes_nothing(model: Callable[..., Denoiser], store: Store, text: str, name: str) -> None:
    images = SETS[name]
    assert images.data.labels is not None
    order = torch.randperm(len(images.data), generator=torch.Generator().manual_seed(3))
    shuffled = given(images.data.data[order], images.shape, images.data.labels[order])
    contracts.order_changes_nothing(model(text, name), fit(text, shuffled, store), x_of(name), SIGMA)


# --- where the answer goes


@both_sets
@pytest.mark.parametrize("text", FAR)
def test_noise_drowns_everything(model: Callable[..., Denoiser], text: str, name: str) -> None:
    """At sigma 1e5 logits differ by |eps| |x_i| / sigma, about 1e-4."""
    mean = chosen(text, SETS[name]).x0().mean(dim=0).reshape(SETS[name].shape)
    if text.startswith("els"):  # all places are candidates
        mean = mean.mean(dim=(1, 2), keepdim=True).expand_as(mean)
    elif text.startswith("bbels"):  # all places of the same border type are
        mean = torch.from_numpy(naive.border_aware(mean.numpy(), mean.numpy()[None], 1e5, 3))
    x = x_of(name, sigma=1e5)
    contracts.noise_drowns_everything(model(text, name), x, mean.flatten(), 1e5, 1e-3)


@both_sets
@pytest.mark.parametrize("text", CLEAN)
def test_clean_images_stay(model: Callable[..., Denoiser], text: str, name: str) -> None:
    """Whole images: every other one is thousands of sigma^2 away. One pixel alone is known to sigma, 1e-3.

    Linear ones: variances of 1e-4 are 100 sigma^2.
    """
    x0 = SETS[name].x0()[[0, 2, 3]]  # of classes 0, 3, 0 and among the first
    whole = ("optimal", "nearest", "smoothed", "ls:window=11", "els:window=6", "golddiff:")
    atol = 2e-6 if text.startswith(whole) else 1e-3
    contracts.clean_images_stay(model(text, name), x0, 1e-3, atol if text in AVERAGING else 0.02)


@both_sets
@pytest.mark.parametrize("sigma", [0.05, 1.5])
@pytest.mark.parametrize("text", AVERAGING)
def test_averages_stay_in_range(model: Callable[..., Denoiser], text: str, name: str, sigma: float) -> None:
    """Of the pixel in all images; of the channel where patches may come from other places."""
    shape = SETS[name].shape
    x0 = chosen(text, SETS[name]).x0().reshape(-1, *shape)
    moved = text.startswith(("els", "bbels"))
    low = x0.amin(dim=(0, 2, 3), keepdim=True) if moved else x0.amin(dim=0, keepdim=True)
    high = x0.amax(dim=(0, 2, 3), keepdim=True) if moved else x0.amax(dim=0, keepdim=True)
    low, high = (bound.expand(1, *shape).flatten(1) for bound in (low, high))
    contracts.answers_stay_in_range(model(text, name), x_of(name, sigma=4 * sigma).float(), low, high, sigma)


# --- derivatives


@both_sets
@pytest.mark.parametrize("text", TEXTS)
def test_derivatives_are_finite_and_true(model: Callable[..., Denoiser], text: str, name: str) -> None:
    contracts.derivative_is_finite_and_true(model(text, name), x_of(name, 2), SIGMA, [INNER, CORNER])


@both_sets
@pytest.mark.parametrize("text", TEXTS)
def test_derivatives_that_are_known_are_true(model: Callable[..., Denoiser], text: str, name: str) -> None:
    """Eigenvectors kept in float32 are orthogonal to 1e-6, which a backward pass knows and the closed form does not."""
    atol = 2e-6 if "gaussian" in text else 1e-9
    contracts.known_derivatives_are_true(model(text, name), x_of(name, 2), SIGMA, [INNER, CORNER], atol)


@pytest.mark.parametrize("text", ["optimal", "ls", "pca_locality", "pspc_flex", "gaussian_mixture", "stack"])
def test_posterior_means_know_their_derivative(model: Callable[..., Denoiser], text: str) -> None:
    """Nothing is denoised and differentiated for it, which takes two passes an output."""
    known = model(next(one for one in TEXTS if one.startswith(text)))
    assert isinstance(known, Differentiates)
    assert known.jacobian_rows(x_of("colour", 2), torch.eye(SETS["colour"].shape.d)[:2].double(), SIGMA) is not None


@pytest.mark.parametrize("text", AVERAGING)
def test_gradients_stream(store: Store, text: str) -> None:
    def fitted(compute: Compute) -> Denoiser:
        return fit(text, SETS["colour"], store, compute=compute)

    contracts.gradient_streams(fitted, x_of("colour", 2), SIGMA, INNER)


@both_sets
@pytest.mark.parametrize(
    ("text", "temperature"),
    [
        ("optimal", 1.0),
        ("optimal:temperature=2", 2.0),
        ("optimal:classes=0-3,flips=true", 1.0),
        ("ls:window=11", 1.0),
        ("ls:window=11,flips=true", 1.0),
        ("pca_locality:tau=0", 1.0),
        ("pca_locality:tau=0,mask_rule=code,temperature=3", 3.0),
        ("pspc_flex:fraction=1", 1.0),
    ],
)
def test_jacobians_of_exact_posterior_means(
    model: Callable[..., Denoiser], text: str, temperature: float, name: str
) -> None:
    """Cov[x0 | x] / (sigma^2 T), the covariance by hand over the images the model sees."""
    x = x_of(name, 1, 1.0)
    jacobian = contracts.jacobian_is_a_covariance(model(text, name), x, 1.0, 1e-9)
    x0 = chosen(text, SETS[name]).x0().numpy()
    weights = np.array(naive.softmax([-naive.apart(x[0].numpy(), image) / (2 * temperature) for image in x0]))
    away = x0 - weights @ x0
    contracts.close(jacobian, torch.from_numpy((away.T * weights) @ away / temperature), 1e-9)


@both_sets
@pytest.mark.parametrize("text", ["wiener", "gaussian_mixture", "gaussian_mixture:groups=clusters,components=3"])
def test_jacobians_of_gaussian_posterior_means(model: Callable[..., Denoiser], text: str, name: str) -> None:
    """Eigenvectors kept in float32 are orthogonal to 1e-6."""
    contracts.jacobian_is_a_covariance(model(text, name), x_of(name, 1), SIGMA, 2e-6)


# --- errors


@pytest.mark.parametrize("text", TEXTS)
def test_bad_input_is_refused(model: Callable[..., Denoiser], text: str) -> None:
    contracts.wrong_size_is_refused(model(text), x_of("colour"))
    contracts.nan_is_refused(model(text), x_of("colour"))


@pytest.mark.parametrize("text", TEXTS)
def test_noise_levels_are_checked(model: Callable[..., Denoiser], text: str) -> None:
    contracts.noise_levels_are_checked(model(text), x_of("colour"))


@pytest.mark.parametrize("text", AVERAGING)
def test_too_little_memory_is_refused(store: Store, text: str) -> None:
    """Windows are found before, as they are in every store after the first use."""
    fit(text, SETS["colour"], store)
    contracts.memory_is_refused_with_what_would_fit(
        lambda compute: fit(text, SETS["colour"], store, compute=compute), x_of("colour", 1), SIGMA
    )


# --- evidence


@pytest.mark.parametrize("text", AVERAGING)
def test_averages_explain_themselves(model: Callable[..., Denoiser], text: str) -> None:
    assert isinstance(model(text), Explains)


@both_sets
@pytest.mark.parametrize("pixel", [INNER, CORNER])
@pytest.mark.parametrize("text", AVERAGING)
def test_evidence_adds_up(model: Callable[..., Denoiser], text: str, pixel: Pixel, name: str) -> None:
    contracts.evidence_adds_up(model(text, name), SETS[name], x_of(name, 1)[0], pixel, SIGMA)


@pytest.mark.parametrize("pixel", [INNER, CORNER])
@pytest.mark.parametrize(
    ("text", "name"), [*((text, "grey") for text in MAKES_ANSWER), *((text, "colour") for text in ONE_WEIGHT)]
)
def test_evidence_makes_the_answer(model: Callable[..., Denoiser], text: str, name: str, pixel: Pixel) -> None:
    contracts.evidence_makes_the_answer(model(text, name), SETS[name], x_of(name, 1)[0], pixel, SIGMA)


@pytest.mark.parametrize("pixel", [INNER, CORNER])
@pytest.mark.parametrize("text", but(tuple(MAKES_ANSWER), {"nearest": "its derivative is zero"}))
def test_evidence_shows_the_window(model: Callable[..., Denoiser], text: str, pixel: Pixel) -> None:
    contracts.evidence_shows_the_window(model(text), x_of("colour", 1)[0], pixel, SIGMA)
