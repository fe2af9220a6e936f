"""Lessons walked by keyboard alone, without any image file: guess, answer, steps of a presenter, link, file, paper."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from pages._ui.lessons.guess import Draw, Match, Number, Order, Pick, Point
from pages._ui.lessons.lesson import Lesson
from pages._ui.lessons.payload import figure_of
from pages._ui.lessons.registry import lessons
from pages._ui.lessons.standalone import standalone
from tests.browser.conftest import pictures, watched

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]
WIDE, PROJECTOR, PHONE = (1440, 900), (1024, 768), (390, 844)
SLOW = bool(os.environ.get("LOCALITY_SLOW"))  # as elsewhere: any value
STEPS = ("claim", "guess", "answer", "try", "not shown")
# How many colours a picture has.
_COLOURS = """canvas => new Set(new Uint32Array(
    canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data.buffer)).size"""


def on_screens(*sizes: tuple[int, int]) -> pytest.MarkDecorator:
    """Each lesson on one of the sizes, in turn; on all of them with LOCALITY_SLOW=1."""
    many = len(sizes) if SLOW else 1
    pairs = [(this, sizes[(i + j) % len(sizes)]) for i, this in enumerate(lessons()) for j in range(many)]
    return pytest.mark.parametrize(
        ("this", "place"), pairs, ids=[f"{this.number}-{size[0]}" for this, size in pairs], indirect=["place"]
    )


@pytest.fixture
def place(browser: Browser, request: pytest.FixtureRequest) -> Iterator[Page]:
    """A page of the size asked for."""
    with watched(browser, *request.param) as opened:
        yield opened


def opened(page: Page, address: str) -> Locator:
    page.goto(address)
    lesson = page.locator('.lesson[data-ready="1"]')
    lesson.wait_for(state="attached", timeout=240_000)  # the first visit of a server computes the figure
    return lesson


def tab_to(page: Page, target: Locator) -> None:
    """Press Tab until the target has the focus: nothing else is allowed to somebody without a mouse."""
    for _ in range(120):
        if target.evaluate("element => element.matches(':focus')"):
            return
        page.keyboard.press("Tab")
    pytest.fail(f"Tab does not reach {target}")


def press(page: Page, key: str, times: int = 1) -> None:
    for _ in range(times):
        page.keyboard.press(key)


def guess(page: Page, lesson: Locator, this: Lesson, answer: Any) -> None:
    """Give an answer by keyboard alone."""
    kind, widget = this.guess, lesson.locator(".widget")
    match kind:
        case Pick():
            for option in [answer] if isinstance(answer, int) else answer:
                choose = widget.locator("input").nth(option)
                if kind.several > 1:
                    tab_to(page, choose)
                    press(page, " ")
                else:  # Tab reaches the group, arrows its options
                    widget.locator("input").first.focus()
                    press(page, " ")
                    press(page, "ArrowDown", option)
        case Match():
            for item, name in enumerate(answer):
                choose = widget.locator("select").nth(item)
                tab_to(page, choose)
                press(page, kind.names[name][0])
                if choose.input_value() != str(name):  # several begin alike
                    choose.select_option(str(name))
        case Order():
            for at, item in enumerate(answer):
                row = widget.locator("li").filter(has_text=kind.items[item])
                now = widget.locator("li").all_inner_texts()
                start = next(i for i, text in enumerate(now) if kind.items[item] in text)
                row.locator("button").first.focus()
                press(page, "ArrowUp", start - at)
        case Number():
            tab_to(page, widget.locator("input"))
            press(page, "Home")
            press(page, "ArrowRight", round((answer - kind.low) / kind.step))
        case Draw():
            tab_to(page, widget.locator("[role=slider][tabindex='0']"))
            press(page, "ArrowLeft", len(kind.names))
            for value in answer:
                press(page, "ArrowUp", round(40 * value / (kind.high - kind.low)))
                press(page, "ArrowRight")
        case Point():
            tab_to(page, widget.locator("canvas"))
            press(page, "ArrowUp", kind.rows)
            press(page, "ArrowLeft", kind.columns)
            press(page, "ArrowDown", answer[0])
            press(page, "ArrowRight", answer[1])
        case _:
            pytest.fail(f"no test answers {kind}")


def wrong(this: Lesson, answer: Any) -> Any:
    """Another answer of the same kind."""
    kind = this.guess
    match kind:
        case Pick(several=1):
            return (answer + 1) % len(kind.options)
        case Pick():
            return [i for i in range(len(kind.options)) if i not in answer][: kind.several]
        case Match() | Order():
            return [*answer[1:], answer[0]]
        case Number():
            return kind.low if answer - kind.low > kind.high - answer else kind.high
        case Draw():
            return [kind.high if i in (0, len(answer) - 1) else 0.0 for i in range(len(answer))]
        case Point():
            return [
                0 if at > size / 2 else size - 1 for at, size in zip(answer, (kind.rows, kind.columns), strict=True)
            ]
    return pytest.fail(f"no wrong answer to {kind}")


@on_screens(WIDE, PROJECTOR, PHONE)
def test_a_lesson_by_keyboard(place: Page, bare_server: str, this: Lesson) -> None:
    """A word explained; wrong, then right, then on to the next one; nothing of the answer is on the page before."""
    lesson, answer = opened(place, f"{bare_server}/{this.address}"), figure_of(this.number).answer
    expect(place).to_have_title(re.compile(re.escape(this.title)))
    expect(lesson.locator("h1")).to_have_text(this.title)
    for part in ("answer", "try", "not-shown"):
        expect(lesson.locator(f"section.{part}")).to_be_hidden()
    ready = isinstance(this.guess, Order)  # the order given may be the answer
    expect(lesson.locator(".reveal")).to_be_enabled() if ready else expect(lesson.locator(".reveal")).to_be_disabled()
    pictures(place, f"lesson-{this.number}")

    term = lesson.locator(".claim .term").first
    tab_to(place, term)
    note = lesson.locator(f"#{term.get_attribute('aria-describedby')}")
    expect(note).to_be_visible()
    press(place, "Escape")
    expect(note).to_be_hidden()

    guess(place, lesson, this, wrong(this, answer))
    tab_to(place, lesson.locator(".reveal"))
    press(place, "Enter")
    verdict = lesson.locator(".verdict")
    expect(verdict).to_have_attribute("data-kind", "wrong")
    expect(lesson.locator(".number .value")).to_have_text(str(figure_of(this.number).result))
    if isinstance(this.guess, Order):  # the first put last: in the wrong order with every other, and no other pair is
        n = len(answer)
        expect(verdict).to_contain_text(f"{n * (n - 1) // 2 - (n - 1)} of {n * (n - 1) // 2} pairs")
    if isinstance(this.guess, Draw):  # the sketch and the weights in one chart, of as many pixels
        expect(lesson.locator(".widget")).to_be_hidden()
        assert lesson.locator(".sketched").count() == len(answer)
    link = place.url

    tab_to(place, lesson.locator(".again"))
    press(place, "Enter")
    expect(lesson.locator("section.answer")).to_be_hidden()
    guess(place, lesson, this, answer)
    tab_to(place, lesson.locator(".reveal"))
    press(place, "Enter")
    expect(verdict).to_have_attribute("data-kind", "right")
    pictures(place, f"lesson-{this.number}-answered", whole=True)  # the figure is drawn at the next frame
    drawn = "figure canvas" if this.number == 6 else ".body canvas"  # its options are letters of one grey
    shown = [one for one in lesson.locator(drawn).all() if one.is_visible()]
    counts = [int(canvas.evaluate(_COLOURS)) for canvas in shown]
    assert all(count > 2 for count in counts), counts

    said = verdict.inner_text()
    place.goto("about:blank")
    lesson = opened(place, link)
    expect(lesson.locator(".verdict")).to_have_attribute("data-kind", "wrong")
    assert lesson.locator(".verdict").inner_text() != said

    onward = lesson.locator(".onward .next")
    if onward.count() and onward.is_visible():
        tab_to(place, onward)
        press(place, "Enter")
        expect(place).to_have_url(re.compile(rf"/lesson-{this.number + 1}$"))
        expect(place.locator('.lesson[data-ready="1"] .kicker')).to_contain_text(f"Lesson {this.number + 1} ")


@on_screens(PROJECTOR, *[PHONE] * SLOW)
def test_presenting(place: Page, bare_server: str, this: Lesson) -> None:
    """Arrow keys step through; on a projector every step is on the screen as a whole."""
    lesson = opened(place, f"{bare_server}/{this.address}")
    tab_to(place, lesson.locator(".present"))
    press(place, "Enter")
    show = place.get_by_role("dialog", name=this.title)
    for i, step in enumerate(STEPS):
        expect(lesson.locator(".where")).to_have_text(f"{i + 1} of {len(STEPS)}: {step}")
        if place.viewport_size == {"width": PROJECTOR[0], "height": PROJECTOR[1]}:
            place.wait_for_timeout(200)  # the figure is drawn at the next frame
            place.screenshot(path=Path(__file__).parent / "screenshots" / f"lesson-{this.number}-step-{i + 1}.png")
            assert show.evaluate("element => element.scrollHeight - element.clientHeight") <= 0, step
        if i + 1 < len(STEPS):
            press(place, "ArrowRight" if i % 2 else "PageDown")
    press(place, "ArrowLeft")
    expect(lesson.locator(".where")).to_have_text("4 of 5: try")
    link = place.url
    press(place, "Escape")
    expect(show).to_have_count(0)
    place.goto("about:blank")
    opened(place, link)
    expect(place.locator(".where")).to_have_text("4 of 5: try")


@pytest.mark.parametrize("this", lessons(), ids=lambda this: f"{this.number}")
def test_one_file_and_one_printed_page(browser: Browser, tmp_path: Path, this: Lesson) -> None:
    """Opened from the disk without a network: the same lesson, and one sheet of paper."""
    path = tmp_path / f"{this.address}.html"
    path.write_bytes(standalone(this.number))
    context = browser.new_context(offline=True)
    page, errors = context.new_page(), []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    lesson, answer = opened(page, path.as_uri()), figure_of(this.number).answer
    guess(page, lesson, this, answer)
    press(page, "Enter") if isinstance(this.guess, Number | Draw | Pick | Point) else lesson.locator(".reveal").click()
    expect(lesson.locator(".verdict")).to_have_attribute("data-kind", "right")
    margin = "10mm"
    paper = page.pdf(format="A4", margin={"top": margin, "bottom": margin, "left": margin, "right": margin})
    assert len(re.findall(rb"/Type\s*/Page\b", paper)) == 1
    context.close()
    assert not errors, errors


def test_the_order_given_is_an_answer_and_a_tie_is_right_either_way(page: Page, bare_server: str) -> None:
    this = next(one for one in lessons() if isinstance(one.guess, Order))
    figure = figure_of(this.number)
    lesson = opened(page, f"{bare_server}/{this.address}")
    lesson.locator(".reveal").click()  # nothing was moved
    expect(lesson.locator(".verdict")).to_contain_text("pairs are in the right order")
    lesson.locator(".again").click()
    lesson.locator(".skip").click()
    expect(lesson.locator(".verdict")).to_have_text("Without a guess.")
    lesson.locator(".again").click()
    a, b = figure.guess["ties"][0]
    guess(page, lesson, this, [{a: b, b: a}.get(i, i) for i in figure.answer])
    lesson.locator(".reveal").click()
    expect(lesson.locator(".verdict")).to_have_attribute("data-kind", "right")
    expect(lesson.locator(".order li", has_text=this.guess.items[a])).to_contain_text("✓ place 2 to 3")


def test_what_to_see_is_folded(page: Page, bare_server: str) -> None:
    lesson = opened(page, f"{bare_server}/lesson-6#answer=1")
    fold = lesson.locator(".seen")
    expect(fold.locator(".text")).to_be_hidden()
    fold.locator("summary").focus()
    press(page, "Enter")
    expect(fold.locator(".text")).to_contain_text(figure_of(6).facts["shares_learned"])


def test_the_verdict_of_a_sketch_says_how_far_off_it_is_two_pixels_away(page: Page, bare_server: str) -> None:
    this = next(one for one in lessons() if isinstance(one.guess, Draw))
    lesson, truth = opened(page, f"{bare_server}/{this.address}"), list(figure_of(this.number).answer)
    middle = len(truth) // 2
    truth[middle - 2] = truth[middle + 2] = 5 * truth[middle + 2]
    guess(page, lesson, this, truth)
    lesson.locator(".reveal").click()
    expect(lesson.locator(".verdict")).to_have_attribute("data-kind", "close")
    expect(lesson.locator(".verdict")).to_contain_text(re.compile(r"Two pixels away .* \d(\.\d)? times as much"))


def test_the_list_keeps_no_sidebar_of_the_page_before(page: Page, bare_server: str) -> None:
    page.goto(bare_server)
    sidebar = page.get_by_test_id("stSidebar")
    expect(sidebar.get_by_role("radiogroup").first).to_be_visible(timeout=60_000)
    page.get_by_role("link", name="Lessons").first.click()
    expect(page.get_by_role("heading", name="Lessons")).to_be_visible()
    expect(sidebar).to_be_hidden()
    page.get_by_role("link", name="Explorer").first.click()
    expect(sidebar).to_be_visible(timeout=60_000)


def test_the_list_leads_to_each(page: Page, bare_server: str) -> None:
    page.goto(f"{bare_server}/lessons")
    for this in lessons():
        expect(page.get_by_text(this.summary)).to_be_visible()
    page.get_by_role("link", name=re.compile(re.escape(lessons()[0].title))).click()
    expect(page.locator('.lesson[data-ready="1"] h1')).to_have_text(lessons()[0].title)
