// Half-mass radius against noise: of the prediction, made here level by level, and of the learned field, from stored
// draws or as Python found it. No DOM.
import { decodeRow, halfMassRadius, short } from "../lab/math.js"
import { chart } from "../lab/svg.js"

const POINTS = 25, TALL = 210
export const INKS = { predicted: "#0072b2", learned: "#d55e00" }

export class Radii {
  constructor() {
    this.key = ""
    this.sigmas = []
    this.made = new Map() // number of the noise level -> radius of the prediction
  }

  // A curve of its own for every key, at `levels` or at many between both ends.
  begin(key, [low, high], levels) {
    if (this.key === key) return
    this.key = key
    this.made = new Map()
    this.sigmas = levels.length ? levels : Array.from({ length: POINTS }, (_, i) => low * (high / low) ** (i / (POINTS - 1)))
  }
  get missing() {
    for (let step = 8; step; step >>= 1) for (let i = 0; i < this.sigmas.length; i += step) if (!this.made.has(i)) return i // coarse first
    return -1
  }
  add(field, [row, col], h, w) {
    const i = this.missing
    this.made.set(i, halfMassRadius(field(this.sigmas[i]), h, w, row, col))
  }
  get predicted() { return [...this.made].sort((a, b) => a[0] - b[0]).map(([i, r]) => [this.sigmas[i], r]) }
}

// Of the learned field at each level: as `found` has it, level -> [radius, error, draws], else from stored draws.
export function learnedRadii(table, pixel, levels, found, h, w) {
  const p = table ? table.head.pixels.findIndex(one => `${one}` === `${pixel}`) : -1
  return levels.map((sigma, i) => {
    const live = found?.get(i), k = p < 0 ? -1 : table.head.sigmas.findIndex(s => Math.abs(s / sigma - 1) < 1e-6)
    if (live) return [sigma, live[0] ?? NaN, live[1] ?? 0]
    if (k < 0) return [sigma, NaN, 0]
    const at = k * table.head.pixels.length + p, { codes, scale, radius_error: errors } = table.arrays
    return [sigma, halfMassRadius(decodeRow(codes, scale, at, h * w), h, w, pixel[0], pixel[1]), errors ? errors[at] || 0 : 0]
  }).filter(([, r]) => Number.isFinite(r))
}

export function radiusChart({ wide, range, predicted, learned, here, now, empty }) {
  const tops = [...predicted, ...learned, ...(now ? [now] : [])].map(([, r]) => r), top = Math.max(4, 2 * Math.ceil(Math.max(0, ...tops) / 2))
  const tip = name => (s, r, error) => `${name}, σ ${short(s)}: ${r.toFixed(2)}${error ? ` ± ${error.toFixed(2)}` : ""} px`
  const series = [{ title: "predicted", ink: INKS.predicted, points: predicted, tip: tip("Predicted") },
    { title: learned.length ? "learned" : "", ink: INKS.learned, points: learned, band: true, dot: 3.5, tip: tip("Learned") },
    { title: "", ink: INKS.learned, line: false, points: now ? [now] : [], dot: 5, tip: tip("Learned, here") }]
  return chart({ wide, tall: TALL, here, empty, series, x: { range, log: true, ticks: [0.1, 0.3, 1, 3, 10].map(s => [s, short(s)]), name: "noise level σ (click to set it)" },
    y: { range: [0, top], ticks: [0, top / 2, top].map(r => [r, `${short(r)}${r === top ? " px" : ""}`]) } })
}
