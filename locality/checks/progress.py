"""What every averaging denoiser must do while it goes through the training images: say how far it is, and stop."""

from __future__ import annotations

from locality.checks.denoisers import SIGMA, DenoiserCase, averages, contract
from locality.checks.named import hold
from locality.checks.small import small
from locality.types import Denoiser
from locality.work import listening


class _Stop(Exception):
    """Raised by a listener to end the work."""


@contract(when=averages)
def heartbeats_rise_to_one(case: DenoiserCase) -> None:
    """While it denoises it reports which share is done, in rising order, 1 at the end."""
    heard = _heartbeats(case, case.model())
    hold(heard == sorted(heard), f"the shares do not rise: {heard}")
    hold(heard[0] > 0 and abs(heard[-1] - 1) < 1e-6, f"the shares go from {heard[0]} to {heard[-1]}")


@contract(when=averages)
def heartbeats_follow_the_chunks(case: DenoiserCase) -> None:
    """Little memory makes more chunks of training images, and a heartbeat after each."""
    plenty, images = case.model(), case.sets["colour"]
    little = small(lambda compute: case.fit(images, compute), case.x(count=2).float(), SIGMA)
    few, many = (len(_heartbeats(case, model)) for model in (plenty, little))
    hold(many > few, f"{few} heartbeats with plenty of memory, {many} with little")


@contract(when=averages)
def work_can_be_stopped(case: DenoiserCase) -> None:
    """What a listener raises passes through, so that long work ends at the next chunk."""

    def stop(share: float) -> None:
        raise _Stop

    try:
        with listening(stop):
            case.model()(case.x(count=2).float(), SIGMA)
    except _Stop:
        return
    raise AssertionError("it went on to the end")


def _heartbeats(case: DenoiserCase, model: Denoiser) -> list[float]:
    heard: list[float] = []
    with listening(heard.append):
        model(case.x(count=2).float(), SIGMA)
    hold(heard, "there was no heartbeat: call locality.work.heartbeat after every chunk")
    return heard
