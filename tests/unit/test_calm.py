"""Threads wait without spinning: set before torch is loaded, by commands, the server and benchmarks."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

_WATCH = """
import os, sys
class Watch:
    def find_spec(self, name, path=None, target=None):
        if name == "torch":
            print(os.environ.get("OMP_WAIT_POLICY"), os.environ.get("GOMP_SPINCOUNT"), os.environ.get("KMP_BLOCKTIME"))
            sys.meta_path.remove(self)
sys.meta_path.insert(0, Watch())
"""
_COMMAND = """
import locality.__main__ as command
def app(*args, **options):
    import torch
command.app = app
command.main()
"""
_SERVER = """
import runpy
import streamlit.web.cli
def main():
    import torch
streamlit.web.cli.main = main
runpy.run_module("pages._ui.serve", run_name="__main__")
"""


_BENCHMARKS = "import benchmarks.__main__"
_LEADERBOARDS = "import benchmarks.leaderboards"


def seen(code: str, **chosen: str) -> str:
    """What is set when torch is first asked for."""
    names = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME")
    environment = {name: value for name, value in os.environ.items() if name not in names} | chosen
    out = subprocess.run(
        [sys.executable, "-c", _WATCH + code], env=environment, capture_output=True, text=True, check=True
    )
    return out.stdout.strip()


@pytest.mark.parametrize("code", [_COMMAND, _SERVER, _BENCHMARKS, _LEADERBOARDS])
def test_it_is_set_before_torch_is_loaded(code: str) -> None:
    assert seen(code) == "passive 0 0"


def test_what_the_user_chose_stays() -> None:
    assert seen(_COMMAND, OMP_WAIT_POLICY="active", GOMP_SPINCOUNT="9") == "active 9 0"
