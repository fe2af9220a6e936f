"""One pass of the explorer: the prediction at once, then whatever the browser asks for."""

from __future__ import annotations

from typing import Any

from locality.datasets import Source
from locality.errors import LocalityError
from locality.fields.codec import LEARNED_SIGMAS, SIGMA_HIGH, SIGMA_LOW
from locality.grammar import command
from locality.linear.wiener import WienerFilter
from locality.store.artifact import Artifact
from locality.studies import Trained
from pages._ui import cached
from pages._ui.explorer import fields, files, live
from pages._ui.explorer.basis import browser_basis
from pages._ui.explorer.options import Options
from pages._ui.explorer.strip import strip
from pages._ui.explorer.view import COMPONENT, View, heard

OUTSIDE = 4  # pixels beyond which mass counts as non-local
_MANY = 4  # images for every value of one: with more the sampling noise of a covariance is hardly seen
_LATER = "With these options the fields follow when the pointer rests, or on a click."
_FAILED = "Fields for hovering did not load; clicks still work. Reload the page to try again."


def show(source: Source, wiener: WienerFilter, trained: Trained | None, options: Options, view: View) -> None:
    """Paint the view with the exact prediction and what is known of the learned field; add to it where asked to."""
    table = cached.table_of(source, trained)
    draws = trained is not None and source.shows_held_out
    head, arrays = contents(source, wiener, trained, options, view)
    head |= {
        "tables": _tables(source, wiener, trained, options, table),
        "status": "" if options.stored else _LATER,
        "texts": {"preview": _preview(wiener), "failed": _FAILED},
        "empty": _empty(source, trained, table is not None, options),
        "strip": strip(source, wiener, options),
        "draws": options.draws if draws else 0,  # that may be asked for
        "growing": options.growing,
        "levels": list(LEARNED_SIGMAS),
        "cold": draws and trained is not None and str(trained.manifest["sha256"]) not in live.warm(),
    }
    if draws and trained is not None:
        try:
            found, fields_of = _learned(source, trained, table, options, view)
            head |= found
            arrays |= fields_of
        except LocalityError as error:  # a noise level beyond a checkpoint's own schedule, say: the rest still stands
            head |= {"draws": 0, "status": str(error)}
    COMPONENT.show(head, arrays, changed=heard)


def _learned(
    source: Source, trained: Trained, table: Artifact | None, options: Options, view: View
) -> tuple[dict[str, Any], dict[str, Any]]:
    """What is known of the learned field now, after whatever the browser asked to be added: header and arrays."""
    head, arrays = {}, {}
    grown = live.grown(source, trained, table, options, view, live.BATCH if view.want == "draws" else 0)
    if grown is not None:
        head["learned"], arrays = grown
    if view.want == "curve":
        at = live.point(source, trained, table, options, view.target, view.level)
        head["point"] = {"pixel": list(view.target), "at": at}
    return head, arrays


def contents(
    source: Source, wiener: WienerFilter, trained: Trained | None, options: Options, view: View
) -> tuple[dict[str, Any], dict[str, Any]]:
    """What every showing of a view holds, on the page or in a file: header, and picture and predicted fields."""
    x0, eps, title = fields.picture(source, wiener, options)
    arrays: dict[str, Any] = {"x0": x0, "predicted": fields.predicted(wiener, view.target, view.sigma, options)}
    if options.noise:
        arrays["eps"] = eps
    if "projection" in options.extra:
        arrays["projection"] = fields.predicted(wiener, view.target, view.sigma, options, projection=True)
    sha = "" if trained is None else str(trained.manifest["sha256"])
    head = {
        "context": f"{source.fingerprint}{sha}{options.reduction}{options.draws}{options.growing}",
        "name": source.text,
        "file": source.slug,
        "shape": list(source.shape),
        "image": title,
        "prompt": f"Click {source.spec.look}. Drag the noise.",
        "pixel": list(view.pixel),
        "sigma": view.sigma,
        "seq": view.seq,
        "restored": view.restored,
        "range": [SIGMA_LOW, SIGMA_HIGH],
        "exact": {"pixel": list(view.target), "sigma": view.sigma},
        "grain": _grain(wiener),
        "options": {"symlog": options.symlog, "outside_radius": OUTSIDE},
        "panels": _panels(title, options, trained, wiener),
    }
    return head, arrays


def _grain(wiener: WienerFilter) -> str:
    """Where images are few for their size the covariance is noisy itself: its fields have grain, which radii count."""
    n, d = wiener.count, wiener.shape.d
    if n >= _MANY * d:
        return ""
    return (
        f"The covariance is that of {n:,} images with {d:,} values each: the grain of the predicted field is its "
        "sampling noise, and widens its radius."
    )


def _tables(
    source: Source, wiener: WienerFilter, trained: Trained | None, options: Options, table: Any
) -> dict[str, Any] | None:
    """Files from which the browser makes fields itself: the basis of the images, and the network's stored draws."""
    if not options.stored:
        return None
    sha = "" if trained is None else str(trained.manifest["sha256"])
    learned = None if table is None else files.learned_address(sha, table)
    return {"basis": browser_basis(source.fingerprint, wiener), "learned": learned, "predicted": [], "levels": []}


def _panels(title: str, options: Options, trained: Trained | None, wiener: WienerFilter) -> list[dict[str, str]]:
    mean = "|W|" if options.average == "absolute" else "W"
    exactly = f"Row of {mean} = S (S + σ²I)⁻¹: the covariance S alone{_accuracy(wiener, options)}"
    panels = [
        _panel("image", title, "√ᾱ (x₀ + σ ε), as a network sees it" if options.noise else "without noise"),
        _panel("predicted", "Predicted from the data", exactly),
        _panel("learned", f"Learned by {trained.name if trained else 'a network'}", learned_note(options)),
    ]
    if "projection" in options.extra:
        panels.append(_panel("projection", "High-SNR projection", "Components with λ > σ² only: a rough proxy of W"))
    if "difference" in options.extra:
        panels.append(_panel("difference", "Difference", "Predicted minus learned, same colour scale"))
    return panels


def _accuracy(wiener: WienerFilter, options: Options) -> str:
    """How far an approximate decomposition may be off; nothing for an exact one."""
    if wiener.error is None:
        return ""
    most = wiener.error.field if options.stored else wiener.error.row
    if most >= 1.0:
        return "; its error is not bounded"
    return f"; within {100 * most:.2g} % of its largest value for σ ≥ {wiener.error.sigma:g}"


def _panel(kind: str, title: str, sub: str) -> dict[str, str]:
    return {"id": kind, "title": title, "sub": sub}


def learned_note(options: Options) -> str:
    """What the learned field is an average of."""
    kind = "Jacobian row, absolute values" if options.average == "absolute" else "Jacobian row"
    return f"Average {kind} over noisy held-out images"


def _preview(wiener: WienerFilter) -> str:
    part = len(wiener.eigvals) < wiener.shape.d
    return "Preview from leading components. Rest the pointer for all." if part else ""


def _empty(source: Source, trained: Trained | None, stored: bool, options: Options) -> dict[str, str]:
    """What to say where a panel has nothing to show."""
    if trained is None:
        words = ("--network", "unet", "--minutes", 20, "--out", "cache/local/networks/mine")
        learned = f"No network is trained on this dataset yet. Train one: {command('train', *source.words, *words)}"
    elif not source.shows_held_out and not (stored and options.stored):
        learned = "Needs the images, which are not on this machine."
    else:
        learned = "Drawing…"
    chart = "Needs stored fields of this network" if trained is not None and not stored else ""
    return {"learned": learned, "chart": chart or ("Loading…" if trained is not None else "Needs a trained network")}
