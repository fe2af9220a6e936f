"""Many browsers at one shared server: how long pages, hover tables and clicks take, and what the server holds."""

from __future__ import annotations

import asyncio
import json
import os
import random
import statistics
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import websockets
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

from tests.browser.conftest import started_app

ROOT = Path(__file__).resolve().parents[1]
VISITORS = int(os.environ.get("VISITORS", "40"))
PHASE = float(os.environ.get("SECONDS", "40"))  # of clicking alone, and again beside a generation
QUESTIONS = 8  # for sixteen more draws each, after a click and before the next
PAUSE = 20.0  # seconds between two clicks of one visitor, on average: a lecture, not a race
PAGE, OTHER = "dataset=cifar10", "dataset=fashion_mnist&model=optimal&model=pca_locality&n=32&steps=30&seed={}"
_EARLY = ForwardMsg.ScriptFinishedStatus.FINISHED_EARLY_FOR_RERUN


@dataclass
class Visitor:
    """A browser as the server sees it: a websocket, and the widgets of the page."""

    url: str
    stream: websockets.ClientConnection
    ids: dict[str, str] = field(default_factory=dict)  # components and buttons by name
    fragments: dict[str, str] = field(default_factory=dict)  # of these
    pages: dict[str, str] = field(default_factory=dict)  # hash by address
    disabled: set[str] = field(default_factory=set)
    page: str = ""
    failures: list[str] = field(default_factory=list)
    seq: int = 0
    at: tuple[int, int] = (0, 0)
    drawn: list[float] = field(default_factory=list)  # seconds of each question for more draws

    async def ask(self, message: BackMsg) -> float:
        """Send, and wait for the end of the script; seconds."""
        began = time.perf_counter()
        message.rerun_script.page_script_hash = self.page
        await self.stream.send(message.SerializeToString())
        while True:
            got = ForwardMsg()
            got.ParseFromString(await asyncio.wait_for(self.stream.recv(), 180))  # type: ignore[arg-type]
            self._note(got)
            if got.WhichOneof("type") == "script_finished" and got.script_finished != _EARLY:
                return time.perf_counter() - began

    async def open(self, query: str, address: str = "") -> float:
        """Open a page; seconds to everything on it."""
        message = BackMsg()
        message.rerun_script.query_string = query
        if address:
            self.page = self.pages[address]
        return await self.ask(message)

    async def click(self, draw: random.Random) -> float:
        """A click on a pixel of the explorer; seconds to the exact prediction, and the stored field."""
        self.at = draw.randrange(32), draw.randrange(32)
        return await self._choose("click")

    async def draws(self) -> float:
        """Sixteen more draws of that pixel, as a browser asks for them while its reader looks; seconds."""
        return await self._choose("draws")

    async def _choose(self, kind: str) -> float:
        self.seq += 1
        row, col = self.at
        value = {"row": row, "col": col, "pinned": [row, col], "sigma": 0.5, "seq": self.seq, "kind": kind}
        message = BackMsg()
        message.rerun_script.fragment_id = self.fragments["explorer"]
        state = message.rerun_script.widget_states.widgets.add(id=self.ids["explorer"])
        state.json_value = json.dumps({"view": value})
        return await self.ask(message)

    async def look(self) -> float:
        """What the Samples page does by itself while something runs."""
        message = BackMsg()
        message.rerun_script.fragment_id = self.fragments["generate"]
        return await self.ask(message)

    async def press(self, name: str) -> float:
        """A button by its key, as soon as it can be pressed."""
        end = time.monotonic() + 60
        while name in self.disabled and time.monotonic() < end:
            await asyncio.sleep(0.5)
            await self.look()
        message = BackMsg()
        message.rerun_script.fragment_id = self.fragments[name]
        message.rerun_script.widget_states.widgets.add(id=self.ids[name], trigger_value=True)
        return await self.ask(message)

    def _note(self, got: ForwardMsg) -> None:
        kind = got.WhichOneof("type")
        if kind == "new_session":
            self.page = got.new_session.page_script_hash
        elif kind == "navigation":
            self.pages |= {page.url_pathname: page.page_script_hash for page in got.navigation.app_pages}
        elif kind == "delta":
            element = got.delta.new_element
            what = element.WhichOneof("type")
            if what in ("bidi_component", "button"):
                widget = getattr(element, what)
                name = widget.id.rpartition("-")[2]
                self.ids[name], self.fragments[name] = widget.id, got.delta.fragment_id
                (self.disabled.add if getattr(widget, "disabled", False) else self.disabled.discard)(name)
            elif what == "exception":
                self.failures.append(element.exception.message)


def run() -> None:
    """Print the table. Needs the CIFAR-10 and Fashion-MNIST images."""
    with tempfile.TemporaryDirectory() as folder, shared_server(Path(folder)) as (url, process):
        asyncio.run(_lecture(url, process))


@contextmanager
def shared_server(folder: Path) -> Iterator[tuple[str, int]]:
    """The app in shared mode, on this machine alone; its address and process."""
    log = folder / "log"
    with started_app(folder / "cache", log, {**os.environ, "LOCALITY_SHARED": "1"}) as (url, process):
        yield url.removeprefix("http://"), process
    wrong = [line for line in log.read_text().splitlines() if "Traceback" in line]
    print(f"\nTracebacks in the server's log: {len(wrong)}")


async def visitor_of(url: str) -> Visitor:
    stream = await websockets.connect(
        f"ws://{url}/_stcore/stream", max_size=None, subprotocols=[websockets.Subprotocol("streamlit")]
    )
    return Visitor(url, stream)


async def _lecture(url: str, process: int) -> None:
    print(f"{VISITORS} visitors, each with a click on CIFAR-10 every {PAUSE:.0f} s on average\n")
    print("| | median | 95 % | largest | n |\n|---|--:|--:|--:|--:|")
    first = await visitor_of(url)
    _row("first visit of a fresh server", [await first.open(PAGE)])
    await first.click(random.Random(0))
    visitors = [first, *[await visitor_of(url) for _ in range(VISITORS - 1)]]
    arrivals = [_later(10 * i / VISITORS, visitor.open(PAGE)) for i, visitor in enumerate(visitors[1:])]
    _row("page opened, all within 10 s", list(await asyncio.gather(*arrivals)))
    tables = sorted((ROOT / "static").glob("*.bin"), key=lambda path: path.stat().st_size)[-12:]
    fetched = [asyncio.to_thread(_fetch, f"http://{url}/app/static/{path.name}") for path in tables * VISITORS]
    _row(f"a table for hovering and dragging, {sum(p.stat().st_size for p in tables) / 1e6:.0f} MB each visitor",
         list(await asyncio.gather(*fetched)))  # fmt: skip
    before = processor_seconds(process)
    alone = await asyncio.gather(*(_clicks(visitor, i) for i, visitor in enumerate(visitors)))
    _row("click to the exact prediction and the stored field", [one for some in alone for one in some])
    _row(
        "... 16 more draws, asked for up to 8 times by each who rests", [one for some in visitors for one in some.drawn]
    )
    spent = (processor_seconds(process) - before) / max(sum(map(len, alone)), 1)
    other = await visitor_of(url)
    await other.open(PAGE)
    generating = asyncio.create_task(_generations(other))
    beside = await asyncio.gather(*(_clicks(visitor, 100 + i) for i, visitor in enumerate(visitors)))
    _row("the same while one more visitor generates without a pause", [one for some in beside for one in some])
    _row("his generations, 32 images of Fashion-MNIST by two models", await generating)
    held, peak = (_memory(process, name) for name in ("VmRSS", "VmHWM"))
    print(f"\nA click and the draws after it took {spent:.2f} s of the processor.")
    print(f"The server holds {held:.2f} GB, at most {peak:.2f} GB.")
    failures = [text for visitor in (*visitors, other) for text in visitor.failures]
    print(f"Errors on pages: {len(failures)}{f', the first: {failures[0]}' if failures else ''}")
    await asyncio.gather(*(visitor.stream.close() for visitor in (*visitors, other)))


async def _clicks(visitor: Visitor, seed: int) -> list[float]:
    """Clicks of one visitor, the pauses between them exponential, as of people who do not know of each other."""
    draw, end, times = random.Random(seed), time.monotonic() + PHASE, []
    while (wait := draw.expovariate(1 / PAUSE)) < end - time.monotonic():
        over, asked = time.monotonic() + wait, 0
        while times and asked < QUESTIONS and time.monotonic() < over:  # of the pixel that was clicked last
            visitor.drawn.append(await visitor.draws())
            asked += 1
        await asyncio.sleep(max(0.0, over - time.monotonic()))
        times.append(await visitor.click(draw))
    return times


async def _generations(visitor: Visitor) -> list[float]:
    """One generation after the other, each of noise of its own; seconds from the press to the images."""
    end, times = time.monotonic() + PHASE, []
    while time.monotonic() < end:
        await visitor.open(OTHER.format(random.randrange(10**6)), "samples")
        began = time.perf_counter()
        await visitor.press("generate")
        while True:
            visitor.ids.clear()
            await visitor.look()
            if "cancel" not in visitor.ids:
                break
            await asyncio.sleep(0.5)
        times.append(time.perf_counter() - began)
    return times


async def _later(wait: float, work: asyncio.Future[float] | object) -> float:
    await asyncio.sleep(wait)
    return await work  # type: ignore[misc]


def _fetch(url: str) -> float:
    began = time.perf_counter()
    with urllib.request.urlopen(url, timeout=60) as answer:
        answer.read()
    return time.perf_counter() - began


def _memory(process: int, name: str) -> float:
    line = next(line for line in Path(f"/proc/{process}/status").read_text().splitlines() if line.startswith(name))
    return int(line.split()[1]) / 1e6


def processor_seconds(process: int) -> float:
    """Seconds of the processor so far."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _row(name: str, times: list[float]) -> None:
    ordered = sorted(times)
    late = ordered[min(int(0.95 * len(ordered)), len(ordered) - 1)]
    shown = " | ".join(f"{1000 * value:.0f} ms" for value in (statistics.median(ordered), late, ordered[-1]))
    print(f"| {name} | {shown} | {len(ordered)} |", flush=True)
