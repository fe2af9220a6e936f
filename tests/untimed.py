"""Commands that do not time models before they run them: where calls are counted, or stderr is read line by line."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from typing import Any

import pytest

from locality.studies import Expected
from locality.work import Progress


def untimed(patch: pytest.MonkeyPatch) -> None:
    """Until the end of the test; what is said before a run is tested in tests/unit/test_expected.py."""
    moment = Expected(0.0, 0.0, None)

    def one(*_: Any, **__: Any) -> Generator[Progress, None, Expected]:
        yield from ()
        return moment

    def some(*_: Any, **__: Any) -> Generator[Progress, None, Mapping[str, Expected]]:
        yield from ()
        return {}

    for name, work in (("expected_sampling", one), ("expected_call", one), ("expected_bench", some)):
        patch.setattr(f"locality.studies.{name}", work)
