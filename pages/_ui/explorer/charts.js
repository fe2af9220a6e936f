// The explorer's two curves over noise: half-mass radius, and how well both fields agree.
import { nearest, pearson, short } from "../lab/math.js"
import { chart, holding, valueAt } from "../lab/svg.js"
import { best } from "./estimate.js"
import { learnedRadii, Radii, radiusChart } from "./radii.js"
import { predictedKnown, predictedRow } from "./tables.js"

export class Charts {
  constructor(view) {
    this.view = view
    this.radii = new Radii()
    this.place = view.$(".radius")
    this.wide = 0
    // Not "click": the drawing under the pointer may be replaced, by new draws, before the button is up again.
    this.place.addEventListener("pointerup", event => {
      if (event.button) return
      const sigma = valueAt({ range: view.head.range, log: true }, this.wide, this.place.querySelector("svg").getBoundingClientRect(), event.clientX)
      if (sigma) view.setNoise(sigma)
    })
  }

  // The pixel of the curves: the nearest that has stored fields.
  pixelOf(pixel) {
    const table = this.view.learnedTable
    return table ? table.head.pixels[nearest(table.head.pixels, pixel)] : pixel
  }

  draw(pixel, estimate, radius) {
    const { view } = this, { head: { range, empty, tables, levels = [], context }, learnedTable: table, h, w, sigma } = view
    const at = this.pixelOf(pixel), key = `${context} ${at}`, found = view.points.get(`${at}`)
    this.radii.begin(key, range, tables?.basis ? [] : tables?.levels ?? [])
    const learned = view.once("radii", `${key} ${!!table} ${found?.size}`, () => learnedRadii(table, at, levels.length ? levels : table?.head.sigmas ?? [], found, h, w))
    const here = estimate?.live && `${estimate.pixel}` === `${at}` ? [sigma, radius, estimate.radiusError || 0] : null
    const { predicted } = this.radii
    this.wide = this.place.clientWidth || 640
    this.place.innerHTML = radiusChart({ wide: this.wide, range, predicted, learned, here: sigma, now: here, empty: empty.chart })
    const told = (name, points) => `${name}: ${points.map(([s, r, e]) => `${r.toFixed(1)}${e ? ` plus or minus ${e.toFixed(1)}` : ""} pixels at ${short(s)}`).join(", ") || "not known"}`
    this.place.setAttribute("aria-label", `Half-mass radius against sigma. ${told("Predicted", predicted.filter((_, i) => i % 4 === 0))}. ${told("Learned", learned)}.`)
    const beside = `${at}` === `${pixel}` ? "" : ", the nearest stored one"
    const errors = learned.some(([, , error]) => error) ? "; band: ± one standard error over draws" : ""
    view.$(".radius-note").textContent = `Distance that holds half of the absolute weight of row ${at[0]}, column ${at[1]}${beside}${errors}. ${view.head.grain ?? ""}`
    this.more(key, at)
  }

  // One noise level of the predicted curve after the other, each in a moment of its own: nothing waits for them.
  more(key, at) {
    const { view } = this, { tables } = view.head
    if (this.making || this.radii.missing < 0 || !predictedKnown(tables, view.files)) return
    this.making = setTimeout(() => {
      this.making = 0
      if (this.radii.key !== key) return view.ask()
      for (let n = 0; n < 2 && this.radii.missing >= 0; n++) this.radii.add(level => predictedRow(tables, view.files, at[0] * view.w + at[1], level, view.size), at, view.h, view.w)
      view.ask()
    }, view.hover ? 60 : 0)
  }

  agreement(pixel) {
    const { view } = this, { head: { range, empty, tables, context }, learnedTable: table, size } = view, at = this.pixelOf(pixel), place = view.$(".agreement")
    const ready = predictedKnown(tables, view.files), title = `Pearson r of predicted and learned field, excluding the pixel itself${table ? ` (row ${at[0]}, column ${at[1]}, ${table.head.draws} draws)` : ""}`
    const own = at[0] * view.w + at[1], points = view.once("agreement", `${context} ${at} ${!!table} ${ready}`, () =>
      (table && ready ? agreementPoints(table, at, own, s => predictedRow(tables, view.files, own, s, size), size) : []))
    view.$(".chart-title").textContent = title
    place.setAttribute("aria-label", `${title}: ${points.map(([s, r]) => `${r.toFixed(2)} at sigma ${short(s)}`).join(", ") || empty.chart}`)
    place.innerHTML = agreementChart({ wide: place.clientWidth || 460, here: view.sigma, empty: empty.chart, range, points })
  }
}

// r of the stored and the predicted field of pixel `at`, number `own`, at every stored noise level: without the pixel
// itself, whose large weight both have.
export const agreementPoints = (table, at, own, predicted, size) =>
  table.head.sigmas.map(s => [s, pearson(predicted(s), best(table, null, at, s, size).field, own)])

export function agreementChart({ wide, here, empty, range, points }) {
  const series = [{ title: "", ink: "var(--st-primary-color, #0b6a88)", points, dot: 3.5, tip: (s, r) => `σ ${short(s)}: r = ${r.toFixed(2)}` }]
  return chart({ wide, tall: 170, here, empty, series,
    x: { range, log: true, ticks: [0.1, 0.3, 1, 3, 10].map(s => [s, short(s)]), name: "noise level σ" },
    y: { range: holding(series, 0, 1), ticks: [0, 0.5, 1].map(r => [r, short(r)]) } })
}
