// The numbers under the fields: measured on exactly what is drawn.
import { cosine, halfMassRadius, outside, pearson } from "../lab/math.js"

// `field` is null where there is none; `partner` is the predicted field of the learned one's pixel, `noise` how much of the
// learned field's squared length is noise of its draws: r / sqrt(c) is the r without it, c the share that is field.
// Lengths in pixels, shares in [0, 1]; NaN where a field is missing.
export function numbersOf(predicted, learned, h, w, far) {
  const { field, partner, pixel } = learned, centre = pixel ? pixel[0] * w + pixel[1] : -1
  const pair = measure => (field && partner ? measure(partner, field) : NaN)
  const each = measure => [predicted, learned].map(one => (one.field ? measure(one.field, h, w, ...one.pixel, far) : NaN))
  return {
    pearson: [pair(pearson), pair((u, v) => pearson(u, v, centre))],
    corrected: [-1, centre].map((skip, i) => pair((u, v) => pearson(u, v, skip) / Math.sqrt(reliability(v, learned.noise?.[i], skip)))),
    cosine: [pair((u, v) => cosine(u, v)), pair((u, v) => cosine(u, v, centre))],
    radius: each(halfMassRadius),
    outside: each(outside),
  }
}

// NaN where the noise is not known, or is all there is.
function reliability(field, noise, skip) {
  if (!Number.isFinite(noise)) return NaN
  let n = 0, sum = 0, squares = 0
  field.forEach((v, i) => { if (i !== skip) { n++; sum += v; squares += v * v } })
  const c = 1 - noise / (squares - sum * sum / n)
  return c > 0 ? c : NaN
}

export function numbersTable(n, far) {
  const shown = (values, text) => values.map(v => `<td>${Number.isFinite(v) ? text(v) : "–"}</td>`).join("")
  const r = v => v.toFixed(2) // its error is of that size with tens of draws
  return `<table><thead><tr><th>Width of the field</th><th>Predicted</th><th>Learned</th></tr></thead><tbody>
    <tr><th>Half-mass radius</th>${shown(n.radius, v => `${v.toFixed(2)} px`)}</tr>
    <tr><th>Mass beyond ${far} px</th>${shown(n.outside, v => `${(100 * v).toFixed(1)} %`)}</tr></tbody>
    <thead><tr><th>Agreement of the two</th><th>All pixels</th><th>Excluding the pixel itself</th></tr></thead><tbody>
    <tr data-number="pearson"><th>Pearson r</th>${shown(n.pearson, r)}</tr>
    <tr data-number="corrected"><th>… corrected for the noise of the draws</th>${shown(n.corrected, r)}</tr>
    <tr data-number="cosine"><th>Cosine</th>${shown(n.cosine, r)}</tr></tbody></table>`
}
