"""Images of the user's, in folders, zips and npz files: what they become, and what is refused."""

from __future__ import annotations

import io
import json
import re
import shutil
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from locality.datasets.afhqv2 import AFHQv2
from locality.datasets.celeba_hq import CelebAHQ
from locality.datasets.folder import Folder
from locality.errors import BadInput, DataUnavailable, LocalityError, TooLarge
from locality.pictures import archive, arrays, images, scratch
from tests.pictures import encode, noise, pngs, write_folder, write_zip

Writer = Callable[[Path, dict[str, bytes]], Path]


@pytest.fixture(params=["folder", "zip"])
def write(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[dict[str, bytes]], str]:
    """Writes files as a folder or a zip; everything below must not depend on which."""

    def to(files: dict[str, bytes]) -> str:
        if request.param == "zip":
            return str(write_zip(tmp_path / "set.zip", files))
        return str(write_folder(tmp_path / "set", files))

    return to


def rows(*images: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.stack([image.transpose(2, 0, 1).reshape(-1) for image in images]))


# --- what images become


def test_images_of_the_right_size_keep_their_pixels_in_sorted_order(write: Callable[[dict[str, bytes]], str]) -> None:
    path = write(dict(reversed(pngs(21, 8, 8, 3).items())))
    spec = Folder(path=path, resolution=8)
    test = [0, 10, 20]
    assert torch.equal(spec.load("test").data, rows(*(noise(i, 8, 8, 3) for i in test)))
    assert torch.equal(spec.load("train").data, rows(*(noise(i, 8, 8, 3) for i in range(21) if i not in test)))
    assert (spec.count("train"), spec.count("test")) == (18, 3)


def test_folder_and_zip_of_the_same_images_are_the_same_data(tmp_path: Path) -> None:
    files = pngs(5, 12, 9, 3)
    folder, packed = write_folder(tmp_path / "a", files), write_zip(tmp_path / "b.zip", files)
    assert Folder(path=str(folder)).load().fingerprint == Folder(path=str(packed)).load().fingerprint


def test_a_limit_takes_the_first_of_each_split(tmp_path: Path) -> None:
    root = str(write_folder(tmp_path, pngs(30, 8, 8, 3)))
    for split in ("train", "test"):
        few, every = Folder(path=root, limit=2, resolution=8).load(split), Folder(path=root, resolution=8).load(split)
        assert torch.equal(few.data, every.data[:2])


def test_train_and_test_folders_are_the_splits_and_folders_the_classes(
    write: Callable[[dict[str, bytes]], str],
) -> None:
    names = ["train/cat/0.png", "train/cat/1.png", "train/dog/0.png", "val/dog/5.png", "val/cat/7.png"]
    files = {f"pets/{name}": encode(noise(i, 8, 8, 3)) for i, name in enumerate(names)}
    spec = Folder(path=write(files), resolution=8)
    train, test = spec.load("train"), spec.load("test")
    assert torch.equal(train.data, rows(*(noise(i, 8, 8, 3) for i in (0, 1, 2))))
    assert train.labels.tolist() == [0, 0, 1]
    assert torch.equal(test.data, rows(noise(4, 8, 8, 3), noise(3, 8, 8, 3)))
    assert test.labels.tolist() == [0, 1]


def test_class_numbers_mean_the_same_in_both_splits(tmp_path: Path) -> None:
    names = ["train/cat/0.png", "train/dog/1.png", "test/dog/2.png"]  # no cat is held out
    root = write_folder(tmp_path, {name: encode(noise(i, 8, 8, 3)) for i, name in enumerate(names)})
    assert Folder(path=str(root)).load("train").labels.tolist() == [0, 1]
    # One kind alone would be no class; counted over both splits it is number 1.
    assert Folder(path=str(root)).load("test").labels.tolist() == [1]


def test_the_centred_square_is_kept_or_the_whole_is_squeezed(tmp_path: Path) -> None:
    wide = np.zeros((8, 24, 3), np.uint8)
    wide[:, 8:16] = noise(3, 8, 8, 3)
    root = write_folder(
        tmp_path, {"0.png": encode(noise(1, 8, 8, 3)), "1.png": encode(wide), "2.png": encode(wide // 2)}
    )
    assert torch.equal(Folder(path=str(root), resolution=8).load().data, rows(wide[:, 8:16], wide[:, 8:16] // 2))
    squeezed = np.asarray(Image.fromarray(wide).resize((8, 8), Image.Resampling.LANCZOS))
    assert torch.equal(Folder(path=str(root), resolution=8, crop="none").load().data[:1], rows(squeezed))


def test_mixed_sizes_and_formats_become_one_size(tmp_path: Path) -> None:
    flat = np.full((40, 30, 3), (200, 100, 50), np.uint8)
    kinds = {"png": "PNG", "bmp": "BMP", "webp": "WEBP", "tiff": "TIFF", "gif": "GIF", "ppm": "PPM"}
    files = {f"{i}.{end}": encode(flat[: 20 + i], kind, **({"lossless": True} if end == "webp" else {}))
             for i, (end, kind) in enumerate(kinds.items())}  # fmt: skip
    files["9.JPG"] = encode(noise(4, 50, 50, 3), "JPEG")
    data = Folder(path=str(write_folder(tmp_path, files)), resolution=16).load()
    assert len(data) == 6
    for image in data.data[:-1].reshape(-1, 3, 256):
        assert (image == torch.tensor([[200], [100], [50]], dtype=torch.uint8)).all()


def decoded(pixels: np.ndarray | Image.Image, kind: str = "PNG", mode: images.Mode = "rgb", **options: object) -> list:
    out = io.BytesIO()
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    image.save(out, kind, **options)
    return images.decode(out.getvalue(), "x", resolution=4, crop="none", mode=mode)[:, 0, 0].tolist()


def test_every_kind_of_pixel_becomes_8_bits_without_wrapping() -> None:
    assert decoded(np.full((4, 4), 65535, np.uint16)) == [255, 255, 255]  # 16-bit grey
    assert decoded(np.full((4, 4), 257 * 90, np.uint16), mode="grey") == [90]
    assert decoded(np.full((4, 4), True)) == [255, 255, 255]  # one bit
    assert decoded(Image.new("LA", (4, 4), (90, 255)), mode="grey") == [90]
    assert decoded(Image.new("RGBA", (4, 4), (10, 20, 30, 0))) == [255, 255, 255]  # transparent: white shows
    assert decoded(Image.new("RGBA", (4, 4), (10, 20, 30, 255))) == [10, 20, 30]
    palette = Image.new("P", (4, 4), 1)
    palette.putpalette([0, 0, 0, 7, 8, 9])
    assert decoded(palette) == [7, 8, 9]
    assert decoded(palette, transparency=1) == [255, 255, 255]
    assert decoded(Image.new("RGB", (4, 4), (100, 150, 200)), mode="grey") == [round(29.9 + 88.05 + 22.8)]
    assert decoded(Image.new("CMYK", (4, 4), (0, 0, 0, 0)), "TIFF") == [255, 255, 255]


def test_a_photograph_is_turned_as_its_camera_says() -> None:
    pixels = np.zeros((4, 4, 3), np.uint8)
    pixels[0, :] = 255  # top row white; orientation 3 is upside down
    exif = Image.Exif()
    exif[0x0112] = 3
    raw = encode(pixels, "PNG", exif=exif)
    turned = images.decode(raw, "x", resolution=4, crop="none", mode="grey")
    assert turned[0, :, 0].tolist() == [0, 0, 0, 255]


# --- what is refused

SEVEN = pngs(7, 8, 8, 3)


def refusal(spec: Folder, split: str = "train") -> str:
    with pytest.raises(LocalityError) as caught:
        spec.load(split)
    text = str(caught.value)
    assert "\n" not in text
    assert len(text) < 400
    return text


@pytest.mark.parametrize(
    "raw",
    [b"", b"hello", encode(noise(0, 64, 64, 3))[:900], encode(noise(0, 64, 64, 3), "JPEG")[:1200], b"\x89PNG\r\n\x1a\n",
     encode(noise(0, 8, 8, 3))[:-40] + bytes(40), b"%PDF-1.4 not an image", b"<svg/>"],
    ids=["empty", "text", "cut png", "cut jpeg", "png header", "damaged png", "pdf", "svg"],
)  # fmt: skip
def test_unreadable_images_are_named(write: Callable[[dict[str, bytes]], str], raw: bytes) -> None:
    text = refusal(Folder(path=write({**SEVEN, "holiday/5.png": raw})))
    assert text.startswith("holiday/5.png is not a readable image (")
    assert text.endswith("Take it out, or save it again.")


def test_images_of_formats_that_are_not_for_images_are_not_opened() -> None:
    eps = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n"  # Pillow would start another program for it
    with pytest.raises(BadInput, match="unknown or damaged format"):
        images.decode(eps, "x.png", resolution=8, crop="none", mode="rgb")


def test_pixels_of_unknown_range_are_refused() -> None:
    raw = encode(np.full((4, 4), 0.5, np.float32), "TIFF")
    with pytest.raises(BadInput, match=r"x\.tif has 32-bit pixels of unknown range"):
        images.decode(raw, "x.tif", resolution=4, crop="none", mode="rgb")


def bomb(side: int) -> bytes:
    """A PNG of side x side pixels in a few hundred kilobytes at most, with a true header."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return len(body).to_bytes(4, "big") + kind + body + zlib.crc32(kind + body).to_bytes(4, "big")

    header = side.to_bytes(4, "big") * 2 + bytes([1, 0, 0, 0, 0])
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize("side", [8001, 12_000, 100_000])  # under, between and over Pillow's own limits
def test_a_decompression_bomb_is_refused_before_it_is_unpacked(
    write: Callable[[dict[str, bytes]], str], side: int
) -> None:
    text = refusal(Folder(path=write({**SEVEN, "5big.png": bomb(side)})))
    assert text.startswith("5big.png with its pixels unpacked needs")
    assert "the budget is 256 MB" in text


def test_a_file_over_the_size_limit_is_refused(
    write: Callable[[dict[str, bytes]], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive, "MAX_FILE", 5000)
    text = refusal(Folder(path=write({**SEVEN, "5.png": bytes(6000)})))  # packed into a few bytes in the zip
    assert text.startswith("5.png")
    assert "needs 6 KB; the budget is 5 KB" in text


def test_a_set_that_the_disk_does_not_hold_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    free = shutil.disk_usage(tmp_path)._replace(free=scratch.SPARE + 7 * 3 * 64 - 1)
    monkeypatch.setattr(scratch.shutil, "disk_usage", lambda _: free)
    spec = Folder(path=str(write_folder(tmp_path, SEVEN)), resolution=8)
    assert refusal(spec) == (
        "The decoded set of 7 images of 3x8x8 needs 1.34 KB; the budget is 1.34 KB. Give a smaller resolution or a "
        "limit, or set LOCALITY_CACHE to a folder on a larger disk."
    )
    assert len(Folder(path=str(tmp_path), resolution=8, limit=5).load()) == 5


@pytest.mark.parametrize("name", ["../evil.png", "/etc/evil.png", "a/../../evil.png", "..\\evil.png", "C:\\evil.png"])
def test_a_zip_whose_names_leave_it_is_refused(tmp_path: Path, name: str) -> None:
    path = write_zip(tmp_path / "inside" / "set.zip", {**SEVEN, name: encode(noise(9, 8, 8, 3))})
    before = sorted(tmp_path.rglob("*"))
    text = refusal(Folder(path=str(path)))
    assert text == f"set.zip was not opened: the name {name!r} in it leaves the archive."
    assert sorted(tmp_path.rglob("*")) == before


def test_damaged_zips_are_refused(tmp_path: Path) -> None:
    good = write_zip(tmp_path / "good.zip", SEVEN).read_bytes()
    cut = tmp_path / "cut.zip"
    cut.write_bytes(good[: len(good) // 2])
    assert "cut.zip is cut short or damaged: its zip cannot be read (File is not" in refusal(Folder(path=str(cut)))
    flipped = tmp_path / "flipped.zip"
    flipped.write_bytes(good[:60] + bytes(b ^ 255 for b in good[60:200]) + good[200:])
    assert refusal(Folder(path=str(flipped)), "test").startswith("000.png in flipped.zip cannot be read (")
    text = tmp_path / "notes.txt"
    text.write_text("no images")
    assert "notes.txt is no set of images that can be read. Give a folder, a zip, " in refusal(Folder(path=str(text)))


def test_encrypted_zips_are_refused(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "locked.zip", SEVEN)
    raw = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as archive:
        first = archive.infolist()[0].header_offset
        central = archive.start_dir
    raw[first + 6] |= 1  # the flag for encryption, in both headers
    raw[central + 8] |= 1
    path.write_bytes(raw)
    assert "000.png in locked.zip cannot be read" in refusal(Folder(path=str(path)), "test")
    assert "encrypted" in refusal(Folder(path=str(path)), "test")


@pytest.mark.parametrize(("count", "seen"), [(1, "1 image:"), (2, "2 images:")])
def test_too_few_images_are_refused(write: Callable[[dict[str, bytes]], str], count: int, seen: str) -> None:
    text = refusal(Folder(path=write(pngs(count, 8, 8, 3))))
    assert f"holds {seen} too few for a statistic. Give at least 3: two to learn from, one held out." in text


def test_images_that_are_all_the_same_are_refused(write: Callable[[dict[str, bytes]], str]) -> None:
    black = encode(np.zeros((8, 8, 3), np.uint8))
    text = refusal(Folder(path=write({f"{i}.png": black for i in range(12)})))
    assert text.startswith("All 10 training images of ")
    assert "are the same: nothing varies" in text


def test_constant_images_of_different_colours_are_data(tmp_path: Path) -> None:
    files = {f"{i}.png": encode(np.full((8, 8, 3), 20 * i, np.uint8)) for i in range(5)}
    data = Folder(path=str(write_folder(tmp_path, files)), resolution=4).load()
    assert data.data[:, 0].tolist() == [20, 40, 60, 80]


def test_folders_without_images_are_refused_with_what_they_hold(write: Callable[[dict[str, bytes]], str]) -> None:
    text = refusal(Folder(path=write({"a.txt": b"x", "b.csv": b"y", ".hidden.png": b"z", "__MACOSX/._a.png": b"z"})))
    assert "it holds only a.txt, b.csv and the like" in text
    assert "Give files ending in .png, .jpg" in text


def test_an_image_outside_the_train_and_test_folders_is_named(tmp_path: Path) -> None:
    files = {"train/0.png": b"", "train/1.png": b"", "test/0.png": b"", "stray.png": b""}
    text = refusal(Folder(path=str(write_folder(tmp_path / "set", files))))
    assert text == "stray.png in set is neither in its train nor in its test folder. Move it into one."


def test_a_path_that_is_not_there_says_what_to_give() -> None:
    for path, message in (("", "Give the path of a folder"), ("/no/such/folder", "/no/such/folder does not exist")):
        spec = Folder(path=path)
        assert message in spec.missing()
        assert spec.count() is None
        with pytest.raises(DataUnavailable, match=message):
            spec.load()


@pytest.mark.parametrize(
    ("option", "value"), [("crop", "left"), ("mode", "cmyk"), ("resolution", 0), ("resolution", 5000), ("limit", -1)]
)
def test_options_outside_their_range_are_refused(option: str, value: object) -> None:
    with pytest.raises(BadInput, match=f"folder:{option}="):
        Folder(**{option: value})


# --- dataset.json


def test_labels_of_a_stylegan_zip_are_read(tmp_path: Path) -> None:
    files = pngs(12, 8, 8, 3, name="00000/img{:08d}.png")
    notes = json.dumps({"labels": [[name, 7 * i] for i, name in enumerate(files)]}).encode()
    spec = Folder(path=str(write_zip(tmp_path / "edm.zip", {**files, "dataset.json": notes})))
    assert spec.load("test").labels.tolist() == [0, 70]
    assert spec.load("train").labels.tolist() == [7 * i for i in range(12) if i % 10]


@pytest.mark.parametrize("labels", [b'{"labels": null}', None])
def test_shards_of_a_thousand_are_no_classes(tmp_path: Path, labels: bytes | None) -> None:
    files = pngs(5, 8, 8, 3, name="00000/img{:08d}.png") | {"00001/img00001000.png": encode(noise(77, 8, 8, 3))}
    files |= {"dataset.json": labels} if labels else {}
    assert Folder(path=str(write_zip(tmp_path / "edm.zip", files))).load().labels is None


@pytest.mark.parametrize(
    ("notes", "message"),
    [
        (b"{", "dataset.json is damaged"),
        (b"[]", "dataset.json is damaged"),
        (b'{"labels": [1, 2]}', "dataset.json is damaged"),
        (b'{"labels": [["000.png", 1]]}', "dataset.json has no class number for 001.png"),
        (b'{"labels": [["000.png", "cat"]]}', "dataset.json has no class number for 000.png"),
    ],
)
def test_a_damaged_dataset_json_is_refused(tmp_path: Path, notes: bytes, message: str) -> None:
    assert message in refusal(Folder(path=str(write_zip(tmp_path / "set.zip", {**SEVEN, "dataset.json": notes}))))


# --- npz


@pytest.mark.parametrize(
    "arrange",
    [lambda x: x, lambda x: x.transpose(0, 3, 1, 2), lambda x: np.asfortranarray(x)],
    ids=["n h w c", "n c h w", "columns first"],
)
@pytest.mark.parametrize("name", ["images", "arr_0", "my_own_name"])
def test_npz_arrays_are_images(tmp_path: Path, name: str, arrange: Callable[[np.ndarray], np.ndarray]) -> None:
    images = noise(5, 12, 8, 8, 3)
    np.savez_compressed(tmp_path / "set.npz", **{name: arrange(images)})
    spec = Folder(path=str(tmp_path / "set.npz"), resolution=8)
    assert torch.equal(spec.load("train").data, rows(*(images[i] for i in range(12) if i % 10)))
    assert (spec.count("train"), spec.count("test")) == (10, 2)


def test_grey_npz_arrays_are_images(tmp_path: Path) -> None:
    images = noise(6, 11, 8, 8)
    for i, array in enumerate((images, images[..., None], images[:, None])):
        np.savez(tmp_path / f"{i}.npz", images=array)
        data = Folder(path=str(tmp_path / f"{i}.npz"), resolution=8, mode="grey").load().data
        assert torch.equal(data, torch.from_numpy(images[1:10].reshape(9, 64)))


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"images": np.full((4, 8, 8, 3), 300.5)}, "is float64 with values from 300.5 to 300.5. Say which values are"),
        ({"images": np.array([{"a": 1}], dtype=object)}, "is object: no numbers. Save pixels 0..255 as uint8."),
        ({"images": np.zeros((4, 8, 8, 5), np.uint8)}, "holds an array of shape (4, 8, 8, 5)"),
        ({"images": np.zeros((4, 0, 8), np.uint8)}, "holds an array of shape (4, 0, 8)"),
        ({"images": np.zeros(4, np.uint8)}, "holds an array of shape (4,)"),
        ({"images": np.zeros((1, 8, 8), np.uint8)}, "holds 1 image: too few"),
        ({"images": np.zeros((9, 8, 8), np.uint8)}, "are the same: nothing varies"),
        (
            {"a": np.zeros(1), "b": np.zeros(1)},
            "the arrays a, b; call the images one 'images', or name one: key=a.",
        ),
    ],
)
def test_npz_arrays_that_are_no_images_are_refused(tmp_path: Path, arrays: dict[str, np.ndarray], message: str) -> None:
    np.savez(tmp_path / "set.npz", **arrays)
    assert message in refusal(Folder(path=str(tmp_path / "set.npz")))


def test_damaged_npz_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "set.npz"
    np.savez_compressed(path, images=noise(7, 12, 8, 8, 3))
    good = path.read_bytes()
    for raw in (good[:300], good[:100] + bytes(200) + good[300:]):
        path.write_bytes(raw)
        assert re.match(r"set.npz is (not a readable npz|cut short or damaged)", refusal(Folder(path=str(path))))
    path.write_bytes(b"")
    assert refusal(Folder(path=str(path))) == "set.npz is empty. Copy or download it again."


def test_an_npz_that_claims_more_than_it_has_is_refused_before_memory_is_taken(tmp_path: Path) -> None:
    def claim(n: int) -> Folder:
        out = io.BytesIO()
        np.lib.format.write_array_header_1_0(out, {"descr": "|u1", "fortran_order": False, "shape": (n, 8, 8)})
        return Folder(path=str(write_zip(tmp_path / "set.npz", {"images.npy": out.getvalue() + bytes(64)})))

    assert "images.npy in set.npz is cut short or damaged: 64 bytes, 128 expected." in refusal(claim(2))
    with pytest.raises(TooLarge, match="the budget is 64 GB"):
        claim(arrays.BUDGET).load()


# --- CelebA-HQ and AFHQv2 are such sets in known places


@pytest.mark.parametrize("place", CelebAHQ.places)
def test_celeba_hq_is_found_in_every_layout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str) -> None:
    monkeypatch.setenv("LOCALITY_DATA", str(tmp_path))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "none"))
    assert "LOCALITY_DATA" in CelebAHQ().missing()
    files = {f"{i}.jpg": encode(noise(i, 70, 70, 3), "JPEG") for i in range(11)}
    (write_zip if place.endswith(".zip") else write_folder)(tmp_path / place, files)
    data = CelebAHQ().load()
    assert (len(data), data.shape, data.name) == (9, (3, 64, 64), "celeba_hq")


def test_afhqv2_zip_keeps_its_own_test_images_and_classes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCALITY_DATA", str(tmp_path))
    kinds = ("cat", "dog", "wild")
    names = [f"{split}/{kind}/{i}.png" for split in ("train", "test") for kind in kinds for i in range(2)]
    files = {name: encode(noise(i, 32, 32, 3)) for i, name in enumerate(names)}
    write_zip(tmp_path / "afhq_v2.zip", files)
    train, test = AFHQv2(resolution=32).load("train"), AFHQv2(resolution=32).load("test")
    assert train.labels.tolist() == test.labels.tolist() == [0, 0, 1, 1, 2, 2]
    assert torch.equal(train.data, rows(*(noise(i, 32, 32, 3) for i in range(6))))
    assert torch.equal(test.data, rows(*(noise(i, 32, 32, 3) for i in range(6, 12))))
