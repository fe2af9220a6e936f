"""Options from plans: each field is one, with its default, range and help; messages name them as they are typed."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import dataclass, fields

import pytest
import typer
from typer.core import TyperCommand

from locality.cli import app
from locality.cli.parts.plans import PlanOptions
from locality.errors import BadInput
from locality.specs import Spec, param
from locality.studies import AgreementPlan, BenchPlan, CostPlan, OwnSampling, SweepPlan

PLANS = {"agreement": AgreementPlan, "bench": BenchPlan, "costs": CostPlan, "sample": OwnSampling, "sweep": SweepPlan}


@dataclass(frozen=True)
class Made(Spec):
    """One field of each type."""

    count: int = param(3, help="How many.", low=1, high=9)
    side: int = param(4, help="How wide.", low=2, unit="px")
    sigmas: tuple[float, ...] = param((0.5, 2.0, 1 / 3, 7.0), help="Levels.", low=1e-6, high=1e6)
    sizes: tuple[int, ...] = param((1, 2), help="Sizes.", low=1)
    names: tuple[str, ...] = param(("one",), help="Who.")
    rule: str = param("a", help="Which.", choices=("a", "b"))
    kept: bool = param(True, help="Whether it is kept.")
    turned: bool = param(False, help="Whether it is turned.")


@pytest.fixture
def options() -> PlanOptions:
    return PlanOptions(Made, typed={"count": "-n", "sizes": "--size --sizes"}, usual={"names": ()})


@pytest.mark.parametrize("command", PLANS)
def test_every_field_of_a_plan_is_an_option_of_its_command(command: str) -> None:
    made = typer.main.get_command(app).commands[command]  # type: ignore[attr-defined]
    params = {param.name: param for param in made.get_params(made.context_class(made))}
    assert "plan" not in params
    for field in fields(PLANS[command]):
        help_text = PLANS[command].params()[field.name].help.rstrip(".")
        assert params[f"plan_{field.name}"].help.startswith(help_text)


def test_options_have_the_spelling_default_range_and_help_of_the_field(options: PlanOptions) -> None:
    shown = {p.name.removeprefix("plan_"): (p.opts, p.secondary_opts, p.metavar, p.help) for p in options.params}
    assert shown == {
        "count": (["-n"], [], "N", "How many (1 to 9)."),
        "side": (["--side"], [], "PX", "How wide (from 2)."),
        "sigmas": (["--sigmas"], [], "S,S,...", "Levels."),
        "sizes": (["--size", "--sizes"], [], "N,N,...", "Sizes (from 1)."),
        "names": (["--names"], [], "NAME", "Who."),
        "rule": (["--rule"], [], None, "Which (a, b)."),
        "kept": (["--kept"], ["--no-kept"], None, "Whether it is kept."),
        "turned": (["--turned"], [], None, "Whether it is turned."),
    }
    assert {p.name: p.default for p in options.params if p.name in ("plan_count", "plan_rule", "plan_kept")} == {
        "plan_count": 3, "plan_rule": "a", "plan_kept": True
    }  # fmt: skip
    assert next(p.show_default for p in options.params if p.name == "plan_sigmas") == "0.5,2,0.333,7"


def test_nothing_typed_is_the_plan_itself_but_for_other_usual_values(options: PlanOptions) -> None:
    left_out = {"sigmas": None, "sizes": None, "names": None}
    plan = options.plan({name: left_out.get(name, default) for name, default in options.defaults.items()})
    assert plan == Made(names=())


def test_lists_are_read_and_what_is_none_is_reported_with_an_example(options: PlanOptions) -> None:
    assert options.plan({"sigmas": "1,0.25", "sizes": "4,3", "names": ["x", "y"]}) == Made(
        sigmas=(1.0, 0.25), sizes=(4, 3), names=("x", "y")
    )
    example = r"--sigmas 'a' is not a list of numbers\. Write for example --sigmas 0\.5,2,0\.333\."
    with pytest.raises(BadInput, match=example):
        options.plan({"sigmas": "a"})
    with pytest.raises(
        BadInput, match=r"--size '1\.5' is not a list of whole numbers\. Write for example --size 1,2\."
    ):
        options.plan({"sizes": "1.5"})


def test_a_plan_says_itself_as_it_is_typed(options: PlanOptions) -> None:
    plan = Made(5, sigmas=(1 / 3, 2.0), names=("x", "y"), rule="b", kept=False, turned=True)
    words = plan.typed(count="-n", sizes="--size")
    assert words == ["-n", "5", "--sigmas", "0.3333333333333333,2", "--names", "x", "--names", "y", "--rule", "b",
                     "--no-kept", "--turned"]  # fmt: skip
    seen: list[dict[str, object]] = []
    command = TyperCommand("made", params=options.params, callback=lambda **given: seen.append(given))
    command.main(words, standalone_mode=False)
    assert options.plan({name.removeprefix("plan_"): value for name, value in seen[0].items()}) == plan
    assert Made().typed() == []


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"count": 10}, r"^-n=10 is outside \[1, 9\]\.$"),
        ({"sizes": "0,1"}, r"^--size=\(0, 1\) is outside \[1, inf\]\.$"),
        ({"rule": "c"}, r"^--rule='c' is not allowed\. Choose one of: a, b\.$"),
    ],
)
def test_messages_name_the_option_as_it_is_typed(options: PlanOptions, given: dict[str, object], message: str) -> None:
    with pytest.raises(BadInput, match=message):
        options.plan(given)


def test_the_rest_of_the_fields_are_taken_as_key_and_value() -> None:
    some = PlanOptions(Made, only=("count",), rest=True)
    assert [p.name for p in some.params] == ["plan_count", "plan_option"]
    assert some.params[1].help == "Any of side, sigmas, sizes, names, rule, kept, turned."
    assert some.plan({"count": 5, "option": ["side=7,kept=no", "rule=b"]}) == Made(5, 7, kept=False, rule="b")
    assert some.plan({"count": 5, "option": None}) == Made(5)
    for text, message in {
        "sides=7": "Made has no option 'sides'. Its options: count, side",
        "side=1": "Made:side=1 is outside [2, inf].",
        "side": "Option 'side' of 'Made' has no value.",
    }.items():
        with pytest.raises(BadInput, match=re.escape(message)):
            some.plan({"count": 5, "option": [text]})


def test_a_command_that_is_not_asked_for_brings_no_torch() -> None:
    code = "import sys, typer; from locality.cli import app; typer.main.get_command(app); print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "False"


def test_the_studies_bring_no_library_that_few_of_them_need() -> None:
    heavy = ["scipy.stats", "scipy.sparse", "numba", "sklearn", "skimage", "diffusers", "pyarrow", "pandas"]
    code = f"import sys, locality.studies; print([name for name in {heavy} if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "[]"
