"""Checks by name: which a spec must pass, and what is said where it fails one."""

from __future__ import annotations

import re
import unittest
from collections.abc import Callable
from typing import Any, Generic, Protocol, TypeVar, runtime_checkable

import torch
from torch import Tensor

from locality.device import threads
from locality.errors import BadInput
from locality.specs import Spec


@runtime_checkable
class Case(Protocol):
    """A spec with what its checks need: small images, fits, a store."""

    @property
    def spec(self) -> Spec: ...


C = TypeVar("C", bound=Case)
Check = Callable[[C], None]


class Checks(Generic[C]):
    """The contracts of one kind of plug-in, in order. Each is a function of a case with a sentence that says it."""

    def __init__(self) -> None:
        self._checks: dict[str, tuple[Check[C], Callable[[Any], bool]]] = {}

    def contract(self, *, when: Callable[[Any], bool] = lambda spec: True) -> Callable[[Check[C]], Check[C]]:
        """Decorator: list a check under its function's name, for the specs that `when` holds for."""

        def add(check: Check[C]) -> Check[C]:
            self._checks[check.__name__] = check, when
            return check

        return add

    def of(self, spec: Spec) -> list[str]:
        """The contracts that a spec must meet.

        Raises:
            BadInput: it is exempt from one that does not exist, or gives no reason.
        """
        for name, reason in spec.exempt.items():
            if name not in self._checks or not reason:
                why = "gives no reason" if name in self._checks else f"there are {', '.join(self._checks)}"
                raise BadInput(f"{spec.name} is exempt from {name!r}: {why}.")
        return [name for name, (_, when) in self._checks.items() if name not in spec.exempt and when(spec)]

    def run(self, name: str, case: C) -> None:
        """One contract.

        Raises:
            AssertionError: the spec does not meet it.
            unittest.SkipTest: its data is not on this machine.
        """
        check, _ = self._checks[name]
        try:
            with threads(1):
                check(case)
        except unittest.SkipTest:
            raise
        except Exception as error:
            asks = " ".join((check.__doc__ or "").split())
            found = str(error) if isinstance(error, AssertionError) else f"{type(error).__name__}: {error}"
            raise AssertionError(f"{case.spec} fails {name}: {asks} {found}") from error

    def every(self, case: C) -> None:
        """All contracts that its spec must meet. Raises as `run`."""
        for name in self.of(case.spec):
            self.run(name, case)


def hold(condition: Any, otherwise: str) -> None:
    """Raise AssertionError where a condition (a flag or a tensor of one) is not true."""
    if not bool(condition):
        raise AssertionError(otherwise)


def close(found: Tensor, expected: Tensor, atol: float) -> None:
    """Raise AssertionError where two tensors differ by more than `atol` anywhere; says where most and by how much."""
    torch.testing.assert_close(found, expected.to(found), rtol=0, atol=atol)


def refuses(kind: type[Exception], text: str, call: Callable[[], Any]) -> None:
    """Raise AssertionError where a call does not fail with this kind of error, its message holding a pattern."""
    try:
        call()
    except kind as error:
        hold(re.search(text, str(error)), f"the message {str(error)!r} says nothing like {text!r}")
        return
    raise AssertionError(f"no {kind.__name__} was raised; its message should hold {text!r}")
