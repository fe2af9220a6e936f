"""What will be asked of this machine, before it is: seconds and memory of sampling and of one denoising call."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass

from locality.cluster.here import usual
from locality.datasets import Source
from locality.device import Compute
from locality.store import Store, default_store
from locality.studies.costs.law import Law, busier, law_of, pulse
from locality.studies.models import find_model
from locality.studies.sampling.config import Sampling
from locality.studies.sampling.samples import check_size, levels_of
from locality.work import Progress


@dataclass(frozen=True)
class Expected:
    """Seconds until the model is ready and of its calls, and bytes beside what the process holds; None: not known.

    Within a factor of 1.5 where the machine stays as busy as it is. `calls` is None where the fit alone takes so
    long that no call was timed.
    """

    fit: float
    calls: float | None
    bytes: int | None

    @property
    def seconds(self) -> float:
        """All together; where no call was timed, at least that."""
        return self.fit + (self.calls or 0.0)


def expected_sampling(
    source: Source, text: str, sampling: Sampling, *, store: Store | None = None, compute: Compute | None = None
) -> Generator[Progress, None, Expected]:
    """What `sample` will take. Raises as `sample`."""
    check_size(sampling, source.shape)
    store, compute = store or default_store(), compute or usual()
    model = find_model(source, text, store=store)
    levels = levels_of(model, sampling)
    law = yield from law_of(model, sampling.count, levels, store=store, compute=compute)
    return sampling_cost(law, sampling, levels, source.shape.d, pulse())


def expected_call(
    source: Source,
    text: str,
    count: int,
    sigma: float,
    *,
    store: Store | None = None,
    compute: Compute | None = None,
) -> Generator[Progress, None, Expected]:
    """What `denoise` will take. Raises as `find_model` and `law_of`."""
    store, compute = store or default_store(), compute or usual()
    law = yield from law_of(find_model(source, text, store=store), count, [sigma], store=store, compute=compute)
    return cost(law, [sigma], count, pulse())


def sampling_cost(law: Law, sampling: Sampling, levels: Sequence[float], d: int, now: float) -> Expected:
    """Of all steps, at these noise levels, from a model's law and the pulse of the machine now."""
    if sampling.sampler == "heun":  # two calls a step but for the first
        levels = [*levels, *levels[1:]]
    made = cost(law, levels, sampling.count, now)
    kept = 2 * 4 * sampling.count * sampling.steps * d  # the trajectory, in float32
    return Expected(made.fit, made.calls, None if made.bytes is None else made.bytes + kept)


def cost(law: Law, levels: Sequence[float], count: int, now: float) -> Expected:
    """Of one call on `count` images at each of these noise levels."""
    factor = busier(law, now)
    calls = sum(law.call(sigma, count) for sigma in levels) if law.seconds else None
    return Expected(law.fit * factor, None if calls is None else calls * factor, law.bytes)
