"""What every denoiser must do, whoever wrote it. One function, one contract; its first line says what is promised."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from jaxtyping import Float
from torch import Tensor

from locality.checks.named import Checks, hold
from locality.checks.sets import Given, SmallNetwork, eight_bit, floats, given, noisy
from locality.checks.specs import explained, read, reversible
from locality.dataset import Images
from locality.denoisers import DENOISERS, DenoiserSpec
from locality.denoisers.parts.bank import AveragingSpec
from locality.device import Compute
from locality.store import Store
from locality.types import Denoiser, Pixel
from locality.work import finish

SIGMA = 0.6
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
