"""The size of square windows at each noise level: searched for, calibrated on a network, published or constant."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from locality.dataset import Dataset, Images
from locality.denoisers.parts.bank import AveragingSpec, Bank
from locality.device import Compute
from locality.errors import BadInput
from locality.noise import field_noise
from locality.sampler import ddim, initial, start_noise
from locality.schedule import check_sigma, ddpm_grid, log_grid, nearest_level
from locality.specs import param
from locality.store import Store
from locality.store.artifact import Artifact
from locality.types import Denoiser, ImageShape
from locality.work import Progress

VERSION = 1
_VALIDATION, _CANDIDATES = 16, 500  # held-out training images of the greedy search, and images it averages
_SAMPLES = 4  # trajectories of a network that windows are calibrated on
_GREEDY_SIGMAS = log_grid(0.01, 80.0, 10)

Maker = Callable[[Bank, int], Denoiser]  # a model with one window size


@dataclass(frozen=True)
class WindowSchedule:
    """Window size for each of some noise levels; in between, that of the nearest in ln sigma."""

    sigmas: tuple[float, ...]
    sizes: tuple[int, ...]

    def at(self, sigma: float) -> int:
        """The size at a noise level. Raises BadInput (sigma)."""
        return self.sizes[nearest_level(self.sigmas, check_sigma(sigma))]


@dataclass(frozen=True)
class WindowedSpec(AveragingSpec):
    """What the models that compare square windows share: how their size is chosen.

    `published` holds the window lists of the model's paper, by dataset and architecture.
    """

    published: ClassVar[Mapping[tuple[str, str], WindowSchedule]] = {}

    window: str = param(
        "greedy",
        help="Side in pixels (odd), or how it follows the noise: greedy (from the training images alone), "
        "published (the paper's list), published_resnet, or calibrated (on a network).",
    )
    network: str = param("unet", help="Trained network used by window=calibrated.")

    def network_needed(self) -> str:
        return self.network if self.window == "calibrated" else ""

    @property
    def exempt(self) -> Mapping[str, str]:
        found = dict(super().exempt)
        if self.window == "greedy":
            found["order_changes_nothing"] = "the last images are the validation images"
            found["chunks_change_nothing"] = "the search is slow in small chunks, and calls models of one window"
        return found

    def check(self, dataset: str, shape: ImageShape) -> None:
        if self.window.startswith("published"):
            self._published(dataset)
        elif self.window not in ("greedy", "calibrated"):
            self._side(shape)

    def sides(self, shape: ImageShape) -> list[int]:
        """Windows of one size that may be asked for: odd, no larger than the images."""
        return list(range(1, max(shape.h, shape.w) + 1, 2))

    def schedule(
        self,
        images: Images,
        bank: Bank,
        make: Maker,
        *,
        largest: int,
        owner: str,
        compute: Compute,
        store: Store,
        reference: Denoiser | None,
    ) -> Generator[Progress, None, WindowSchedule]:
        """Window sizes up to `largest`; what is searched for is kept in the store, under the name of `owner`.

        Raises:
            BadInput: not a size or the name of a rule, an even or too large size, no published list, too few images.
        """
        if self.window.startswith("published"):
            return self._published(images.name)
        if self.window not in ("greedy", "calibrated"):
            return WindowSchedule((1.0,), (self._side(images.shape),))
        key = {"owner": owner, "fingerprint": images.fingerprint, "largest": largest, "version": VERSION}
        key |= {"source": self.source} if self.source else {}
        if self.window == "calibrated":
            key |= {"bank": [self.first, list(self.classes), self.flips], "network": weights_digest(reference)}

        def search() -> Generator[Progress, None, Artifact]:
            if self.window == "greedy":
                made = yield from greedy(images.train, make, largest, compute)
            else:
                assert reference is not None
                made = yield from calibrated(bank, make, largest, reference)
            return Artifact({"sizes": torch.tensor(made.sizes)}, {"sigmas": list(made.sigmas)})

        found = yield from store.kept("windows", key, search(), once=False)
        sigmas: list[float] = found.meta["sigmas"]
        return WindowSchedule(tuple(sigmas), tuple(found.arrays["sizes"].tolist()))

    def _published(self, dataset: str) -> WindowSchedule:
        """The paper's list. Raises BadInput where there is none."""
        network = self.window.removeprefix("published").strip("_") or "unet"
        if (dataset, network) in self.published:
            return self.published[dataset, network]
        known = ", ".join(sorted(f"{data} ({net})" for data, net in self.published))
        raise BadInput(
            f"{self.name}: no window list is published for {dataset} ({network}), only for {known or 'no dataset'}. "
            "Use window=greedy, window=calibrated or a size."
        )

    def _side(self, shape: ImageShape) -> int:
        sides = self.sides(shape)
        if self.window in map(str, sides):
            return int(self.window)
        odd = max(side for side in sides if side % 2)
        whole = f", the whole image ({sides[-1]})" if sides[-1] > odd else ""
        raise BadInput(
            f"{self.name}:window={self.window!r} is not a window of {shape.h}x{shape.w} images. "
            f"Give an odd number 1..{odd}{whole}, or greedy, published, calibrated."
        )


def greedy(train: Dataset, make: Maker, largest: int, compute: Compute) -> Generator[Progress, None, WindowSchedule]:
    """Sizes from training images alone, growing with the noise.

    From the lowest level upward: enlarge by 2 while the squared error on held-out training images
    does not rise; never shrink.
    """
    validation = min(_VALIDATION, len(train) // 2)
    if not validation:
        raise BadInput(f"window=greedy needs at least 2 training images; {train.name} has {len(train)}. Give a size.")
    rows = torch.arange(min(_CANDIDATES, len(train) - validation))
    bank = Bank.of(train, rows, flips=False, compute=compute)
    x0 = train.x0(slice(len(train) - validation, len(train))).to(compute.device)
    eps = field_noise(validation, x0.shape[1], seed=0)
    size = min(3, largest)
    sizes: list[int] = []
    for i, sigma in enumerate(_GREEDY_SIGMAS):
        yield Progress(i, len(_GREEDY_SIGMAS), f"Window at sigma {sigma:.2g}")
        x = x0 + sigma * eps.to(x0)
        error = _error(make(bank, size), x, x0, sigma)
        while size < largest:
            wider = min(size + 2, largest)
            new = _error(make(bank, wider), x, x0, sigma)
            if new > error:
                break
            size, error = wider, new
        sizes.append(size)
    return WindowSchedule(tuple(_GREEDY_SIGMAS), tuple(sizes))


@torch.no_grad()
def _error(denoiser: Denoiser, x: Float[Tensor, "b d"], x0: Float[Tensor, "b d"], sigma: float) -> float:
    return float((denoiser(x, sigma) - x0).double().square().sum())


def calibrated(bank: Bank, make: Maker, largest: int, network: Denoiser) -> Generator[Progress, None, WindowSchedule]:
    """Sizes whose score is most like a network's along the network's own DDIM trajectory.

    For every step and sample the size with the largest cosine, then the median over samples.
    """
    sizes = [size for size in (3, 5, 7, 9, 11, 13, 15, 17, 21, 25, 31, 41, 51) if size < largest] + [largest]
    sigmas = ddpm_grid(10)
    x_T = initial(start_noise(bank.shape, _SAMPLES, 0).to(bank.device), sigmas[0], "ddpm")
    chosen: list[int] = []
    for step in ddim(network, x_T, sigmas):
        cosines = []
        for i, size in enumerate(sizes):
            yield Progress(step.index + i / len(sizes), len(sigmas), f"Window at sigma {step.sigma:.2g}")
            with torch.no_grad():
                ours, theirs = make(bank, size)(step.x, step.sigma) - step.x, step.x0_hat - step.x
            cosines.append(torch.cosine_similarity(ours, theirs, dim=1))
        best = torch.stack(cosines).argmax(dim=0)
        chosen.append(sizes[int(best.median())])
    return WindowSchedule(tuple(sigmas), tuple(chosen))


def weights_digest(reference: Denoiser | None) -> str:
    """Digest of a network's weights, so that what follows it is kept by content."""
    net = getattr(reference, "net", None)
    if net is None:
        return type(reference).__name__
    found = hashlib.sha256(getattr(getattr(reference, "spec", None), "source", "").encode())
    for name, value in net.state_dict().items():
        found.update(f"{name}:{value.dtype}:{tuple(value.shape)}:".encode())
        found.update(value.detach().cpu().flatten().contiguous().view(torch.uint8).numpy().data)
    return found.hexdigest()
