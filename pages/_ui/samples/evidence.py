"""What decided the clicked pixel: the training images averaged there, or the field of a model that averages none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import streamlit as st
from torch import Tensor

from locality.datasets import Source
from locality.denoisers import Evidence, Explains
from locality.errors import DataUnavailable
from locality.fields.jacobian import field_rows, measure, pixel_outputs, reduce_inputs
from locality.linear.wiener import coordinates
from locality.metrics import is_copy
from locality.studies import Sampling, finish, open_denoiser
from locality.types import Denoiser, Pixel
from pages._ui.charts import zero
from pages._ui.guard import guard
from pages._ui.images import Tile, grid, photo, signed
from pages._ui.samples.marks import marked, moved
from pages._ui.samples.pick import Pick
from pages._ui.samples.rows import Row

_TOP = 12
_SETTLED = 0.1  # in units of images in [-1, 1]: nearer to its last estimate than this, a pixel is decided
_FAINT = 1e-5  # weights that change no pixel by one grey level
_LARGE, _SMALL = 240, 120  # pixels on the screen, about


def show_evidence(source: Source, sampling: Sampling, rows: Sequence[Row], pick: Pick | None) -> None:
    """The panel below the grid: of a finished pixel at the step that decided it, else at the step that was clicked."""
    if pick is None:
        st.caption("Click a pixel of any image to see what decided it: which training images, through which window.")
        return
    row = next(row for row in rows if row.text == pick.model)
    if row.x is None or row.x0_hat is None or pick.step >= row.drawn:
        st.caption("The clicked step is not computed yet.")
        return
    st.header(f"What decided row {pick.pixel.row}, column {pick.pixel.col}", anchor=False)
    pick = replace(pick, step=_step(source, sampling, row, pick))
    sigma = sampling.sigmas()[pick.step]
    st.caption(
        f"Image {pick.sample + 1} of {row.text}, step {pick.step + 1} of {sampling.steps}, noise level σ = {sigma:.3g}."
    )
    with guard():
        try:
            found = _explain(row.key, pick, row.model_key, source, row.text, row.x[pick.step, pick.sample], sigma)
        except DataUnavailable as missing:
            st.info(
                f"This model averages training images, and which of them decided a pixel can only be said where they "
                f"are. {missing} The rows of wiener and of networks answer without images.",
                icon=":material/hide_image:",
            )
            return
        x0_hat = row.x0_hat[pick.step, pick.sample]
        if isinstance(found, Evidence):
            _averaged(source, found, pick.pixel, x0_hat, _copied(row, pick.sample, found))
        else:
            _listened(source, found, pick.pixel, x0_hat)


def _step(source: Source, sampling: Sampling, row: Row, pick: Pick) -> int:
    """Which step is explained: at the last one little is left to decide, so that of it the step that decided is."""
    assert row.x0_hat is not None
    last = sampling.steps - 1
    if pick.step < last or row.drawn < sampling.steps:
        return pick.step
    decided = deciding_step(row.x0_hat[:, pick.sample, coordinates(source.shape, pick.pixel)])
    if decided == last:
        return last
    at = st.segmented_control(
        "Explain",
        (decided, last),
        default=decided,
        required=True,
        key="evidence_at",
        format_func=lambda step: f"Step {step + 1}, which decided it" if step == decided else f"Step {step + 1}, shown",
        label_visibility="collapsed",
    )
    levels = sampling.sigmas()
    st.markdown(
        f"**Decided at step {decided + 1}** (σ = {levels[decided]:.3g}): from there on the estimate of this pixel is "
        f"within {100 * _SETTLED / 2:.0f} % of the way from black to white of its final value. At the last step "
        f"(σ = {levels[last]:.3g}) the noisy pixel tells nearly everything, and models that compare windows compare "
        "little else."
    )
    return last if at == last else decided


def deciding_step(estimates: Tensor) -> int:
    """The first step from which on estimates [s c] of a pixel stay near the last one in every channel."""
    near = ((estimates - estimates[-1]).abs().amax(dim=1) <= _SETTLED).tolist()
    return next((i + 1 for i in reversed(range(len(near))) if not near[i]), 0)


def _copied(row: Row, sample: int, found: Evidence) -> str:
    """Beside evidence of one pixel: which training image the whole finished image is a copy of."""
    if row.nearest is None or not bool(is_copy(row.nearest.distances, row.nearest.seconds)[sample]):
        return ""
    number = int(row.nearest.rows[sample])
    weight = sum(float(w) for w, one in zip(found.weights, found.rows, strict=True) if int(one) == number)
    share = f"here it has {percent(weight)} of the weight" if weight else f"here it is not among the {_TOP} heaviest"
    return f"The finished image as a whole is a copy of training image no. {number}; {share}."


@st.cache_resource(max_entries=64, show_spinner="Finding what decided this pixel")
def _explain(
    key: str, pick: Pick, model_key: str, _source: Source, _text: str, _x: Tensor, _sigma: float
) -> Evidence | Tensor:
    """Evidence of models that average training images, else the field of the pixel [h w] at x."""
    denoiser = _denoiser(model_key, _source, _text)
    if isinstance(denoiser, Explains):
        return denoiser.explain(_x, pick.pixel, _sigma, top=_TOP)
    outputs = pixel_outputs(_source.shape, pick.pixel)
    return reduce_inputs(field_rows(denoiser, _x[None], outputs, _sigma)[0, 0].reshape(_source.shape))


@st.cache_resource(max_entries=6, show_spinner="Preparing the model, once")
def _denoiser(model_key: str, _source: Source, _text: str) -> Denoiser:
    return finish(open_denoiser(_source, _text))


def _averaged(source: Source, found: Evidence, pixel: Pixel, x0_hat: Tensor, copied: str) -> None:
    left, right = st.columns([1, 3], gap="medium")
    everything = bool((found.window > 0).all())
    with left, st.container(width=280):
        estimate = marked(photo(x0_hat, source.shape), pixel, found.window, side=_LARGE)
        grid([Tile(estimate, "The estimate at this step, its window highlighted")], wide=1, narrow=1)
        st.caption(
            "All pixels of the noisy image are compared with the training images."
            if everything
            else _compared(int((found.window > 0).sum()))
        )
    with right:
        st.markdown(f"{_effective(found.effective)} {copied}")
        images = source.train.x0(found.rows)
        tiles = []
        for i, image in enumerate(images):
            picture = photo(image, source.shape)
            if found.flipped[i]:
                picture = picture[:, ::-1].copy()
            if found.places is None:
                picture = marked(picture, pixel, found.window, side=_SMALL)
            else:
                place = Pixel(*found.places[i].tolist())
                picture = marked(picture, place, moved(found.window, pixel, place), side=_SMALL)
            number, weight = int(found.rows[i]), float(found.weights[i])
            mirrored = ", mirrored" if found.flipped[i] else ""
            label = f"Training image {number}{mirrored}, weight {percent(weight)}"
            tiles.append(
                Tile(picture, label, caption=f"{percent(weight)} · no. {number}{mirrored}", faded=weight < _FAINT)
            )
        grid(tiles, wide=6, narrow=3, gap="8px")
        if found.places is not None:
            st.caption("Highlighted: where in the training image the patch used here was found.")


def _compared(count: int) -> str:
    which = "highlighted pixel is" if count == 1 else f"{count} highlighted pixels are"
    return f"Only the {which} compared with the training images."


def _listened(source: Source, field: Tensor, pixel: Pixel, x0_hat: Tensor) -> None:
    left, right = st.columns([1, 1], gap="medium")
    limit = float(field.abs().max())
    with left:
        estimate = marked(photo(x0_hat, source.shape), pixel, side=_LARGE)
        drawn = marked(signed(field, limit), pixel, side=_LARGE)
        colours = f"Its field: blue −{limit:.2g}, {zero()} 0, red +{limit:.2g}"
        tiles = [
            Tile(estimate, "The estimate at this step, the pixel marked", caption="Estimate x̂₀ at this step"),
            Tile(drawn, f"Field of row {pixel.row}, column {pixel.col}", caption=colours),
        ]
        grid(tiles, wide=2, narrow=2, gap="10px")
    with right:
        st.markdown(
            "This model is not an average of training images; here is its **sensitivity field** instead: how strongly "
            "the estimate at the pixel follows each pixel of the noisy image, summed over channels. Red raises it, "
            "blue lowers it."
        )
        width = measure(field, pixel)
        if limit > 0:
            near = f"within **{width.radius:.1f} pixels** of" if width.radius > 0 else "on"
            st.markdown(f"Half of the field's weight lies {near} the clicked pixel.")
        else:
            st.markdown("It is zero everywhere: at this noise level the estimate does not depend on the image.")


def _effective(count: float) -> str:
    if count < 1.05:
        return r"$N_\mathrm{eff} = 1.0$: a single training image decides this pixel."
    shown = f"{count:.0f}" if count >= 100 else f"{count:.1f}"
    return (
        rf"$N_\mathrm{{eff}} = {shown}$: the pixel is an average of training images, as if that many shared it "
        "equally; the heaviest are shown."
    )


def percent(share: float) -> str:
    """A share in [0, 1] as people read it."""
    if share >= 0.9995:
        return "100 %"
    if share >= 0.0995:
        return f"{100 * share:.0f} %"
    return f"{100 * share:.2g} %" if share >= 1e-5 else "< 0.001 %"
