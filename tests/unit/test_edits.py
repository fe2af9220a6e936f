"""Edits: the statistics of the edited images against their closed forms; text, seeds, masks, what is refused."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from locality.checks.edits import moments
from locality.dataset import Dataset
from locality.datasets import Source
from locality.device import Compute
from locality.edits import (
    EDITS,
    EditSpec,
    Stage,
    chain_text,
    draw_mask,
    mask_names,
    mask_text,
    parse_chain,
    parse_edit,
)
from locality.edits.blur import kernel
from locality.edits.shifts import shifted
from locality.errors import BadInput, UnknownName
from locality.linear.statistics import Statistics, covariance_of, fit_filter
from locality.store import Store
from locality.studies import finish, fit_wiener
from locality.types import ImageShape
from tests.small_sets import Given, Pair, eight_bit

COLOUR, GREY = ImageShape(3, 6, 5), ImageShape(1, 6, 5)
N = 60


def pair(seed: int = 0, shape: ImageShape = COLOUR, count: int = N) -> Pair:
    return Pair(eight_bit(count, shape, seed, "made").data)


def stage(store: Store, images: Given, other: Pair | None = None) -> Stage:
    return Stage(images, other, Compute(), store)


def of(images: Given) -> Statistics:
    return moments(images.x0())


def edited(edit: EditSpec, images: Given, place: Stage, split: str = "train") -> Dataset:
    data = images.data
    return edit.images(Dataset(data.name, split, data.shape, data.data, data.labels), place)


def test_spectra_keep_the_total_variance(store: Store) -> None:
    for text in ("spectrum:whiten", "spectrum:whiten,strength=0.5", "spectrum:tilt,strength=1.5"):
        images = pair(count=400)
        found = parse_edit(text).statistics(of(images), stage(store, images))
        assert found is not None
        assert float(found.cov.trace()) == pytest.approx(float(of(images).cov.trace()), rel=1e-4)


def test_white_images_have_no_correlation_left(store: Store) -> None:
    """But for the components below a thousandth of the mean eigenvalue, which stay weak."""
    images = pair(count=400)
    found = parse_edit("spectrum:whiten").statistics(of(images), stage(store, images))
    assert found is not None
    assert found.cov.sub(torch.diag(found.cov.diagonal())).abs().max() < 0.05 * float(found.cov.diagonal().mean())


def test_tilt_multiplies_the_power_at_each_frequency(store: Store) -> None:
    edit, images = parse_edit("spectrum:tilt,strength=2"), pair(shape=GREY, count=200)
    place = stage(store, images)
    x0, after = (data.x0(slice(None)).double() for data in (images.data, edited(edit, images, place)))
    power = [np.abs(np.fft.fft2((x - x.mean(0)).numpy().reshape(-1, 6, 5))) ** 2 for x in (x0, after)]
    ratio = power[1].mean(0) / power[0].mean(0)
    fy, fx = np.fft.fftfreq(6, 1 / 6)[:, None], np.fft.fftfreq(5, 1 / 5)[None]
    k2 = fy**2 + fx**2
    k2[0, 0] = 1
    assert np.allclose(ratio * k2, (ratio * k2)[0, 0], rtol=1e-4)


def test_expected_statistics_of_shifts_are_the_mean_over_all_shifts(store: Store) -> None:
    """Every image moved by every shift is a set whose moments are the expectation's."""
    edit, images = parse_edit("shifts:1"), pair(shape=ImageShape(2, 4, 3), count=8)
    x, shape = images.x0(), images.shape
    every = torch.tensor(list(itertools.product(range(shape.h), range(shape.w))))
    whole = torch.cat([shifted(x, by.expand(len(x), 2), shape) for by in every])
    found = edit.statistics(of(images), stage(store, images))
    assert found is not None
    whole_ = moments(whole)
    assert (found.mean - whole_.mean).abs().max() < 1e-12
    unbiased = (len(whole) - 1) / len(whole) * len(x) / (len(x) - 1)
    assert (found.cov - whole_.cov * unbiased).abs().max() < 1e-12
    blocks = found.cov.reshape(2, 4, 3, 2, 4, 3)
    assert (blocks - blocks.roll((1, 2, 1, 2), (1, 2, 4, 5))).abs().max() < 1e-12  # stationary on the torus


def test_channels_are_of_different_images(store: Store) -> None:
    found = parse_edit("channels").statistics(of(pair()), stage(store, pair()))
    assert found is not None
    blocks = found.cov.reshape(3, 30, 3, 30)
    assert blocks[0, :, 1].abs().max() == 0
    assert torch.equal(blocks[1, :, 1], of(pair()).cov.reshape(3, 30, 3, 30)[1, :, 1])


def test_clip_measures_and_says_so(store: Store) -> None:
    edit, images = parse_edit("clip:0.3"), pair()
    assert edit.closed == "none"
    assert edit.statistics(of(images), stage(store, images)) is None
    after = edited(edit, images, stage(store, images))
    assert torch.equal(after.data, images.data.x0(slice(None)).clamp(-0.3, 0.3))


def test_pattern_by_hand(store: Store) -> None:
    """x0' = x0 + c z w: subtracting the images leaves multiples of the mask."""
    edit, images = parse_edit("pattern:stripe,strength=2,colour=red-green"), pair()
    change = edited(edit, images, stage(store, images)).data - images.data.x0(slice(None))
    mask = torch.from_numpy(draw_mask("stripe", 6, 5)).flatten()
    z = change[:, :30][:, mask != 0][:, 0] / 2
    assert z.std() == pytest.approx(1.0, abs=0.3)
    assert torch.allclose(change[:, :30], 2 * z[:, None] * mask, atol=1e-6)
    assert torch.allclose(change[:, 30:60], -2 * z[:, None] * mask, atol=1e-6)
    assert (change[:, 60:] == 0).all()


def test_tied_pixels_are_equal_at_full_strength(store: Store) -> None:
    after = edited(parse_edit("tie:eyes,strength=1"), pair(), stage(store, pair())).data.reshape(N, 3, 30)
    on = torch.from_numpy(draw_mask("eyes", 6, 5)).flatten() != 0
    assert on.sum() > 1
    assert after[:, :, on].std(dim=2).max() < 1e-6
    assert torch.equal(after[:, :, ~on], pair().data.x0(slice(None)).reshape(N, 3, 30)[:, :, ~on])


def test_blur_keeps_sums_and_mirrors_at_the_border() -> None:
    for side, radius in ((5, 0.5), (8, 3.0), (6, 40.0)):
        made = kernel(side, radius)
        assert torch.allclose(made.sum(dim=1), torch.ones(side, dtype=torch.float64))
        assert torch.allclose(made.sum(dim=0), torch.ones(side, dtype=torch.float64))
    line = torch.zeros(24, dtype=torch.float64)
    line[8:16] = torch.arange(8.0)
    line[:8], line[16:] = line[8:16].flip(0), line[8:16].flip(0)
    weights = torch.exp(-0.5 * (torch.arange(-7.0, 8.0) / 1.2) ** 2).double()
    naive = [float((weights * line[8 + p - 7 : 8 + p + 8]).sum() / weights.sum()) for p in range(8)]
    assert torch.allclose(
        kernel(8, 1.2) @ torch.arange(8.0, dtype=torch.float64), torch.tensor(naive).double(), atol=1e-7
    )


@pytest.mark.parametrize(
    ("text", "random"),
    [
        ("pattern:W", True),
        ("shifts", True),
        ("shrink:0.5", True),
        ("channels", True),
        ("channels:merge", False),
        ("tie:eyes", False),
        ("blur:1.3", False),
        ("shuffle", False),
        ("mirror", False),
    ],
)
def test_train_and_test_images_get_draws_of_their_own(store: Store, text: str, random: bool) -> None:
    edit, images = parse_edit(text), pair()
    place = stage(store, images)
    assert torch.equal(edited(edit, images, place, "test").data, edited(edit, images, place).data) is not random


@pytest.mark.parametrize("text", ["shuffle", "shifts", "mirror", "channels"])
def test_moved_pixels_stay_8_bit(store: Store, text: str) -> None:
    assert edited(parse_edit(text), pair(), stage(store, pair())).is_8bit


def test_shuffled_share_is_nested_and_a_permutation() -> None:
    order = parse_edit("shuffle:0.5,seed=4").order(COLOUR)  # type: ignore[attr-defined]
    assert sorted(order.tolist()) == list(range(30))
    moved = set(torch.nonzero(order != torch.arange(30)).flatten().tolist())
    more = parse_edit("shuffle:1,seed=4").order(COLOUR)  # type: ignore[attr-defined]
    assert 0 < len(moved) <= 15
    assert len(torch.nonzero(more != torch.arange(30))) > 15
    assert torch.equal(parse_edit("shuffle:0").order(COLOUR), torch.arange(30))  # type: ignore[attr-defined]


# --- the filter that follows


def test_the_filter_of_a_derived_set_is_that_of_its_images(store: Store) -> None:
    """Through a source: closed forms, edit by edit, against one pass over the edited images."""
    from locality.datasets import Source

    text = "digits+pattern:X,strength=0.4+blur:0.8+mirror+shuffle"
    source = Source.parse(text)
    found = finish(fit_filter(source, Compute(), store))
    measured, after = moments(source.train.x0(slice(None))), covariance_of(found)
    assert found.count == measured.count == len(source.train)
    assert (after.mean - measured.mean).abs().max() < 1e-6
    assert (after.cov - measured.cov).abs().max() < 2e-6 * float(measured.cov.abs().max()) + 1e-6
    clipped = Source.parse("digits+pattern:X,strength=0.4+clip")
    again = covariance_of(finish(fit_filter(clipped, Compute(), store)))
    assert (again.cov - moments(clipped.train.x0(slice(None))).cov).abs().max() < 1e-6


# --- text


@pytest.mark.parametrize("name", list(EDITS))
def test_text_comes_back(name: str) -> None:
    edit = EDITS[name]()
    assert parse_edit(edit.text()) == edit
    assert all(f"{field}=" in edit.text() for field in edit.named)


def test_a_chain_of_no_edits() -> None:
    assert parse_chain("") == ()
    assert chain_text(()) == ""


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("digits+patern:W", r"Unknown edit 'patern'\. Did you mean 'pattern'\? Known: blur, channels, clip,"),
        ("digits+blur:1+nothing", r"Unknown edit 'nothing'"),
        ("digits+pattern:Q", r"Unknown mask 'Q'\. Known: W, X, .*bits\.HxW\.DATA"),
        ("digits+pattern:W,X", r"Option 'X' of 'pattern' has no value\. Write pattern:X=VALUE\."),
        ("digits+tie:W,strength=2", r"tie:strength=2\.0 is outside \[0, 1\]\."),
        ("digits+pattern:W,strength=1e9", r"pattern:strength=1000000000\.0 is outside \[-100, 100\]\."),
        ("digits+pattern:W,strength=nan", r"pattern:strength=nan is outside"),
        ("digits+spectrum:whiten,strength=2", r"spectrum:how=whiten,strength=2: give 0 \(as it is\) to 1 \(white\)\."),
        ("digits+channels", r"The edit channels needs colour images; these are 1x8x8\. Choose a colour dataset\."),
        ("digits+pattern:W+pattern:X", r"conflict: patterns of the same seed rise and fall together.*seed=1"),
        ("digits+mirror+mirror", r"conflict: the set is its own mirror image already\. Leave one out\."),
        ("digits+pattern:W+spectrum:whiten", r"conflict: at full strength the second removes every correlation"),
        ("digits+tie:W+shrink:1", r"conflict: at full strength the second removes"),
        ("digits+pattern:bits.4x4.AAA", r"The mask is 4x4; the images are 8x8\. Paint one of 8x8, or name a shape\."),
        ("digits+pattern:bits.8x8.AAA", r"The painted mask is damaged: 2 bytes, 8 expected for 8x8\."),
        (
            "digits+pattern:bits.8x8.AAAAAAAAAAA",
            r"The mask 'bits\.8x8\.AAAAAAAAAAA' is empty at 8x8: paint at least one",
        ),
        ("digits+pattern:bits.8x8.__________8", r"covers all 64 pixels: a shared brightness, not a pattern\."),
        ("digits+pattern:text.WWWWWWWW", r"The word 'WWWWWWWW' does not fit into 8x8 pixels\. Give a shorter one\."),
        ("digits+pattern:nowhere/mask.png", r"nowhere/mask\.png is not a picture that can be read"),
    ],
)
def test_what_is_wrong_is_said(text: str, message: str) -> None:
    from locality.datasets import Source

    with pytest.raises(BadInput, match=message):
        Source.parse(text)


def test_edits_without_a_dial_cannot_be_scaled() -> None:
    with pytest.raises(BadInput, match=r"The edit mirror is all or nothing: .* Those with: blur, mix, pattern"):
        parse_edit("mirror").scaled(0.5)
    with pytest.raises(UnknownName):
        parse_edit("nothing")


@pytest.mark.parametrize(
    ("share", "message"),
    [(0.9, r"mix:share=0\.9 needs 54 train images of small; it has 20\. Give a share of at most 0\.33")],
)
def test_mixing_more_than_there_is(store: Store, share: float, message: str) -> None:
    small = Pair(eight_bit(20, COLOUR, 1, "small").data)
    with pytest.raises(BadInput, match=message):
        edited(parse_edit(f"mix:small,share={share}"), pair(), stage(store, pair(), small))


def test_mixing_other_shapes(store: Store) -> None:
    other = Pair(eight_bit(60, GREY, 1, "grey").data)
    with pytest.raises(BadInput, match=r"mix: images of grey are 1x6x5, those of made 3x6x5\. Choose a dataset of the"):
        parse_edit("mix:grey").statistics(of(pair()), stage(store, pair(), other))


# --- masks


@pytest.mark.parametrize("side", [8, 28, 32, 64])
@pytest.mark.parametrize("name", [*mask_names(), "text.A"])
def test_shapes_at_every_size(name: str, side: int) -> None:
    """Neither empty nor nearly everything; W and ring are their own mirror images."""
    mask = draw_mask(name, side, side)
    assert mask.dtype == np.int8
    assert 0.02 < (mask != 0).mean() < 0.6
    if name in ("W", "ring", "eyes", "stripe", "X"):
        assert (mask == mask[:, ::-1]).all()


def test_painted_masks_come_back_as_text() -> None:
    rng = np.random.default_rng(0)
    for shape in ((28, 28), (5, 7)):
        for low in (0, -1):
            mask = rng.integers(low, 2, shape).astype(np.int8)
            mask[0, 0] = 0
            assert (draw_mask(mask_text(mask), *shape) == mask).all()


def test_a_picture_is_read_once_and_becomes_its_pixels(tmp_path: Path) -> None:
    pixels = np.zeros((8, 8), np.uint8)
    pixels[2, 3:6] = 255
    Image.fromarray(pixels).save(tmp_path / "mask.png")
    edit = parse_edit(f"pattern:{tmp_path / 'mask.png'}")
    assert edit.mask == mask_text((pixels > 0).astype(np.int8))  # type: ignore[attr-defined]
    clear = np.zeros((8, 8, 4), np.uint8)
    clear[1, 1, 3] = 255  # black, but the only place that is not transparent
    Image.fromarray(clear).save(tmp_path / "clear.png")
    mask = draw_mask(parse_edit(f"pattern:{tmp_path / 'clear.png'}").mask, 8, 8)  # type: ignore[attr-defined]
    assert mask.sum() == mask[1, 1] == 1
    Image.new("L", (600, 600)).save(tmp_path / "large.png")
    with pytest.raises(BadInput, match=r"The picture is 600x600; give one of the images' size, or up to 512x512\."):
        parse_edit(f"pattern:{tmp_path / 'large.png'}")
    (tmp_path / "bad.png").write_bytes(b"not a picture")
    with pytest.raises(BadInput, match=r"bad\.png is not a picture that can be read \(UnidentifiedImageError\)"):
        parse_edit(f"pattern:{tmp_path / 'bad.png'}")


# --- sources


def test_names_and_fingerprints_of_edited_sources() -> None:
    from locality.datasets import Source

    plain, edited_ = Source.parse("digits"), Source.parse("digits+pattern:W")
    assert edited_.name == "digits+pattern:mask=W,strength=0.5"
    assert edited_.slug == "digits-pattern-mask-W-strength-0.5"
    assert edited_.base == plain
    assert Source.parse(edited_.name) == edited_
    marks = {
        Source.parse(f"digits{more}").fingerprint for more in ("", "+pattern:W", "+pattern:X", "+pattern:W,seed=1")
    }
    assert len(marks) == 4
    drawn = mask_text(draw_mask("W", 8, 8))
    assert Source.parse(f"digits+pattern:{drawn}").train.data.equal(edited_.train.data)
    long = Source.parse(f"digits+pattern:{drawn},seed=77+blur:0.123456789+shuffle:0.5+mirror")
    assert len(long.slug) <= 60
    assert len(edited_.held_out) == len(plain.held_out)
    assert not torch.equal(edited_.held_out.x0(slice(0, 5)), plain.held_out.x0(slice(0, 5)))
    assert Source.parse("digits+mirror").count() == 2 * plain.count()


def test_first_takes_its_images_before_the_edit() -> None:
    from locality.datasets import Source

    some, whole = Source.parse("digits+pattern:W", 50), Source.parse("digits+pattern:W")
    assert torch.equal(some.train.data, whole.train.data[:50])


@pytest.mark.parametrize("model", ["wiener", "pca_locality", "optimal"])
def test_the_pattern_shows_in_what_models_draw(store: Store, model: str) -> None:
    """Samples vary along the pattern as the edited images do, and not as those without it."""
    from locality.datasets import Source
    from locality.studies import Sampling, sample

    edit = parse_edit("pattern:eyes,strength=1")
    along = edit.weights(ImageShape(1, 8, 8)).float()  # type: ignore[attr-defined]
    spread = []
    for text in ("digits", f"digits+{edit.text()}"):
        drawn = finish(sample(Source.parse(text), model, Sampling(count=48, steps=8, clip=False), store=store))
        spread.append(float((drawn.image @ along / along.norm()).std()))
    assert spread[1] > 2 * spread[0]
    truth = float((Source.parse(f"digits+{edit.text()}").train.data @ along / along.norm()).std())
    assert spread[1] == pytest.approx(truth, rel=0.35)  # 48 draws: 10 %, 8 steps: the rest


@pytest.mark.parametrize("edits", ["blur:1", "pattern:X,strength=0.8", "clip:0.5"])
def test_statistics_of_edited_images_fewer_than_coordinates(tmp_path: Path, edits: str) -> None:
    """From the images' own products, of rank n - 1; the same filter as from the statistics of those before."""
    source = Source.parse(f"power_law:images=40+{edits}")
    assert source.is_small
    found = finish(fit_wiener(source, store=Store(tmp_path)))
    assert found.eigvecs.shape == (1024, 39)
    x0 = source.train.x0(slice(None)).double()
    centred = x0 - x0.mean(dim=0)
    cov = centred.T @ centred / 39
    truth = cov @ torch.linalg.inv(cov + 0.25 * torch.eye(1024, dtype=torch.float64))
    assert (found.matrix(0.5) - truth).abs().max() < 1e-5
    assert not Source.parse(f"power_law:images=2000+{edits}").is_small


def test_all_edits_of_a_set_share_its_images() -> None:
    source = Source.parse("digits")
    edited = source.edited(parse_chain("pattern:W"))
    assert edited.base is source
    assert edited.edited(parse_chain("blur:1+pattern:X")).base is source
    assert edited.edited(()) is source
    cut = replace(edited, first=20)
    assert (cut.base.first, len(cut.train)) == (20, 20), "a part of the images is another set"
