"""The cluster of this process: the one that LOCALITY_CLUSTER names."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from locality.device import Compute

VARIABLE = "LOCALITY_CLUSTER"


def usual() -> Compute:
    """Where studies compute when they are not told: on the cluster, else here."""
    from locality.cluster.compute import ClusterCompute
    from locality.device import Compute

    cluster = os.environ.get(VARIABLE, "")
    return ClusterCompute(cluster=cluster) if cluster else Compute()


def join() -> None:
    """Ask the workers who they are, where a cluster is named. Raises as `Team.connect`."""
    if os.environ.get(VARIABLE):  # what is imported otherwise takes seconds, and the first page waits for it anyway
        from locality.cluster.compute import ClusterCompute

        _ = ClusterCompute(cluster=os.environ[VARIABLE]).team
