"""The store: reads back what was built, drops what is damaged, keeps to its size, never unpickles."""

from __future__ import annotations

import logging
import pickle  # noqa: TID251  # planted, never read
import sqlite3
import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import diskcache
import pytest
import torch

from locality.errors import BadInput, DigestMismatch
from locality.store import Artifact, Store, default_store, digest
from locality.store.bytesdisk import BytesDisk
from locality.work import Progress, finish

KIND, KEY = "thing", {"data": "ab12", "version": 1}
ADDRESS = digest(KIND, KEY)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "local"


@pytest.fixture
def store(folder: Path) -> Iterator[Store]:
    made = Store(folder)
    yield made
    made.close()


class Builder:
    """Builds the same artefact every time and counts how often."""

    def __init__(self, numbers: int = 20_000) -> None:
        self.count = 0
        self.numbers = numbers

    def __call__(self) -> Artifact:
        self.count += 1
        return Artifact({"x": torch.arange(self.numbers, dtype=torch.float32)}, {"made": (1, 2)})


def _same(a: Artifact, b: Artifact) -> bool:
    return (
        a.meta == b.meta
        and a.arrays.keys() == b.arrays.keys()
        and all(torch.equal(a.arrays[name], b.arrays[name]) for name in a.arrays)
    )


def _sql(folder: Path, text: str, values: tuple[Any, ...] = ()) -> None:
    with closing(sqlite3.connect(folder / "entries" / "cache.db")) as connection, connection:
        connection.execute(text, values)


def _payload_file(folder: Path) -> Path:
    (found,) = (folder / "entries").glob("??/??/*.val")
    return found


@pytest.mark.parametrize("numbers", [1, 100_000], ids=["in the index", "in a file"])
def test_built_once_then_read_back_the_same_even_by_another_store(store: Store, folder: Path, numbers: int) -> None:
    build = Builder(numbers)
    fresh = store.cached(KIND, KEY, build)
    again = store.cached(KIND, dict(reversed(KEY.items())), build)
    other = Store(folder).get(KIND, KEY)
    assert build.count == 1
    assert fresh.meta == {"made": [1, 2]}
    assert other is not None
    assert _same(fresh, again)
    assert _same(fresh, other)


def test_other_keys_are_not_found_and_nothing_is_made_by_looking(store: Store) -> None:
    store.put(KIND, KEY, Builder()())
    assert store.get(KIND, {**KEY, "version": 2}) is None
    assert store.get("other", KEY) is None


def test_readers_cannot_change_what_is_kept(store: Store) -> None:
    store.cached(KIND, KEY, Builder()).arrays["x"].zero_()
    first = store.get(KIND, KEY)
    assert first is not None
    first.arrays["x"].zero_()
    second = store.get(KIND, KEY)
    assert second is not None
    assert second.arrays["x"][7] == 7


def _flip_byte(folder: Path) -> None:
    path = _payload_file(folder)
    raw = bytearray(path.read_bytes())
    raw[-3] ^= 1
    path.write_bytes(raw)


def _truncate(folder: Path) -> None:
    path = _payload_file(folder)
    path.write_bytes(path.read_bytes()[:1000])


def _retype(folder: Path) -> None:
    _sql(folder, "UPDATE Cache SET filename = NULL, mode = 1, value = 'text'")


def _leave_folder(folder: Path) -> None:
    (folder / "outside.val").write_bytes(_payload_file(folder).read_bytes())
    _sql(folder, "UPDATE Cache SET filename = '../outside.val'")


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (_flip_byte, "its bytes changed on disk"),
        (_truncate, "its bytes changed on disk"),
        (_retype, "its bytes changed on disk"),
        (_leave_folder, "names the file '../outside.val'"),
    ],
)
def test_a_damaged_entry_is_logged_dropped_and_rebuilt(
    store: Store, folder: Path, caplog: pytest.LogCaptureFixture, damage: Callable[[Path], None], reason: str
) -> None:
    build = Builder()
    good = store.cached(KIND, KEY, build)
    damage(folder)
    assert store.get(KIND, KEY) is None
    assert reason in caplog.text
    assert _same(store.cached(KIND, KEY, build), good)
    assert build.count == 2
    assert store.get(KIND, KEY) is not None
    assert (folder / "outside.val").exists() == (damage is _leave_folder)  # a planted name deletes nothing


def test_a_payload_whose_file_is_gone_is_rebuilt(store: Store, folder: Path) -> None:
    build = Builder()
    store.cached(KIND, KEY, build)
    _payload_file(folder).unlink()
    store.cached(KIND, KEY, build)
    assert build.count == 2


@pytest.mark.parametrize("garbage", [b"not a database at all" * 500, b"SQLite format 3\0" + b"\xff" * 9000])
def test_a_damaged_index_starts_again_empty(folder: Path, caplog: pytest.LogCaptureFixture, garbage: bytes) -> None:
    first = Store(folder)
    first.put(KIND, KEY, Builder()())
    first.close()
    for journal in (folder / "entries").glob("cache.db-*"):
        journal.unlink()
    (folder / "entries" / "cache.db").write_bytes(garbage)
    store, build = Store(folder), Builder()
    assert store.get(KIND, KEY) is None
    assert "is damaged" in caplog.text
    store.cached(KIND, KEY, build)
    store.cached(KIND, KEY, build)
    assert build.count == 1
    store.close()


def test_oldest_entries_leave_so_that_the_folder_keeps_to_its_limit(folder: Path) -> None:
    limit = 600_000
    store = Store(folder, size_limit=limit)
    for i in range(9):
        store.put(KIND, {"i": i}, Builder(25_000)())  # 100 kB each
        assert sum(path.stat().st_size for path in (folder / "entries").rglob("*.val")) <= limit
    kept = [i for i in range(9) if store.get(KIND, {"i": i}) is not None]
    assert kept == [4, 5, 6, 7, 8]
    store.close()


def test_an_entry_over_the_limit_is_returned_but_not_kept(folder: Path) -> None:
    store, build = Store(folder, size_limit=50_000), Builder()
    assert len(store.cached(KIND, KEY, build).arrays["x"]) == build.numbers
    assert store.get(KIND, KEY) is None
    store.close()


def test_threads_build_once(store: Store) -> None:
    build, start = Builder(), threading.Barrier(4)
    results: list[Artifact] = []

    def ask() -> None:
        start.wait()
        results.append(store.cached(KIND, KEY, build))

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert build.count == 1
    assert all(_same(result, results[0]) for result in results)


def test_a_failed_build_keeps_nothing_and_lets_go_of_the_lock(store: Store) -> None:
    def fail() -> Artifact:
        raise BadInput("no")

    with pytest.raises(BadInput, match="no"):
        store.cached(KIND, KEY, fail)
    assert store.cached(KIND, KEY, Builder()).meta == {"made": [1, 2]}


def test_a_folder_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    store = Store(tmp_path / "file" / "cache")
    for ask in (lambda: store.get(KIND, KEY), lambda: store.put(KIND, KEY, Builder()())):
        with pytest.raises(BadInput, match=r"file.cache cannot be used .* Set LOCALITY_CACHE to a folder"):
            ask()


def test_default_store_takes_its_folder_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCALITY_CACHE", str(tmp_path / "mine"))
    default_store.cache_clear()
    try:
        assert default_store() is default_store()
        assert default_store().local == tmp_path / "mine"
        monkeypatch.delenv("LOCALITY_CACHE")
        default_store.cache_clear()
        assert default_store().local.parts[-2:] == ("cache", "local")
        root = default_store().shipped_root
        assert root is not None
        assert root.parts[-2:] == ("cache", "shipped")
    finally:
        default_store.cache_clear()


class Bomb:
    """Unpickling this makes a file: the proof that somebody unpickled it."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Callable[..., None], tuple[Path]]:
        return Path.touch, (self.marker,)


def _plant_value(folder: Path, bomb: bytes) -> None:
    _sql(folder, "UPDATE Cache SET mode = 4, filename = NULL, value = ?", (bomb,))


def _plant_file(folder: Path, bomb: bytes) -> None:
    _payload_file(folder).write_bytes(bomb)
    _sql(folder, "UPDATE Cache SET mode = 4")


@pytest.mark.parametrize("plant", [_plant_value, _plant_file])
def test_a_planted_pickle_is_refused(
    store: Store, folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, plant: Callable[[Path, bytes], None]
) -> None:
    marker, build = tmp_path / "unpickled", Builder()
    store.cached(KIND, KEY, build)
    plant(folder, pickle.dumps(Bomb(marker)))
    store.cached(KIND, KEY, build)
    assert build.count == 2
    assert "pickled value, which is never read" in caplog.text
    assert not marker.exists()

    # The same plant goes off in diskcache's own Disk, so this test would notice an unpickling.
    plant(folder, pickle.dumps(Bomb(marker)))
    with diskcache.Cache(folder / "entries") as unsafe:
        unsafe.get(ADDRESS)
    assert marker.exists()


def test_a_planted_pickled_key_is_refused_and_the_cache_starts_again(
    folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store, marker = Store(folder, size_limit=200_000), tmp_path / "unpickled"
    store.put(KIND, KEY, Builder()())
    _sql(folder, "UPDATE Cache SET raw = 0, key = ?", (pickle.dumps(Bomb(marker)),))
    store.put(KIND, {"i": 1}, Builder(40_000)())  # needs room, so the oldest key is looked at
    assert store.get(KIND, {"i": 1}) is not None
    assert "pickled key" in caplog.text
    assert not marker.exists()
    store.close()


def test_the_disk_pickles_nothing(tmp_path: Path) -> None:
    disk = BytesDisk(str(tmp_path))
    for value in ({"a": 1}, 1.5, None, (1,), Path("x")):
        with pytest.raises(BadInput, match="bytes, text and integers; this value is a"):
            disk.store(value, False)
        with pytest.raises(BadInput, match="bytes, text and integers; this key is a"):
            disk.put(value)
    with pytest.raises(BadInput, match="64 bits"):
        disk.put(2**63)
    with pytest.raises(DigestMismatch, match="pickled key"):
        disk.get(pickle.dumps(1), raw=False)
    assert not list(tmp_path.iterdir())


def test_ordinary_use_logs_nothing(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        store.cached(KIND, KEY, Builder())
        store.cached(KIND, KEY, Builder())
    assert [record for record in caplog.records if record.name.startswith("locality")] == []


def _long_work(build: Builder) -> Generator[Progress, None, Artifact]:
    yield Progress(0.0, 2.0, "half of it")
    yield Progress(1.0, 2.0, "the rest")
    return build()


@pytest.mark.parametrize("once", [True, False])
def test_long_work_is_kept_with_its_events_passed_on(store: Store, once: bool) -> None:
    build, events = Builder(), list[Progress]()
    fresh = finish(store.kept(KIND, KEY, _long_work(build), once=once), events.append)
    again = finish(store.kept(KIND, KEY, _long_work(build), once=once), events.append)
    assert build.count == 1
    assert [event.note for event in events] == ["half of it", "the rest"]
    assert fresh.meta == {"made": [1, 2]}  # as a later reader sees it
    assert _same(fresh, again)


def test_of_long_work_at_one_time_the_second_waits_or_both_make_it(store: Store, folder: Path) -> None:
    build = Builder()
    first, second = (Store(folder).kept(KIND, KEY, _long_work(build), once=False) for _ in range(2))
    assert next(first).note == next(second).note == "half of it"
    assert _same(finish(first), finish(second))
    assert build.count == 2

    held = store.kept("other", KEY, _long_work(build))
    next(held)
    waiting = threading.Thread(target=lambda: finish(Store(folder).kept("other", KEY, _long_work(build))))
    waiting.start()
    waiting.join(0.3)
    assert waiting.is_alive()  # it waits for whoever began
    finish(held)
    waiting.join()
    assert build.count == 3


def test_long_work_that_is_left_lets_go_of_the_lock_and_keeps_nothing(store: Store) -> None:
    build = Builder()
    left = store.kept(KIND, KEY, _long_work(build))
    next(left)
    left.close()
    assert store.get(KIND, KEY) is None
    finish(store.kept(KIND, KEY, _long_work(build)))
    assert build.count == 1
