"""The wheel carries the dashboard too: app.py, pages/ and the shipped results, inside the package as `dashboard`."""

from __future__ import annotations

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

PARTS = ("app.py", "pages", "static/README.md", ".streamlit/config.toml", "cache/README.md", "cache/shipped")


class BuildWithDashboard(build_py):
    def run(self) -> None:
        super().run()
        for part in PARTS:
            source, target = Path(part), Path(self.build_lib, "locality", "dashboard", part)
            target.parent.mkdir(parents=True, exist_ok=True)
            if source.is_dir():
                shutil.copytree(source, target, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy2(source, target)


setup(cmdclass={"build_py": BuildWithDashboard})
