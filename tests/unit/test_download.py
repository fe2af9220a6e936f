"""Downloads against a local server that cuts, corrupts, ignores ranges, or has nothing."""

from __future__ import annotations

import errno
import gzip
import hashlib
import io
import os
import shutil
import socket
import tarfile
from collections import namedtuple
from collections.abc import Iterator
from pathlib import Path

import pytest

from locality.datasets import DATASETS
from locality.datasets.parts import verify
from locality.datasets.parts.download import Download, RemoteFile
from locality.errors import BadInput, DataUnavailable, DigestMismatch, TooLarge
from locality.work import Progress
from tests.mirror import Mirror, serve
from tests.pictures import noise

PLAIN = {"images.gz": noise(1, 1_000_000).tobytes(), "labels.gz": noise(2, 1000).tobytes()}
PACKED = {name: gzip.compress(raw, 1) for name, raw in PLAIN.items()}
FILES = tuple(
    RemoteFile(name, len(raw) + 500, md5="0" * 32, plain_md5=hashlib.md5(PLAIN[name]).hexdigest())
    for name, raw in PACKED.items()
)
SMALL = Download("Small set", "CC0", "small/raw", FILES, ("http://127.0.0.1:9/",))


@pytest.fixture(autouse=True)
def _direct(monkeypatch: pytest.MonkeyPatch) -> None:
    """No proxy between the test and its own server."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")


@pytest.fixture
def mirror() -> Iterator[Mirror]:
    with serve(PACKED) as server:
        yield server


def run(download: Download, target: Path, mirror: Mirror, *folders: str) -> list[Progress]:
    return list(download.run(target, mirrors=[mirror.url(folder) for folder in folders]))


def in_place(target: Path) -> bool:
    folder = target / "small/raw"
    found = {path.name: path.read_bytes() for path in folder.iterdir()}
    return found == PACKED


# --- what is shown before


@pytest.mark.parametrize(("name", "megabytes"), [("mnist", 11.6), ("fashion_mnist", 30.9), ("cifar10", 170.1)])
def test_size_licence_and_several_mirrors_are_known_before(name: str, megabytes: float) -> None:
    spec = DATASETS[name]()
    plan = spec.download()
    assert plan is not None
    assert plan.size / 1e6 == pytest.approx(megabytes, abs=0.05)
    assert (plan.title, plan.licence) == (spec.info.title, spec.info.licence)
    assert len(plan.mirrors) >= 2
    assert all(base.startswith("http") and base.endswith("/") for base in plan.mirrors)
    assert f"download {name}" in spec.missing() or not spec.missing()


def test_sets_without_a_download_say_so() -> None:
    assert {name for name in DATASETS if DATASETS[name]().download()} == {"mnist", "fashion_mnist", "cifar10"}


# --- the good way


def test_files_are_fetched_checked_and_put_in_place(tmp_path: Path, mirror: Mirror) -> None:
    events = run(SMALL, tmp_path, mirror, "good")
    assert in_place(tmp_path)
    assert [event.done for event in events] == sorted(event.done for event in events)
    assert events[0].done < 0.5 * SMALL.size
    assert events[-1].fraction == 1.0
    assert all(event.total == SMALL.size for event in events)
    assert any(event.numbers.get("bytes_per_second", 0) > 0 for event in events)
    assert f"images.gz from 127.0.0.1:{mirror.server_port}" in {event.note for event in events}
    assert mirror.requests == [("/good/images.gz", None), ("/good/labels.gz", None)]


def test_what_is_already_here_is_not_fetched_again(tmp_path: Path, mirror: Mirror) -> None:
    run(SMALL, tmp_path, mirror, "good")
    mirror.requests.clear()
    events = run(SMALL, tmp_path, mirror, "good")
    assert mirror.requests == []
    assert "images.gz: already here" in {event.note for event in events}
    (tmp_path / "small/raw/images.gz").write_bytes(PACKED["images.gz"][:-9])  # damaged since
    run(SMALL, tmp_path, mirror, "good")
    assert mirror.requests == [("/good/images.gz", None)]
    assert in_place(tmp_path)


def test_the_published_md5_of_the_wrapper_counts_too(tmp_path: Path, mirror: Mirror) -> None:
    files = tuple(RemoteFile(name, len(raw), hashlib.md5(raw).hexdigest()) for name, raw in PACKED.items())
    run(Download("Set", "CC0", "small/raw", files, ()), tmp_path, mirror, "good")
    assert in_place(tmp_path)


# --- interruptions


def test_a_cut_connection_is_resumed_where_it_broke(tmp_path: Path, mirror: Mirror) -> None:
    run(SMALL, tmp_path, mirror, "cut")
    assert in_place(tmp_path)
    ranges = [wanted for path, wanted in mirror.requests if path == "/cut/images.gz"]
    assert ranges[0] is None
    assert len(ranges) >= 3
    assert all(wanted.startswith("bytes=") and wanted != "bytes=0-" for wanted in ranges[1:])
    assert mirror.sent == sum(len(raw) for raw in PACKED.values())  # no byte was sent twice


def test_closing_the_generator_cancels_and_the_next_run_goes_on(tmp_path: Path, mirror: Mirror) -> None:
    events = SMALL.run(tmp_path, mirrors=[mirror.url("good")])
    for event in events:
        if event.fraction > 0.3:
            break
    events.close()
    part = tmp_path / "small/raw/images.gz.part"
    kept = part.stat().st_size
    assert 0.3 * len(PACKED["images.gz"]) < kept < len(PACKED["images.gz"])
    assert part.read_bytes() == PACKED["images.gz"][:kept]
    mirror.requests.clear()
    run(SMALL, tmp_path, mirror, "good")
    assert mirror.requests[0] == ("/good/images.gz", f"bytes={kept}-")
    assert in_place(tmp_path)


def partial(target: Path, raw: bytes) -> Path:
    part = target / "small/raw/images.gz.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(raw)
    return part


def test_a_server_without_ranges_starts_anew(tmp_path: Path, mirror: Mirror) -> None:
    partial(tmp_path, PACKED["images.gz"][:400_000])
    run(SMALL, tmp_path, mirror, "deaf")
    assert in_place(tmp_path)


def test_a_server_that_answers_with_another_range_is_left_before_it_spoils_the_file(
    tmp_path: Path, mirror: Mirror
) -> None:
    partial(tmp_path, PACKED["images.gz"][:400_000])
    run(SMALL, tmp_path, mirror, "shifted", "good")
    assert mirror.requests[:2] == [("/shifted/images.gz", "bytes=400000-"), ("/good/images.gz", "bytes=400000-")]
    assert in_place(tmp_path)


def test_a_server_that_always_stops_halfway_is_left(tmp_path: Path, mirror: Mirror) -> None:
    run(SMALL, tmp_path, mirror, "deafcut", "good")
    assert [path for path, _ in mirror.requests if "images" in path] == [
        "/deafcut/images.gz", "/deafcut/images.gz", "/good/images.gz",
    ]  # fmt: skip
    assert in_place(tmp_path)


def test_a_complete_partial_file_needs_only_the_check(tmp_path: Path, mirror: Mirror) -> None:
    partial(tmp_path, PACKED["images.gz"])
    run(SMALL, tmp_path, mirror, "good")
    assert [path for path, _ in mirror.requests] == ["/good/labels.gz"]
    assert in_place(tmp_path)


@pytest.mark.parametrize(
    "left", [PACKED["images.gz"] + b"more", bytes(300_000)], ids=["longer than the file", "other bytes"]
)
def test_a_useless_partial_file_is_thrown_away(tmp_path: Path, mirror: Mirror, left: bytes) -> None:
    partial(tmp_path, left)
    run(SMALL, tmp_path, mirror, "good")
    assert in_place(tmp_path)


# --- wrong bytes and dead mirrors


@pytest.mark.parametrize("fault", ["corrupt", "missing", "portal", "endless", "deafcut", "reset"])
def test_the_next_mirror_is_tried(tmp_path: Path, mirror: Mirror, fault: str) -> None:
    run(SMALL, tmp_path, mirror, fault, "good")
    assert in_place(tmp_path)


@pytest.mark.parametrize("fault", ["corrupt", "portal"])
def test_wrong_bytes_everywhere_are_a_digest_mismatch(tmp_path: Path, mirror: Mirror, fault: str) -> None:
    with pytest.raises(DigestMismatch) as caught:
        run(SMALL, tmp_path, mirror, fault, fault)
    text = str(caught.value)
    assert text.startswith(f"images.gz does not have its published MD5 {'0' * 32}: 127.0.0.1:{mirror.server_port} sent")
    assert f"get {mirror.url(fault)}images.gz on a connected machine, put it into {tmp_path / 'small/raw'}" in text
    assert not list((tmp_path / "small/raw").iterdir())  # nothing wrong is kept


def test_offline_the_error_says_what_to_do(tmp_path: Path) -> None:
    with socket.socket() as taken:  # bound but not listening: connections are refused
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(DataUnavailable) as caught:
            list(SMALL.run(tmp_path, mirrors=[url]))
    text = str(caught.value)
    assert text.startswith("Could not download images.gz: 127.0.0.1")
    assert "not reachable" in text
    assert "Try again later, or get" in text


def test_every_failure_is_reported(tmp_path: Path, mirror: Mirror) -> None:
    with pytest.raises(DataUnavailable, match=r"answers 404 Not Found; .* the connection ended after [\d,]+ of [\d,]+"):
        run(SMALL, tmp_path, mirror, "missing", "deafcut")


def test_an_endless_answer_stops_at_a_limit(tmp_path: Path, mirror: Mirror) -> None:
    with pytest.raises(DataUnavailable, match="sends more than 3,0"):
        run(SMALL, tmp_path, mirror, "endless")
    assert sum(path.stat().st_size for path in (tmp_path / "small/raw").iterdir()) == 0


# --- the disk


def test_too_little_space_is_said_before_a_byte_moves(
    tmp_path: Path, mirror: Mirror, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = namedtuple("usage", "free")(1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    with pytest.raises(TooLarge, match=r"Downloading Small set to .* needs 1 MB; the budget is 1 KB\. Free some space"):
        run(SMALL, tmp_path, mirror, "good")
    assert mirror.requests == []


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path, mirror: Mirror) -> None:
    (tmp_path / "small").write_text("a file where the folder should be")
    with pytest.raises(BadInput, match=r"Cannot write to .*small/raw \(Not a directory\)\. Make room there"):
        run(SMALL, tmp_path, mirror, "good")


def test_a_disk_that_fills_up_is_reported(tmp_path: Path, mirror: Mirror, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: Path, _: Path) -> Path:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(BadInput, match="No space left on device"):
        run(SMALL, tmp_path, mirror, "good")


# --- archives

MEMBERS = {"one.bin": noise(3, 300_000).tobytes(), "two.bin": noise(4, 5000).tobytes()}


def tar(files: dict[str, bytes], *more: tarfile.TarInfo) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz", compresslevel=1) as archive:
        for name, raw in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(raw)
            archive.addfile(entry, io.BytesIO(raw))
        for entry in more:
            archive.addfile(entry)
    return out.getvalue()


def archive_of(raw: bytes) -> Download:
    members = tuple((name, hashlib.md5(body).hexdigest()) for name, body in MEMBERS.items())
    file = RemoteFile("set.tar.gz", len(raw), hashlib.md5(raw).hexdigest(), members=members)
    return Download("Set", "CC0", "set", (file,), ())


def test_only_the_expected_members_of_a_tar_are_taken_out(tmp_path: Path) -> None:
    link = tarfile.TarInfo("set/link.bin")
    link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
    extras = {"set/readme.html": b"hello", "../../escape.bin": b"evil", "/abs.bin": b"evil"}
    raw = tar({f"set/{name}": body for name, body in MEMBERS.items()} | extras, link)
    with serve({"set.tar.gz": raw}) as mirror:
        run(archive_of(raw), tmp_path / "deep/er", mirror, "cut")
        assert {path.name: path.read_bytes() for path in (tmp_path / "deep/er/set").iterdir()} == MEMBERS
        mirror.requests.clear()
        run(archive_of(raw), tmp_path / "deep/er", mirror, "good")
        assert mirror.requests == []
    assert {path.name for path in tmp_path.rglob("*") if path.is_file()} == set(MEMBERS)


def test_members_that_climb_out_stay_inside(tmp_path: Path) -> None:
    raw = tar({"../../one.bin": MEMBERS["one.bin"], "/two.bin": MEMBERS["two.bin"]})
    with serve({"set.tar.gz": raw}) as mirror:
        run(archive_of(raw), tmp_path / "a/b", mirror, "good")
    assert sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.bin")) == [
        "a/b/set/one.bin", "a/b/set/two.bin",
    ]  # fmt: skip


def link_for(name: str) -> tarfile.TarInfo:
    link = tarfile.TarInfo(name)
    link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
    return link


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (tar({"set/one.bin": MEMBERS["one.bin"]}), "set.tar.gz.part lacks two.bin"),
        (tar({"one.bin": MEMBERS["one.bin"]}, link_for("two.bin")), "lacks two.bin"),
        (tar({"one.bin": MEMBERS["one.bin"], "two.bin": b"other"}), "two.bin has MD5"),
        (b"no archive at all", "set.tar.gz.part cannot be unpacked"),
        (tar({f"set/{name}": body for name, body in MEMBERS.items()})[:200_000], "cannot be unpacked"),
    ],
    ids=["member absent", "member a link", "member altered", "no tar", "cut tar"],
)
def test_archives_with_other_content_are_refused(tmp_path: Path, raw: bytes, message: str) -> None:
    with serve({"set.tar.gz": raw}) as mirror, pytest.raises(DigestMismatch, match=message):
        run(archive_of(raw), tmp_path, mirror, "good")
    assert {path.name for path in (tmp_path / "set").iterdir()} <= {"one.bin"}


def test_a_gzip_bomb_is_no_match(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.gz"
    path.write_bytes(gzip.compress(bytes(3_000_000)))
    assert verify.gunzip_md5(path) == hashlib.md5(bytes(3_000_000)).hexdigest()
    monkeypatch.setattr(verify, "_MOST", 2_000_000)
    assert verify.gunzip_md5(path) == ""


# --- the real files


def real(*names: str) -> Path:
    root = os.environ.get("LOCALITY_DATA")
    if root is None or not all((Path(root) / name).exists() for name in names):
        pytest.skip(f"the real {' and '.join(names)} are not under LOCALITY_DATA")
    return Path(root)


@pytest.mark.parametrize(
    ("name", "folder", "faults"),
    [("mnist", "MNIST", ("missing", "corrupt", "cut")), ("fashion_mnist", "FashionMNIST", ("deafcut", "good"))],
)
def test_the_real_files_arrive_through_bad_mirrors(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, folder: str, faults: tuple[str, ...]
) -> None:
    root = real(folder)
    monkeypatch.setenv("LOCALITY_DATA", str(tmp_path / "none"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    spec = DATASETS[name]()
    assert spec.missing()
    with serve({path.name: path.read_bytes() for path in (root / folder / "raw").iterdir()}) as mirror:
        plan = spec.download()
        assert plan is not None
        events = list(plan.run(mirrors=[mirror.url(fault) for fault in faults]))
    assert events[-1].fraction == 1.0
    assert not spec.missing()
    for split in ("train", "test"):
        assert spec.load(split).fingerprint == spec.fingerprints[split]


def test_real_cifar10_batches_arrive_in_a_tar(tmp_path: Path) -> None:
    root = real("cifar-10-batches-bin")
    official = DATASETS["cifar10"]().download()
    assert official is not None
    (archive,) = official.files
    members = {name: md5 for name, md5 in archive.members if name in ("data_batch_1.bin", "data_batch_4.bin")}
    batches = {name: (root / "cifar-10-batches-bin" / name).read_bytes() for name in members}
    raw = tar({f"cifar-10-batches-bin/{name}": body for name, body in batches.items()})
    file = RemoteFile(archive.name, len(raw), hashlib.md5(raw).hexdigest(), members=tuple(members.items()))
    plan = Download(official.title, official.licence, official.folder, (file,), official.mirrors)
    with serve({archive.name: raw}) as mirror:
        run(plan, tmp_path, mirror, "cut", "good")
    assert {path.name: path.read_bytes() for path in (tmp_path / "cifar-10-batches-bin").iterdir()} == batches
