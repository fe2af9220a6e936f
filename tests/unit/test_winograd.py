"""Winograd's convolution: right sums and slopes, whatever the sizes, the batch and the threads; and where it serves."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor, nn

from locality.dataset import Dataset
from locality.device import threads
from locality.fields.jacobian import differentiate
from locality.networks import ALONE, NETWORKS, Budget, Machine, NetworkDenoiser, Training, TrainSpec
from locality.networks.parts import winograd
from locality.networks.parts.winograd import quicken, ready
from locality.networks.training import machine
from locality.types import ImageShape

SHAPE = ImageShape(3, 8, 8)
WIDE = "unet:channels=32-32"


def pair(c: int, o: int, bias: bool = True) -> tuple[nn.Conv2d, nn.Conv2d]:
    """The same convolution, in float64 as torch does it, and the quick way."""
    torch.manual_seed(c + o)
    exact, quick = (nn.Conv2d(c, o, 3, padding=1, bias=bias) for _ in range(2))
    quick.load_state_dict(exact.state_dict())
    assert quicken(quick)
    return exact.double(), quick


def noise(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(7))


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(
    ("b", "c", "o", "h", "w"),
    [(3, 32, 64, 32, 32), (2, 64, 32, 9, 14), (1, 96, 48, 7, 7), (5, 48, 80, 1, 3), (2, 32, 112, 4, 21)],
)
def test_sums_and_slopes_are_those_of_a_direct_convolution(b: int, c: int, o: int, h: int, w: int, bias: bool) -> None:
    """Tiles that reach beyond the image, fewer tiles than threads, channels that fill no whole product."""
    found = []
    for conv in pair(c, o, bias):
        x = noise(b, c, h, w).to(conv.weight.dtype).requires_grad_()
        y = conv(x)
        y.backward(noise(b, o, h, w).to(y.dtype))
        found.append([y.detach(), x.grad, *(weight.grad for weight in conv.parameters())])
    for exact, quick in zip(*found, strict=True):
        assert exact is not None
        assert quick is not None
        assert (quick - exact).abs().max().item() <= 3e-5 * exact.abs().max().item()


@pytest.mark.parametrize(("b", "c", "groups", "h", "w"), [(3, 64, 16, 9, 4), (2, 96, 16, 8, 8), (1, 32, 1, 32, 31)])
def test_a_group_normalisation_and_its_slopes_are_those_of_torch(b: int, c: int, groups: int, h: int, w: int) -> None:
    """Against float64; images far from 0, as sums of squares would lose digits."""
    exact = nn.GroupNorm(groups, c)
    with torch.no_grad():
        exact.weight.copy_(noise(c)), exact.bias.copy_(noise(c) + 1)
    quick = deepcopy(exact)
    assert quicken(nn.Sequential(nn.Conv2d(32, 32, 3, padding=1), quick))
    assert type(quick) is not nn.GroupNorm
    found = []
    for norm in (exact.double(), quick):
        x = (noise(b, c, h, w) + 3).to(norm.weight.dtype).requires_grad_()
        y = norm(x)
        y.backward(noise(b, c, h, w).to(y.dtype))
        found.append([y.detach(), x.grad, norm.weight.grad, norm.bias.grad])
    for one, other in zip(*found, strict=True):
        assert one is not None
        assert other is not None
        assert (other - one).abs().max().item() <= 2e-6 * one.abs().max().item()


def test_an_image_alone_and_on_one_thread_has_the_same_sums_bit_for_bit() -> None:
    _, conv = pair(32, 64)
    x = noise(5, 32, 16, 12)
    with threads(2):
        together = conv(x)
    with threads(1):
        alone = torch.cat([conv(x[i : i + 1].to(memory_format=torch.channels_last)) for i in range(5)])
    assert torch.equal(together, alone)


def test_it_serves_wide_plain_3x3_convolutions_and_the_1x1_beside_them() -> None:
    """In a UNet all but those of three colours and those that halve the sides; weights keep their names."""
    plain, quick = (NETWORKS.parse("unet:channels=32-64").build(SHAPE) for _ in range(2))
    assert quicken(quick)
    assert list(quick.state_dict()) == list(plain.state_dict())
    kinds = {name: type(part).__name__ for name, part in quick.named_modules() if isinstance(part, nn.Conv2d)}
    direct = {name for name, kind in kinds.items() if kind == "Conv2d"}
    assert direct == {"inner.conv_in", "inner.conv_out", "inner.down_blocks.0.downsamplers.0.conv"}
    assert {kind for name, kind in kinds.items() if name.endswith("shortcut")} == {"_Product"}
    quick.load_state_dict(plain.state_dict())
    x, label = noise(2, *SHAPE), torch.zeros(2)
    torch.testing.assert_close(quick(x, label), plain(x, label), rtol=0, atol=2e-5)


@pytest.mark.parametrize(
    "conv",
    [
        nn.Conv2d(32, 32, 3, padding=1, stride=2),
        nn.Conv2d(32, 32, 3, padding=1, dilation=2),
        nn.Conv2d(32, 32, 3, padding=1, groups=2),
        nn.Conv2d(32, 32, 3),
        nn.Conv2d(32, 32, 5, padding=1),
        nn.Conv2d(32, 32, 3, padding=1, padding_mode="circular"),
        nn.Conv2d(16, 32, 3, padding=1),
        nn.Conv2d(32, 33, 3, padding=1),
    ],
)
def test_others_stay_as_they_are(conv: nn.Conv2d) -> None:
    assert not quicken(nn.Sequential(conv))
    assert type(conv) is nn.Conv2d


def test_other_precisions_take_the_usual_way() -> None:
    exact, quick = pair(32, 32)
    x = noise(1, 32, 8, 8)
    assert torch.equal(quick.double()(x.double()), exact(x.double()))
    with torch.autocast("cpu", torch.bfloat16):
        assert quick.float()(x).dtype == torch.bfloat16


def test_without_numba_the_usual_way_serves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(winograd, "_loops", lambda: None)
    net = NETWORKS.parse(WIDE).build(SHAPE)
    assert not quicken(net)
    assert list(ready(net)) == []


def test_compiling_is_said_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only where the network has use for it, and it is not yet done in this process."""
    loops = winograd._loops()
    assert loops is not None
    fresh = SimpleNamespace(signatures=[], __call__=None)
    monkeypatch.setattr(
        winograd,
        "_loops",
        lambda: SimpleNamespace(**{**vars(loops), "correlate": fresh}),
    )
    monkeypatch.setattr(winograd, "_by_weight", lambda x, slope: torch.zeros(32, 32, 3, 3))
    net = NETWORKS.parse(WIDE).build(SHAPE)
    assert list(ready(net)) == []
    quicken(net)
    (event,) = ready(net)
    assert "compiled once" in event.note
    fresh.signatures.append("done")
    assert list(ready(net)) == []


# --- in a Jacobian


def test_rows_of_many_outputs_go_back_the_quick_way() -> None:
    """Of fewer ones as ever: a copy of the network would not pay."""
    spec = NETWORKS.parse(WIDE)
    network = NetworkDenoiser(spec.fresh(SHAPE, 3).eval().requires_grad_(False), spec, SHAPE)
    x, outputs = noise(2, SHAPE.d), torch.eye(SHAPE.d)[:8]
    assert network.jacobian_rows(x, outputs[:7], 0.5) is None
    rows = network.jacobian_rows(x, outputs, 0.5)
    assert rows is not None
    truth = differentiate(network, x, outputs, 0.5)
    assert not torch.equal(rows, truth)
    torch.testing.assert_close(rows, truth, rtol=0, atol=1e-5 * truth.abs().max().item())
    assert not has_quick(network.net), "the network itself stays as it was"
    narrow = NETWORKS.parse("unet:channels=16-16")
    other = NetworkDenoiser(narrow.fresh(SHAPE, 3).requires_grad_(False), narrow, SHAPE)
    assert other.jacobian_rows(x, outputs, 0.5) is None


# --- in a training


def trained(folder: Path, machine: Machine = ALONE) -> Training:
    """After three steps on noise."""
    pixels = torch.randint(256, (20, SHAPE.d), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    train = TrainSpec(batch=4, warmup=16, rate=1e-3, bfloat16=False, optimiser="muon")
    made = Training(Dataset("noise", "train", SHAPE, pixels), NETWORKS.parse(WIDE), train, folder, machine=machine)
    for _ in made.run(Budget(images=12)):
        pass
    return made


def has_quick(net: nn.Module) -> bool:
    return any(isinstance(part, winograd._Winograd) for part in net.modules())


def test_a_training_learns_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    quick = trained(tmp_path / "quick")
    monkeypatch.setattr(machine, "quicken", lambda net: False)
    usual = trained(tmp_path / "usual")
    assert has_quick(quick.net)
    assert not has_quick(usual.net)
    for name, tensor in usual.net.state_dict().items():
        torch.testing.assert_close(quick.net.state_dict()[name], tensor, rtol=0, atol=2e-5)


@pytest.mark.parametrize(("place", "bfloat16"), [(Machine(compiled=True), False), (ALONE, True)])
def test_compiled_networks_and_those_in_bfloat16_keep_their_own_convolutions(place: Machine, bfloat16: bool) -> None:
    assert not has_quick(place.placed(NETWORKS.parse(WIDE).build(SHAPE), bfloat16))
