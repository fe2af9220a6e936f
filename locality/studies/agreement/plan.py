"""What an agreement study is: how it is made, and the matrices that come out."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float64, Int
from torch import Tensor

from locality.errors import BadInput, UnknownName
from locality.fields.codec import LEARNED_SIGMAS
from locality.fields.similarity import MEASURES, Similarity
from locality.schedule import HIGHEST, LOWEST
from locality.specs import Spec, param
from locality.store import Artifact

ABOUT = {
    "sigmas": "noise levels, units of images in [-1, 1]",
    "fields": "d x0_hat[pixel] / d x summed over output and input channels, signed mean over `draws` pairs "
    "(held-out image, noise), the same pairs for every model; dimensionless",
    "pearson": "correlation of two fields [sigma, model, model], mean over the pixels where both vary; in [-1, 1]",
    "off_centre": "the same without the field's own pixel",
    "cosine": "cosine of two fields, mean over the pixels; in [-1, 1]",
    "stderr": "standard error over draws, jackknife: one draw left out of all models at a time",
    "chance": "the same measure between fields of two different pixels, mean over all pairs of different pixels; "
    "off_centre: each field without its own pixel",
    "ceiling": "a model with itself [sigma, model], each field averaged over its own half of the draws",
    "pixels": "pixels that the mean is over",
    "r2_outputs": "1 - sum (a - u)^2 / sum (u - mean u)^2 per held-out noisy image, mean over images "
    "[sigma, a, u]: how much of the column's x0_hat the row explains; at most 1, can be negative",
    "r2_samples": "the same of final images drawn by DDIM from the same noise, each on its own trajectory [a, u]",
    "error_ratio": "held-out squared error / Wiener's, by sigma, from the network's manifest",
}


@dataclass(frozen=True)
class AgreementPlan(Spec):
    """Which fields, outputs and samples are compared."""

    step: int = param(4, help="Fields of every step-th pixel of rows and columns.", low=1, high=512, unit="px")
    draws: int = param(16, help="Pairs (held-out image, noise) per field.", low=2, high=4096)
    seed: int = param(0, help="Seed of images, noise and untrained weights.", low=0, high=2**31 - 1)
    outputs: int = param(128, help="Held-out images whose estimates are compared; 0 for none.", low=0, high=4096)
    samples: int = param(128, help="Images every model draws from the same noise; 0 for none.", low=0, high=4096)
    steps: int = param(10, help="Noise levels of a drawn image.", low=2, high=1000)
    sigmas: tuple[float, ...] = param(LEARNED_SIGMAS, help="Noise levels.", low=LOWEST, high=HIGHEST)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.sigmas or len(set(self.sigmas)) < len(self.sigmas):
            raise BadInput(f"AgreementPlan:sigmas={self.sigmas}: give at least one noise level, each once.")


@dataclass(frozen=True, eq=False)
class Explained:
    """R2 of all pairs of n models, row as the estimate of column: mean, standard error and number of images.

    Images whose target is constant are left out; nan and 0 where none is left.
    """

    value: Float64[Tensor, "*s n n"]
    stderr: Float64[Tensor, "*s n n"]
    images: Int[Tensor, "*s n n"]


@dataclass(frozen=True, eq=False)
class Agreement:
    """How far the models of a dataset agree; `ABOUT` says what each number is.

    `models`: name, kind, error_ratio and note of each, in the order of the matrices. `held_out`: digest of
    the images of the draws.
    """

    dataset: str
    plan: AgreementPlan
    models: list[dict[str, Any]]
    pixels: list[list[int]]
    held_out: str
    pearson: Similarity
    off_centre: Similarity
    cosine: Similarity
    r2_outputs: Explained | None
    r2_samples: Explained | None

    @property
    def names(self) -> list[str]:
        return [str(model["name"]) for model in self.models]

    @property
    def sigmas(self) -> tuple[float, ...]:
        return self.plan.sigmas

    def pick(self, names: Sequence[str]) -> Agreement:
        """The same study of some of its models, in this order. Raises UnknownName."""
        unknown = next((name for name in names if name not in self.names), None)
        if unknown is not None:
            raise UnknownName("model of this study", unknown, self.names)
        rows = [self.names.index(name) for name in names]
        arrays = {name: pick_rows(name, array, rows) for name, array in self.arrays().items()}
        return unpack(Artifact(arrays, self.meta()), self.dataset, self.plan, [self.models[row] for row in rows])

    def arrays(self) -> dict[str, Tensor]:
        """Every array by name: `pearson`, `pearson_stderr`, `pearson_chance`, ..., `r2_samples_images`."""
        flat = {}
        for name in (*MEASURES, "r2_outputs", "r2_samples"):
            part = getattr(self, name)
            if part is not None:
                for item in dataclasses.fields(part):
                    flat[name if item.name == "value" else f"{name}_{item.name}"] = getattr(part, item.name)
        return flat

    def meta(self) -> dict[str, Any]:
        """What is kept beside the arrays."""
        return {"pixels": self.pixels, "held_out": self.held_out}

    def to_json(self) -> dict[str, Any]:
        """Plain values, arrays as nested lists (nan where a number is not defined), and what each number is."""
        return {
            "dataset": self.dataset,
            "models": self.models,
            "plan": {name: value for name, value in dataclasses.asdict(self.plan).items() if name != "sigmas"},
            "sigmas": list(self.sigmas),
            **self.meta(),
            **{name: array.tolist() for name, array in self.arrays().items()},
            "about": ABOUT,
        }


def pick_rows(name: str, array: Tensor, rows: Sequence[int]) -> Tensor:
    """An array of a study for some of its models: ceilings have one axis of models, the others two."""
    index = torch.tensor(list(rows))
    array = array.index_select(-1, index)
    return array if name.endswith("_ceiling") else array.index_select(-2, index)


def unpack(kept: Artifact, dataset: str, plan: AgreementPlan, models: Sequence[Mapping[str, Any]]) -> Agreement:
    """The study of an artefact: its arrays and facts, and the models in the order of the arrays."""

    def parts(name: str, kind: type[Similarity] | type[Explained]) -> Any:
        if name not in kept.arrays:
            return None
        names = [item.name for item in dataclasses.fields(kind)]
        return kind(**{item: kept.arrays[name if item == "value" else f"{name}_{item}"] for item in names})

    return Agreement(
        dataset,
        plan,
        [dict(model) for model in models],
        kept.meta["pixels"],
        kept.meta["held_out"],
        *(parts(name, Similarity) for name in MEASURES),
        *(parts(name, Explained) for name in ("r2_outputs", "r2_samples")),
    )
