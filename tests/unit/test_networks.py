"""What every registered network must do, and what sets each apart from the others."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import pytest
import torch
from torch import Tensor, nn

from locality.checks import NETWORK_CHECKS, NetworkCase, check_network
from locality.checks.networks import COLOUR32, GREY8, GREY28, build, labels, pictures, stirred
from locality.errors import BadInput, NonFinite
from locality.fields.jacobian import differentiate, pixel_outputs
from locality.networks import MANIFEST, NETWORKS, NetworkDenoiser, NetworkSpec, adapt, load_network, save_network
from locality.networks.dit import DiT, tokens, untokens, waves
from locality.networks.mlp import MLP
from locality.networks.resnet import RECEPTIVE_FIELD, ResNet
from locality.networks.unet import UNet
from locality.networks.unet_attention import UNetAttention
from locality.types import ImageShape, Pixel

pytestmark = [
    pytest.mark.timeout(300),
    pytest.mark.usefixtures("one_thread"),
]  # seconds on an idle machine; others may be at work

Change = Callable[[Tensor, Tensor, Tensor], Tensor]
MET = [(text, name) for text in NETWORKS.examples() for name in NETWORK_CHECKS.of(NETWORKS.parse(text))]
LABELS = labels()


@pytest.mark.parametrize(("text", "name"), MET)
def test_networks_meet_their_contracts(text: str, name: str) -> None:
    NETWORK_CHECKS.run(name, NetworkCase(NETWORKS.parse(text)))


class _Spoilt(nn.Module):
    """A network whose output is changed by a function of images, labels and output."""

    def __init__(self, inner: nn.Module, change: Change) -> None:
        super().__init__()
        self.inner, self.change = inner, change

    def forward(self, images: Tensor, label: Tensor) -> Tensor:
        return self.change(images, label, self.inner(images, label))


@contextmanager
def faulty(change: Change) -> Iterator[NetworkSpec]:
    """A network with a fault, registered like any other, and gone afterwards."""

    @NETWORKS.register("faulty")
    @dataclass(frozen=True)
    class Faulty(ResNet):
        """A small network with a fault."""

        heading: ClassVar[str] = "Faulty"
        weights: ClassVar[Mapping[str, int]] = {}
        examples: ClassVar[tuple[str, ...]] = ("faulty:channels=8",)

        def build(self, shape: ImageShape) -> nn.Module:
            return _Spoilt(super().build(shape), change)

    try:
        yield Faulty(channels=8)
    finally:
        del NETWORKS._classes["faulty"]


def test_a_sound_network_passes() -> None:
    with faulty(lambda images, label, out: out) as spec:
        check_network(spec)


@pytest.mark.parametrize(
    ("change", "fails"),
    [
        (lambda images, label, out: out[..., :-1], "images_keep_shape_and_type"),
        (lambda images, label, out: out.float(), "images_keep_shape_and_type"),
        (lambda images, label, out: images + 0 * out, "output_depends_on_image_and_noise_level"),
        (lambda images, label, out: out + out.mean(), "images_of_a_batch_do_not_meet"),
        (lambda images, label, out: out.detach() + images, "gradients_reach_every_weight_and_input"),
        (lambda images, label, out: out + 1, "starts_near_zero"),
        (lambda images, label, out: out + 0.1, "starts_at_zero"),
        (lambda images, label, out: out * (1.2 if torch.is_autocast_enabled("cpu") else 1), "bfloat16_is_near"),
        (lambda images, label, out: out.view(len(out), -1).view_as(out), "order_of_values_in_memory_changes_nothing"),
        (
            lambda images, label, out: out + torch.as_strided(out, (1,), (1,), 1),
            "order_of_values_in_memory_changes_nothing",
        ),
        (lambda images, label, out: out + torch.rand(()), "weights_survive_the_disk"),
        (lambda images, label, out: out + (5 * images - (5 * images).detach()), "fields_can_be_taken"),
    ],
)
def test_a_fault_is_found_by_the_contract_it_breaks(change: Change, fails: str) -> None:
    with faulty(change) as spec, pytest.raises(AssertionError, match=rf"fails {fails}: .*\w"):
        NETWORK_CHECKS.run(fails, NetworkCase(spec))


def test_a_wrong_row_is_found_by_its_contract(monkeypatch: pytest.MonkeyPatch) -> None:
    def without_blocks(net: nn.Module, images: Tensor, label: Tensor, outputs: Tensor) -> Tensor:
        monkeypatch.setattr(net, "blocks", nn.ModuleList())
        return rows(net, images, label, outputs)

    rows = type(MLP(width=16).build(GREY28)).jacobian_rows
    monkeypatch.setattr("locality.networks.mlp._MLP.jacobian_rows", without_blocks)
    with pytest.raises(AssertionError, match="fails rows_are_those_of_a_backward_pass"):
        NETWORK_CHECKS.run("rows_are_those_of_a_backward_pass", NetworkCase(MLP(width=16)))


# --- presets


def test_presets_are_named_sizes() -> None:
    assert NETWORKS.parse("resnet:preset=paper") == ResNet(channels=256)
    assert NETWORKS.parse("unet:preset=small") == UNet()
    assert NETWORKS.parse("unet:preset=paper,dropout=0") == UNet(channels=(128, 256, 384, 512), blocks=2, groups=32)
    assert NETWORKS.parse("unet_attention:preset=paper").key()["attention"] == 0


def test_presets_that_do_not_exist_are_refused() -> None:
    with pytest.raises(BadInput, match=r"resnet has no preset 'huge'. Its presets: small, paper."):
        NETWORKS.parse("resnet:preset=huge")


# --- resnet


def support(net: nn.Module, shape: ImageShape, row: int, col: int) -> Tensor:
    """Which pixels one output pixel depends on, [h w]; an image of noise, so that nothing cancels."""
    images = pictures(shape, 1).double().requires_grad_(True)
    out = net.double()(images, LABELS[:1].double())
    return torch.autograd.grad(out[0, 0, row, col], images)[0][0].abs().amax(0) > 0


@pytest.mark.parametrize("padding", ["zeros", "circular"])
@pytest.mark.parametrize("shape", [COLOUR32, ImageShape(1, 27, 23)], ids=str)
def test_resnet_sees_17_by_17_pixels_and_no_more(padding: str, shape: ImageShape) -> None:
    row, col = shape.h // 2, shape.w // 2
    want = torch.zeros(shape.h, shape.w, dtype=torch.bool)
    want[row - 8 : row + 9, col - 8 : col + 9] = True
    assert RECEPTIVE_FIELD == 17
    assert torch.equal(support(stirred(ResNet(channels=8, padding=padding), shape), shape, row, col), want)


@pytest.mark.parametrize("padding", ["zeros", "circular"])
@pytest.mark.parametrize("shape", [COLOUR32, ImageShape(2, 17, 23)], ids=str)
def test_resnet_rows_are_those_of_a_backward_pass(padding: str, shape: ImageShape) -> None:
    """At corners, borders and inside, of a channel and of all, whatever stands beside them; 1e-5 of float32."""
    spec = ResNet(channels=8, padding=padding)
    denoiser = NetworkDenoiser(stirred(spec, shape), spec, shape)
    x = pictures(shape, 3).flatten(1)
    places = [Pixel(0, 0), Pixel(shape.h - 1, shape.w - 1), Pixel(8, 2), Pixel(shape.h // 2, shape.w // 2)]
    outputs = torch.cat([pixel_outputs(shape, place, channel) for place in places for channel in (None, 1)])
    found, truth = denoiser.jacobian_rows(x, outputs, 0.5), differentiate(denoiser, x, outputs, 0.5)
    assert found is not None
    torch.testing.assert_close(found, truth, rtol=0, atol=1e-5 * float(truth.abs().max()))
    alone = denoiser.jacobian_rows(x[1:2], outputs[2:3], 0.5)
    torch.testing.assert_close(found[2:3, 1:2], alone, rtol=0, atol=1e-6 * float(truth.abs().max()))


def test_resnet_leaves_other_outputs_and_small_images_to_autograd() -> None:
    spec = ResNet(channels=8)
    for shape, outputs in ((COLOUR32, torch.ones(1, COLOUR32.d)), (GREY8, torch.eye(GREY8.d)[:1])):
        denoiser = NetworkDenoiser(stirred(spec, shape), spec, shape)
        assert denoiser.jacobian_rows(pictures(shape).flatten(1), outputs, 0.5) is None


def test_resnet_borders() -> None:
    """Zeros cut the square off; circular padding goes on at the other side."""
    zeros, circular = (
        support(stirred(ResNet(channels=8, padding=padding), COLOUR32), COLOUR32, 0, 0)
        for padding in ("zeros", "circular")
    )
    assert torch.equal(zeros.nonzero().amax(0), torch.tensor([8, 8]))
    assert zeros.sum() == 9 * 9
    assert circular.sum() == 17 * 17
    assert circular[-8:, -8:].all()


@pytest.mark.parametrize("padding", ["zeros", "circular"])
def test_only_the_border_tells_resnet_where_a_pixel_is(padding: str) -> None:
    """Shifting the image around shifts the output: everywhere, or at least 8 pixels from any border."""
    net, images, shift = stirred(ResNet(channels=8, padding=padding), COLOUR32).double(), pictures(COLOUR32), (3, 5)
    moved = net(images.double().roll(shift, (2, 3)), LABELS.double())
    out = net(images.double(), LABELS.double()).roll(shift, (2, 3))
    keep = slice(8 + 5, 32 - 8) if padding == "zeros" else slice(None)
    torch.testing.assert_close(moved[..., keep, keep], out[..., keep, keep], rtol=0, atol=1e-10)
    assert torch.allclose(moved, out) == (padding == "circular")


def test_resnet_is_eight_convolutions_without_normalisation() -> None:
    modules = list(build(ResNet(channels=8)).modules())
    assert [module.kernel_size for module in modules if isinstance(module, nn.Conv2d)] == [(3, 3)] * 8
    assert not any("norm" in type(module).__name__.lower() for module in modules)


# --- dit


def test_patches_are_cut_and_put_back() -> None:
    """Against slicing, patch by patch in reading order."""
    images = pictures(ImageShape(3, 4, 6))
    cut = tokens(images, 2)
    want = [images[:, :, i : i + 2, j : j + 2].flatten(1) for i in (0, 2) for j in (0, 2, 4)]
    assert torch.equal(cut, torch.stack(want, dim=1))
    assert torch.equal(untokens(cut, 2, 2, 3), images)


def test_sinusoidal_places_differ_and_depend_on_row_and_column_apart() -> None:
    places = waves(3, 5, 16).reshape(3, 5, 16)
    assert torch.equal(places[:, 0, :8], places[:, 4, :8])
    assert torch.equal(places[0, :, 8:], places[2, :, 8:])
    distances = torch.cdist(places.flatten(0, 1), places.flatten(0, 1)) + torch.eye(15)
    assert distances.min() > 0.1
    torch.testing.assert_close(places[2, 3, 0], torch.tensor(2.0).sin())


@pytest.mark.parametrize("positions", ["learned", "sinusoidal"])
def test_dit_knows_where_a_patch_is(positions: str) -> None:
    """An image of one grey level: only the positions can tell its patches apart."""
    net = stirred(DiT(width=16, depth=2, heads=2, positions=positions))
    parts = tokens(net(torch.ones(1, *GREY8), LABELS[:1]), 2)
    assert (parts - parts.mean(1, keepdim=True)).abs().max() > 1e-3


def test_dit_has_no_convolution_and_sees_the_whole_image() -> None:
    net = stirred(DiT(width=16, depth=1, heads=2), COLOUR32)
    assert not any(isinstance(module, nn.Conv2d) for module in net.modules())
    assert support(net, COLOUR32, 0, 0).all()


def test_dit_blocks_start_as_if_they_were_not_there() -> None:
    net = build(DiT(width=16, depth=2, heads=2))
    h = torch.randn(2, 16, 16, generator=torch.Generator().manual_seed(0))
    assert torch.equal(net.get_submodule("blocks.0")(h, torch.randn(2, 16)), h)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("patch=3", "dit: patches of side 3 do not tile 8x8 images. Choose a divisor of both"),
        ("width=20,heads=3", "dit: width=20 must be a multiple of heads=3"),
        ("width=18,heads=3", "dit: width=18 must be a multiple of 4"),
    ],
)
def test_sizes_dit_cannot_have(options: str, message: str) -> None:
    with pytest.raises(BadInput, match=message):
        NETWORKS.parse(f"dit:{options}").build(GREY8)


# --- mlp


@pytest.mark.parametrize("shape", [COLOUR32, ImageShape(1, 29, 28)], ids=str)
def test_images_too_large_for_mlp_are_refused(shape: ImageShape) -> None:
    with pytest.raises(BadInput, match=rf"mlp: {shape} images have {shape.d} values; it takes at most 784 \(28x28"):
        MLP().build(shape)


def test_mlp_learns_the_same_whatever_the_order_of_the_pixels() -> None:
    """Shuffled pixels and equally shuffled weights: the same output, shuffled."""
    net, images = stirred(MLP(width=16, depth=2)).double(), pictures().double()
    order = torch.randperm(64, generator=torch.Generator().manual_seed(0))
    out = net(images, LABELS.double()).flatten(1)[:, order]
    with torch.no_grad():
        for layer, axis in (("first", 1), ("last", 0)):
            weight = net.get_parameter(f"{layer}.weight")
            weight.copy_(weight.index_select(axis, order))
        bias = net.get_parameter("last.bias")
        bias.copy_(bias[order])
    shuffled = images.flatten(1)[:, order].reshape(images.shape)
    torch.testing.assert_close(net(shuffled, LABELS.double()).flatten(1), out, rtol=0, atol=1e-12)


# --- unet with attention


@pytest.mark.parametrize(("attention", "want"), [(0, [0, 0, 0]), (1, [0, 0, 1]), (2, [0, 1, 1]), (3, [1, 1, 1])])
def test_attention_sits_at_the_coarsest_levels(attention: int, want: list[int]) -> None:
    """One block per residual block going down, one more than that going up, and one in the middle."""
    net = build(UNetAttention(channels=(16, 16, 32), groups=8, attention=attention))
    names = [name for name, module in net.named_modules() if type(module).__name__ == "Attention"]
    for level, count in enumerate(want):
        assert sum(name.startswith(f"inner.down_blocks.{level}.") for name in names) == count
        assert sum(name.startswith(f"inner.up_blocks.{2 - level}.") for name in names) == 2 * count
    assert sum(name.startswith("inner.mid_block.") for name in names) == 1


def test_attention_levels_and_heads_must_fit() -> None:
    with pytest.raises(BadInput, match=r"unet_attention: attention=4 levels, but channels has 3. Use fewer."):
        UNetAttention(attention=4).build(GREY28)
    with pytest.raises(BadInput, match=r"unet_attention: channels \(16, 16\) must be multiples of head=32"):
        UNetAttention(channels=(16, 16), groups=8, head=32).build(GREY8)
    with pytest.raises(BadInput, match=r"unet_attention: 3 levels need sides divisible by 4, got 6x8"):
        UNetAttention().build(ImageShape(1, 6, 8))


def test_v_of_format_1_is_read_with_its_sign(tmp_path: Path) -> None:
    """Networks of before answer -v: what was saved then denoises as it did then, by the formula of then."""
    spec = NETWORKS.parse(NETWORKS["mlp"].examples[0] + ",prediction=v")
    x, sigma, net = pictures().flatten(1), 0.7, stirred(spec)
    net.load_state_dict({key: weight.half().float() for key, weight in net.state_dict().items()})
    save_network(tmp_path, NetworkDenoiser(net, spec, GREY8), {})
    with torch.no_grad():
        raw = NetworkDenoiser(net, spec, GREY8).raw(x, torch.full((len(x),), sigma))
    skip, scale = 1 / (1 + sigma**2), sigma / math.sqrt(1 + sigma**2)
    torch.testing.assert_close(load_network(tmp_path)(x, sigma), skip * x - scale * raw)
    path = tmp_path / MANIFEST
    path.write_text(json.dumps({**json.loads(path.read_text()), "format": 1}))
    torch.testing.assert_close(load_network(tmp_path)(x, sigma), skip * x + scale * raw)


@pytest.mark.parametrize("number", [0, 3, "new", None])
def test_a_manifest_of_a_newer_version_is_refused(tmp_path: Path, number: object) -> None:
    spec = NETWORKS.parse(NETWORKS["mlp"].examples[0])
    save_network(tmp_path, NetworkDenoiser(stirred(spec), spec, GREY8), {"format": number})
    with pytest.raises(BadInput, match=r"format .* is of a newer version; known: 1 to 2"):
        load_network(tmp_path)


def test_a_network_that_changes_the_shape_is_refused_by_name() -> None:
    class Wide(nn.Module):
        def forward(self, images: Tensor, label: Tensor) -> Tensor:
            return torch.cat([images, images], dim=1)

    denoiser = NetworkDenoiser(Wide(), NETWORKS["mlp"](), GREY8)
    with pytest.raises(BadInput, match="The network mlp gives 2x8x8 for images of 1x8x8: it must keep their shape"):
        denoiser(torch.zeros(1, 64), 1.0)


def test_rows_are_asked_for_as_the_network_is_called() -> None:
    """The same errors; and what scales in other ways than its class leaves rows to autograd."""
    spec = MLP(width=16)
    denoiser = NetworkDenoiser(stirred(spec), spec, GREY8)
    x, outputs = pictures().flatten(1), torch.eye(GREY8.d)[:1]
    with pytest.raises(BadInput, match="sigma"):
        denoiser.jacobian_rows(x, outputs, -1.0)
    with pytest.raises(BadInput, match="do not fit"):
        denoiser.jacobian_rows(x[:, 1:], outputs[:, 1:], 1.0)
    with pytest.raises(NonFinite):
        denoiser.jacobian_rows(x * math.nan, outputs, 1.0)
    assert denoiser.jacobian_rows(x, outputs, 1.0) is not None
    assert adapt(denoiser.net, shape=GREY8).jacobian_rows(x, outputs, 1.0) is None
