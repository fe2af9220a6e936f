"""Images of a batch shared out among the cores: the gradient of the whole, for networks that take images apart."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Thread

import pytest
import torch
from torch import Tensor, nn

from locality.dataset import Dataset
from locality.device import threads
from locality.networks import NETWORKS, Budget, Training, TrainSpec
from locality.networks.parts import apart as sharing
from locality.networks.parts.apart import apart, parts_of, takes_images_apart
from locality.networks.parts.quick import quicken
from locality.networks.parts.side_by_side import shared
from locality.networks.training import slopes
from locality.networks.training.slopes import add_slopes
from locality.types import ImageShape

SHAPE = ImageShape(3, 8, 8)
TEXTS = ("unet:channels=32-32,groups=8", "resnet:channels=32", "dit:width=32,heads=2,depth=1", "mlp:width=16,depth=1")


@pytest.fixture(autouse=True)
def usual_threads() -> Iterator[None]:
    with threads(torch.get_num_threads()):
        yield


def built(text: str) -> nn.Module:
    net = NETWORKS.parse(text).fresh(SHAPE, 3)
    quicken(net)
    return net.to(memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]


def batch(count: int) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    x, goal = torch.randn(2, count, *SHAPE, generator=generator)
    return x, goal, torch.rand(count, generator=generator)


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("cores", [1, 2, 3])
def test_the_gradient_is_that_of_the_whole_batch(text: str, cores: int) -> None:
    """Seven images, which two and three cores do not share evenly; on top of the gradient of another batch."""
    net = built(text)

    def loss(x: Tensor, goal: Tensor, level: Tensor) -> Tensor:
        return (net(x, level) - goal).square().mean()

    (before := loss(*batch(2))).backward()
    whole = loss(*batch(7))
    whole.backward()
    wanted = {name: weight.grad for name, weight in net.named_parameters()}
    net.zero_grad(set_to_none=True)
    torch.set_num_threads(cores)
    first, found = add_slopes(net, batch(2), loss), add_slopes(net, batch(7), loss)
    torch.testing.assert_close(torch.stack([first, found]), torch.stack([before.detach(), whole.detach()]))
    for name, weight in net.named_parameters():
        slope, want = weight.grad, wanted[name]
        assert slope is not None, name
        assert want is not None, name
        lies = [[one.stride(i) for i, size in enumerate(one.shape) if size > 1] for one in (slope, weight)]
        assert lies[0] == lies[1], name
        torch.testing.assert_close(slope, want, rtol=1e-4, atol=1e-5 * (1 + float(want.abs().max())), msg=name)


def test_threads_are_as_before_here_and_in_new_ones() -> None:
    net, seen = built(TEXTS[1]), []
    torch.set_num_threads(2)
    add_slopes(net, batch(8), lambda x, goal, level: seen.append(torch.get_num_threads()) or net(x, level).mean())
    assert seen == [1, 1]
    other = Thread(target=lambda: seen.append(torch.get_num_threads()))
    other.start()
    other.join()
    assert (torch.get_num_threads(), seen[2]) == (2, 2)


def test_a_weight_without_a_part_in_the_loss_has_no_gradient() -> None:
    net = nn.ModuleList([nn.Linear(4, 4), nn.Linear(4, 4)])
    torch.set_num_threads(2)
    add_slopes(net, (torch.ones(4, 4),), lambda x: net[0](x).square().mean())
    assert net[0].weight.grad is not None
    assert net[1].weight.grad is None


def test_what_fails_on_another_core_is_heard() -> None:
    net = nn.Linear(4, 4)
    torch.set_num_threads(2)

    def loss(x: Tensor) -> Tensor:
        if float(x[0, 0]) > 0:
            raise ValueError("the second half")
        return net(x).mean()

    with pytest.raises(ValueError, match="the second half"):
        add_slopes(net, (torch.tensor([-1.0, -1.0, 1.0, 1.0])[:, None].expand(4, 4),), loss)
    assert torch.get_num_threads() == 2


def test_which_networks_take_images_apart() -> None:
    assert all(takes_images_apart(built(text)) for text in (*TEXTS, "unet_attention:channels=32-32,groups=8"))
    assert takes_images_apart(nn.Sequential(nn.Linear(4, 4), nn.Dropout(0.0), nn.GroupNorm(1, 4)))
    drops = built("unet:channels=32-32,groups=8,dropout=0.1")
    assert not takes_images_apart(drops)
    assert takes_images_apart(drops.eval())


class Draws(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x + torch.randn_like(x)


class Ours(Draws):
    """As a network that is moved into the package."""

    __module__ = "locality.networks.mine"


def hooked(layer: nn.Module) -> nn.Module:
    layer.register_forward_pre_hook(lambda module, args: None)
    return layer


def with_slope_hook(layer: nn.Linear) -> nn.Module:
    layer.weight.register_hook(lambda slope: slope.clamp(-1, 1))
    return layer


@pytest.mark.parametrize(
    "layer",
    [
        nn.BatchNorm2d(3),
        nn.InstanceNorm2d(3, track_running_stats=True),
        nn.Dropout(0.1),
        nn.MultiheadAttention(4, 1, dropout=0.1),
        nn.RReLU(),
        nn.Embedding(3, 4, max_norm=1.0),
        nn.utils.spectral_norm(nn.Linear(4, 4)),
        nn.utils.parametrizations.weight_norm(nn.Linear(4, 4)),
        hooked(nn.Linear(4, 4)),
        with_slope_hook(nn.Linear(4, 4)),
        Draws(),
        Ours(),
    ],
    ids=lambda layer: type(layer).__name__,
)
def test_other_networks_keep_their_batches_whole(layer: nn.Module) -> None:
    assert not takes_images_apart(nn.Sequential(nn.Linear(4, 4), layer))


@pytest.mark.parametrize(
    ("cores", "images", "least", "parts"),
    [
        (1, 32, 2, 1),
        (2, 32, 2, 2),
        (2, 3, 2, 1),
        (4, 7, 2, 1),
        (4, 8, 2, 4),
        (16, 32, 2, 16),
        (16, 6, 2, 1),
        (64, 8, 2, 4),
    ],
)
def test_into_how_many_parts(cores: int, images: int, least: int, parts: int) -> None:
    """Where most cores would have none, all of them stay at each layer."""
    torch.set_num_threads(cores)
    assert parts_of(images, least) == parts


def test_what_is_shared_out_is_not_shared_out_again() -> None:
    torch.set_num_threads(2)
    assert apart(8, lambda first, last: parts_of(last - first, 1), 2) == [1, 1]
    assert parts_of(8, 1) == 2


def test_threads_that_begin_meanwhile_and_afterwards_have_the_usual_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sharing, "_teams", {})
    torch.set_num_threads(2)

    def number_elsewhere(*_: int) -> int:
        found: list[int] = []
        other = Thread(target=lambda: found.append(torch.get_num_threads()))
        other.start()
        other.join()
        return found[0]

    assert apart(4, number_elsewhere, 2) == [2, 2]
    assert number_elsewhere() == 2
    assert torch.get_num_threads() == 2


def test_a_thread_that_outlives_the_program_goes_on_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    team = ThreadPoolExecutor(1)
    team.shutdown()
    monkeypatch.setattr(sharing, "_teams", {2: team})
    assert apart(4, lambda first, last: (first, last), 2) == [(0, 2), (2, 4)]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes of this system are not copies")
def test_a_forked_process_has_threads_of_its_own() -> None:
    """Those of its parent are not there: what is given to them would never be done."""
    torch.set_num_threads(2)
    works = (lambda: apart(4, lambda first, last: last - first, 2), lambda: shared(4, lambda first, last: last - first))
    assert [work() for work in works] == [[2, 2], [2, 2]]
    child = os.fork()
    if not child:
        signal.alarm(20)
        os._exit(0 if [work() for work in works] == [[2, 2], [2, 2]] else 1)
    assert os.waitpid(child, 0)[1] == 0


def test_gradients_of_many_weights_are_not_held_many_times(monkeypatch: pytest.MonkeyPatch) -> None:
    net, calls = nn.Linear(4, 4), []
    torch.set_num_threads(2)
    monkeypatch.setattr(slopes, "_MOST", 100)  # of 80 bytes of weights
    add_slopes(net, (torch.ones(8, 4),), lambda x: calls.append(len(x)) or net(x).mean())
    assert calls == [8]


@pytest.mark.parametrize("optimiser", ["adamw", "muon"])
def test_two_cores_learn_what_one_does_and_go_on_where_they_stopped(tmp_path: Path, optimiser: str) -> None:
    pixels = torch.randint(256, (20, SHAPE.d), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    images = Dataset("noise", "train", SHAPE, pixels)
    train = TrainSpec(batch=6, warmup=16, rate=3e-3, optimiser=optimiser, schedule="inverse_sqrt", bfloat16=False)

    def trained(folder: str, cores: int, *lengths: int) -> dict[str, Tensor]:
        torch.set_num_threads(cores)
        for number, length in enumerate(lengths):
            made = Training(images, NETWORKS.parse(TEXTS[0]), train, tmp_path / folder)
            for _ in made.run(Budget(images=length), resume=number > 0):
                pass
        return made.net.state_dict()

    one, whole, again = trained("1", 1, 24), trained("2", 2, 24), trained("again", 2, 12, 24)
    assert all(torch.equal(again[name], tensor) for name, tensor in whole.items())
    assert any(not torch.equal(one[name], tensor) for name, tensor in whole.items())  # it was shared out
    for name, tensor in one.items():  # Adam's first steps go by a slope's sign, which rounding turns where it is tiny
        assert float((whole[name].double() - tensor.double()).abs().mean()) <= 1e-5, name
