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
from locality.networks.parts import group_norm, norm_kernels, quick, side_by_side, winograd
from locality.networks.parts.quick import quicken, ready
from locality.networks.training import machine
from locality.types import ImageShape


@pytest.fixture(autouse=True)
def _served() -> None:
    if quick._layers() is None:
        pytest.skip("vectors of four lanes: PyTorch's own layers serve")


SHAPE = ImageShape(3, 8, 8)
WIDE = "unet:channels=32-32"


def pair(c: int, o: int, bias: bool = True) -> tuple[nn.Conv2d, nn.Conv2d]:
    """The same convolution, in float64 as torch does it, and the quick way."""
    torch.manual_seed(c + o)
    exact, quick = (nn.Conv2d(c, o, 3, padding=1, bias=bias) for _ in range(2))
    quick.load_state_dict(exact.state_dict())
    assert quicken(quick)
    return exact.double(), quick


def quick_norm(norm: nn.GroupNorm) -> nn.GroupNorm:
    assert quicken(nn.Sequential(nn.Conv2d(32, 32, 3, padding=1), norm))
    assert type(norm) is not nn.GroupNorm
    return norm


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
    for one, other in zip(*found, strict=True):
        assert one is not None
        assert other is not None
        assert (other - one).abs().max().item() <= 3e-5 * one.abs().max().item()


@pytest.mark.parametrize(("b", "c", "groups", "h", "w"), [(3, 64, 16, 9, 4), (2, 96, 16, 8, 8), (1, 32, 1, 32, 31)])
def test_a_group_normalisation_and_its_slopes_are_those_of_torch(b: int, c: int, groups: int, h: int, w: int) -> None:
    """Against float64; with a mean of 100 standard deviations, of which sums of squares would lose digits."""
    exact = nn.GroupNorm(groups, c)
    with torch.no_grad():
        exact.weight.copy_(noise(c)), exact.bias.copy_(noise(c) + 1)
    ours = quick_norm(deepcopy(exact))
    found = []
    for norm, precision in ((exact.double(), torch.float64), (ours, torch.float32)):
        x = (noise(b, c, h, w) + 100).to(precision).requires_grad_()
        y = norm(x)
        y.backward(noise(b, c, h, w).to(y.dtype))
        found.append([y.detach(), x.grad, norm.weight.grad, norm.bias.grad])
    for one, other in zip(*found, strict=True):
        assert one is not None
        assert other is not None
        assert (other - one).abs().max().item() <= 2e-5 * one.abs().max().item()  # x itself is rounded to 4e-6


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
    assert {kind for name, kind in kinds.items() if name.endswith("shortcut")} == {"Product"}
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
    monkeypatch.setattr(quick, "_layers", lambda: None)
    net = NETWORKS.parse(WIDE).build(SHAPE)
    assert not quicken(net)
    assert list(ready(net)) == []


def test_compiling_is_said_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only where the network has use for it, and it is not yet done in this process."""
    done: list[str] = []
    shown = {**vars(norm_kernels), "back": SimpleNamespace(signatures=done)}
    layers = (winograd, SimpleNamespace(loops=SimpleNamespace(**shown), GroupNorm=group_norm.GroupNorm, LANES=8))
    monkeypatch.setattr(quick, "_layers", lambda: layers)
    net = NETWORKS.parse(WIDE).build(SHAPE)
    assert list(ready(net)) == []
    quicken(net)
    (event,) = ready(net)
    assert "compiled once" in event.note
    done.append("done")
    assert list(ready(net)) == []


def test_what_does_not_fit_fails_as_in_torch() -> None:
    """Loops read memory by addresses: a wrong number of channels must not reach them."""
    _, conv = pair(64, 32)
    norm = quick_norm(nn.GroupNorm(4, 32))
    for layer, channels in ((conv, 32), (conv, 96), (norm, 64)):
        with pytest.raises(RuntimeError, match="channels"):
            layer(noise(2, channels, 8, 8))


def test_weights_of_another_size_than_declared_are_torchs_to_take() -> None:
    """As after pruning: 60 of 64 outputs are left."""
    _, conv = pair(32, 64)
    x = noise(2, 32, 8, 8)
    whole = conv(x)
    conv.weight, conv.bias = (nn.Parameter(part[:60]) for part in (conv.weight, conv.bias) if part is not None)
    torch.testing.assert_close(conv(x), whole[:, :60], rtol=0, atol=3e-5)


def test_a_normalisation_without_a_bias_stays_as_it_is() -> None:
    norm = nn.GroupNorm(4, 32, bias=False)
    quicken(nn.Sequential(nn.Conv2d(32, 32, 3, padding=1), norm))
    assert type(norm) is nn.GroupNorm


def test_no_images_and_one_without_a_batch_are_as_in_torch() -> None:
    _, conv = pair(32, 64)
    assert conv(torch.zeros(0, 32, 8, 8)).shape == (0, 64, 8, 8)
    assert quick_norm(nn.GroupNorm(4, 32))(torch.zeros(0, 32, 8, 8)).shape == (0, 32, 8, 8)
    net = nn.Sequential(nn.Conv2d(32, 32, 3, padding=1), nn.Conv2d(32, 8, 1))
    one = noise(32, 8, 8)
    plain = net(one)
    quicken(net)
    torch.testing.assert_close(net(one), plain)
    torch.testing.assert_close(net(one[None])[0], plain, rtol=0, atol=3e-5)


def test_the_usual_precision_of_new_tensors_does_not_matter() -> None:
    _, conv = pair(32, 64)
    norm, x = quick_norm(nn.GroupNorm(4, 64)), noise(2, 32, 8, 8)
    truth = norm(conv(x))
    torch.set_default_dtype(torch.float64)
    try:
        assert torch.equal(norm(conv(x)), truth)
    finally:
        torch.set_default_dtype(torch.float32)


def test_a_thread_that_outlives_the_program_goes_on_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    _, conv = pair(32, 64)
    x = noise(5, 32, 16, 12)
    truth = conv(x)

    def refuse(*_: object) -> None:
        raise RuntimeError("cannot schedule new futures after shutdown")

    monkeypatch.setattr(side_by_side, "_pool", lambda threads: SimpleNamespace(submit=refuse))
    with threads(2):
        assert torch.equal(conv(x), truth)


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
    others = {name: 1.3 * weight for name, weight in network.net.state_dict().items()}
    network.net.load_state_dict(others, assign=True)  # rows are those of the network as it is now
    rows = network.jacobian_rows(x, outputs, 0.5)
    assert rows is not None
    truth = differentiate(network, x, outputs, 0.5)
    torch.testing.assert_close(rows, truth, rtol=0, atol=1e-5 * truth.abs().max().item())
    narrow = NETWORKS.parse("unet:channels=16-16")
    other = NetworkDenoiser(narrow.fresh(SHAPE, 3).requires_grad_(False), narrow, SHAPE)
    assert other.jacobian_rows(x, outputs, 0.5) is None


@pytest.mark.parametrize("cores", [2, 3])
def test_cores_share_the_images_of_a_row(cores: int) -> None:
    """Thirteen images, and seven, too few for it; rows have gradients wherever they are taken."""
    spec = NETWORKS.parse(WIDE)
    network = NetworkDenoiser(spec.fresh(SHAPE, 3).eval().requires_grad_(False), spec, SHAPE)
    outputs = torch.eye(SHAPE.d)[:8]
    for count in (13, 7):
        x = noise(count, SHAPE.d)
        found = []
        for many in (1, cores):
            with threads(many):
                found.append(network.jacobian_rows(x, outputs, 0.5))
                assert torch.get_num_threads() == many
        one, several = found
        assert one is not None
        assert several is not None
        torch.testing.assert_close(several, one, rtol=0, atol=1e-6 * float(one.abs().max()))
    asked: list[int] = []
    network.net.register_forward_pre_hook(lambda _, args: asked.append(len(args[0])))
    with threads(cores):
        network.jacobian_rows(noise(13, SHAPE.d), outputs, 0.5)
    assert asked == [13], "several threads must not enter a network that does more than is known"


# --- in a training


def trained(
    folder: Path, machine: Machine = ALONE, *, optimiser: str = "muon", images: int = 12, resume: bool = False
) -> Training:
    """After some steps on noise."""
    pixels = torch.randint(256, (20, SHAPE.d), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    train = TrainSpec(batch=4, warmup=16, rate=1e-3, bfloat16=False, optimiser=optimiser, schedule="inverse_sqrt")
    made = Training(Dataset("noise", "train", SHAPE, pixels), NETWORKS.parse(WIDE), train, folder, machine=machine)
    for _ in made.run(Budget(images=images), resume=resume):
        pass
    return made


def has_quick(net: nn.Module) -> bool:
    return any(isinstance(part, winograd.Winograd) for part in net.modules())


def test_a_training_learns_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    quick = trained(tmp_path / "quick")
    monkeypatch.setattr(machine, "quicken", lambda net: False)
    usual = trained(tmp_path / "usual")
    assert has_quick(quick.net)
    assert not has_quick(usual.net)
    for name, tensor in usual.net.state_dict().items():
        torch.testing.assert_close(quick.net.state_dict()[name], tensor, rtol=0, atol=2e-5)


@pytest.mark.parametrize("optimiser", ["adamw", "muon"])
def test_a_training_that_was_stopped_goes_on_bit_for_bit(tmp_path: Path, optimiser: str) -> None:
    """Moments lie in memory as their weights do: a fused step takes them place by place."""
    through, first = trained(tmp_path / "1", optimiser=optimiser, images=24), tmp_path / "2"
    trained(first, optimiser=optimiser, images=12)
    resumed = trained(first, optimiser=optimiser, images=24, resume=True)
    for name, tensor in through.net.state_dict().items():
        assert torch.equal(resumed.net.state_dict()[name], tensor), name


@pytest.mark.parametrize(("place", "bfloat16"), [(Machine(compiled=True), False), (ALONE, True)])
def test_compiled_networks_and_those_in_bfloat16_keep_their_own_convolutions(place: Machine, bfloat16: bool) -> None:
    assert not has_quick(place.placed(NETWORKS.parse(WIDE).build(SHAPE), bfloat16))
