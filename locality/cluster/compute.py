"""A computation on a team: statistics and averages where the images are; all else where the command runs."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Generator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from locality.cluster.held import Rows, add_moments, forget, sum_rows, unpack_moments
from locality.cluster.reduction import Reduction, in_order
from locality.cluster.shards import Shards
from locality.cluster.spread import SpreadDenoiser
from locality.cluster.team import Team
from locality.dataset import Images
from locality.denoisers.parts.averaging import with_averages
from locality.device import Compute
from locality.linear.moments import Moments
from locality.linear.passes import chunk_size, parts_of
from locality.types import Denoiser
from locality.work import Progress

if TYPE_CHECKING:
    from distributed import Future

_LEAF = 8  # chunks of images whose sums are one piece of work
_SETS, _MODELS = 3, 4  # training sets, and models, that workers hold at a time

_teams: dict[str, Team] = {}
_sets: dict[str, OrderedDict[str, Shards]] = {}
_models: dict[str, OrderedDict[str, set[str]]] = {}
_lock = threading.RLock()


@dataclass(frozen=True)
class ClusterCompute(Compute):
    """As Compute, whose knobs hold on every worker. One connection for each `cluster` in a process, made when asked.

    Args:
        cluster: what `Team.connect` takes.
    """

    cluster: str = ""

    @property
    def team(self) -> Team:
        """The workers. Raises as `Team.connect`."""
        with _lock:
            if self.cluster not in _teams:
                _teams[self.cluster] = Team.connect(self.cluster)
            return _teams[self.cluster]

    def shards(self, images: Images) -> Shards:
        """The training images of a set on the workers, put there if they are not. Raises as `Shards.place`."""
        with _lock:
            held = _sets.setdefault(self.cluster, OrderedDict())
            if images.fingerprint not in held:
                while len(held) >= _SETS:
                    self.team.tell(forget, [held.popitem(last=False)[0]])
                parts = parts_of(images.train, self)
                bounds = () if images.train.is_8bit else [start for start, _ in parts] + [parts[-1][1]]
                held[images.fingerprint] = Shards(self.team, images, bounds)
            held.move_to_end(images.fingerprint)
            return held[images.fingerprint]

    def use(self, model: str, there: set[str]) -> None:
        """Keep a model on the workers that have it, and not those that were used longest ago."""
        with _lock:
            held = _models.setdefault(self.cluster, OrderedDict())
            held[model] = there
            held.move_to_end(model)
            while len(held) > _MODELS:
                old, has = held.popitem(last=False)
                has.clear()
                self.team.tell(forget, [old])

    def moments(self, images: Images) -> Generator[Progress, None, Moments]:
        """Of all training images, the same as in one process to the last bit.

        Sums of 8-bit images are whole numbers and merge in any order; others are those of the parts that one process
        sums, merged in its order.
        """
        yield Progress(0.0, 1.0, f"Images to {len(self.team.members)} workers")
        team, shards, size = self.team, self.shards(images), chunk_size(images.train, self)

        def leaf(worker: str, rows: Rows) -> Future[Any]:
            return team.submit(worker, sum_rows, shards.key, rows, size, self.devices)

        if images.train.is_8bit:
            work = Reduction(shards, leaf, add_moments, _LEAF * size)
            running = work.run()
            while True:
                try:
                    yield Progress(next(running), 1.0, "Covariance")
                except StopIteration as end:
                    team.moved += (work.crossed + 1) * sum(array.nbytes for array in end.value[1:])
                    return unpack_moments(end.value)
        found: Moments | None = None
        for packed in in_order(shards, leaf, parts_of(images.train, self)):
            if packed is not None:
                part = unpack_moments(packed)
                found = part if found is None else found + part
            yield Progress(0 if found is None else found.count, len(images.train), "Covariance")
        assert found is not None
        return found

    def spread(self, denoiser: Denoiser, images: Images) -> Denoiser:
        """A model that averages training images, or asks such ones, with these averages taken on the workers."""
        return with_averages(denoiser, lambda one: SpreadDenoiser(one, images, self))

    def facts(self) -> dict[str, Any]:
        """For results: what it is, how many workers there are, which were lost, and bytes sent by their sizes."""
        team = self.team
        lost = [str(one) for one in team.lost]
        return {"cluster": self.cluster, "workers": len(team.members), "lost": lost, "bytes_moved": team.moved}


def leave(cluster: str) -> None:
    """End a connection, if there is one."""
    with _lock:
        _sets.pop(cluster, None)
        _models.pop(cluster, None)
        if (team := _teams.pop(cluster, None)) is not None:
            team.close()
