"""The command app: open the dashboard."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from locality.cli.parts.app import app
from locality.cli.parts.machine import ClusterOpt
from locality.cluster.here import VARIABLE as CLUSTER
from locality.errors import BadInput
from locality.places import home
from locality.sharing import ROOTS
from locality.specs.code import VARIABLE, plugin_places

_PATHS = ("LOCALITY_DATA", "LOCALITY_CACHE")  # read by the server, which starts in another folder


@app.command("app")
def dashboard(
    port: Annotated[int, typer.Option("--port", metavar="N", min=1, max=65535, help="Port of the server.")] = 8501,
    headless: Annotated[bool, typer.Option("--headless", help="Start the server without opening a browser.")] = False,
    cluster: ClusterOpt = "",
) -> None:
    """Open the dashboard in the browser; Ctrl-C ends the server."""
    folder = home()
    if not (folder / "app.py").is_file():
        raise BadInput(f"{folder} holds no app.py: install the package with `pip install .` in a whole checkout.")
    for name in _PATHS:
        if place := os.environ.get(name):
            os.environ[name] = str(Path(place).expanduser().absolute())
    if roots := os.environ.get(ROOTS):
        os.environ[ROOTS] = os.pathsep.join(
            str(Path(root).expanduser().absolute()) for root in roots.split(os.pathsep) if root
        )
    if places := plugin_places(absolute=True):
        os.environ[VARIABLE] = os.pathsep.join(places)
    if cluster:
        os.environ[CLUSTER] = cluster  # the server joins it, and says what is wrong
    os.chdir(folder)
    options = ["--server.port", str(port), "--server.headless", "true" if headless else "false"]
    os.execv(sys.executable, [sys.executable, "-m", "pages._ui.serve", *options])
