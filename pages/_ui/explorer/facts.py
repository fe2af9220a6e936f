"""What a saved file says about itself: data, network, draws and their error, precision, version, link."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape

import locality
from locality.datasets import Source
from locality.fields.codec import SIGMA_HIGH, SIGMA_LOW, TABLE_SIGMAS
from locality.grammar import command
from locality.linear.wiener import WienerFilter
from locality.store.artifact import Artifact
from locality.studies import Trained
from pages._ui.explorer.options import Options
from pages._ui.explorer.view import View

_COLOURS = ("red", "green", "blue")
_INPUTS = {
    "sum": "summed over input channels",
    "rss": "L2 norm over input channels",
    "abs": "L1 norm over input channels",
}


@dataclass(frozen=True)
class Shown:
    """What a file shows; `learned` is its table of learned fields, `error` that of its predicted ones."""

    source: Source
    wiener: WienerFilter
    trained: Trained | None
    options: Options
    view: View
    query: str
    learned: Artifact | None
    error: float

    @property
    def title(self) -> str:
        row, col = self.view.pixel
        return f"{self.source.spec.info.title}: field of row {row}, column {col} at σ = {self.view.sigma:.3g}"

    @property
    def sentence(self) -> str:
        """One line above the view."""
        row, col = self.view.pixel
        network = f"the network “{self.trained.name}”" if self.trained else "no trained network"
        return (
            f"Saved from {self.source.spec.info.title}, {network}, at row {row}, column {col} and "
            f"σ = {self.view.sigma:.3g}; the predicted fields of all other pixels and noise levels are in the file."
        )


def facts(shown: Shown) -> list[tuple[str, str]]:
    """Terms and their explanations, as HTML."""
    link, pixel = escape(f"?{shown.query}"), "{},{}".format(*shown.view.pixel)
    exact = command("field", *shown.source.words, "--pixel", pixel, "--sigma", f"{shown.view.sigma:.6g}")
    return [
        ("Dataset", _dataset(shown)),
        ("Predicted", _predicted(shown)),
        ("Learned", _learned(shown)),
        ("Fields", _reduction(shown.options)),
        ("Noise", f"x = x₀ + σ ε, x₀ in [−1, 1]; σ from {SIGMA_LOW:g} to {SIGMA_HIGH:g}; t of the DDPM schedule"),
        ("Made with", f"Locality Lab {escape(locality.__version__)}"),
        ("This view in the app", f"<code>{link}</code> after the address of a running app"),
        ("Exact numbers", f"<code>{escape(exact)} --out predicted.npz</code>"),
    ]


def _dataset(shown: Shown) -> str:
    info, (c, h, w) = shown.source.spec.info, shown.source.shape
    chosen = "" if shown.source.text == shown.source.spec.name else f", {shown.source.text}"
    size = f"{shown.wiener.count:,} training images of {h} × {w} pixels, {c} channel{'s' * (c > 1)}"
    words = (
        f"{info.title}{chosen} ({size}). {info.about} Licence: {info.licence}. Digest {shown.source.fingerprint[:12]}."
    )
    return escape(words)


def _predicted(shown: Shown) -> str:
    return (
        "Row of <var>W</var> = <var>S</var> (<var>S</var> + <var>σ</var>² <var>I</var>)<sup>−1</sup>, from the "
        "covariance <var>S</var> of the training images alone, no network. Exact at the saved pixel and noise level; "
        f"stored for every pixel at {len(TABLE_SIGMAS)} noise levels, 8 bits per value (within 0.8 % of a field’s "
        "largest value), interpolated between them (at the saved pixel within "
        f"{100 * shown.error:.1f} %, measured midway)."
    )


def _learned(shown: Shown) -> str:
    trained, options, table = shown.trained, shown.options, shown.learned
    if trained is None:
        return "No network was trained on this dataset."
    manifest = trained.manifest
    weights = f"{int(manifest['parameters']):,} parameters, weights {manifest['sha256'][:12]}"
    about = f"Network “{escape(trained.name)}”, {escape(weights)}."
    ratios = ", ".join(f"{ratio:.2f} at σ {sigma}" for sigma, ratio in (manifest.get("error_ratio") or {}).items())
    if ratios:
        about += f" Test MSE ÷ Wiener MSE by noise level: {escape(ratios)}."
    if table is None:
        return f"{about} Its fields are not in this file: they need the images, which were not at hand."
    pixels, levels = table.meta["pixels"], len(table.meta["sigmas"])
    where = f"{len(pixels)} pixels (the nearest is shown)" if len(pixels) > 1 else "the saved pixel only"
    here = f" At the saved pixel and noise level: {options.draws} draws." if shown.source.shows_held_out else ""
    return (
        f"{about} Jacobian rows averaged over {table.meta['draws']} held-out images, each with its own noise, stored "
        f"for {where} at {levels} noise levels, interpolated between them.{here} {_draws(table)}"
    )


def _draws(table: Artifact) -> str:
    """The standard error over draws, as its norm over the norm of the field."""
    if int(table.meta["draws"]) < 2:
        return "One draw: no standard error."
    middle = table.arrays["error"].nanmedian(dim=1).values.tolist()
    listed = ", ".join(f"{100 * e:.0f} % at σ {s:.2g}" for s, e in zip(table.meta["sigmas"], middle, strict=True))
    return f"Standard error over draws, relative to the field (norms; median over pixels): {listed}."


def _reduction(options: Options) -> str:
    output = "summed over output channels" if options.output is None else f"{_COLOURS[options.output]} output"
    inputs = f"{_COLOURS[options.inputs]} input" if isinstance(options.inputs, int) else _INPUTS[options.inputs]
    average = "mean of absolute values" if options.average == "absolute" else "signed mean"
    scale = "symmetric logarithmic" if options.symlog else "linear"
    return f"{average}, {output}, {inputs}; {scale} colour scale from blue (negative) to red (positive)"
