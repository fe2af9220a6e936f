"""How steps are computed must not change what is learned: parts of a batch, orders of values, several processes."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from locality.dataset import Dataset
from locality.datasets import DATASETS
from locality.errors import BadInput, NonFinite
from locality.networks import ALONE, NETWORKS, STATE, Budget, Machine, Training, TrainSpec
from locality.networks.checkpoints.files import read_tensors
from locality.networks.training import loop
from locality.networks.unet import UNet
from locality.studies import sized
from locality.types import ImageShape
from tests.elsewhere import Watch
from tests.shell import Shell, refused
from tests.two_runs import ALL, SOME, run

pytestmark = [
    pytest.mark.timeout(300),
    pytest.mark.usefixtures("one_thread"),
]  # seconds on an idle machine; others may be at work
SHAPE = ImageShape(3, 8, 8)
TINY, FAST = UNet(channels=(16, 16), groups=8), TrainSpec(batch=6, warmup=16, rate=3e-3)


def noise() -> Dataset:
    pixels = torch.randint(256, (20, SHAPE.d), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    return Dataset("noise", "train", SHAPE, pixels)


def trained(folder: Path, machine: Machine, train: TrainSpec = FAST) -> dict[str, Tensor]:
    """Weights and averages after four steps."""
    made = Training(noise(), TINY, train, folder, machine=machine)
    for _ in made.run(Budget(images=24)):
        pass
    return {**made.net.state_dict(), **{f"ema.{name}": tensor for name, tensor in made.ema.items()}}


def alike(one: dict[str, Tensor], other: dict[str, Tensor]) -> None:
    """As equal as sums in another order leave weights after some steps of Adam, whose steps are 0.003 long."""
    assert one.keys() == other.keys()
    for name, tensor in one.items():
        far = float((other[name].double() - tensor.double()).abs().max())
        assert far <= 2e-5, f"{name} differs by {far:.2g}"


@pytest.mark.parametrize("optimiser", ["adamw", "muon"])
def test_a_batch_in_parts_teaches_what_the_whole_does(tmp_path: Path, optimiser: str) -> None:
    """Parts of 2, of 2 and 1, and more parts than images; float32, so that rounding is small."""
    train = TrainSpec(batch=6, warmup=16, rate=3e-3, bfloat16=False, optimiser=optimiser)
    whole = trained(tmp_path / "1", ALONE, train)
    for parts in (3, 4, 9):
        alike(whole, trained(tmp_path / str(parts), Machine(accumulate=parts), train))


def test_the_order_of_values_teaches_the_same(tmp_path: Path) -> None:
    train = TrainSpec(batch=6, warmup=16, rate=3e-3, bfloat16=False)
    ordered = Machine(channels_last=True)
    alike(trained(tmp_path / "1", ALONE, train), trained(tmp_path / "2", ordered, train))
    kernel = next(
        weight for weight in ordered.placed(TINY.build(SHAPE), bfloat16=False).parameters() if weight.ndim == 4
    )
    assert kernel.is_contiguous(memory_format=torch.channels_last)


def test_a_compiled_network_has_the_same_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What `compile` returns runs every step; its backends are torch's to test, so here it only counts."""
    calls = []

    class Counting(nn.Module):
        def __init__(self, net: nn.Module) -> None:
            super().__init__()
            self.net = net

        def forward(self, *args: Tensor) -> Tensor:
            calls.append(1)
            out: Tensor = self.net(*args)
            return out

    monkeypatch.setattr(torch, "compile", Counting)
    usual = trained(tmp_path / "1", ALONE)
    assert not calls
    found = trained(tmp_path / "2", Machine(compiled=True))
    assert len(calls) == 4
    assert all(torch.equal(found[name], tensor) for name, tensor in usual.items())


# --- the host does not wait


def test_a_step_reads_its_loss_only_where_that_is_free(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a GPU: numbers are read at most every `_READ` seconds, so never in a step."""
    made = Training(noise(), TINY, FAST, tmp_path)
    made._step(0.0)  # the optimiser makes its moments
    reads: list[Any] = []

    class Reads(Watch):
        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            if func is torch.ops.aten._local_scalar_dense.default and args[0].numel():
                reads.append(func)
            return super().__torch_dispatch__(func, types, args, kwargs)

    def counted() -> int:
        reads.clear()
        with Reads():
            made._step(0.0)
        return len(reads)

    here = counted()
    monkeypatch.setattr(Machine, "kind", "cuda")
    monkeypatch.setattr(torch, "autocast", lambda *args, **kwargs: nullcontext())
    assert counted() == here - 1


def test_weights_that_are_no_numbers_are_not_kept(tmp_path: Path) -> None:
    """A GPU's loss is looked at now and then: weights are, whenever they are kept."""
    made = Training(noise(), TINY, FAST, tmp_path)
    steps = made.run(Budget(images=24))
    next(steps)
    next(iter(made.net.parameters())).data.fill_(torch.nan)
    with pytest.raises(NonFinite, match="Weights became NaN or infinite by 6 images"):
        steps.close()
    assert not (tmp_path / STATE).exists()


# --- several processes


def test_two_processes_learn_what_one_does(tmp_path: Path) -> None:
    """torchrun with gloo: a start, then --resume, on halves of each batch; the first process alone writes."""
    alone, both = tmp_path / "alone", tmp_path / "both"
    assert run(str(alone), SOME) == 0
    assert run(str(alone), ALL, "--resume") == 0
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [*command, "-m", "tests.two_runs", str(both)], env=environment, capture_output=True, text=True, timeout=280
    )
    assert done.returncode == 0, done.stderr
    (one, first), (other, second) = (read_tensors(folder / STATE) for folder in (alone, both))
    assert first["about"].split('"seconds"')[0] == second["about"].split('"seconds"')[0]  # identity, images
    alike({k: v for k, v in one.items() if k != "generator"}, {k: v for k, v in other.items() if k != "generator"})
    assert torch.equal(one["generator"], other["generator"])
    assert sorted(path.name for path in both.iterdir()) == sorted(path.name for path in alone.iterdir())


def test_each_process_has_its_share_of_a_batch() -> None:
    batch = torch.arange(7)
    shares = [Machine(accumulate=2, rank=rank, ranks=3).shares(batch) for rank in range(3)]
    assert [[part.tolist() for part in share] for share in shares] == [[[0, 1], [2]], [[3], [4]], [[5], [6]]]


@pytest.mark.parametrize(
    ("budget", "ranks", "words"),
    [
        (Budget(minutes=1), 2, "do not agree on what the time is: give the length as --images N"),
        (Budget(images=8), 7, "7 processes cannot share a batch of 6 images. Give --option batch=7 or more"),
    ],
)
def test_what_several_processes_cannot_share(tmp_path: Path, budget: Budget, ranks: int, words: str) -> None:
    with pytest.raises(BadInput, match=words):
        Training(noise(), TINY, FAST, tmp_path, machine=Machine(ranks=ranks)).run(budget)


def test_more_processes_than_gpus_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("locality.networks.training.machine.usable_device", lambda name: "cuda")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    around = {"WORLD_SIZE": "3", "LOCAL_RANK": "2"}
    with pytest.raises(BadInput, match=r"process 3 on a machine of 2 GPUs: one each\. Give --nproc-per-node 2"):
        Machine.here(environment=around)
    with pytest.raises(BadInput, match="--accumulate 0: give at least 1"):
        Machine(accumulate=0)


# --- presets


def test_a_preset_is_the_size_for_the_images() -> None:
    """28 pixels have a size of their own; options beside the preset stay."""
    assert sized("unet", "paper", ImageShape(1, 28, 28)) == NETWORKS.parse("unet:preset=paper28")
    assert sized("unet:prediction=eps", "paper", SHAPE) == NETWORKS.parse("unet:preset=paper,prediction=eps")
    assert sized("dit", "paper", SHAPE) == NETWORKS.parse("dit:preset=paper")
    with pytest.raises(BadInput, match="no preset 'huge'"):
        sized("unet", "huge", SHAPE)


def test_the_command_line_takes_presets_and_parts(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The paper's size for 200 passes where no length is given, in parts; what is wrong in one line."""
    shell = Shell(capsys, monkeypatch)
    resnet = ("train", "digits", "--network", "resnet", "--preset", "paper", "--device", "cpu")
    seen: list[tuple[Any, ...]] = []

    def refusing(self: Training, budget: Budget, **_: Any) -> Any:
        seen.append((self.spec, self.machine, budget))
        raise BadInput("Enough.")

    monkeypatch.setattr(loop.Training, "run", refusing)
    monkeypatch.setattr(torch, "compile", lambda net: net)
    assert refused(shell(*resnet, "--accumulate", "4", "--out", tmp_path / "b")) == "Error: Enough."
    images = Budget(images=200 * len(DATASETS["digits"]().load()))
    assert seen == [(NETWORKS.parse("resnet:channels=256"), Machine("cpu", accumulate=4), images)]
    assert refused(shell(*resnet, "--images", "4", "--compile", "--out", tmp_path / "c")) == "Error: Enough."
    assert seen[1][1:] == (Machine("cpu", compiled=True), Budget(images=4))
    assert "--accumulate 0: give at least 1" in refused(shell(*resnet, "--accumulate", "0", "--out", tmp_path / "d"))
    assert "resnet has no preset 'big'" in refused(shell(*resnet[:5], "big", "--out", tmp_path / "e"))
