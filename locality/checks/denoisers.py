"""What every denoiser must do, whoever wrote it. One function, one contract; its first line says what is promised."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from jaxtyping import Float
from torch import Tensor

from locality.checks.named import Checks, close, hold, refuses
from locality.checks.sets import Given, SmallNetwork, eight_bit, floats, given, noisy
from locality.checks.small import small
from locality.checks.specs import explained, read, reversible
from locality.dataset import Images
from locality.denoisers import DENOISERS, DenoiserSpec, Explains
from locality.denoisers.parts.bank import AveragingSpec
from locality.device import Compute
from locality.errors import BadInput, NonFinite, TooLarge
from locality.fields.jacobian import Differentiates, differentiate, field_rows, pixel_outputs
from locality.fields.rows import Linear, output_rows
from locality.store import Store
from locality.types import Denoiser, Pixel
from locality.work import finish

SIGMA = 0.6
# float32: logits of size 100 keep five digits after the point; float64: the same with fourteen.
ROUNDING = {torch.float32: 1e-4, torch.float64: 1e-9}
PIXELS = (Pixel(2, 3), Pixel(0, 5))  # an inner one, and one in a corner


class DenoiserCase:
    """A spec with two small training sets, 8-bit colour and float grey, and a store; fits are made once."""

    def __init__(self, spec: DenoiserSpec, folder: Path) -> None:
        self.spec, self.folder = spec, folder
        self.sets: dict[str, Given] = {"colour": eight_bit(), "grey": floats()}
        self._models: dict[str, Denoiser] = {}

    def fit(self, images: Images, compute: Compute | None = None, store: str = "usual") -> Denoiser:
        """A new fit, in the store of that name."""
        kept = Store(self.folder / store)
        try:
            network = SmallNetwork(images.shape) if self.spec.network_needed() else None
            return finish(self.spec.fit(images, compute or Compute(), kept, network))
        finally:
            kept.close()

    def model(self, name: str = "colour") -> Denoiser:
        """The fit to a set."""
        if name not in self._models:
            self._models[name] = self.fit(self.sets[name])
        return self._models[name]

    def x(self, name: str = "colour", count: int = 3, sigma: float = SIGMA) -> Float[Tensor, "b d"]:
        """Noisy images of a set, float64."""
        return noisy(self.sets[name], count, sigma)

    def seen(self, name: str) -> Given:
        """The training images the model looks at, mirrored ones included."""
        images, spec = self.sets[name], self.spec
        if not isinstance(spec, AveragingSpec):
            return images
        data, labels = images.data.data, images.data.labels
        assert labels is not None
        rows = torch.isin(labels, torch.tensor(spec.classes)) if spec.classes else torch.ones(len(labels)).bool()
        data = data[rows][: spec.first or None]
        if spec.flips:
            data = torch.cat([data, data.reshape(-1, *images.shape).flip(3).flatten(1)])
        return given(data, images.shape)


DENOISER_CHECKS: Checks[DenoiserCase] = Checks()
contract = DENOISER_CHECKS.contract


def averages(spec: DenoiserSpec) -> bool:
    """Whether a model averages training images."""
    return isinstance(spec, AveragingSpec)


def check_denoiser(spec: DenoiserSpec | str) -> None:
    """Hold a denoiser to every contract, on small images made here.

    Args:
        spec: a spec, or the text of one: `name:option=value,...`; plug-ins of LOCALITY_PLUGINS are found.
    Raises:
        AssertionError: it does not meet one; names it, and what was found.
    """
    with denoiser_case(read(spec, DENOISERS)) as case:
        _keeps_x_flat(case)
        DENOISER_CHECKS.every(case)


def _keeps_x_flat(case: DenoiserCase) -> None:
    """Estimates of another shape would fail whichever contract looks at them first, by a name that tells nothing."""
    try:
        x, out = case.x(), case.model()(case.x(), SIGMA)
    except Exception:  # for the contracts to say
        return
    if not isinstance(out, Tensor) or out.shape != x.shape:
        got = tuple(out.shape) if isinstance(out, Tensor) else type(out).__name__
        raise AssertionError(f"{case.spec} gives {got} for x {tuple(x.shape)}: x0_hat is flat as x is, [b, d].")


@contextmanager
def denoiser_case(spec: DenoiserSpec) -> Iterator[DenoiserCase]:
    """A case with stores of its own, gone afterwards."""
    with TemporaryDirectory() as folder:
        yield DenoiserCase(spec, Path(folder))


# --- what a spec declares


@contract()
def describes_itself(case: DenoiserCase) -> None:
    """A sentence, a source and a cost; for every option help, and for every number a lower end at least."""
    cls = type(case.spec)
    explained(cls)
    hold(cls.paper and cls.cost and "\n" not in cls.cost, "paper or cost is empty, or cost has several lines")


@contract()
def survives_text(case: DenoiserCase) -> None:
    """Written as text and parsed it is the same spec, with the same key and hash."""
    reversible(case.spec, DENOISERS)


@contract()
def notes_are_phrases(case: DenoiserCase) -> None:
    """Its note is nothing, or a sentence with its name and the number of images; approximations are phrases."""
    for count in (10, 50_000):
        note = case.spec.note(count)
        whole = note.startswith(case.spec.name) and note.endswith((".", ".)")) and f"{count:,}" in note
        hold(not note or whole, f"its note on {count} images is {note!r}")
        for phrase in case.spec.approximations(count):
            hold(phrase and not phrase.endswith("."), f"{phrase!r} is no phrase")


# --- what an answer is


@contract()
def answers_keep_shape_type_and_device(case: DenoiserCase) -> None:
    """An answer has the shape, type and device of the noisy images, is finite and asks for no gradient."""
    for name, images in case.sets.items():
        model, x = case.model(name), case.x(name)
        hold(model.shape == images.shape, f"its shape is {model.shape}, the images' {images.shape}")
        for dtype in (torch.float32, torch.float64):
            answer = model(x.to(dtype), SIGMA)
            got, want = (answer.shape, answer.dtype, answer.device), (x.shape, dtype, x.device)
            hold(got == want, f"{got} instead of {want}")
            hold(answer.isfinite().all(), "an answer is not finite")
            hold(not answer.requires_grad, "an answer asks for a gradient")


@contract()
def types_agree(case: DenoiserCase) -> None:
    """float32 is float64, rounded, at little and at much noise."""
    _types_agree(case, "grey", case.spec.tolerance.get("types_agree", 2e-4))


@contract()
def types_agree_on_8bit_images(case: DenoiserCase) -> None:
    """float32 is float64, rounded, where the training images are 8-bit and may be multiplied as integers."""
    _types_agree(case, "colour", case.spec.tolerance.get("types_agree_on_8bit_images", 2e-4))


def _types_agree(case: DenoiserCase, name: str, atol: float) -> None:
    for sigma in (0.02, 20.0):
        x = case.x(name, sigma=sigma)
        close(case.model(name)(x.float(), sigma), case.model(name)(x.double(), sigma), atol)


@contract()
def input_is_left_alone(case: DenoiserCase) -> None:
    """The noisy images are as they were, with a gradient and without."""
    for name in case.sets:
        x = case.x(name).float()
        before = x.clone()
        case.model(name)(x, SIGMA)
        hold(torch.equal(x, before), "the noisy images were changed")
        leaf = x.clone().requires_grad_(True)
        case.model(name)(leaf, SIGMA)
        hold(torch.equal(leaf.detach(), before), "noisy images with a gradient were changed")


@contract()
def answers_repeat(case: DenoiserCase) -> None:
    """A second call, a fit in an empty store, and one found there give the same bits, whatever came between."""
    model, x = case.model(), case.x().float()
    first = model(x, SIGMA)
    model(x, 3 * SIGMA)
    hold(torch.equal(model(x, SIGMA), first), "a second call gave other bits")
    for why in ("a fit in an empty store", "the fit found there"):
        hold(torch.equal(case.fit(case.sets["colour"], store="empty")(x, SIGMA), first), f"{why} gave other bits")


@contract()
def batch_is_one_by_one(case: DenoiserCase) -> None:
    """A noisy image has the same answer alone and among others."""
    for name in case.sets:
        for dtype, atol in ROUNDING.items():
            x, model = case.x(name).to(dtype), case.model(name)
            close(model(x, SIGMA), torch.cat([model(one[None], SIGMA) for one in x]), atol)


@contract()
def chunks_change_nothing(case: DenoiserCase) -> None:
    """Little memory gives the same answers as plenty, the fits made in stores of their own."""
    images, x = case.sets["colour"], case.x(count=2)
    little = small(lambda compute: case.fit(images, compute, "little"), x, SIGMA)
    plenty = case.fit(images, Compute(), "plenty")
    for dtype, rounding in ROUNDING.items():
        atol = max(rounding, case.spec.tolerance.get("chunks_change_nothing", 0.0))
        close(little(x.to(dtype), SIGMA), plenty(x.to(dtype), SIGMA), atol)


@contract(when=averages)
def devices_change_nothing(case: DenoiserCase) -> None:
    """Training images shared out among two or three devices give the answers of one: those of a merged softmax."""
    for others, (name, images) in zip((("cpu", "cpu"), ("cpu",)), case.sets.items(), strict=True):
        shared = case.fit(images, Compute(others=others))
        for sigma in (0.05, 5.0):
            for dtype, atol in ((torch.float32, 2e-6), (torch.float64, 1e-10)):
                x = case.x(name, sigma=sigma).to(dtype)
                close(shared(x, sigma), case.model(name)(x, sigma), atol)


@contract()
def order_changes_nothing(case: DenoiserCase) -> None:
    """The same training images in another order give the same answers."""
    for name, images in case.sets.items():
        labels = images.data.labels
        assert labels is not None
        order = torch.randperm(len(images.data), generator=torch.Generator().manual_seed(3))
        shuffled = case.fit(given(images.data.data[order], images.shape, labels[order]))
        for dtype, atol in ROUNDING.items():
            x = case.x(name).to(dtype)
            close(shuffled(x, SIGMA), case.model(name)(x, SIGMA), atol)


# --- where the answer goes


@contract()
def noise_drowns_everything(case: DenoiserCase) -> None:
    """At sigma 1e5, where logits differ by 1e-4, the answer is the mean of the training images."""
    for name in case.sets:
        x = case.x(name, sigma=1e5)
        close(case.model(name)(x, 1e5), case.seen(name).x0().mean(dim=0).expand_as(x), 1e-3)


@contract()
def clean_images_stay(case: DenoiserCase) -> None:
    """Training images at sigma 1e-3 come back: linear models keep variances of 100 sigma^2."""
    for name, images in case.sets.items():
        x0 = images.x0()[[0, 2, 3]]  # of the classes 0, 3, 0 and among the first
        close(case.model(name)(x0, 1e-3), x0, case.spec.tolerance.get("clean_images_stay", 0.02))


@contract(when=averages)
def averages_stay_in_range(case: DenoiserCase) -> None:
    """Each value lies between the least and the largest of its pixel in the images that are averaged."""
    for name, images in case.sets.items():
        x0 = case.seen(name).x0().reshape(-1, *images.shape)
        _in_range(case, name, x0.amin(dim=0), x0.amax(dim=0))


@contract(when=averages)
def averages_stay_in_range_of_the_channel(case: DenoiserCase) -> None:
    """Each value lies between the least and the largest of its channel in the images that are averaged."""
    for name, images in case.sets.items():
        x0 = case.seen(name).x0().reshape(-1, *images.shape)
        low, high = (end.reshape(-1, 1, 1).expand(images.shape) for end in (x0.amin((0, 2, 3)), x0.amax((0, 2, 3))))
        _in_range(case, name, low, high)


def _in_range(case: DenoiserCase, name: str, low: Tensor, high: Tensor) -> None:
    for sigma in (0.05, 1.5):
        answer = case.model(name)(case.x(name, sigma=4 * sigma).float(), sigma).double().reshape(-1, *low.shape)
        over = float(torch.maximum(low - answer, answer - high).max())
        hold(over <= 1e-6, f"an answer at sigma {sigma} is {over:.3g} outside")


# --- derivatives


@contract()
def derivative_is_finite_and_true(case: DenoiserCase) -> None:
    """Rows of the Jacobian along a direction are the change of the answer along it, a central difference in float64.

    A difference over 2e-4 sigma errs by the third derivative times 1e-8 and by rounding over the step.
    """
    for name in case.sets:
        model, x = case.model(name), case.x(name, 2)
        outputs = torch.cat([pixel_outputs(model.shape, pixel) for pixel in PIXELS]).double()
        rows = field_rows(model, x, outputs, SIGMA)  # refuses what is not finite
        along = torch.randn(x.shape[1], generator=torch.Generator().manual_seed(4), dtype=torch.float64)
        step = 1e-4 * SIGMA * along
        change = (model(x + step, SIGMA) - model(x - step, SIGMA)) / (2e-4 * SIGMA)
        close(rows @ along, outputs @ change.T, 1e-4 * (1 + float(change.abs().max())))
        single = field_rows(model, x.float(), outputs.float(), SIGMA)
        hold(single.dtype == torch.float32, f"the field of float32 images is {single.dtype}")
        close(single.double(), rows, 1e-3 * (1 + float(rows.abs().max())))


@contract()
def known_derivatives_are_true(case: DenoiserCase) -> None:
    """A linear model's own rows, and a derivative that a model knows, are those of a backward pass.

    Rows of a filter are float32: 1e-5 of rows of size one.
    """
    atol = case.spec.tolerance.get("known_derivatives_are_true", 1e-9)
    for name in case.sets:
        model, x = case.model(name), case.x(name, 2)
        outputs = torch.cat([pixel_outputs(model.shape, pixel) for pixel in PIXELS])
        outputs = torch.cat([outputs, outputs[:1] + 0.5 * torch.eye(x.shape[1])[7:8]]).double()  # of two together
        truth = differentiate(model, x, outputs, SIGMA)
        largest = 1 + float(truth.abs().max())
        found = output_rows(model, outputs, SIGMA, _always(x)).each
        close(found.expand_as(truth).double(), truth, 1e-5 * largest)
        if not isinstance(model, Differentiates) or isinstance(model, Linear):
            continue
        known = model.jacobian_rows(x, outputs, SIGMA)
        if known is not None:
            close(known, truth, atol * largest)
            single = model.jacobian_rows(x.float(), outputs.float(), SIGMA)
            if single is None:
                raise AssertionError("it knows the derivative in float64 and not in float32")
            close(single.double(), truth, 1e-3 * largest)


@contract(when=averages)
def gradient_streams(case: DenoiserCase) -> None:
    """Through several chunks of training images the gradient is that through one."""
    images, x = case.sets["colour"], case.x(count=2)
    outputs = pixel_outputs(images.shape, PIXELS[0]).double()
    whole = field_rows(case.model(), x, outputs, SIGMA)  # windows are found here, and not in small chunks
    parts = field_rows(small(lambda compute: case.fit(images, compute), x, SIGMA), x, outputs, SIGMA)
    close(parts, whole, 1e-9)


# --- errors


@contract()
def wrong_input_is_refused(case: DenoiserCase) -> None:
    """Images of another size, NaN and infinity are refused, with what was wrong."""
    model, x = case.model(), case.x()
    sizes = rf"Images of {x.shape[1] - 1} values do not fit a denoiser of {model.shape}"
    refuses(BadInput, sizes, lambda: model(x[:, 1:], 1.0))
    for bad in (math.nan, math.inf):
        broken = x.clone()
        broken[-1, 2] = bad
        refuses(NonFinite, "hold NaN or infinity", _call(model, broken, 1.0))


@contract()
def noise_levels_are_checked(case: DenoiserCase) -> None:
    """A noise level that is not positive and finite is refused, with what is allowed."""
    model, x = case.model(), case.x()
    for bad in (0.0, -1.0, math.nan, math.inf, 1e-7):
        refuses(BadInput, r"is not a noise level\. Give a positive number, 1e-06 to 1e\+06", _call(model, x, bad))
        if isinstance(model, Explains):
            refuses(BadInput, "is not a noise level", _explanation(model, x[0], bad))


@contract(when=averages)
def too_little_memory_is_refused(case: DenoiserCase) -> None:
    """One byte of memory is too little: the error says what is needed and which knob gives it."""
    images, x = case.sets["colour"], case.x(count=1)
    case.model()  # windows are found before, as they are in every store after the first use
    text = r"needs .*; the budget is .*\. Give at least \d+ MB \(--memory MB, Compute"
    refuses(TooLarge, text, lambda: case.fit(images, Compute(memory=1))(x, SIGMA))


def _always(x: Tensor) -> Callable[[float], Tensor]:
    return lambda sigma: x


def _call(model: Denoiser, x: Tensor, sigma: float) -> Callable[[], Tensor]:
    return lambda: model(x, sigma)


def _explanation(model: Explains, x: Tensor, sigma: float) -> Callable[[], object]:
    return lambda: model.explain(x, Pixel(0, 0), sigma)
