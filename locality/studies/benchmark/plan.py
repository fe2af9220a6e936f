"""What a benchmark is: who takes part, from which noise, and how many images; plain values that name it in full."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from locality.errors import BadInput
from locality.metrics import RATIO_SIGMAS
from locality.schedule import HIGHEST, LOWEST
from locality.specs import Spec, param

AUTO, NONE = "auto", "none"
FEATURES = ("classifier", "pixels", "inception")
_SETTING = re.compile(r"@(?=[A-Za-z_]+=)")  # a path may hold an @; a setting follows one and has a value
_YES, _NO = ("true", "yes", "1"), ("false", "no", "0")


@dataclass(frozen=True)
class Entry:
    """A model and the settings that are not its own: how many training images, how many steps, clipping on the way.

    None takes the benchmark's. With other steps or clipping the reference network is sampled in the same way.
    """

    model: str
    first: int | None = None
    steps: int | None = None
    clip: bool | None = None

    def __str__(self) -> str:
        """As it is typed: `pca_locality:tau=0.02@first=1000@steps=20@clip=false`."""
        settings = {"first": self.first, "steps": self.steps, "clip": self.clip}
        given = (f"@{name}={str(value).lower()}" for name, value in settings.items() if value is not None)
        return self.model + "".join(given)


def parse_entry(text: str) -> Entry:
    """`MODEL@first=N@steps=K@clip=false` -> an entry; MODEL is what `find_model` takes.

    Raises:
        BadInput: no model, an unknown setting, one given twice, or a value of another kind or out of range.
    """
    model, *settings = _SETTING.split(text.strip())
    if not model:
        raise BadInput(
            f"--model {text!r} names no model. Write for example wiener, or pca_locality:tau=0.02@first=1000."
        )
    values: dict[str, Any] = {}
    for setting in settings:
        name, _, value = setting.partition("=")
        if name not in ("first", "steps", "clip"):
            raise BadInput(f"--model {text!r}: no setting {name!r}. After @ there are first, steps and clip.")
        if name in values:
            raise BadInput(f"--model {text!r} gives {name} twice. Give it once.")
        values[name] = _flag(text, value) if name == "clip" else _number(text, name, value)
    return Entry(model, **values)


@dataclass(frozen=True)
class BenchPlan(Spec):
    """Everything about a benchmark but the images."""

    reference: str = param("unet", help="The trained network to explain: a name from `networks` or a path.")
    models: tuple[str, ...] = param(
        ("wiener",),
        help="A model, as of `sample`; again for more. After it @first=N (training images), @steps=K or @clip=false "
        "for this one alone. wiener always takes part.",
    )
    presets: tuple[str, ...] = param((), help="Add the models of an ablation; see --presets.")
    ceiling: str = param(
        AUTO, help="A second trained network, for scale; auto takes the other one with the least error; or none."
    )
    count: int = param(128, help="Images drawn by every model, from the same noise.", low=1, high=4096)
    steps: int = param(10, help="Noise levels on the way from noise to image.", low=2, high=1000)
    seed: int = param(0, help="Seed of the noise.", low=0, high=2**31 - 1)
    sigmas: tuple[float, ...] = param(
        RATIO_SIGMAS, help="Noise levels of the held-out images that are denoised.", low=LOWEST, high=HIGHEST
    )
    features: str = param(
        "classifier+pixels", help="What samples are compared by, joined by +: classifier, pixels, inception; or none."
    )
    real: int = param(10_000, help="Training images that samples are compared with, at most.", low=3, high=1_000_000)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.sigmas or len(set(self.sigmas)) < len(self.sigmas):
            raise BadInput(f"{self.called()}:sigmas={self.sigmas}: give at least one noise level, each once.")
        self.extractors()

    def extractors(self) -> tuple[str, ...]:
        """The names of `features`, in their order. Raises BadInput."""
        names = () if self.features in (NONE, "") else tuple(dict.fromkeys(self.features.split("+")))
        for name in names:
            if name not in FEATURES:
                raise BadInput(
                    f"{self.called()}:features={self.features!r}: no features {name!r}. "
                    f"Join {', '.join(FEATURES)} by +, or give none."
                )
        return names

    def entries(self) -> tuple[Entry, ...]:
        """The entries of `models`, parsed; each once. Raises BadInput as `parse_entry`."""
        return tuple(dict.fromkeys(parse_entry(text) for text in self.models))


def _number(text: str, name: str, value: str) -> int:
    low, high = (2, 1000) if name == "steps" else (2, 10**9)
    if not value.isdecimal() or not low <= int(value) <= high:
        allowed = f"a whole number from {low} to {high}" if name == "steps" else "a whole number from 2"
        raise BadInput(f"--model {text!r}: {name}={value!r} is not {allowed}.")
    return int(value)


def _flag(text: str, value: str) -> bool:
    if value.lower() not in (*_YES, *_NO):
        raise BadInput(f"--model {text!r}: clip={value!r} is not true or false.")
    return value.lower() in _YES
