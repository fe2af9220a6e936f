"""Where a command computes and what it took, in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from locality.cluster.here import VARIABLE
from locality.errors import BadInput

if TYPE_CHECKING:
    from locality.device import Compute
    from locality.studies import Expected

_SAID = 2.0  # seconds: of shorter work nothing is said before

DeviceOpt = Annotated[str, typer.Option(help="auto, cpu, cuda, ...")]
DevicesOpt = Annotated[
    str,
    typer.Option(
        "--device",
        help="auto, cpu, cuda, ...; several, as cuda:0,cuda:1, share the training images of models that average them; "
        "statistics are summed on all, networks and all else run on the first.",
    ),
]
MemoryOpt = Annotated[int, typer.Option(metavar="MB", help="Memory on each device for one denoising call's work.")]


SpaceOpt = Annotated[
    int | None,
    typer.Option(
        "--memory",
        metavar="MB",
        help="Memory for statistics, whatever the number of images; by default what is free.",
    ),
]


ClusterOpt = Annotated[
    str,
    typer.Option(
        "--cluster",
        metavar="WHERE",
        envvar=VARIABLE,
        help="Compute on the workers of a Dask scheduler, tcp://HOST:PORT, or on N processes here, local:N.",
    ),
]


def decomposing(megabytes: int | None, cluster: str = "") -> Compute:
    """The computation of statistics with so much memory. Raises BadInput, and as `compute_on`."""
    from locality.device import Compute

    if megabytes is not None and megabytes < 1:
        raise BadInput(f"--memory {megabytes}: give at least 1 (MB).")
    return _joined(Compute(decomposition=None if megabytes is None else megabytes * 1024**2), cluster)


def compute_on(device: str, memory: int | None = None, cluster: str = "") -> Compute:
    """The devices and the memory budget of some options, on the workers of a cluster where one is named.

    Raises:
        BadInput: no such device, too little memory, a cluster that cannot be used.
        Unreachable: a scheduler that does not answer.
    """
    from locality.device import Compute, usable_devices

    if cluster and device not in ("auto", "cpu"):
        raise BadInput(f"--device {device} with --cluster: workers compute on their processors. Leave --device out.")
    first, *others = usable_devices("cpu" if cluster else device)
    if memory is None:
        return _joined(Compute(first, others=tuple(others)), cluster)
    if memory < 1:
        raise BadInput(f"--memory {memory}: give at least 1 (MB).")
    return _joined(Compute(first, memory=memory * 1024**2, others=tuple(others)), cluster)


def _joined(compute: Compute, cluster: str) -> Compute:
    """On the workers of a cluster, which are asked who they are, where one is named."""
    if not cluster:
        return compute
    from locality.cluster.compute import ClusterCompute

    joined = ClusterCompute(**vars(compute), cluster=cluster)
    _ = joined.team
    return joined


def cluster_facts(compute: Compute) -> dict[str, Any]:
    """What a result says of the cluster, nothing without one; workers that were lost are named on stderr too."""
    from locality.cluster.compute import ClusterCompute

    if not isinstance(compute, ClusterCompute):
        return {}
    for worker in compute.facts()["lost"]:
        typer.echo(f"Note: the worker {worker} was lost; the others did its work.", err=True)
    return {"cluster": compute.facts()}


def elsewhere(compute: Compute) -> bool:
    """Whether it computes on a cluster, of which a second of work here tells nothing."""
    from locality.cluster.compute import ClusterCompute

    return isinstance(compute, ClusterCompute)


def spent_text(seconds: float, peak: int | None) -> str:
    """Time and memory for people."""
    return f"{seconds:.2f} s, peak memory {'unknown' if peak is None else f'{peak / 1e6:.0f} MB'}"


def tell_expected(expected: Mapping[str, Expected]) -> None:
    """What models by name will take, on stderr before it is taken; nothing of what is over in a moment."""
    from locality.cli.parts.app import duration

    total = sum(one.seconds for one in expected.values())
    if total < _SAID and all(one.calls is not None for one in expected.values()):
        return
    for name, one in expected.items():
        typer.echo(f"Expected of {name}: {_expected_text(one)}.", err=True)
    if len(expected) > 1:
        typer.echo(f"Expected: about {duration(total)} in all.", err=True)


def _expected_text(expected: Expected) -> str:
    from locality.cli.parts.app import duration

    if expected.calls is None:
        return f"at least {duration(expected.fit)} until the model is ready; no call was timed"
    memory = "" if expected.bytes is None else f", {expected.bytes / 1e6:.0f} MB"
    return f"about {duration(expected.seconds)}, {duration(expected.fit)} of them until the model is ready{memory}"
