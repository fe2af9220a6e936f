"""Damaged input of every kind: `python -m tests.fuzz [CASES] [SEED]` for each target, as `make fuzz` does.

Bytes of good files are changed, cut, doubled, spliced and blown up; texts are made of the words of their grammar.
What reads them must give a result or one of the program's own errors, within some seconds of the processor and some
memory. A failure is written to tests/cases/TARGET-DIGEST, where the tests find it from then on.
"""

from __future__ import annotations

import hashlib
import random
import signal
import struct
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from locality.errors import LocalityError
from locality.memory import PeakMemory
from tests.fuzzed import TARGETS, Target

CASES = Path(__file__).parent / "cases"
SECONDS = 20.0  # of the processor, for one input
MEMORY = 1_500_000_000  # bytes beyond what the process had: 64 megapixels unpacked, turned, over white
_SIZES = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF, 0x7FFFFFFFFFFFFFFF, 0xFFFFFFFFFFFFFFFF)


def mutated(seeds: list[bytes], draw: random.Random) -> bytes:
    """One of the seeds, damaged in one to four ways."""
    raw = bytearray(draw.choice(seeds))
    for _ in range(draw.choice((1, 1, 1, 2, 4))):
        at = min(int(len(raw) * draw.random() ** 2), max(len(raw) - 1, 0))  # headers first
        count = draw.choice((1, 2, 4, 8, 64))
        match draw.randrange(8):
            case 0 if raw:
                raw[at] ^= 1 << draw.randrange(8)
            case 1:
                raw[at : at + count] = draw.randbytes(count)
            case 2:
                del raw[at:]
            case 3:
                del raw[at : at + count]
            case 4:
                raw[at:at] = raw[at : at + count] * draw.choice((1, 2, 100))
            case 5:
                value, width = draw.choice(_SIZES), draw.choice((1, 2, 4, 8))
                raw[at : at + width] = (value & (256**width - 1)).to_bytes(width, draw.choice(("little", "big")))
            case 6:
                other = draw.choice(seeds)
                raw[at:] = other[draw.randrange(len(other) + 1) :]
            case _:
                raw[at : at + 4] = struct.pack("<f", draw.choice((float("nan"), float("inf"), -1e30)))
    return bytes(raw)


def worded(seeds: list[bytes], draw: random.Random) -> bytes:
    """A text from pieces of the seeds and of what a grammar trips over."""
    pieces = [piece for seed in seeds for piece in (seed, *seed.split(b"+"), *seed.split(b","), *seed.split(b":"))]
    odd = [b"(", b")", b"%(", b"+", b",", b":", b"=", b"\0", b" ", b"..", b"/", b"~x", b"1e999", b"nan", b"-1",
           "\u0661\u202e\U0001f408".encode(), b"\xff", b"9" * 400, b"(" * 300]  # fmt: skip
    made = b"".join(draw.choice(pieces if draw.random() < 0.7 else odd) for _ in range(draw.randint(1, 8)))
    return mutated([made], draw) if draw.random() < 0.3 else made


class Hang(BaseException):
    """More of the processor than an input may take."""


@contextmanager
def bounded() -> Iterator[None]:
    """Raises Hang after so many seconds of the processor, AssertionError where memory grew too far."""

    def stop(*_: object) -> None:
        raise Hang(f"not done after {SECONDS:.0f} s of the processor")

    before, memory = signal.signal(signal.SIGPROF, stop), PeakMemory()
    start = memory.start()
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)
    peak = memory.read()
    assert start is None or peak is None or peak - start < MEMORY, f"took {(peak - start) / 1e6:.0f} MB"


def try_one(target: Target, raw: bytes, folder: Path) -> str:
    """ "" where the input was read or refused; else what happened."""
    try:
        with bounded(), warnings.catch_warnings():
            warnings.simplefilter("error")
            target.read(raw, folder)
    except LocalityError as error:
        text = str(error)
        good = text and len(text) < 10_000 and (target.text or "\n" not in text)
        return "" if good else f"a message of {len(text)} letters: {text[:99]}"
    except Warning as warning:
        return f"a warning for the log: {warning!r}"
    except (Exception, Hang):
        return traceback.format_exc()
    return ""


def fuzz(target: Target, cases: int, seed: int, *, keep: bool) -> list[str]:
    """What went wrong in so many inputs; the inputs are kept as cases if asked."""
    draw, failures = random.Random(f"{target.name} {seed}"), []
    make = worded if target.text else mutated
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(cases):
            raw = make(target.seeds, draw)
            if wrong := try_one(target, raw, Path(folder)):
                name = f"{target.name}-{hashlib.sha256(raw).hexdigest()[:12]}"
                failures.append(f"{name}: {wrong}")
                if keep:
                    CASES.mkdir(exist_ok=True)
                    (CASES / name).write_bytes(raw)
    return failures


def main(cases: int, seed: int) -> None:
    """Every target in turn; exit code 1 where something failed."""
    wrong = 0
    for target in TARGETS:
        began = time.monotonic()
        failures = fuzz(target, max(cases // target.cost, 1), seed, keep=True)
        wrong += len(failures)
        sys.stdout.write("".join(f"{failure}\n" for failure in failures[:5]))
        count, spent = max(cases // target.cost, 1), time.monotonic() - began
        sys.stdout.write(f"{target.name}: {count:,} inputs, {len(failures)} failures, {spent:.0f} s\n")
        sys.stdout.flush()
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main(*(int(word) for word in (*sys.argv[1:], *("5000", "0")[len(sys.argv) - 1 :])))
