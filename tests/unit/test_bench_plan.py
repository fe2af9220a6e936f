"""What a benchmark may be asked: entries with settings, presets, and the plan's own limits."""

from __future__ import annotations

import pytest

from locality.datasets import Source
from locality.errors import BadInput, UnknownName
from locality.studies import PRESETS, BenchPlan
from locality.studies.benchmark import Entry, parse_entry
from locality.studies.benchmark.presets import find_presets, released_models
from locality.studies.benchmark.sampling import chunks
from locality.types import ImageShape


@pytest.mark.parametrize(
    ("text", "entry"),
    [
        ("wiener", Entry("wiener")),
        ("ls:window=3,flips=true", Entry("ls:window=3,flips=true")),
        ("wiener@first=100@steps=20@clip=false", Entry("wiener", 100, 20, False)),
        ("optimal:first=5@clip=yes", Entry("optimal:first=5", clip=True)),
        ("/data/me@home/net@steps=4", Entry("/data/me@home/net", steps=4)),
    ],
)
def test_entries_are_read_and_written(text: str, entry: Entry) -> None:
    assert parse_entry(text) == entry
    assert parse_entry(str(entry)) == entry


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "--model '' names no model. Write for example wiener"),
        ("@steps=3", "names no model"),
        ("wiener@step=3", "no setting 'step'. After @ there are first, steps and clip."),
        ("wiener@steps=3@steps=4", "gives steps twice"),
        ("wiener@steps=1", "steps='1' is not a whole number from 2 to 1000."),
        ("wiener@first=many", "first='many' is not a whole number from 2."),
        ("wiener@clip=maybe", "clip='maybe' is not true or false."),
    ],
)
def test_entries_that_cannot_be_are_refused(text: str, message: str) -> None:
    with pytest.raises(BadInput) as refusal:
        parse_entry(text)
    assert message in str(refusal.value)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"count": 0}, "BenchPlan:count=0 is outside [1, 4096]."),
        ({"steps": 1}, "BenchPlan:steps=1 is outside [2, 1000]."),
        ({"sigmas": ()}, "give at least one noise level, each once"),
        ({"sigmas": (1.0, 1.0)}, "each once"),
        ({"features": "classifier+dreams"}, "no features 'dreams'. Join classifier, pixels, inception by +"),
        ({"real": 2}, "BenchPlan:real=2 is outside"),
    ],
)
def test_plans_that_cannot_be_are_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(BadInput) as refusal:
        BenchPlan(**options)  # type: ignore[arg-type]
    assert message in str(refusal.value)


def test_every_entry_counts_once() -> None:
    plan = BenchPlan(models=("wiener", "wiener@steps=9", "wiener"))
    assert plan.entries() == (Entry("wiener"), Entry("wiener", steps=9))
    assert BenchPlan(features="none").extractors() == ()
    assert BenchPlan(features="pixels+pixels").extractors() == ("pixels",)


def test_images_are_cut_in_cells_of_sixteen() -> None:
    assert chunks(40) == [range(0, 16), range(16, 32), range(32, 40)]
    assert chunks(3) == [range(0, 3)]


def test_presets_are_models_that_exist() -> None:
    """Every question of the issue has one; every entry of every group is a model with allowed options."""
    from locality.denoisers import DENOISERS

    asked = {"softmax", "mask_rule", "tau", "temperature", "windows", "flips", "images", "steps", "clip", "paper"}
    assert set(PRESETS) == asked
    source = Source.parse("digits")
    for preset in PRESETS.values():
        assert preset.help
        for group in preset.entries(source):
            assert len(set(group)) == len(group) > 1
            for entry in group:
                DENOISERS.parse(entry.model)


def test_the_curve_over_images_ends_where_the_dataset_does() -> None:
    def sizes(first: int | None) -> list[int | None]:
        return [entry.first for entry in PRESETS["images"].entries(Source.parse("digits", first))[0]]

    assert sizes(None) == [None, 100, 300, 1000]
    assert sizes(300) == [None, 100]


def test_the_published_threshold_is_not_compared_with_itself() -> None:
    names = {str(entry) for entry in PRESETS["tau"].entries(Source.parse("digits"))[0]}  # 0.02 where none is published
    assert "pca_locality:tau=0.02" not in names
    assert "pca_locality:tau=0.05" in names


def test_unknown_presets_are_named() -> None:
    with pytest.raises(UnknownName, match="Unknown preset 'clips'"):
        find_presets(("clips",))
    assert [preset.name for preset in find_presets(("tau", "clip", "tau"))] == ["tau", "clip"]


def test_the_papers_table_has_the_settings_of_the_released_code() -> None:
    small, large = (released_models("cifar10", ImageShape(3, side, side)) for side in (32, 64))
    assert next(iter(small.values())) == "wiener"
    assert set(small) == {"Wiener", "Optimal", "Kamb-Ganguli", "PCA locality", "GoldDiff"}
    assert small["PCA locality"] == "pca_locality:mask_rule=code,softmax=batch"
    assert large["PCA locality"] == "pca_locality:mask_rule=code,softmax=batch,batch_size=256"
    assert small["Kamb-Ganguli"] == "els:window=published"
    assert released_models("digits", ImageShape(1, 8, 8))["Kamb-Ganguli"] == "els"
    usual = BenchPlan()
    assert (usual.steps, usual.count) == (10, 128)
