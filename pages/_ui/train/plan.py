"""What a training of the page is: everything its command says, kept in the training's folder."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from locality.datasets import Source, slug
from locality.denoisers import DENOISERS
from locality.errors import BadInput
from locality.grammar import command
from locality.networks import NETWORKS, Budget, NetworkSpec, TrainSpec, write_atomic
from locality.store import default_store
from locality.studies import trained_networks

PLAN = "plan.json"
ROOT = Path(__file__).resolve().parents[3]
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,39}")


@dataclass(frozen=True)
class Plan:
    """Texts as they are typed: dataset and network as name:option=value,..., options of the training by name."""

    name: str
    dataset: str
    network: str
    options: Mapping[str, str] = field(default_factory=dict)
    images: int | None = None
    minutes: float | None = None
    first: int | None = None

    @property
    def key(self) -> str:
        """Name of its folder: DATASET-NAME; of one begun when names left out the dataset's options, without them."""
        source = self.source()
        before = f"{slug(source.name)}-{self.name}"
        old = source.name != source.text and _begun(before, self)
        return before if old else f"{source.slug}-{self.name}"

    @property
    def folder(self) -> Path:
        """Where its files lie; a finished network is found there by every page."""
        return home() / self.key

    def source(self) -> Source:
        """The dataset, edited or not. Raises UnknownName, BadInput."""
        return Source.parse(self.dataset, self.first)

    def spec(self) -> NetworkSpec:
        """The network. Raises UnknownName, BadInput."""
        return NETWORKS.parse(self.network)

    def train(self) -> TrainSpec:
        """The training. Raises BadInput."""
        return TrainSpec.parse(self.options)

    def budget(self) -> Budget:
        """Its length. Raises BadInput."""
        return Budget(self.images, self.minutes)

    def words(self, *, resume: bool = False) -> list[str]:
        """The command's words after `python -m locality`."""
        length = ["--images", str(self.images)] if self.images else ["--minutes", f"{self.minutes:g}"]
        words = ["train", self.dataset, "--network", self.network, *length, "--out", _short(self.folder)]
        words += [] if self.first is None else ["--first", str(self.first)]
        for option, text in self.options.items():
            if option == "flips" and text == "true":
                words += ["--flips"]
            else:
                words += ["--ambient", text] if option == "ambient" else ["--option", f"{option}={text}"]
        return [*words, *(["--resume"] if resume else [])]

    def command(self) -> str:
        """The command line that does the same."""
        return command(*self.words())

    def check(self) -> None:
        """Refuse what cannot be started, before a process is.

        Raises:
            BadInput: a name that is none or is taken, options out of range, no length.
            UnknownName: no such network or dataset.
        """
        if not _NAME.fullmatch(self.name):
            raise BadInput(f"The name {self.name!r} is no folder's name. Use up to 40 letters, digits, '.', '_', '-'.")
        if self.name in taken(self.source().text):
            raise BadInput(f"The name {self.name!r} is taken on this dataset. Choose another name.")
        self.spec(), self.train(), self.budget()

    def save(self) -> None:
        """Write it into its folder."""
        write_atomic(self.folder / PLAN, json.dumps(asdict(self), indent=1).encode())


def _begun(key: str, plan: Plan) -> bool:
    """Whether a folder holds this very plan."""
    try:
        return bool(json.loads((home() / key / PLAN).read_text(encoding="utf-8")) == asdict(plan))
    except (OSError, ValueError):
        return False


def home() -> Path:
    """The folder of the networks of this machine."""
    return default_store().local.resolve() / "networks"


def taken(dataset: str) -> set[str]:
    """Names that a new network of a dataset cannot have: those of networks, of folders, of models and datasets."""
    known, stem = {network.name for network in trained_networks(dataset)}, f"{slug(dataset)}-"
    folders = {path.name.removeprefix(stem) for path in home().glob(f"{stem}*")}
    return known | folders | set(DENOISERS) | {"untrained"}


def free_name(dataset: str, wish: str) -> str:
    """The wish, or with a number the first of its kind that is free."""
    used = taken(dataset)
    return next(name for i in range(1, len(used) + 2) if (name := wish if i == 1 else f"{wish}-{i}") not in used)


def load_plan(folder: Path) -> Plan | None:
    """The plan of a folder, None where there is none that can be read."""
    try:
        facts: dict[str, Any] = json.loads((folder / PLAN).read_text(encoding="utf-8"))
        plan = Plan(**facts)
        plan.source(), plan.spec(), plan.train(), plan.budget()
    except (OSError, ValueError, TypeError, BadInput):
        return None
    return plan if plan.key == folder.name else None


def plans() -> list[Plan]:
    """All trainings of this machine that a page has started, newest first."""
    paths = sorted(home().glob(f"*/{PLAN}"), key=lambda path: path.stat().st_mtime, reverse=True)
    return [plan for path in paths if (plan := load_plan(path.parent)) is not None]


def _short(folder: Path) -> str:
    """A path as one would type it in the repository, where it lies there."""
    return folder.relative_to(ROOT).as_posix() if folder.is_relative_to(ROOT) else str(folder)
