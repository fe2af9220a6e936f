"""The page of edits without a browser: what it sends, the link, the chain of edits, training, the sweep, bad input."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from streamlit.testing.v1 import AppTest

from locality.datasets import Source
from locality.edits import EDITS, draw_mask, mask_text, parse_chain, parse_edit
from locality.edits.parts.linear import LinearEdit
from locality.fields.jacobian import mass_on
from locality.fields.mass import QUANTITIES
from locality.specs import param
from locality.studies import PREDICTED, Draws, Sweep, SweepPlan, finish, pixel_field
from locality.types import ImageShape, Pixel
from pages._ui.edit import export
from pages._ui.edit.panel import _dial
from pages._ui.edit.state import COMPONENT, Asked, named, place_of
from pages._ui.edit.sweeping import _csv, _json, _strengths, compared, lines_of
from pages._ui.explorer import files
from pages._ui.explorer.basis import basis_file
from pages._ui.train.runs import RUNS
from tests.app import opened
from tests.buffer import sent, unpacked
from tests.own_networks import own_networks

pytestmark = pytest.mark.usefixtures("bare_machine")
MENU = ("06_Edit_statistics", "01_Explorer", "03_Samples", "02_Data", "05_Train")


def open_page(**query: Any) -> AppTest:
    return opened.open_page(**{"dataset": "digits", **query})


def wish(at: AppTest, **changed: Any) -> AppTest:
    """What the view sends: painted mask, strength, pixel, noise."""
    head, _ = sent(at)
    seq = head["seq"] + 1
    row, col = head["pixel"]
    value = {
        "row": row,
        "col": col,
        "sigma": head["sigma"],
        "level": head["level"],
        "mask": head["mask"],
        "network": "",
    }
    at.session_state[COMPONENT.key] = {"view": {**value, "colours": "symlog", "kind": "test", "seq": seq, **changed}}
    at.run()
    assert not at.exception, at.exception
    return at


def link(at: AppTest, name: str) -> str:
    """A value of the address bar, however AppTest gives it."""
    value = at.query_params[name]
    return value if isinstance(value, str) else value[0]


@pytest.fixture
def trained() -> Iterator[None]:
    """One network on digits with a W at 0.5, its twin on digits as they are."""
    with own_networks([("mine", "digits+pattern:mask=W,strength=0.5"), ("plain", "digits")]):
        yield


# --- what the view gets


@pytest.mark.parametrize("dataset", ["digits", "fashion_mnist", "cifar10", "mnist"])
def test_a_bare_machine_shows_the_planted_w_at_once(dataset: str) -> None:
    at = open_page(dataset=dataset)
    head, arrays = sent(at)
    assert not at.error
    assert not at.warning
    c, h, w = head["shape"]
    assert head["live"]
    assert head["mask"] == mask_text(draw_mask("W", h, w))
    assert head["level"] == 0.5
    assert arrays["before"].size == arrays["after"].size == h * w
    mask = torch.from_numpy(draw_mask("W", h, w)) != 0
    shares = [mass_on(torch.tensor(arrays[name]).reshape(h, w), mask) for name in ("before", "after")]
    assert shares[1] > shares[0]
    assert arrays["images"].size == 4 * c * h * w
    assert "Expectation" not in head["status"], "the covariance with the strengths is shipped or measured"


def test_fields_are_those_of_the_edited_set(trained: None) -> None:
    at = open_page(edit="pattern:X,strength=0.8", px="2.3", sigma="1.5")
    _, arrays = sent(at)
    for name, text in (("before", "digits"), ("after", "digits+pattern:X,strength=0.8")):
        truth = finish(pixel_field(Source.parse(text), "wiener", Pixel(2, 3), 1.5, Draws())).sum(dim=(0, 1))
        np.testing.assert_allclose(arrays[name], truth.flatten().numpy(), atol=2e-6)


@pytest.mark.parametrize("colour", ["white", "red-green"])
def test_the_browsers_basis_makes_the_same_fields(colour: str) -> None:
    """W and A w from the 16-bit basis file, by the formulas of plant.js."""
    source = Source.parse("cifar10") if colour != "white" else Source.parse("digits")
    from pages._ui import cached

    wiener = cached.wiener(source.fingerprint, source)
    name = basis_file(source.fingerprint, wiener, colour).removeprefix("app/static/")
    head, arrays = unpacked((files._STATIC / name).read_bytes())
    assert head["basis"]
    c, h, w = wiener.shape
    size, rank = h * w, len(arrays["eigvals"])
    basis = arrays["codes"].reshape(size, rank) * arrays["scale"].astype(float)
    p, sigma = size // 2 + w // 2, 1.3
    row = basis @ (basis[p] * arrays["eigvals"] / (arrays["eigvals"] + sigma**2))
    coords = torch.arange(c) * size + p
    truth = wiener.rows(coords, sigma).reshape(c, c, size).sum(dim=(0, 1)).numpy()
    assert np.abs(row - truth).max() < 1e-4 * np.abs(truth).max()
    pattern = parse_chain(f"pattern:W,colour={colour}")[0]
    tinted = arrays["coloured"].reshape(size, rank) * arrays["tint"].astype(float) if colour != "white" else basis
    spectrum = tinted.T @ draw_mask("W", h, w).flatten()
    whole = wiener.eigvecs.double().T @ pattern.weights(wiener.shape)  # type: ignore[attr-defined]
    assert np.abs(spectrum - whole.numpy()).max() < 1e-3 * float(whole.abs().max())


def test_painting_dragging_and_clicking_change_the_link_and_the_field() -> None:
    at = open_page()
    _, before = sent(at)
    painted = np.zeros((8, 8), np.int8)
    painted[1, 1:7] = 1
    wish(at, mask=mask_text(painted), level=1.25, row=1, col=3)
    head, after = sent(at)
    assert head["mask"] == mask_text(painted)
    assert (head["level"], head["pixel"]) == (1.25, [1, 3])
    assert np.abs(after["after"] - before["after"]).max() > 1e-3
    assert link(at, "edit") == f"pattern:mask={mask_text(painted)},strength=1.25"
    assert link(at, "px") == "1.3"
    again = open_page(edit=link(at, "edit"), px="1.3")
    np.testing.assert_allclose(sent(again)[1]["after"], after["after"])


def test_a_painted_shape_gets_its_name_back() -> None:
    assert named(mask_text(draw_mask("ring", 28, 28)), ImageShape(1, 28, 28)) == "ring"
    at = wish(open_page(edit="pattern:X"), mask=mask_text(draw_mask("W", 8, 8)), level=0.5)
    assert "edit" not in at.query_params  # the usual edit needs no words


def test_an_empty_mask_changes_nothing_and_says_why() -> None:
    at = wish(open_page(), mask=mask_text(np.zeros((8, 8), np.int8)))
    assert any("is empty at 8x8: paint at least one pixel" in warning.value for warning in at.warning)
    assert sent(at)[0]["mask"] == mask_text(draw_mask("W", 8, 8))


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        ("patern:W", "Unknown edit 'patern'"),
        ("pattern:Q", "Unknown mask 'Q'"),
        ("pattern:bits.4x4.AAA", "The mask is 4x4; the images are 8x8"),
        ("channels", "needs colour images"),
        ("pattern:W+pattern:X", "conflict"),
        ("tie:W,strength=5", "outside [0, 1]"),
    ],
)
def test_a_wrong_link_shows_the_usual_edit_and_says_so(edit: str, words: str) -> None:
    at = open_page(edit=edit)
    assert any(words in warning.value for warning in at.warning), [warning.value for warning in at.warning]
    assert sent(at)[0]["mask"] == mask_text(draw_mask("W", 8, 8))


@pytest.mark.parametrize(
    "edit",
    ["tie:eyes", "spectrum:whiten,strength=0.5", "spectrum:tilt", "shuffle", "shifts", "mirror", "blur", "shrink",
     "mix:digits,share=0.3", "blur:1+pattern:W", "pattern:W+clip", "pattern:W+blur:1"],
)  # fmt: skip
def test_every_edit_and_compositions_are_shown(edit: str) -> None:
    at = open_page(edit=edit, sigma="1")
    assert not at.error, at.error
    head, arrays = sent(at)
    truth = finish(pixel_field(Source.parse(f"digits+{edit}"), "wiener", Pixel(*head["pixel"]), 1.0, Draws()))
    np.testing.assert_allclose(arrays["after"], truth.sum(dim=(0, 1)).flatten().numpy(), atol=2e-6)
    chain = parse_chain(edit)
    assert head["live"] == (chain[-1].name == "pattern")
    if not head["live"]:
        assert arrays["edited"].size == 4 * 64
    if "clip" in edit:
        assert any("Clipping changes this pixel" in text.value for text in at.markdown)


def test_widgets_change_the_chain() -> None:
    at = open_page()
    kind = next(box for box in at.selectbox if box.label == "Edit")
    kind.set_value("blur").run()
    assert not at.exception
    assert sent(at)[0]["title"] == "Blur"
    assert link(at, "edit") == "blur:radius=1"
    wish(at, level=2.5, mask=None)
    assert link(at, "edit") == "blur:radius=2.5"
    opened.button(at, "Before all").click().run()
    assert link(at, "edit") == "pattern:mask=W,strength=0.5+blur:radius=2.5"
    next(button for button in at.button if button.label.startswith("Remove")).click().run()
    assert len(parse_chain(link(at, "edit"))) == 1
    next(toggle for toggle in at.toggle if toggle.label.startswith("Clip")).set_value(True).run()
    assert link(at, "edit").endswith("+clip")
    assert not at.exception


def test_a_conflict_is_refused_and_the_chain_stays() -> None:
    at = open_page(edit="pattern:W")
    next(box for box in at.selectbox if box.label == "Add").set_value("mirror").run()
    opened.button(at, "After all").click().run()
    before = link(at, "edit")
    next(box for box in at.selectbox if box.label == "Add").set_value("mirror").run()
    opened.button(at, "After all").click().run()
    assert any("conflict" in warning.value for warning in at.warning)
    assert link(at, "edit") == before


# --- networks


def test_a_network_of_the_edited_set_stands_beside_its_twin(trained: None) -> None:
    at = open_page(px="3.3", sigma="1")
    head, arrays = sent(at)
    assert [one["id"] for one in head["networks"]] == ["mine"]
    assert head["networks"][0]["after"][0]["level"] == 0.5
    for which, text, model in (
        ("before", "digits", "plain"),
        ("after", "digits+pattern:mask=W,strength=0.5", "mine"),
    ):
        truth = finish(pixel_field(Source.parse(text), model, Pixel(3, 3), 1.0, Draws(16))).sum(dim=(0, 1))
        np.testing.assert_allclose(arrays[f"learned_{which}"], truth.flatten().numpy(), atol=1e-5)
    other, arrays = sent(open_page(edit="pattern:X", px="3.3", sigma="1"))
    assert [(one["id"], one["after"]) for one in other["networks"]] == [("plain", [])]
    assert "train one below" in other["empty"]["after"]
    assert "learned_before" in arrays, "the network of the images as they are knows them still"
    assert "learned_after" not in arrays


def test_train_on_this_starts_a_training_of_the_edited_images(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[Any] = []
    monkeypatch.setattr(RUNS, "start", started.append)
    at = open_page(edit="pattern:ring,strength=0.75")
    at.multiselect(key="edit_networks").set_value(["unet", "dit"]).run()
    at.number_input(key="edit_minutes").set_value(2.0).run()
    opened.button(at, "Train on this").click().run()
    assert [plan.dataset for plan in started] == ["digits+pattern:mask=ring,strength=0.75"] * 2
    assert [plan.network for plan in started] == ["unet:channels=16-32-48", "dit:patch=4"]
    assert started[0].key == "digits-pattern-mask-ring-strength-0.75-unet"
    assert started[0].minutes == 2.0


@dataclass(frozen=True)
class Swell(LinearEdit):
    """Values grow. Its dial is called as no other, has no upper end, and counts."""

    examples: ClassVar[tuple[str, ...]] = ("swell", "swell:how_much=3,loud=true")
    heading: ClassVar[str] = "Swell"
    about: ClassVar[str] = r"x_0' = (1 + n)\,x_0"
    main: ClassVar[str] = "how_much"
    dial: ClassVar[str] = "how_much"

    how_much: int = param(2, help="How often the images are added to themselves.", low=0)
    loud: bool = param(False, help="Twice as much.")

    def linear(self, x: torch.Tensor, shape: ImageShape) -> torch.Tensor:
        return x * (1 + self.how_much) * (2 if self.loud else 1)


@pytest.fixture
def swell(monkeypatch: pytest.MonkeyPatch) -> None:
    """An edit that is written today: registered like any other, and gone afterwards."""
    monkeypatch.setattr(EDITS, "_classes", dict(EDITS._classes))  # type: ignore[attr-defined]
    EDITS.register("swell")(Swell)


def test_an_edit_that_the_page_has_never_heard_of_has_its_controls(swell: None) -> None:
    at = open_page(edit="swell:3", px="2.3", sigma="1.5")
    head, arrays = sent(at)
    assert not at.warning
    assert head["dial"] == {"label": "how much", "symbol": "how much", "low": 0.0, "high": 6.0, "step": 1}
    assert (head["title"], head["level"], head["mask"]) == ("Swell", 3, None)
    assert "Swell" in at.selectbox(key="edit_kind_0_0").options
    assert [toggle.label for toggle in at.toggle if toggle.key == "edit_0_0_swell_loud"] == ["Loud"]
    wish(at, level=5.2)
    assert link(at, "edit") == "swell:how_much=5"
    _, changed = sent(at)
    assert np.abs(changed["after"] - arrays["after"]).max() > 1e-4
    at.toggle(key="edit_0_0_swell_loud").set_value(True).run()
    assert link(at, "edit") == "swell:how_much=5,loud=true"
    truth = finish(pixel_field(Source.parse("digits+swell:5,loud=true"), "wiener", Pixel(2, 3), 1.5, Draws()))
    np.testing.assert_allclose(sent(at)[1]["after"], truth.sum(dim=(0, 1)).flatten().numpy(), atol=2e-6)


def test_what_the_sliders_show(swell: None) -> None:
    """As the pages had them before an edit said so itself."""
    texts = ("pattern:W", "blur:1", "spectrum", "spectrum:tilt", "mix:digits")
    made = {text: _dial(parse_edit(text)) for text in texts}
    assert made["pattern:W"] == {"label": "strength", "symbol": "c", "low": 0.0, "high": 2.0, "step": 0.01}
    assert {text: (dial["symbol"], dial["low"], dial["high"], dial["step"]) for text, dial in made.items() if dial} == {
        "pattern:W": ("c", 0.0, 2.0, 0.01),
        "blur:1": ("r", 0.0, 8.0, 0.01),
        "spectrum": ("t", 0.0, 1.0, 0.01),
        "spectrum:tilt": ("t", -4.0, 4.0, 0.01),
        "mix:digits": ("t", 0.0, 1.0, 0.01),
    }
    ends = {text: _strengths(parse_edit(text))[-1] for text in (*texts, "swell:3")}
    assert ends == dict(zip(ends, (1.0, 4.0, 1.0, 1.0, 1.0, 6.0), strict=True))


# --- below the view


def test_numbers_of_many_pixels_and_of_values_out_of_range() -> None:
    at = open_page(sigma="1")
    table = at.table[0].value
    assert list(table.columns)[1:] == ["Pixels on it", "Pixels off it"]
    before, after = (float(part.strip().rstrip("%")) for part in table.iloc[0, 1].split("→"))
    assert after > before
    assert any("of the values of" in text.value and "leave [−1, 1]" in text.value for text in at.markdown)


def test_the_sweep_runs_here_and_is_shown(trained: None) -> None:
    from pages._ui.work import WORKS

    at = open_page(sigma="1")
    next(button for button in at.button if button.label.startswith("Run it at")).click().run()
    for work in list(WORKS._known.values()):
        assert work.ended.wait(60)
        assert not work.error
    at.run()
    assert not at.exception
    assert any("Made here" in caption.value for caption in at.caption)
    assert any(caption.value.startswith("mine at 0.5: ") for caption in at.caption)
    made = next(work.result for work in WORKS._known.values() if isinstance(work.result, Sweep))
    lines = [table.value for table in at.table if "Slope [95 % interval]" in table.value.columns]
    assert sum(map(len, lines)) == len(lines_of(made))
    assert _csv(made).startswith("model,strength,edit,network,mass_on_pattern")
    assert '"rows"' in _json(made)


def test_lines_are_fitted_where_points_lie_on_one() -> None:
    def swept(values: list[float]) -> Sweep:
        rows = [
            {"model": model, "strength": 0.25 * i, **dict.fromkeys(QUANTITIES, value), **errors}
            for model, shift in ((PREDICTED, 0.0), ("unet", 0.02))
            for i, value in enumerate(v + shift for v in values)
        ]
        return Sweep("digits", "pattern:W", SweepPlan(), [[1, 1]], 0.2, 0.2, rows, [], [])

    errors = {f"{name}_stderr": 0.005 for name in QUANTITIES}
    straight, bent, two = ([0.1 * i for i in range(5)], [0.0, 0.3, 0.4, 0.42, 0.42], [0.1, 0.3])
    assert {line["model"] for line in lines_of(swept(straight))} == {PREDICTED, "unet"}
    assert {line["against"] for line in lines_of(swept(bent))} == {"prediction"}
    assert lines_of(swept(two)) == []
    assert compared(swept(straight), "non_locality") == [
        "UNet at 1: 42.0%, 2.0 points above the prediction, 4 standard errors."
    ]


def test_numbers_are_saved() -> None:
    source = Source.parse("digits")
    asked = Asked(parse_chain("pattern:X,strength=0.8"), Pixel(2, 3), 1.5, "", "symlog", 0)
    with np.load(io.BytesIO(export._numbers(source, asked)), allow_pickle=False) as file:
        assert file["before"].shape == file["after"].shape == (1, 1, 8, 8)
        assert (file["mask"] == draw_mask("X", 8, 8)).all()
        assert str(file["edit"]) == "digits+pattern:mask=X,strength=0.8"
        truth = finish(pixel_field(Source.parse(str(file["edit"])), "wiener", Pixel(2, 3), 1.5, Draws()))
        np.testing.assert_allclose(file["after"], truth.numpy(), atol=2e-6)


def test_the_main_edit_is_the_last_that_is_no_clip() -> None:
    assert place_of(parse_chain("pattern:W+clip")) == 0
    assert place_of(parse_chain("blur+pattern:W")) == 1
    assert place_of(parse_chain("clip")) == 0


# --- other pages


@pytest.mark.parametrize("page", MENU[1:])
def test_other_pages_take_edited_images_from_a_link(monkeypatch: pytest.MonkeyPatch, page: str) -> None:
    monkeypatch.setattr("pages._ui.frame.sections", opened.menu(page, MENU[0]))
    at = open_page(edit="pattern:W,strength=1")
    assert not at.error, at.error
    assert any("Edited images" in text.value for text in at.sidebar.markdown)
    assert link(at, "edit") == "pattern:mask=W,strength=1"
    next(button for button in at.sidebar.button if button.label == "Use them as they are").click().run()
    assert not at.exception
    assert "edit" not in at.query_params
    assert not any("Edited images" in text.value for text in at.sidebar.markdown)


def test_a_wrong_edit_on_another_page_is_left_out_with_a_message(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pages._ui.frame.sections", opened.menu("01_Explorer"))
    at = open_page(edit="patern:W")
    assert any("The link's edits are left out. Unknown edit 'patern'" in warning.value for warning in at.warning)
