"""A dataset by name, edited or as it is, that is read only when its images are needed.

Statistics and networks shipped for a standard set are found by its known fingerprint, so they work
where the images are not on the machine.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Generator
from dataclasses import dataclass, field, replace
from functools import cached_property

from locality.dataset import Dataset
from locality.datasets.parts.excerpt import shipped_excerpt
from locality.datasets.parts.spec import DATASETS, DatasetSpec, Split
from locality.device import Compute
from locality.edits import EDITS, Chain, Stage, chain_of, chain_text, check_chain
from locality.errors import DataUnavailable
from locality.grammar import read_chain
from locality.linear.statistics import Derived, Statistics, statistics_of
from locality.store import Store, default_store
from locality.store.artifact import canonical
from locality.types import ImageShape
from locality.work import Progress

_EDITED = 1  # version of what edits make of images
FREE = "MIT"  # a licence that the repository's own repeats
_SLUG = 60  # characters of a name in files


@dataclass(frozen=True)
class Source(Derived):
    """The training images of a spec (or its first N), and the held-out ones, both with the edits applied in order."""

    spec: DatasetSpec
    first: int | None = None
    edits: Chain = ()
    unedited: Source | None = field(default=None, repr=False, compare=False)  # what all edits of it share, read once

    @staticmethod
    def parse(text: str, first: int | None = None) -> Source:
        """`name:option=value,...+edit:option=value,...` -> a source.

        Raises:
            UnknownName: no such dataset or edit.
            BadInput: an option that does not exist or is out of range, edits that conflict or do not fit the images.
        """
        (name, options), *items = read_chain(text, DATASETS.words(), EDITS.words())
        source, edits = Source(DATASETS[name].parse(options), first), chain_of(items)
        return source.edited(edits) if edits else source

    def edited(self, edits: Chain) -> Source:
        """The same images with these edits and no others.

        Raises:
            BadInput: an edit that does not fit the images.
        """
        if edits and self.available_base:
            check_chain(edits, self.shape)
        return replace(self, edits=edits, unedited=self.base) if edits else self.base

    @property
    def text(self) -> str:
        """Its one spelling, as `parse` reads it: `power_law:a=1+pattern:mask=W,strength=0.5`; `first` stands beside."""
        return "+".join(filter(None, (self.spec.text(), chain_text(self.edits))))

    @property
    def words(self) -> list[str]:
        """These images in a command: the text, and how many where not all."""
        return [self.text, *([] if self.first is None else ["--first", str(self.first)])]

    @property
    def typed(self) -> str:
        return " ".join(self.words)

    @property
    def name(self) -> str:
        """The set's name without its options, and its edits: what published settings and keys of models go by."""
        return "+".join(filter(None, (self.spec.name, chain_text(self.edits))))

    @property
    def slug(self) -> str:
        """The text in letters a file may have."""
        return slug(self.text)

    def is_variant(self, other: Source) -> bool:
        """Whether two sources are one set with the same edits and other options: not of other files, say."""
        options = [{name: getattr(spec, name) for name in spec.words().texts} for spec in (self.spec, other.spec)]
        same = type(self.spec) is type(other.spec) and options[0] == options[1] and self.edits == other.edits
        return same and self.spec != other.spec

    @property
    def shape(self) -> ImageShape:
        return self.spec.shape

    @property
    def base(self) -> Source:
        """The same images as they are."""
        if not self.edits:
            return self
        known = self.unedited
        same = known is not None and (known.spec, known.first) == (self.spec, self.first)
        return known if known is not None and same else Source(self.spec, self.first)

    @property
    def available_base(self) -> bool:
        return not self.spec.missing()

    @property
    def available(self) -> bool:
        """Whether the images are on this machine."""
        return not self.missing()

    @property
    def shows_held_out(self) -> bool:
        """Whether held-out images can be read: all of them, or those that come with the repository."""
        others = all(Source.parse(edit.other).shows_held_out for edit in self.edits if edit.other)
        return others and (self.available_base or shipped_excerpt(self.spec) is not None)

    def notes(self) -> list[str]:
        """What reading leaves out, or understands in one way of several, a sentence each. Raises as loading does."""
        others = (Source.parse(edit.other).spec for edit in self.edits if edit.other)
        return [note for spec in (self.spec, *others) for note in spec.notes()]

    def missing(self) -> str:
        """Empty when the images can be read, else how to get those that are not on this machine."""
        others = (Source.parse(edit.other).missing() for edit in self.edits if edit.other)
        return self.spec.missing() or next(filter(None, others), "")

    @cached_property
    def train(self) -> Dataset:
        """The training images. Raises DataUnavailable."""
        return self._edit(self.base.train) if self.edits else self.spec.load("train").first(self.first)

    @cached_property
    def held_out(self) -> Dataset:
        """Images no statistic and no network has seen. Raises DataUnavailable."""
        return self._edit(self.base.held_out) if self.edits else self.spec.load("test")

    def first_held_out(self, count: int) -> Dataset:
        """The first of the held-out images, as many as there are up to `count`. Raises DataUnavailable."""
        held_out = self.base.held_out
        return self._edit(held_out.first(min(count, len(held_out))))

    def count(self) -> int:
        """Number of training images; those of a folder are counted by reading it."""
        if self.edits:
            return len(self.train)
        return self.first or self.spec.count("train") or len(self.train)

    def licence(self) -> dict[str, str]:
        """`licence` for the manifests of what is derived from the images, and from those that an edit takes in.

        With `source` where the licence asks for credit; {} where there are no terms to keep.
        """
        others = (Source.parse(edit.other).spec for edit in self.edits if edit.other)
        infos = dict.fromkeys(spec.info for spec in (self.spec, *others) if spec.info.licence != FREE)
        texts = {
            "licence": [info.licence for info in infos],
            "source": [info.source for info in infos if info.passes_on],
        }
        return {name: "; ".join(dict.fromkeys(found)) for name, found in texts.items() if found}

    @property
    def fingerprint(self) -> str:
        """Digest of the training images, or the known one of a standard set that is not here.

        Edited images are a function of those before, of the edits and of their seeds: so is their digest.
        """
        if self.edits:
            return self._edited_fingerprint(self.base.fingerprint)
        if self.available:
            return self.train.fingerprint
        return self.known_fingerprint("train")

    def known_fingerprint(self, split: Split) -> str:
        """Digest of a standard set's official images.

        Raises:
            DataUnavailable: none is known for this set, or only a part of it is asked for.
        """
        known = self.spec.known_fingerprint(split)
        if known is None or self.first is not None or self.edits:
            raise DataUnavailable(f"The {self.text} images are not on this machine. {self.missing()}")
        return known

    @property
    def is_small(self) -> bool:
        measured = all(edit.closed != "expected" for edit in self.edits)  # else an expectation over draws is meant
        return measured and self.available and self.base.count() < self.shape.d

    def derive(self, compute: Compute, store: Store) -> Generator[Progress, None, Statistics | None]:
        """Statistics edit by edit; None where one of them has no closed form, and for a set without edits."""
        if not self.edits or any(edit.closed == "none" for edit in self.edits):
            return None
        found: Statistics | None = yield from statistics_of(self.base, compute, store)
        for i, edit in enumerate(self.edits):
            yield Progress(0.3, 1.0, f"Statistics after {edit.name}")
            assert found is not None
            found = edit.statistics(found, self.stage(i, compute, store))
        return found

    def stage(self, i: int, compute: Compute | None = None, store: Store | None = None) -> Stage:
        """What edit i changes."""
        other = self.edits[i].other
        before = replace(self, edits=self.edits[:i], unedited=self.base) if i else self.base
        return Stage(before, Source.parse(other) if other else None, compute or Compute(), store or default_store())

    def _edit(self, data: Dataset) -> Dataset:
        for i, edit in enumerate(self.edits):
            data = edit.images(data, self.stage(i))
        return replace(data, name=self.name) if self.edits else data

    def _edited_fingerprint(self, base: str) -> str:
        others = {edit.other: Source.parse(edit.other).fingerprint for edit in self.edits if edit.other}
        facts = {
            "images": base,
            "edits": [edit.identity(self.shape) for edit in self.edits],
            "others": others,
            "version": _EDITED,
        }
        return hashlib.sha256(canonical(facts).encode()).hexdigest()


def slug(name: str) -> str:
    """The name of a dataset in letters a file may have; a long one ends in a digest."""
    plain = re.sub(r"[^A-Za-z0-9._]+", "-", name)
    if len(plain) <= _SLUG:
        return plain
    return f"{plain[: _SLUG - 9].rstrip('-')}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"
