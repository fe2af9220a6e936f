"""Lessons as data: every one complete, its numbers computed, its words explained, from what is shipped alone."""

from __future__ import annotations

import math
import re
import subprocess
import sys
from statistics import mean, stdev

import pytest
import torch

from locality.datasets import Source
from locality.fields.codec import decode_rows
from locality.fields.jacobian import compare, measure
from locality.studies import AgreementPlan, finish, fit_wiener, found_agreement
from locality.types import Pixel
from pages._ui.lab.modules import linked
from pages._ui.lessons import lesson_1_covariance as covariance
from pages._ui.lessons import lesson_2_noise as noise
from pages._ui.lessons import lesson_3_architecture
from pages._ui.lessons.guess import Draw, Match, Number, Order, Pick, Point
from pages._ui.lessons.lesson import Lesson, Result
from pages._ui.lessons.parts import agreement_with_wiener, leaderboard_of, pixel_rows, recording, wiener_of
from pages._ui.lessons.payload import figure_of, payload
from pages._ui.lessons.registry import lesson, lessons, numbers
from pages._ui.lessons.words import WORDS, marked, paragraphs
from tests.buffer import unpacked

EVERY = pytest.mark.parametrize("this", lessons(), ids=lambda this: f"{this.number}")


def test_they_are_numbered_in_order_and_take_twenty_minutes() -> None:
    assert numbers() == list(range(1, len(numbers()) + 1))
    assert [one.number for one in lessons()] == numbers()
    assert sum(one.minutes for one in lessons()) <= 20


@EVERY
def test_a_lesson_is_complete(this: Lesson) -> None:
    head, arrays = unpacked(payload(this.number))
    assert all(head["parts"].values())
    assert len(arrays) == len(figure_of(this.number).arrays)
    assert not re.search(r"[{}$]|\[\[", " ".join(head["parts"].values())), "a mark that was not read"
    assert len(this.summary.rstrip(".").split(". ")) == 1
    assert "export default" in linked(this.script)
    assert len(payload(this.number)) < 2_000_000, "a file that one may send"


@EVERY
def test_the_answer_is_one_of_its_question_s(this: Lesson) -> None:
    answer, kind = figure_of(this.number).answer, this.guess
    match kind:
        case Pick(several=1):
            assert 0 <= answer < len(kind.options)
        case Pick():
            assert answer == sorted(set(answer))
            assert len(answer) == kind.several
            assert max(answer) < len(kind.options)
        case Match():
            assert sorted(answer) == list(range(len(kind.items))) or set(answer) <= set(range(len(kind.names)))
        case Order():
            assert sorted(answer) == list(range(len(kind.items)))
        case Number():
            assert kind.low < answer < kind.high
        case Draw():
            assert len(answer) == len(kind.names)
            assert kind.low <= min(answer)
            assert max(answer) <= kind.high
        case Point():
            assert 0 <= answer[0] < kind.rows
            assert 0 <= answer[1] < kind.columns


@EVERY
def test_our_number_has_an_error_and_a_source(this: Lesson) -> None:
    result = figure_of(this.number).result
    assert math.isfinite(result.value)
    exact = math.isnan(result.error)
    assert exact or result.error >= 0
    assert not exact or "predicted" in result.what
    assert result.what
    assert result.source
    assert exact or "±" in str(result)


def test_titles_are_read_without_torch() -> None:
    """The menu is drawn before the first page: whoever waits for torch sees nothing."""
    code = "import sys; from pages._ui.lessons.registry import lessons; lessons(); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_marks() -> None:
    assert marked("$W = S x$", {}, "a") == "<var>W</var> = <var>S</var> <var>x</var>"
    assert marked("$exp(x)$", {}, "a") == "exp(<var>x</var>)"
    assert marked("$σ$ = 2, σ = 2", {}, "a") == "<var>σ</var>\u00a0=\u00a02, σ\u00a0=\u00a02"
    assert marked("**b** and *e* and `c`", {}, "a") == "<strong>b</strong> and <em>e</em> and <code>c</code>"
    found = marked("an [[MLP]], {n} [[fields|sensitivity field]]", {"n": "3"}, "ask")
    assert f'id="ask-word-0">{WORDS["MLP"]}' in found
    assert 'aria-describedby="ask-word-1">fields</button>' in found
    assert "3 <span" in found
    assert paragraphs("a\nb\n\n$$ S^{−1} $$\n\nc", {}, "a") == (
        '<p>a b</p><p class="formula"><var>S</var><sup>−1</sup></p><p>c</p>'
    )
    with pytest.raises(KeyError):
        marked("[[unheard of]]", {}, "a")
    with pytest.raises(KeyError):
        marked("{missing}", {}, "a")


def test_a_result_in_words() -> None:
    assert str(Result(-0.0123, 0.04, "", "", digits=2)) == "−0.01 ± 0.04"
    assert str(Result(5.4776, 0.0536, "", "", unit="px", digits=2)) == "5.48 ± 0.05 px"
    assert str(Result(2.0, math.nan, "", "", digits=0)) == "2"


def test_the_weights_of_lesson_1_are_the_grey_filter_s() -> None:
    """Grey images' covariance from the colour one, entry by entry, and its best linear estimate by least squares."""
    wiener = finish(fit_wiener(Source.parse("cifar10")))
    basis = wiener.eigvecs.double().reshape(3, 32, 32, -1)[:, covariance.ROW].mean(dim=0)
    cov = basis * wiener.eigvals @ basis.T
    noisy = cov + covariance.SIGMA**2 * torch.eye(32, dtype=torch.float64)
    row = (cov @ torch.linalg.inv(noisy))[covariance.COL]
    middle = row[covariance.COL - covariance.REACH : covariance.COL + covariance.REACH + 1]
    figure = figure_of(1)
    assert torch.allclose(torch.tensor(figure.answer, dtype=torch.float64), middle, atol=1e-4)
    assert float(figure.facts["left_line"]) == pytest.approx(covariance.SIGMA**2 * float(row[covariance.COL]), abs=5e-4)


def test_the_radius_of_lesson_2_is_the_library_s() -> None:
    wiener, figure = finish(fit_wiener(Source.parse("cifar10"))), figure_of(2)
    fields = wiener.pixel_matrix(noise.ASKED).reshape(32, 32, 32, 32)
    inner = range(noise.INNER[0] + 1, noise.INNER[1], 2)
    radii = [measure(fields[r, c], Pixel(r, c)).radius for r in inner for c in inner]
    assert figure.answer == pytest.approx(sum(radii) / len(radii), abs=0.03)
    level = figure.data["asked"]
    shown = torch.from_numpy(figure.arrays["predicted"]).reshape(-1, 32, 32)[level]
    assert torch.allclose(shown, fields[noise.PIXEL], atol=1e-6)
    summed = wiener.eigvecs.double().reshape(3, 1024, -1).sum(dim=0)
    covariances = (summed * wiener.eigvals @ summed.T).reshape(32, 32, 32, 32)
    ends = [measure(covariances[r, c].float(), Pixel(r, c)).radius for r in inner for c in inner]
    assert figure.data["limit"] == pytest.approx(sum(ends) / len(ends), abs=0.03)
    assert figure.data["radii"][-1][0] < figure.data["limit"]


def test_the_correlations_of_lessons_3_and_4_are_the_library_s() -> None:
    study = found_agreement(Source.parse("fashion_mnist"), ["wiener", "mlp"], plan=AgreementPlan())
    assert study is not None
    assert figure_of(3).result.value == float(study.off_centre.value[3, 0, 1])
    figure = figure_of(4)
    fields = torch.from_numpy(figure.arrays["fields"]).reshape(6, 32, 32)
    wiener = finish(fit_wiener(Source.parse("cifar10")))
    pixel = Pixel(*figure.data["pixel"])
    predicted = wiener.pixel_matrix(figure.data["sigma"])[pixel.row * 32 + pixel.col].reshape(32, 32)
    found = [compare(predicted, field, pixel).pearson_off_centre for field in fields]
    assert figure.data["r"] == pytest.approx(found, abs=1e-4)
    assert figure.answer == [i for i, r in enumerate(found) if r < 0.6]


@pytest.mark.parametrize("name", ["mnist", "fashion_mnist", "cifar10"])
def test_a_study_s_number_says_what_it_is_a_mean_of(name: str) -> None:
    """Of pixels by their variance, and corrected."""
    study = found_agreement(Source.parse(name), ["wiener", "unet"], plan=AgreementPlan())
    assert study is not None
    agreed = agreement_with_wiener(name, "unet", 2.0)
    at = study.sigmas.index(agreed.sigma)
    assert (agreed.r, agreed.error) == (study.off_centre.value[at, 0, 1], study.off_centre.stderr[at, 0, 1])
    assert f"mean over {len(study.pixels)} pixels" in agreed.means
    assert f"over {study.plan.draws} noisy images" in agreed.means
    assert "corrected for the draws’ noise" in agreed.means


def test_what_networks_do_beside_the_prediction_is_read_from_the_shipped_tables() -> None:
    """Lessons 4 to 6: the other eye after a training, by networks of cats, and the letter at every noise level."""
    facts, coded = recording()
    assert facts is not None
    fields = decode_rows(
        torch.from_numpy(coded["codes"]).reshape(len(facts["images"]), -1), torch.from_numpy(coded["scale"])
    )
    wiener, eyes = wiener_of("afhq_cats"), Source.parse("afhq_cats").spec.landmarks()
    pixel, other = Pixel(*facts["pixel"]), eyes["left eye"]
    assert pixel == eyes["right eye"]
    last, side = fields[-1].reshape(32, 32), facts["side"]
    exact = wiener.pixel_matrix(facts["sigma"])[pixel.row * side + pixel.col].reshape(side, side)
    around = [(r, c) for r in range(32) for c in range(32) if (r - other.row) ** 2 + (c - other.col) ** 2 <= 1.6**2]
    at_end, predicted = (
        float(sum(one[place] for place in around)) / len(around) / float(one.abs().max()) for one in (last, exact)
    )
    story = figure_of(4).facts["story"]
    assert f"should have {predicted:.2f}" in story
    assert f"only {at_end:.2f}" in story
    assert f"{facts['images'][-1]:,}, {compare(exact, last, pixel).pearson_off_centre:.2f}" in story
    assert at_end < predicted / 2

    figure = figure_of(5)
    low, high = (float(figure.facts[f"{when}_unet"].split()[0]) for when in ("low", "high"))
    assert low == pytest.approx(100 * float(figure.facts["learned"]) / float(figure.facts["beside"]), abs=2)
    assert low < high < 100

    predicted_on, learned_on = figure_of(6).data["shares"][0]
    assert predicted_on == sorted(predicted_on)
    assert max(learned_on) - min(learned_on) < (predicted_on[-1] - predicted_on[0]) / 2, "flat beside a rise"


def test_lesson_3_says_which_fields_shrink() -> None:
    """At the sleeve and the least noise the predicted one alone; in the middle the UNet's too."""
    facts, figure = figure_of(3).facts, figure_of(3)
    assert list(lesson_3_architecture.SLEEVE) in figure.data["pixels"]
    assert facts["in_w"] == facts["in_unet"] == "in the pixel itself"
    sleeve = {name: float(facts[f"out_{name}"].split()[1]) for name in ("w", "unet", "mlp")}
    assert 2 * sleeve["w"] < min(sleeve["unet"], sleeve["mlp"])


def test_lesson_5_has_the_mean_over_all_places_as_far_apart_as_the_eyes() -> None:
    """Row 16, columns 11 and 20: nine columns. Pair by pair, from rows of the filter."""
    wiener = finish(fit_wiener(Source.parse("cifar10")))
    fields = pixel_rows(wiener, [Pixel(row, col) for row in range(32) for col in range(32)], 1.2).reshape(-1, 32, 32)
    shares = []
    for row in range(32):
        for col in range(23):
            for one, other in ((col, col + 9), (col + 9, col)):
                field = fields[32 * row + one]
                shares.append(float(field[row, other] / field.abs().max()))
    facts = figure_of(5).facts
    assert facts["far_apart"] == f"{mean(shares):.3f}" == "0.035"
    assert facts["far_apart_sd"] == f"{stdev(shares):.3f}" == "0.036"


def test_places_of_lesson_8_tie_where_intervals_overlap() -> None:
    figure = figure_of(8)
    means, names = figure.data["means"], figure.data["names"]
    found = {
        (i, j)
        for i in range(len(names))
        for j in range(i + 1, len(names))
        if means[i][0] - means[i][1] <= means[j][0] + means[j][1]
        and means[j][0] - means[j][1] <= means[i][0] + means[i][1]
    }
    assert {tuple(pair) for pair in figure.guess["ties"]} == found
    assert found == {(names.index("wiener"), names.index("patch_mixture"))}
    assert figure.facts["second_r2"].startswith("0.794")
    made = leaderboard_of("fashion_mnist", "unet")
    second, prism = (made.result(name).of("r2_own")[-1] for name in ("unet-b", "prism"))
    assert figure.facts["nearer"] == f"{100 * sum((second > prism).tolist()) / 128:.0f} %" == "77 %"


def test_lessons_are_reached_by_number() -> None:
    assert lesson(1).address == "lesson-1"
    with pytest.raises(KeyError):
        lesson(99)
