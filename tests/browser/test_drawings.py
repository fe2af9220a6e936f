"""Charts, posters and what all views do, in a browser: where points lie, what fits, what a failed file leads to."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, Route

from pages._ui.lab.mount import pack
from tests.browser.conftest import computed

pytestmark = pytest.mark.browser

AXES: dict[str, Any] = {
    "wide": 400,
    "tall": 200,
    "x": {"range": [0.1, 10], "log": True, "ticks": [[0.1, "0.1"], [1, "1"], [10, "10"]], "name": "noise level σ"},
    "y": {"range": [-1, 1], "ticks": [[0, "0"], [1, "1"]]},
}
# Draws into the page and measures there.
DRAW = "(svg => { document.body.innerHTML = svg; const all = q => [...document.querySelectorAll(q)]; return %s })(%s)"


def drawn(page: Page, what: dict[str, Any], asked: str) -> Any:
    return computed(page, "lab/svg", DRAW % (asked, "m.chart(v)"), {**AXES, **what})


def test_a_chart_draws_every_known_point_in_its_place(page: Page) -> None:
    points = [[0.1, -1], [1, 0], [3, None], [10, 1, 0.5]]
    series = [{"title": "", "ink": "#123456", "points": points, "dot": 3}]
    dots = drawn(page, {"series": series}, "all('circle').map(c => [+c.getAttribute('cx'), +c.getAttribute('cy')])")
    grid = drawn(page, {"series": series}, "all('line').map(l => [+l.getAttribute('x1'), +l.getAttribute('y1')])")
    (left, top), (middle, zero), (right, one) = dots
    assert middle == pytest.approx((left + right) / 2, abs=0.1), "a logarithmic axis"
    assert zero == pytest.approx((top + one) / 2, abs=0.1)
    assert [y for _, y in grid[:2]] == pytest.approx([zero, one], abs=0.1), "the lines of the grid are at its marks"
    bar = drawn(
        page,
        {"series": series},
        "all('line[stroke=\"#123456\"]').map(l => +l.getAttribute('y1') - +l.getAttribute('y2'))",
    )
    assert bar == [pytest.approx((zero - one) / 2, abs=0.1)], "an error bar ends at the edge of the chart"


def test_a_legend_takes_the_rows_it_needs_inside_the_chart(page: Page) -> None:
    series = [{"title": f"A network of number {i}", "ink": "red", "points": [[1, 0]]} for i in range(6)]
    boxes = drawn(
        page,
        {"series": series},
        "all('text').filter(t => /^A/.test(t.textContent)).map(t => t.getBBox()).map(b => [b.x, b.y, b.x + b.width])",
    )
    first = drawn(page, {"series": series}, "+all('line')[7].getAttribute('y1')")
    assert len({round(y) for _, y, _ in boxes}) > 1
    assert max(right for _, _, right in boxes) <= AXES["wide"]
    ends = sorted((round(y), x, right) for x, y, right in boxes)
    assert all(a[2] <= b[1] for a, b in pairwise(ends) if a[0] == b[0]), "no name lies on another"
    assert max(y for _, y, _ in boxes) < first, "the curves begin below the names"


def test_a_chart_without_points_says_why_and_escapes_it(page: Page) -> None:
    found = drawn(
        page,
        {"series": [{"title": "", "ink": "red", "points": []}], "empty": "<b>none</b> & more"},
        "all('text').map(t => t.textContent)",
    )
    assert "<b>none</b> & more" in found


def test_lines_are_wrapped_between_words(page: Page) -> None:
    text = "a caption of many words that has to fit into a narrow picture"
    lines = computed(page, "lab/svg", "m.wrap(v, 100, 11)", text)
    assert " ".join(lines) == text
    assert max(len(line) for line in lines) <= 100 / (0.6 * 11) + 1
    assert computed(page, "lab/svg", "m.wrap('', 100, 11)") == [""]


POSTER = """(() => {
    const canvas = document.createElement('canvas')
    canvas.width = canvas.height = 4
    for (const { tiles } of v.rows) for (const tile of tiles) if (!tile.empty) tile.canvas = canvas
    return m.poster(v)
})()"""


def test_everything_on_a_poster_lies_inside_it(page: Page) -> None:
    tile = {"title": "Learned field", "note": "13, 15: 0.0504 · on the pattern 38.1 % · trained at 0.5", "at": [1, 2]}
    rows = [{"name": "Before", "tiles": [tile, {"empty": "not computed"}]}, {"name": "After", "tiles": [tile, tile]}]
    block = {
        "svg": '<svg viewBox="0 0 300 100"><rect width="300" height="100"/></svg>',
        "wide": 300,
        "tall": 100,
        "title": "A chart",
    }
    caption = f"fashion_mnist+pattern:mask=bits.28x28.{'Aq7_' * 30},strength=0.5, Pattern, row 13, column 15, σ = 2"
    asked = """(() => {
        const { left, top, right, bottom } = document.querySelector('svg').getBoundingClientRect()
        const boxes = all('text, image, rect').map(part => part.getBoundingClientRect())
        return boxes.map(b => [b.left - left, b.top - top, right - b.right, bottom - b.bottom])
    })()"""
    what = {"side": 160, "shape": [4, 4], "limit": 0.05, "rows": rows, "blocks": [block, block], "caption": caption}
    boxes = computed(page, "lab/poster", DRAW % (asked, POSTER), what)
    assert len(boxes) > 20
    assert min(map(min, boxes)) >= -0.5, f"cut off: {min(boxes, key=min)}"


LAB = """(async () => {
    document.body.innerHTML = '<div class="lab" data-ready="0"><button class="play" aria-label="Play the noise"></div>'
    class View extends m.Lab { opened({ head }) { return head.name } }
    const lab = new View(document.querySelector('.lab')), buffer = name => {
        const text = new TextEncoder().encode(JSON.stringify({ name, arrays: [] }).padEnd(40))
        const bytes = new Uint8Array(44)
        new DataView(bytes.buffer).setUint32(0, 40, true)
        bytes.set(text, 4)
        return bytes.buffer
    }
    lab.head = {}
    lab.open = async place => { if (place === 'broken') throw new Error(place); return buffer(place) }
    %s
})()"""


def test_a_file_that_does_not_come_is_said_and_asked_for_again(page: Page) -> None:
    steps = """await lab.load(['one', 'broken', 'two'])
    const first = [[...lab.files.values()], lab.failed, lab.root.dataset.ready]
    lab.open = async place => buffer(`${place}!`)
    await lab.load(['broken', 'two'])
    return [first, [...lab.files.entries()], lab.failed]"""
    first, files, failed = computed(page, "lab/lab", LAB % steps)
    assert first == [["one", "two"], True, "1"]
    assert files == [["two", "two"], ["broken", "broken!"]], "what is there is kept, what nobody asks for is forgotten"
    assert failed is False


def test_an_answer_that_is_an_error_is_no_file(browser: Browser) -> None:
    context = browser.new_context()
    page = context.new_page()
    bodies = {"/": '<div class="lab"></div>', "/one.bin": pack({"name": "one"}, {}), "/cut.bin": b"\xff"}

    def answer(route: Route) -> None:
        body = bodies.get(route.request.url.removeprefix("http://lab.test"))
        route.fulfill(status=404 if body is None else 200, body=body or pack({}, {}), content_type="text/html")

    page.route("http://lab.test/**", answer)
    page.goto("http://lab.test/")
    steps = """(async () => {
        class View extends m.Lab { receive(sent) { this.take(sent); this.loads = this.load(sent.head.places) } }
        m.mounted(View)({ data: Uint8Array.from(v), parentElement: document, setStateValue() {} })
        const { lab } = document.querySelector('.lab')
        await lab.loads
        return [[...lab.files.keys()], lab.failed]
    })()"""
    data = list(pack({"places": ["cut.bin", "one.bin", "gone.bin"]}, {}))
    assert computed(page, "lab/lab", steps, data) == [["one.bin"], True]
    context.close()


def test_a_view_that_is_called_anew_goes_on_and_loses_no_choice(page: Page) -> None:
    """Streamlit ends and begins a component again while its elements stay; off the page its listeners end."""
    steps = """(async () => {
        document.body.innerHTML = '<div id="place"><div class="lab"></div></div>'
        class View extends m.Lab { receive(sent) { this.take(sent) } ask() {} }
        const parentElement = document.querySelector('#place'), sent = [], data = Uint8Array.from(v)
        const call = () => m.mounted(View)({ data, parentElement, setStateValue: (_, value) => sent.push(value.seq) })
        const pause = () => new Promise(done => setTimeout(done, 20))
        let end = call()
        const { lab } = document.querySelector('.lab')
        lab.commit('one')
        end()
        lab.commit('two')
        await pause()
        end = call()
        const same = document.querySelector('.lab').lab === lab && !lab.gone.signal.aborted
        document.body.innerHTML = ''
        end()
        await pause()
        return [sent, same, lab.gone.signal.aborted]
    })()"""
    assert computed(page, "lab/lab", steps, list(pack({"seq": 0}, {}))) == [[1, 2], True, True]


def test_playing_turns_at_the_ends_and_its_button_says_what_it_does(page: Page) -> None:
    steps = """const at = [], button = document.querySelector('.play'), words = []
    for (let v = 0.5, i = 0; i < 6; i++) at.push(v = lab.bounce(v, 0.4, 0, 1))
    for (const act of ['play', 'stop']) { lab[act](); words.push(button.getAttribute('aria-label')) }
    return [at, words]"""
    at, words = computed(page, "lab/lab", LAB % steps)
    assert at == pytest.approx([0.9, 1, 0.6, 0.2, 0, 0.4])
    assert words == ["Pause the noise", "Play the noise"]


def test_the_pixel_under_the_pointer(page: Page) -> None:
    steps = """const target = { getBoundingClientRect: () => ({ left: 10, top: 20, width: 60, height: 40 }) }
    const at = (clientX, clientY) => m.cellAt({ currentTarget: target, clientX, clientY }, 4, 6)
    return [at(10, 20), at(69.9, 59.9), at(35, 45), at(0, 0), at(99, 99)]"""
    assert computed(page, "lab/lab", LAB % steps) == [[0, 0], [3, 5], [2, 2], [0, 0], [3, 5]]
