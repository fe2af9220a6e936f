"""Commands run in this process through `main`, as the shell calls it, and what they print."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from typing import Any

import pytest

from locality.__main__ import main


@dataclass(frozen=True)
class Result:
    """Exit code and output of a command."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


class Shell:
    """Runs commands and keeps what they print."""

    def __init__(self, capsys: pytest.CaptureFixture[str], patch: pytest.MonkeyPatch) -> None:
        self.capsys, self.patch = capsys, patch

    def __call__(self, *args: object) -> Result:
        self.patch.setattr(sys, "argv", ["locality", *map(str, args)])
        with pytest.raises(SystemExit) as end:
            main()
        printed = self.capsys.readouterr()
        return Result(int(end.value.code or 0), printed.out, printed.err)


def refused(result: Result) -> str:
    """The one line of an error: exit code 2, nothing on stdout, `Error:` first on stderr."""
    assert result.code == 2, result
    assert result.out == ""
    lines = result.err.splitlines()
    assert len(lines) == 1, result.err
    assert lines[0].startswith("Error: ")
    return lines[0]
