"""Options of a command from the fields of a plan, so that name, type, default, range and help are written once.

`@app.command(cls=planned("locality.studies", "SweepPlan"))` gives a command the options of a plan in the place of
its parameter `plan: PlanOpt = None`, and the finished plan as that parameter. The plan is imported when the options
are asked for: its module needs torch, and help on the other commands should not wait for it.
"""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Mapping, Sequence
from dataclasses import fields
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Any, get_args, get_origin, get_type_hints

import typer
from typer.core import TyperCommand

from locality.errors import BadInput
from locality.grammar import read

if TYPE_CHECKING:
    from locality.specs import Param, Spec

PlanOpt = Annotated[Any, typer.Option(parser=str, hidden=True)]  # where the options of the plan stand
_PREFIX = "plan_"  # of parameters, which may be called as one of the command's own
_REST = "option"  # all that have no option of their own
_MANY = 10**6  # a limit that nobody has to be told


def planned(module: str, name: str, **how: Any) -> type[TyperCommand]:
    """The class of a command whose parameter `plan` is the plan `name` of a module; `how` as `PlanOptions` takes it."""

    class Planned(TyperCommand):
        @cached_property
        def options(self) -> PlanOptions:
            return PlanOptions(getattr(importlib.import_module(module), name), **how)

        def get_params(self, ctx: Any) -> list[Any]:
            own = super().get_params(ctx)
            place = next(i for i, param in enumerate(own) if param.name == "plan")
            return [*own[:place], *self.options.params, *own[place + 1 :]]

        def invoke(self, ctx: Any) -> Any:
            given = {param.name: ctx.params.pop(param.name) for param in self.options.params}
            ctx.params["plan"] = self.options.plan({name.removeprefix(_PREFIX): one for name, one in given.items()})
            return super().invoke(ctx)

    return Planned


class PlanOptions:
    """The fields of a plan as options, and the plan that their values make.

    Args:
        only: the fields that are options, in this order; all of them by default.
        typed: how an option is typed where it is not --field-name; more spellings after a space.
        usual: defaults that are not the plan's own.
        rest: take the fields that are no options as --option KEY=VALUE.
    """

    def __init__(
        self,
        cls: type[Spec],
        *,
        only: Sequence[str] = (),
        typed: Mapping[str, str] = MappingProxyType({}),
        usual: Mapping[str, Any] = MappingProxyType({}),
        rest: bool = False,
    ) -> None:
        self.cls, self.hints = cls, get_type_hints(cls)
        defaults: dict[str, Any] = {field.name: field.default for field in fields(cls)} | dict(usual)
        self.defaults = {name: defaults[name] for name in only or defaults}
        self.others = [name for name in defaults if name not in self.defaults] if rest else []
        self.typed = {name: typed.get(name, f"--{name.replace('_', '-')}").split() for name in self.defaults}

    @cached_property
    def params(self) -> list[Any]:
        """The options, as Typer makes them from a function's signature."""

        def stub(**_: Any) -> None: ...

        some = [self._parameter(name) for name in self.defaults]
        if self.others:
            option = typer.Option("--option", metavar="KEY=VALUE", help=f"Any of {', '.join(self.others)}.")
            some.append(_keyword(_REST, list[str] | None, option, None))
        stub.__signature__ = inspect.Signature(some)  # type: ignore[attr-defined]
        alone = typer.Typer(add_completion=False)
        alone.command()(stub)
        return list(typer.main.get_command(alone).params)

    def plan(self, given: Mapping[str, Any]) -> Spec:
        """The plan of what was typed. Raises BadInput, which names the options as they are typed."""
        values = {name: self._read(name, value) for name, value in given.items() if name != _REST}
        others = read(f"{self.cls.called()}:{','.join(given.get(_REST) or ())}")[1]
        try:
            parsed = self.cls.parse(others)
            return self.cls(**values | {name: getattr(parsed, name) for name in others})
        except BadInput as error:
            raise BadInput(re.sub(rf"\b{self.cls.called()}:(\w+)", self._spelled, str(error))) from None

    def _spelled(self, found: re.Match[str]) -> str:
        return self.typed.get(found[1], [found[0]])[0]

    def _parameter(self, name: str) -> inspect.Parameter:
        default, item = self.defaults[name], self._item(name)
        about = self.cls.params()[name]
        kind, metavar, typed = self.hints[name], None, self.typed[name]
        shown: bool | str = kind is not bool
        if item is str:
            kind, shown, metavar, default = list[str] | None, False, "NAME", None
        elif item is not None:
            kind, shown, default = str | None, ",".join(f"{value:.3g}" for value in default), None
            metavar = "N,N,..." if item is int else "S,S,..."
        elif kind is bool:
            typed = [f"--{name}/--no-{name}"] if default else typed
        elif kind in (int, float):
            metavar = about.unit.upper() if about.unit.isalpha() else ("N" if kind is int else "S")
        option = typer.Option(*typed, metavar=metavar, help=_help(about), show_default=shown)
        return _keyword(name, kind, option, default)

    def _read(self, name: str, value: Any) -> Any:
        """What was typed for an option as the plan takes it: a list as a tuple, its default where it was left out."""
        item = self._item(name)
        if item is None:
            return value
        if value is None:
            return self.defaults[name]
        if item is str:
            return tuple(value)
        try:
            return tuple(item(part) for part in value.split(","))
        except ValueError:
            kind = "whole numbers" if item is int else "numbers"
            example = ",".join(f"{one:.3g}" for one in self.defaults[name][:3])
            flag = self.typed[name][0]
            raise BadInput(f"{flag} {value!r} is not a list of {kind}. Write for example {flag} {example}.") from None

    def _item(self, name: str) -> type | None:
        """The type of what a list holds, None where the field is none."""
        hint = self.hints[name]
        return get_args(hint)[0] if get_origin(hint) is tuple else None


def _keyword(name: str, kind: Any, option: Any, default: Any) -> inspect.Parameter:
    place = inspect.Parameter.KEYWORD_ONLY
    return inspect.Parameter(f"{_PREFIX}{name}", place, default=default, annotation=Annotated[kind, option])


def _help(about: Param) -> str:
    """A field's help with what it may hold."""
    if about.choices:
        allowed = ", ".join(map(str, about.choices))
    elif about.high is not None and about.high < _MANY:
        allowed = f"{about.low:g} to {about.high:g}"
    elif about.low is not None and about.low >= 1:
        allowed = f"from {about.low:g}"
    else:
        return about.help
    return f"{about.help.rstrip('.')} ({allowed})."
