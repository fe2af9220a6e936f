"""Every writer of the program, killed at any moment: `python -m tests.kills [KILLS] [SEED]`, as `make kills` does.

A process writes version i over version i - 1 and dies by SIGKILL, or by the signal of a full disk, at a file
operation, after some bytes or after some time drawn at random. Whoever reads afterwards must find one of the two
versions whole, and everything finished before; written again it must be version i.
"""

from __future__ import annotations

import os
import random
import resource
import signal
import sys
import tempfile
import threading
import time
import traceback
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import torch

from tests.writers import WRITERS, Writer

_EVENTS = ("open", "os.rename", "os.remove", "os.mkdir", "os.truncate", "sqlite3.connect", "socket.connect")
_LONGEST = 30.0  # seconds a writer may take


def die_at_event(count: int) -> None:
    """Killed at the nth operation on files from now on."""
    left = [count]

    def look(event: str, _: object) -> None:
        if event in _EVENTS:
            left[0] -= 1
            if left[0] == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(look)


def die_at_byte(count: int) -> None:
    """Killed in the middle of a write: when a file grows beyond so many bytes."""
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
    resource.setrlimit(resource.RLIMIT_FSIZE, (count, count))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def die_after(seconds: float) -> None:
    """Killed after some time."""
    timer = threading.Timer(seconds, os.kill, (os.getpid(), signal.SIGKILL))
    timer.daemon = True
    timer.start()


def forked(work: Callable[[], None]) -> int:
    """Do it in a process of its own; its exit status, 0 for done. An error is told and is 1."""
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            work()
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(code)
    end = time.monotonic() + _LONGEST
    while time.monotonic() < end:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.002)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    raise AssertionError(f"It hangs: not done after {_LONGEST:.0f} s.")


def kill_once(writer: Writer, folder: Path, version: int, draw: random.Random) -> str:
    """One kill and what is read after it; what it died of, "" where it was done before."""
    kind = draw.choice(["event", "event", "byte", "time"])
    at = {
        "event": draw.randint(1, writer.events),
        "byte": draw.randint(0, writer.bytes),
        "time": draw.uniform(0, writer.seconds),
    }[kind]
    how = {"event": die_at_event, "byte": die_at_byte, "time": die_after}[kind]

    def work() -> None:
        how(at)  # type: ignore[operator]
        writer.write(folder, version)

    code = forked(work)
    where = f"{writer.name}, version {version}, {kind} {at}"
    assert code in (0, -signal.SIGKILL, -signal.SIGXFSZ), f"{where}: ended with {code}"
    found = writer.read(folder, version)
    allowed = (version,) if code == 0 else (version - 1, version)
    assert found in allowed, f"{where}: read {found}"
    assert forked(lambda: writer.write(folder, version)) == 0, f"{where}: cannot be written again"
    assert writer.read(folder, version) == version, f"{where}: not what was written again"
    return "" if code == 0 else kind


def main(kills: int, seed: int) -> None:
    """So many kills, spread over all writers, and how many hit."""
    torch.set_num_threads(1)  # a fork has no other threads
    draw, hit, began = random.Random(seed), Counter[str](), time.monotonic()
    with tempfile.TemporaryDirectory() as top:
        os.environ["LOCALITY_CACHE"] = str(Path(top) / "cache")
        folders = [Path(top) / f"{i}" for i in range(len(WRITERS))]
        for writer, folder in zip(WRITERS, folders, strict=True):
            folder.mkdir()
            writer.write(folder, 0)
            assert writer.read(folder, 0) == 0, f"{writer.name}: does not read what it wrote"
        count = 0
        while hit.total() < kills:
            for writer, folder in zip(WRITERS, folders, strict=True):
                if died := kill_once(writer, folder, 1 + count // len(WRITERS), draw):
                    hit[f"{writer.name}: {died}"] += 1
                count += 1
    hits = ", ".join(f"{name} {number}" for name, number in sorted(hit.items()))
    sys.stdout.write(f"{hit.total()} kills in {count} tries, {time.monotonic() - began:.0f} s: {hits}\n")


if __name__ == "__main__":
    main(*(int(word) for word in (*sys.argv[1:], *("300", "0")[len(sys.argv) - 1 :])))
