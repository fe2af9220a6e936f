"""A benchmark killed again and again goes on where it was: no finished cell is made twice, the numbers are the same."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

# A process that has loaded everything forks one child after the other; each runs the same benchmark and says every call
# of the counted model and every finished cell on a pipe, until it is killed in the middle of something.
_SCRIPT = """
import hashlib, json, os, signal, sys
from pathlib import Path
import torch
torch.set_num_threads(1)  # no thread pool: a fork is whole
from locality.datasets import Source
from locality.store import Store
from locality.studies import CellFinished, bench, finish
from locality.studies.benchmark.cells import cells
from locality.studies.benchmark.extractors import find_extractors
from locality.studies.benchmark.run import found_cells
from locality.studies.benchmark.setup import enter
from tests.benches import network, plan
from tests.made_up import made_up

folder = Path(sys.argv[1])
question = plan(network(folder / "net"), "reported", count=20, features="pixels", real=50)

class Killed(Store):
    def put(self, *what):
        super().put(*what)
        os.kill(os.getpid(), signal.SIGKILL)  # kept, and nobody is told

def run(store, say):
    def call(x, sigma):
        say("call " + hashlib.sha256(x.numpy().tobytes() + repr(sigma).encode()).hexdigest()[:16])
        return 0.5 * x / (1.0 + sigma**2)
    def report(event):
        if isinstance(event, CellFinished):
            say("done " + event.address)
    with made_up("reported", lambda images, reference: call):
        made = finish(bench(Source.parse("digits"), question, store=store), report)
    digest = hashlib.sha256()
    for result in made.results:
        for name in sorted(result.scores):
            digest.update(name.encode() + result.scores[name].numpy().tobytes())
        digest.update(result.images.numpy().tobytes())
    digest.update(json.dumps(made.distances, sort_keys=True).encode())
    say("end " + digest.hexdigest())

def kept():
    store = Store(folder / "killed")
    with made_up("reported", lambda images, reference: None):
        source = Source.parse("digits")
        extractors, _ = find_extractors(source, question, store, None, None)
        found = sorted(found_cells(cells(enter(source, question, store), extractors), store))
    store.close()  # SQLite's connections are not for forks
    return found

def child(lines):
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reading)
        store = Killed if lines is None else Store
        run(store(folder / "killed"), lambda text: os.write(writing, (text + "\\n").encode()))
        os._exit(0)
    os.close(writing)
    said = []
    with os.fdopen(reading) as pipe:
        for line in pipe:
            said.append(line.strip())
            if len(said) == lines:
                os.kill(pid, signal.SIGKILL)  # what is in the pipe already is still read
    os.waitpid(pid, 0)
    return [said, kept()]

undisturbed = []
whole = Store(folder / "whole")
run(whole, undisturbed.append)
whole.close()
children = []
while not children or not children[-1][0] or not children[-1][0][-1].startswith("end"):
    children.append(child((None, 5, None, 8)[len(children) % 4]))
print(json.dumps([undisturbed, children]))
"""


@pytest.mark.timeout(300)  # seconds on an idle machine; others may be at work
def test_killed_in_a_loop_it_makes_no_finished_cell_twice_and_ends_the_same(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", _SCRIPT, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    undisturbed, children = json.loads(done.stdout)
    assert len(children) > 5  # it was killed often
    before: set[str] = set()  # cells that were kept: none is made again
    settled: set[str] = set()  # and their calls: never asked again
    unsaid = 0
    for said, after in children:
        made = [line.split()[1] for line in said if line.startswith("done")]
        assert len(made) == len(set(made))
        assert not before & set(made)
        assert before | set(made) <= set(after)
        untold = set(after) - before - set(made)  # the one that it was killed over, if any
        assert len(untold) <= 1
        unsaid += len(untold)
        calls = [line for line in said if line.startswith("call")]
        assert not settled & set(calls)
        last = max((i for i, line in enumerate(said) if line.startswith("done")), default=0)
        settled |= set(calls) if untold else {line for line in said[:last] if line.startswith("call")}
        before = set(after)
    assert unsaid > 2  # it was killed between keeping and saying, too
    assert before == {line.split()[1] for line in undisturbed if line.startswith("done")}
    assert children[-1][0][-1] == undisturbed[-1]  # every score, image and distance, bit for bit
