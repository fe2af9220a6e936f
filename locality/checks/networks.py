"""What every network must do, whoever wrote it. One function, one contract; its first line says what is promised."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from jaxtyping import Float
from torch import Tensor, nn

from locality.checks.named import Checks, close, hold
from locality.checks.specs import explained, read, reversible
from locality.fields.jacobian import differentiate, field_rows, pixel_outputs
from locality.networks import NETWORKS, Machine, NetworkDenoiser, NetworkSpec, load_network, save_network
from locality.types import ImageShape, Pixel

GREY8, GREY28, COLOUR32 = ImageShape(1, 8, 8), ImageShape(1, 28, 28), ImageShape(3, 32, 32)
LABELS = (150.0, 600.0)


class NetworkCase:
    """A small spec, built and stirred on images of 8x8 pixels."""

    def __init__(self, spec: NetworkSpec) -> None:
        self.spec = spec

    def denoiser(self) -> NetworkDenoiser:
        """The stirred network as a denoiser of 8x8 images."""
        return NetworkDenoiser(stirred(self.spec), self.spec, GREY8)


NETWORK_CHECKS: Checks[NetworkCase] = Checks()
contract = NETWORK_CHECKS.contract


def check_network(spec: NetworkSpec | str) -> None:
    """Hold a network to every contract. Give a small one: it is built and called some dozens of times.

    Args:
        spec: a spec, or the text of one: `name:option=value,...`; plug-ins of LOCALITY_PLUGINS are found.
    Raises:
        AssertionError: it does not meet one; names it, and what was found.
    """
    NETWORK_CHECKS.every(NetworkCase(read(spec, NETWORKS)))


def build(spec: NetworkSpec, shape: ImageShape = GREY8, seed: int = 0) -> nn.Module:
    """As it starts: its weights are a function of the seed."""
    return spec.fresh(shape, seed).eval()


def stirred(spec: NetworkSpec, shape: ImageShape = GREY8) -> nn.Module:
    """With noise on all weights, as after some training: nothing is exactly zero any more."""
    net = build(spec, shape)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for weight in net.parameters():
            weight.add_(0.05 * torch.randn(weight.shape, generator=generator))
    return net


def pictures(shape: ImageShape = GREY8, n: int = 2) -> Float[Tensor, "n c h w"]:
    """Noise as images, always the same."""
    return torch.randn(n, *shape, generator=torch.Generator().manual_seed(2))


def labels() -> Float[Tensor, " b"]:
    """Two noise levels as a network is given them."""
    return torch.tensor(LABELS)


# --- what a spec declares


@contract()
def describes_itself(case: NetworkCase) -> None:
    """A sentence, a heading and what it may look at; help for every option, for every number a lower end at least."""
    cls = type(case.spec)
    explained(cls)
    hold(cls.heading and cls.sees, "heading or sees is empty")


@contract()
def survives_text(case: NetworkCase) -> None:
    """Written as text and parsed it is the same spec; so are its defaults and other predictions."""
    for spec in (case.spec, type(case.spec)(), replace(case.spec, prediction="v", sigma_data=0.25)):
        reversible(spec, NETWORKS)


@contract()
def presets_can_be_built(case: NetworkCase) -> None:
    """Named sizes and the quick one are networks for 32x32 colour images, or for 28x28 grey ones if called so.

    What takes no such colour images is a network for the grey ones.
    """
    cls = type(case.spec)
    colour = "takes_colour_images_of_32_pixels" not in case.spec.exempt
    for options in ("", cls.quick, *(f"preset={preset}" for preset in cls.presets)):
        with torch.device("meta"):  # counts without memory
            NETWORKS.parse(f"{cls.name}:{options}").build(COLOUR32 if colour and not options.endswith("28") else GREY28)


@contract(when=lambda spec: bool(spec.weights))
def number_of_weights_is_the_declared_one(case: NetworkCase) -> None:
    """The defaults have as many weights as the class says, so that files of weights go on fitting."""
    for text, want in case.spec.weights.items():
        with torch.device("meta"):  # counts without memory
            net = type(case.spec)().build(ImageShape(*map(int, text.split("x"))))
        count = sum(weight.numel() for weight in net.parameters())
        hold(count == want, f"{count:,} weights on {text} images, {want:,} declared")


# --- what it makes of images


@contract()
def images_keep_shape_and_type(case: NetworkCase) -> None:
    """Grey images of 8x8 and 28x28 pixels come out in their shape and type, finite, and are left alone."""
    for shape in (GREY8, GREY28):
        _keeps(case.spec, shape)


@contract()
def takes_colour_images_of_32_pixels(case: NetworkCase) -> None:
    """Colour images of 32x32 pixels come out in their shape and type, finite, and are left alone."""
    _keeps(case.spec, COLOUR32)


def _keeps(spec: NetworkSpec, shape: ImageShape) -> None:
    for dtype in (torch.float32, torch.float64):
        net = stirred(spec, shape).to(dtype)
        images = pictures(shape).to(dtype)
        before = images.clone()
        out = net(images, labels().to(dtype))
        hold((out.shape, out.dtype) == (images.shape, dtype), f"{tuple(out.shape)}, {out.dtype} for {shape}, {dtype}")
        hold(out.isfinite().all(), "a value is not finite")
        hold(torch.equal(images, before), "the images were changed")


@contract()
def output_depends_on_image_and_noise_level(case: NetworkCase) -> None:
    """Another noise level and another image give another output."""
    net = stirred(case.spec)
    images = pictures()[:1].expand(2, -1, -1, -1)
    quiet, loud = net(images, labels())
    hold((quiet - loud).abs().max() > 1e-3 * quiet.abs().max(), "the noise level changes nothing")
    hold(not torch.allclose(net(images, labels()), net(images + 0.1, labels()), rtol=1e-3), "the image changes nothing")


@contract()
def images_of_a_batch_do_not_meet(case: NetworkCase) -> None:
    """Each image and its noise level alone give what they give together."""
    net = stirred(case.spec).double()
    images, levels = pictures(n=3).double(), torch.tensor([100.0, 500.0, 1100.0], dtype=torch.float64)
    together = net(images, levels)
    for i in range(3):
        close(net(images[i : i + 1], levels[i : i + 1])[0], together[i], 1e-10)


@contract()
def weights_are_a_function_of_the_seed(case: NetworkCase) -> None:
    """The global seed before build fixes every weight, and another seed changes some."""
    spec = case.spec
    first, same, other = build(spec).state_dict(), build(spec).state_dict(), build(spec, seed=1).state_dict()
    hold(all(torch.equal(first[key], same[key]) for key in first), "the same seed gives other weights")
    hold(any(not torch.equal(first[key], other[key]) for key in first), "another seed gives the same weights")
    hold(torch.equal(stirred(spec)(pictures(), labels()), stirred(spec)(pictures(), labels())), "outputs differ")


@contract()
def gradients_reach_every_weight_and_input(case: NetworkCase) -> None:
    """After some training every weight and every pixel has a gradient that is not zero."""
    net, images = stirred(case.spec), pictures().requires_grad_(True)
    weighting = torch.randn(images.shape, generator=torch.Generator().manual_seed(3))
    (net(images, labels()) * weighting).sum().backward()
    hold(images.grad is not None and images.grad.isfinite().all(), "a pixel has no finite gradient")
    assert images.grad is not None
    hold((images.grad != 0).all(), "a pixel has the gradient zero")
    for key, weight in net.named_parameters():
        hold(weight.grad is not None and weight.grad.isfinite().all(), f"{key} has no finite gradient")
        hold(weight.grad is not None and (weight.grad != 0).any(), f"{key} has the gradient zero")


@contract()
def starts_near_zero(case: NetworkCase) -> None:
    """Fresh defaults add little to c_skip x: a mean square below one half."""
    out = build(type(case.spec)(), GREY28)(pictures(GREY28), labels()).detach()
    hold(out.square().mean() < 0.5, f"the mean square is {float(out.square().mean()):.3g}")


@contract()
def starts_at_zero(case: NetworkCase) -> None:
    """Fresh defaults are c_skip x and nothing else."""
    out = build(type(case.spec)(), GREY28)(pictures(GREY28), labels()).detach()
    hold(out.abs().max() == 0, f"the largest value is {float(out.abs().max()):.3g}")


@contract()
def bfloat16_is_near(case: NetworkCase) -> None:
    """In bfloat16, as training runs it, outputs are within 5 %: it keeps 8 bits, and some errors add up."""
    net, images = stirred(case.spec), pictures()
    exact = net(images, labels()).detach()
    with torch.autocast("cpu", torch.bfloat16):
        rough = net(images, labels()).detach().float()
    off = float((rough - exact).norm() / exact.norm())
    hold(off < 0.05, f"{off:.1%} off")


@contract()
def weights_survive_the_disk(case: NetworkCase) -> None:
    """Saved and loaded, float16 weights come back exactly, with the spec and the shape."""
    net = stirred(case.spec)
    net.load_state_dict({key: weight.half().float() for key, weight in net.state_dict().items()})
    denoiser = NetworkDenoiser(net, case.spec, GREY8)
    with TemporaryDirectory() as folder:
        manifest = save_network(Path(folder), denoiser, {})
        back = load_network(Path(folder))
    hold((back.spec, back.shape) == (case.spec, GREY8), f"it comes back as {back.spec} for {back.shape}")
    hold(manifest["parameters"] == sum(weight.numel() for weight in net.parameters()), "the manifest miscounts weights")
    x = pictures().flatten(1)
    hold(torch.equal(back(x, 0.5), denoiser(x, 0.5).detach()), "it comes back with other outputs")


@contract()
def order_of_values_in_memory_changes_nothing(case: NetworkCase) -> None:
    """Channels side by side, as trainings on a GPU and of wide convolutions have them: the same but for rounding."""
    shape = GREY8 if "takes_colour_images_of_32_pixels" in case.spec.exempt else ImageShape(3, 8, 8)
    plain, ordered = stirred(case.spec, shape), Machine(channels_last=True).placed(stirred(case.spec, shape), False)
    images = pictures(shape)
    truth = plain(images, labels()).detach()
    try:
        found = ordered(images.to(memory_format=torch.channels_last), labels())
    except RuntimeError as error:
        advice = " Use reshape, which works in any order." if "view" in str(error) else ""
        raise AssertionError(f"{str(error).splitlines()[0]}{advice}") from None
    close(found, truth, 1e-4 * float(truth.abs().max()))


@contract()
def fields_can_be_taken(case: NetworkCase) -> None:
    """A Jacobian row through the denoiser agrees with the change that a small push of the input makes."""
    denoiser = case.denoiser()
    x, sigma, coordinate = pictures(n=1).flatten(1), 0.5, 3 * 8 + 4
    row = field_rows(denoiser, x, pixel_outputs(GREY8, Pixel(3, 4)), sigma)[0, 0]
    push = 1e-2 * row / row.norm()
    change = denoiser(x + push, sigma) - denoiser(x - push, sigma)
    got, want = float(change[0, coordinate].detach() / 2), float(row @ push)
    hold(math.isclose(got, want, rel_tol=0.02), f"the push changes {got:.6g}, the row says {want:.6g}")


@contract()
def rows_are_those_of_a_backward_pass(case: NetworkCase) -> None:
    """Rows that a network knows are those that autograd finds, of any output and for each image (float32: 1e-5)."""
    for shape in (GREY8, GREY28):
        denoiser = NetworkDenoiser(stirred(case.spec, shape), case.spec, shape)
        x, sigma = pictures(shape).flatten(1), 0.5
        pixels = torch.cat([pixel_outputs(shape, Pixel(row, shape.w - 1 - row)) for row in (0, 3, shape.h - 1)])
        for outputs in (-0.5 * pixels, pixels, pixels.sum(dim=0, keepdim=True)):
            truth = differentiate(denoiser, x, outputs, sigma)
            close(field_rows(denoiser, x, outputs, sigma), truth, 1e-5 * float(truth.abs().max()))
