"""What every registered network must do, and what sets each apart from the others."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from locality.errors import BadInput
from locality.fields.jacobian import field_rows, pixel_outputs
from locality.networks import MANIFEST, NETWORKS, NetworkDenoiser, NetworkSpec, load_network, save_network
from locality.networks.dit import DiT, tokens, untokens, waves
from locality.networks.mlp import MLP
from locality.networks.resnet import RECEPTIVE_FIELD, ResNet
from locality.networks.unet import UNet
from locality.networks.unet_attention import UNetAttention
from locality.types import ImageShape, Pixel

pytestmark = pytest.mark.timeout(300)  # seconds on an idle machine; others may be at work

GREY8, GREY28, COLOUR32 = ImageShape(1, 8, 8), ImageShape(1, 28, 28), ImageShape(3, 32, 32)
SMALL: dict[str, NetworkSpec] = {  # one of each, small enough to try often
    "unet": UNet(channels=(16, 16), groups=8),
    "unet_attention": UNetAttention(channels=(16, 32), groups=8),
    "resnet": ResNet(channels=8),
    "dit": DiT(width=16, depth=2, heads=2),
    "mlp": MLP(width=16, depth=2),
}
PARAMETERS = {  # of the defaults, for 28x28 grey and for 32x32 colour images
    "unet": (1_655_361, 1_656_515),
    "unet_attention": (1_805_121, 1_806_275),
    "resnet": (645_985, 649_443),
    "dit": (1_271_428, 1_281_164),
    "mlp": (3_166_225, None),  # None: refuses them
}
LABELS = torch.tensor([150.0, 600.0])

every_network = pytest.mark.parametrize("name", sorted(NETWORKS))


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Networks this small are slower on two threads than on one."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def build(spec: NetworkSpec, shape: ImageShape = GREY8, seed: int = 0) -> nn.Module:
    """As it starts: its weights are a function of the seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return spec.build(shape).eval()


def stirred(spec: NetworkSpec, shape: ImageShape = GREY8) -> nn.Module:
    """With noise on all weights, as after some training: nothing is exactly zero any more."""
    net = build(spec, shape)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for weight in net.parameters():
            weight += 0.05 * torch.randn(weight.shape, generator=generator)
    return net


def pictures(shape: ImageShape = GREY8, n: int = 2) -> Tensor:
    return torch.randn(n, *shape, generator=torch.Generator().manual_seed(2))


# --- every network


@every_network
def test_is_tried_here(name: str) -> None:
    """A new network needs a small specimen and its size above."""
    assert SMALL[name].name == name
    assert name in PARAMETERS


@every_network
@pytest.mark.parametrize("shape", [GREY8, GREY28, COLOUR32], ids=str)
def test_images_keep_shape_and_type(name: str, shape: ImageShape) -> None:
    if name == "mlp" and shape == COLOUR32:
        return  # its refusal has a test of its own
    for dtype in (torch.float32, torch.float64):
        net = stirred(SMALL[name], shape).to(dtype)
        images = pictures(shape).to(dtype)
        before = images.clone()
        out = net(images, LABELS.to(dtype))
        assert (out.shape, out.dtype) == (images.shape, dtype)
        assert out.isfinite().all()
        assert torch.equal(images, before)


@every_network
def test_size_of_the_defaults(name: str) -> None:
    for shape, want in zip((GREY28, COLOUR32), PARAMETERS[name], strict=True):
        if want is None:
            continue
        with torch.device("meta"):  # counts without memory
            net = NETWORKS[name]().build(shape)
        assert sum(weight.numel() for weight in net.parameters()) == want


@every_network
def test_output_depends_on_image_and_noise_level(name: str) -> None:
    net = stirred(SMALL[name])
    images = pictures()[:1].expand(2, -1, -1, -1)
    quiet, loud = net(images, LABELS)
    assert (quiet - loud).abs().max() > 1e-3 * quiet.abs().max()
    assert not torch.allclose(net(images, LABELS), net(images + 0.1, LABELS), rtol=1e-3)


@every_network
def test_images_of_a_batch_do_not_meet(name: str) -> None:
    """Each image and its noise level alone give what they give together."""
    net = stirred(SMALL[name]).double()
    images, labels = pictures(n=3).double(), torch.tensor([100.0, 500.0, 1100.0], dtype=torch.float64)
    together = net(images, labels)
    for i in range(3):
        torch.testing.assert_close(net(images[i : i + 1], labels[i : i + 1])[0], together[i], rtol=0, atol=1e-10)


@every_network
def test_weights_are_a_function_of_the_seed(name: str) -> None:
    spec = SMALL[name]
    first, same, other = build(spec).state_dict(), build(spec).state_dict(), build(spec, seed=1).state_dict()
    assert all(torch.equal(first[key], same[key]) for key in first)
    assert any(not torch.equal(first[key], other[key]) for key in first)
    images = pictures()
    assert torch.equal(stirred(spec)(images, LABELS), stirred(spec)(images, LABELS))


@every_network
def test_gradients_reach_every_weight_and_every_input(name: str) -> None:
    net, images = stirred(SMALL[name]), pictures().requires_grad_(True)
    weighting = torch.randn(images.shape, generator=torch.Generator().manual_seed(3))
    (net(images, LABELS) * weighting).sum().backward()
    assert images.grad is not None
    assert images.grad.isfinite().all()
    assert (images.grad != 0).all()
    for key, weight in net.named_parameters():
        assert weight.grad is not None, key
        assert weight.grad.isfinite().all(), key
        assert (weight.grad != 0).any(), key


@every_network
def test_starts_near_zero(name: str) -> None:
    """The denoiser starts as c_skip x. diffusers' last convolution starts small, not at zero."""
    out = build(NETWORKS[name](), GREY28)(pictures(GREY28), LABELS)
    assert out.abs().max() == 0 if not name.startswith("unet") else out.square().mean() < 0.5


@every_network
def test_bfloat16_is_near(name: str) -> None:
    """As the training runs it; bfloat16 keeps 8 bits, and some rounding errors add up."""
    net, images = stirred(SMALL[name]), pictures()
    exact = net(images, LABELS)
    with torch.autocast("cpu", torch.bfloat16):
        rough = net(images, LABELS).float()
    assert (rough - exact).norm() < 0.05 * exact.norm()


@every_network
def test_options_round_trip_as_text(name: str) -> None:
    for spec in (NETWORKS[name](), SMALL[name], replace(SMALL[name], prediction="v", sigma_data=0.25)):
        assert NETWORKS.parse(spec.text()) == spec


@every_network
def test_weights_round_trip_on_disk(name: str, tmp_path: Path) -> None:
    """The file holds float16: exact once weights are rounded to it."""
    spec = SMALL[name]
    net = stirred(spec)
    net.load_state_dict({key: weight.half().float() for key, weight in net.state_dict().items()})
    denoiser = NetworkDenoiser(net, spec, GREY8)
    manifest = save_network(tmp_path, denoiser, {})
    back = load_network(tmp_path)
    assert (back.spec, back.shape) == (spec, GREY8)
    assert manifest["parameters"] == sum(weight.numel() for weight in net.parameters())
    x = pictures().flatten(1)
    assert torch.equal(back(x, 0.5), denoiser(x, 0.5).detach())


def test_v_of_format_1_is_read_with_its_sign(tmp_path: Path) -> None:
    """Networks of before answer -v: what was saved then denoises as it did then, by the formula of then."""
    spec, x, sigma = replace(SMALL["mlp"], prediction="v"), pictures().flatten(1), 0.7
    net = stirred(spec)
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
    save_network(tmp_path, NetworkDenoiser(stirred(SMALL["mlp"]), SMALL["mlp"], GREY8), {"format": number})
    with pytest.raises(BadInput, match=r"format .* is of a newer version; known: 1 to 2"):
        load_network(tmp_path)


@every_network
def test_texts_are_complete(name: str) -> None:
    cls = NETWORKS[name]
    assert (cls.__doc__ or "").rstrip().endswith(".")
    for about in cls.params().values():
        assert about.help.endswith(".")


@every_network
def test_fields_can_be_taken(name: str) -> None:
    """A Jacobian row through the denoiser agrees with the change a small push of the input makes."""
    denoiser = NetworkDenoiser(stirred(SMALL[name]), SMALL[name], GREY8)
    x, sigma, coordinate = pictures(n=1).flatten(1), 0.5, 3 * 8 + 4
    row = field_rows(denoiser, x, pixel_outputs(GREY8, Pixel(3, 4)), sigma)[0, 0]
    push = 1e-2 * row / row.norm()
    change = denoiser(x + push, sigma) - denoiser(x - push, sigma)
    assert float(change[0, coordinate].detach() / 2) == pytest.approx(float(row @ push), rel=0.02)


# --- presets


def test_presets_are_named_sizes() -> None:
    assert NETWORKS.parse("resnet:preset=paper") == ResNet(channels=256)
    assert NETWORKS.parse("unet:preset=small") == UNet()
    assert NETWORKS.parse("unet:preset=paper,dropout=0") == UNet(channels=(128, 256, 384, 512), blocks=2, groups=32)
    assert NETWORKS.parse("unet_attention:preset=paper").key()["attention"] == 0


@every_network
def test_presets_build(name: str) -> None:
    for preset in NETWORKS[name].presets:
        shape = GREY28 if preset.endswith("28") else COLOUR32
        with torch.device("meta"):
            NETWORKS.parse(f"{name}:preset={preset}").build(shape)


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
