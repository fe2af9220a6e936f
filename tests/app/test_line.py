"""Work of a server when the server ends: it is asked to stop, and nothing is cut off within PyTorch."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

WORKING = """
import atexit, threading, torch

begun = threading.Event()
atexit.register(lambda: print(first.cancelled, first.ended.is_set(), second.began))  # runs last

from locality.work import Progress
from pages._ui.work import Work, Works

def work():
    x = torch.randn(300, 300)
    while True:
        begun.set()
        yield Progress(0.0, 1.0, "Multiplying")
        for _ in range(20):
            x = (x @ x).tanh()

works = Works()
first, second = (works.ask(Work(name, work)) for name in "ab")
assert begun.wait(20)
"""


def test_work_under_way_ends_with_the_server() -> None:
    """The one that runs is stopped, the one that waits never begins, and the process ends well."""
    done = subprocess.run(
        [sys.executable, "-c", WORKING], cwd=Path(__file__).parents[2], capture_output=True, text=True, timeout=120
    )
    assert (done.returncode, done.stdout.strip()) == (0, "True True 0.0"), done.stderr[-2000:]
