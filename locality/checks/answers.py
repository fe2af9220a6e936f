"""What a denoiser's answers are and where they go: contracts of every denoiser."""

from __future__ import annotations

import torch
from torch import Tensor

from locality.checks.denoisers import SIGMA, DenoiserCase, averages, contract
from locality.checks.named import close, hold
from locality.checks.sets import given
from locality.checks.small import small
from locality.device import Compute

# float32: logits of size 100 keep five digits after the point; float64: the same with fourteen.
ROUNDING = {torch.float32: 1e-4, torch.float64: 1e-9}


# --- what an answer is


@contract()
def answers_keep_shape_type_and_device(case: DenoiserCase) -> None:
    """An answer has the shape, type and device of the noisy images, is finite and asks for no gradient."""
    for name, images in case.sets.items():
        model, x = case.model(name), case.x(name)
        hold(model.shape == images.shape, f"its shape is {model.shape}, the images' {images.shape}")
        for dtype in (torch.float32, torch.float64):
            answer = model(x.to(dtype), SIGMA)
            got, want = (answer.shape, answer.dtype, answer.device), (x.shape, dtype, x.device)
            hold(got == want, f"{got} instead of {want}")
            hold(answer.isfinite().all(), "an answer is not finite")
            hold(not answer.requires_grad, "an answer asks for a gradient")


@contract()
def types_agree(case: DenoiserCase) -> None:
    """float32 is float64, rounded, at little and at much noise."""
    _types_agree(case, "grey", case.spec.tolerance.get("types_agree", 2e-4))


@contract()
def types_agree_on_8bit_images(case: DenoiserCase) -> None:
    """float32 is float64, rounded, where the training images are 8-bit and may be multiplied as integers."""
    _types_agree(case, "colour", case.spec.tolerance.get("types_agree_on_8bit_images", 2e-4))


def _types_agree(case: DenoiserCase, name: str, atol: float) -> None:
    for sigma in (0.02, 20.0):
        x = case.x(name, sigma=sigma)
        close(case.model(name)(x.float(), sigma), case.model(name)(x.double(), sigma), atol)


@contract()
def input_is_left_alone(case: DenoiserCase) -> None:
    """The noisy images are as they were, with a gradient and without."""
    for name in case.sets:
        x = case.x(name).float()
        before = x.clone()
        case.model(name)(x, SIGMA)
        hold(torch.equal(x, before), "the noisy images were changed")
        leaf = x.clone().requires_grad_(True)
        case.model(name)(leaf, SIGMA)
        hold(torch.equal(leaf.detach(), before), "noisy images with a gradient were changed")


@contract()
def answers_repeat(case: DenoiserCase) -> None:
    """A second call, a fit in an empty store, and one found there give the same bits, whatever came between."""
    model, x = case.model(), case.x().float()
    first = model(x, SIGMA)
    model(x, 3 * SIGMA)
    hold(torch.equal(model(x, SIGMA), first), "a second call gave other bits")
    for why in ("a fit in an empty store", "the fit found there"):
        hold(torch.equal(case.fit(case.sets["colour"], store="empty")(x, SIGMA), first), f"{why} gave other bits")


@contract()
def batch_is_one_by_one(case: DenoiserCase) -> None:
    """A noisy image has the same answer alone and among others."""
    for name in case.sets:
        for dtype, atol in ROUNDING.items():
            x, model = case.x(name).to(dtype), case.model(name)
            close(model(x, SIGMA), torch.cat([model(one[None], SIGMA) for one in x]), atol)


@contract()
def chunks_change_nothing(case: DenoiserCase) -> None:
    """Little memory gives the same answers as plenty, the fits made in stores of their own."""
    images, x = case.sets["colour"], case.x(count=2)
    little = small(lambda compute: case.fit(images, compute, "little"), x, SIGMA)
    plenty = case.fit(images, Compute(), "plenty")
    for dtype, rounding in ROUNDING.items():
        atol = max(rounding, case.spec.tolerance.get("chunks_change_nothing", 0.0))
        close(little(x.to(dtype), SIGMA), plenty(x.to(dtype), SIGMA), atol)


@contract(when=averages)
def devices_change_nothing(case: DenoiserCase) -> None:
    """Training images shared out among two or three devices give the answers of one: those of a merged softmax."""
    for others, (name, images) in zip((("cpu", "cpu"), ("cpu",)), case.sets.items(), strict=True):
        shared = case.fit(images, Compute(others=others))
        for sigma in (0.05, 5.0):
            for dtype, atol in ((torch.float32, 2e-6), (torch.float64, 1e-10)):
                x = case.x(name, sigma=sigma).to(dtype)
                close(shared(x, sigma), case.model(name)(x, sigma), atol)


@contract()
def order_changes_nothing(case: DenoiserCase) -> None:
    """The same training images in another order give the same answers."""
    for name, images in case.sets.items():
        labels = images.data.labels
        assert labels is not None
        order = torch.randperm(len(images.data), generator=torch.Generator().manual_seed(3))
        shuffled = case.fit(given(images.data.data[order], images.shape, labels[order]))
        for dtype, atol in ROUNDING.items():
            x = case.x(name).to(dtype)
            close(shuffled(x, SIGMA), case.model(name)(x, SIGMA), atol)


# --- where the answer goes


@contract()
def noise_drowns_everything(case: DenoiserCase) -> None:
    """At sigma 1e5, where logits differ by 1e-4, the answer is the mean of the training images."""
    for name in case.sets:
        x = case.x(name, sigma=1e5)
        close(case.model(name)(x, 1e5), case.seen(name).x0().mean(dim=0).expand_as(x), 1e-3)


@contract()
def clean_images_stay(case: DenoiserCase) -> None:
    """Training images at sigma 1e-3 come back: linear models keep variances of 100 sigma^2."""
    for name, images in case.sets.items():
        x0 = images.x0()[[0, 2, 3]]  # of the classes 0, 3, 0 and among the first
        close(case.model(name)(x0, 1e-3), x0, case.spec.tolerance.get("clean_images_stay", 0.02))


@contract(when=averages)
def averages_stay_in_range(case: DenoiserCase) -> None:
    """Each value lies between the least and the largest of its pixel in the images that are averaged."""
    for name, images in case.sets.items():
        x0 = case.seen(name).x0().reshape(-1, *images.shape)
        _in_range(case, name, x0.amin(dim=0), x0.amax(dim=0))


@contract(when=averages)
def averages_stay_in_range_of_the_channel(case: DenoiserCase) -> None:
    """Each value lies between the least and the largest of its channel in the images that are averaged."""
    for name, images in case.sets.items():
        x0 = case.seen(name).x0().reshape(-1, *images.shape)
        low, high = (end.reshape(-1, 1, 1).expand(images.shape) for end in (x0.amin((0, 2, 3)), x0.amax((0, 2, 3))))
        _in_range(case, name, low, high)


def _in_range(case: DenoiserCase, name: str, low: Tensor, high: Tensor) -> None:
    for sigma in (0.05, 1.5):
        answer = case.model(name)(case.x(name, sigma=4 * sigma).float(), sigma).double().reshape(-1, *low.shape)
        over = float(torch.maximum(low - answer, answer - high).max())
        hold(over <= 1e-6, f"an answer at sigma {sigma} is {over:.3g} outside")
