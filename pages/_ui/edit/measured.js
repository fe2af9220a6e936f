// Numbers of the four fields, measured on exactly what is drawn: predicted and learned, before and after.
import { massOn, outside, percent, radius } from "../lab/math.js"

// Shares in [0, 1], lengths in pixels; NaN where a field is missing, mass null where there is no pattern.
export function measured(fields, pixels, mask, h, w, far) {
  const each = measure => fields.map((field, i) => (field ? measure(field, pixels[i]) : NaN))
  return {
    mass: mask ? each(field => massOn(field, mask)) : null,
    without: mask ? each((field, [r, c]) => massOn(field, mask, r * w + c)) : null,
    outside: each((field, [r, c]) => outside(field, h, w, r, c, far)),
    radius: each((field, [r, c]) => radius(field, h, w, r, c)),
  }
}

export const countOf = mask => mask.reduce((sum, v) => sum + (v ? 1 : 0), 0)

export function measuredTable(n, mask, far, size) {
  const cells = (values, text) => values.map(v => `<td>${Number.isFinite(v) ? text(v) : "–"}</td>`).join("")
  const onPattern = n.mass ? `<tr data-number="mass"><th>Mass on the pattern</th>${cells(n.mass, percent)}</tr>
    <tr data-number="without"><th>… excluding the pixel itself</th>${cells(n.without, percent)}</tr>
    <tr><th>… by chance: its share of the pixels</th><td colspan="4">${percent(countOf(mask) / size)}</td></tr>` : ""
  return `<table><thead><tr><td></td><th colspan="2">Before</th><th colspan="2">After</th></tr>
    <tr><td></td><th>Predicted</th><th>Learned</th><th>Predicted</th><th>Learned</th></tr></thead><tbody>${onPattern}
    <tr data-number="outside"><th>Mass beyond ${far} px</th>${cells(n.outside, percent)}</tr>
    <tr data-number="radius"><th>Radius holding half the mass</th>${cells(n.radius, v => `${v.toFixed(1)} px`)}</tr></tbody></table>`
}
