"""Where and how the steps of a training are computed. Nothing here changes what is learned, but for rounding.

Several processes, one for each GPU, are started by `torchrun`. Each draws the whole batch and computes its share of it;
gradients are summed over all in one message, so that every process has the same weights after every step.
"""

from __future__ import annotations

import atexit
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta

import torch
from torch import Tensor, distributed, nn

from locality.device import usable_device
from locality.errors import BadInput
from locality.networks.parts.quick import quicken

_PATIENCE = timedelta(hours=2)  # the first process may decompose a covariance before its first step


@dataclass(frozen=True)
class Machine:
    """How the steps of a training are computed.

    Args:
        device: "cpu", "cuda", ...
        accumulate: parts of a batch, computed one after another: memory for one of them.
        compiled: have PyTorch compile the network for its device; takes a minute at the start.
        channels_last: order of the values in convolutions; None: the quicker one for the device.
        rank: number of this process among `ranks`.
    """

    device: str = "cpu"
    accumulate: int = 1
    compiled: bool = False
    channels_last: bool | None = None
    rank: int = 0
    ranks: int = 1

    def __post_init__(self) -> None:
        if self.accumulate < 1:
            raise BadInput(f"--accumulate {self.accumulate}: give at least 1.")

    @staticmethod
    def here(
        device: str = "auto",
        *,
        accumulate: int = 1,
        compiled: bool = False,
        environment: Mapping[str, str] = os.environ,
    ) -> Machine:
        """This process: alone, or one of those that `torchrun` started, which meet here.

        Raises:
            BadInput: no such device; more processes on a machine than it has GPUs.
        """
        ranks = int(environment.get("WORLD_SIZE", "1"))
        if ranks == 1:
            return Machine(usable_device(device), accumulate, compiled)
        where = _own_device(device, int(environment["LOCAL_RANK"]))
        if where.startswith("cuda"):
            torch.cuda.set_device(where)
        if not distributed.is_initialized():
            distributed.init_process_group("nccl" if where.startswith("cuda") else "gloo", timeout=_PATIENCE)
            atexit.register(distributed.destroy_process_group)
        return Machine(where, accumulate, compiled, None, distributed.get_rank(), ranks)

    @property
    def kind(self) -> str:
        """Kind of device."""
        return torch.device(self.device).type

    @property
    def first(self) -> bool:
        """Whether this process writes files and tells people; the others only compute."""
        return self.rank == 0

    def placed(self, net: nn.Module, bfloat16: bool) -> nn.Module:
        """A network on the device, with the convolutions and in the order of values that are quick there."""
        winograd = self.kind == "cpu" and not bfloat16 and not self.compiled and quicken(net)
        ordered = winograd or self.kind == "cuda" if self.channels_last is None else self.channels_last
        net = net.to(self.device)
        return net.to(memory_format=torch.channels_last) if ordered else net  # type: ignore[call-overload]

    def runner(self, net: nn.Module) -> nn.Module:
        """What computes the network: itself, or compiled with the same weights."""
        if not self.compiled:
            return net
        made: nn.Module = torch.compile(net)  # type: ignore[assignment]
        return made

    def shares_images(self, bfloat16: bool) -> bool:
        """Whether cores take images each instead of all of them the same layer: on a CPU in float32."""
        return self.kind == "cpu" and not bfloat16 and not self.compiled

    def shares(self, batch: Tensor) -> list[Tensor]:
        """The parts of a batch that this process computes, one after another."""
        mine = batch.tensor_split(self.ranks)[self.rank]
        return [part for part in mine.tensor_split(self.accumulate) if len(part)]

    def add_up(self, tensors: Iterable[Tensor]) -> None:
        """Sum tensors over all processes, in place, in one message."""
        if self.ranks == 1:
            return
        each = list(tensors)
        flat = torch.cat([tensor.flatten() for tensor in each])
        try:
            distributed.all_reduce(flat)
        except RuntimeError as error:
            raise BadInput(
                f"Process {self.rank} of {self.ranks} lost the others ({str(error).splitlines()[0]}). What the first "
                "one has kept goes on with --resume."
            ) from None
        for tensor, summed in zip(each, flat.split([tensor.numel() for tensor in each]), strict=True):
            tensor.copy_(summed.view_as(tensor))

    def meet(self) -> None:
        """Wait until all processes are here."""
        if self.ranks > 1:
            distributed.barrier()


ALONE = Machine()


def _own_device(device: str, number: int) -> str:
    """The device of the process of this number on its machine. Raises BadInput."""
    found = usable_device(device)
    if not found.startswith("cuda"):
        return found
    if number >= torch.cuda.device_count():
        raise BadInput(
            f"torchrun started process {number + 1} on a machine of {torch.cuda.device_count()} GPUs: one each. "
            f"Give --nproc-per-node {torch.cuda.device_count()}."
        )
    return f"cuda:{number}"
