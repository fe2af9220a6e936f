// The explorer: image, predicted and learned field, numbers and a curve over noise. It previews from stored tables
// while the pointer moves, and asks Python for exact fields when it rests.
import { paintImage } from "../lab/colours.js"
import { Lab, mounted } from "../lab/lab.js"
import { about, alphaBar, between, decodeRow, largest, mixRows, nearest, pearson, short, storedField, timestep } from "../lab/math.js"
import { poster } from "../lab/poster.js"
import { chart, path } from "../lab/svg.js"
import { Basis } from "./basis.js"
import { numbersOf, numbersTable } from "./numbers.js"

const REST = 350 // ms without movement before exact values are asked for
const SWEEP = 7 // s of the play button, low noise to high
const KEPT = 64 // exact fields

export class Explorer extends Lab {
  constructor(root) {
    super(root)
    this.exact = new Map()
    this.noiseSlider()
  }

  receive(sent) {
    const { fresh, newer } = this.take(sent), { head, arrays } = this
    if (fresh) this.exact.clear()
    if (newer) this.pixel = head.pixel
    if (fresh || (newer && !this.playing)) this.sigma = head.sigma
    this.colours = head.options.symlog ? "symlog" : "linear"
    const { x0: _x0, eps: _eps, ...fields } = arrays
    this.remember(head.exact, fields)
    this.build()
    this.load(this.places(head.tables))
    this.ask()
  }

  // Learned fields first, then the predicted ones, those of near noise levels before the others.
  places(tables) {
    if (!tables) return []
    const [near] = between(tables.levels, this.sigma), far = i => Math.abs(i - near)
    const order = tables.predicted.map((_, i) => i).sort((a, b) => far(a) - far(b))
    return [tables.basis, tables.learned, ...order.map(i => tables.predicted[i])].filter(Boolean)
  }

  // Large images have no table of every pixel, but a basis that makes its rows here.
  opened(file) { return file.head.basis ? new Basis(file, this.h, this.w) : file }

  key([row, col], sigma) { return `${row},${col},${sigma.toPrecision(6)}` }

  remember({ pixel, sigma }, fields) {
    const key = this.key(pixel, sigma)
    this.exact.set(key, { ...this.exact.get(key), ...fields })
    if (this.exact.size > KEPT) this.exact.delete(this.exact.keys().next().value)
  }

  // --- fields at a pixel and a noise level -------------------------------------------------------

  get size() { return this.h * this.w }
  get basis() { return this.files.get(this.head.tables?.basis) }
  get learnedTable() { return this.files.get(this.head.tables?.learned) }
  table(k) { return this.files.get(this.head.tables.predicted[k]) }

  predictedAt(pixel, sigma) {
    const found = this.exact.get(this.key(pixel, sigma))?.predicted, { tables } = this.head
    if (found || !tables) return found ? { field: found, exact: true } : null
    const index = pixel[0] * this.w + pixel[1], near = about(tables.levels, sigma)
    if (tables.basis) return this.basis ? { field: this.basis.row(index, sigma), exact: false } : null
    if (!near.every(([k]) => this.table(k))) return null
    const parts = near.map(([k, weight]) => [this.table(k).arrays.codes, this.table(k).arrays.scale, index, weight])
    return { field: mixRows(parts, this.size), exact: false }
  }

  learnedAt(pixel, sigma) {
    const found = this.exact.get(this.key(pixel, sigma))?.learned, table = this.learnedTable
    if (found) return { field: found, exact: true, pixel, note: this.head.learned_note }
    if (!table) return null
    const { sigmas, draws } = table.head, [i] = between(sigmas, sigma), stored = storedField(table, pixel, sigma, this.size)
    const moved = `${stored.pixel}` === `${pixel}` ? "" : ` at the nearest stored pixel ${stored.pixel.join(", ")}`
    return { ...stored, exact: false, note: `Stored, ${draws} draws${moved}, between σ ${short(sigmas[i])} and ${short(sigmas[i + 1])}` }
  }

  // Pearson r against sigma: from the stored tables at the nearest stored pixel.
  curve(pixel) {
    const table = this.learnedTable, { levels = [] } = this.head.tables || {}
    if (!table || (!this.basis && !levels.every((_, k) => this.table(k)))) return { points: [], note: "" }
    const { sigmas, pixels, draws } = table.head, p = nearest(pixels, pixel), [row, col] = pixels[p], index = row * this.w + col
    const predicted = sigma => {
      if (this.basis) return this.basis.row(index, sigma)
      const [k, weight] = between(levels, sigma), { arrays } = this.table(weight < 0.5 ? k : k + 1)
      return decodeRow(arrays.codes, arrays.scale, index, this.size)
    }
    const learned = i => decodeRow(table.arrays.codes, table.arrays.scale, i * pixels.length + p, this.size)
    const points = this.once("curve", `${table.head.id}:${p}:${this.head.context}`, () => sigmas.map((sigma, i) => [sigma, pearson(predicted(sigma), learned(i))]))
    return { points, note: ` (row ${row}, column ${col}, ${draws} draws)` }
  }

  // --- drawing -----------------------------------------------------------------------------------

  build() {
    const { panels } = this.head, layout = `${panels.map(panel => panel.id)}:${this.h}x${this.w}`
    if (this.layout !== layout) {
      this.layout = layout
      const keys = `Image of ${this.h} by ${this.w} pixels. Arrow keys move the chosen pixel, Shift moves by four.`
      this.panels = panels.map(({ id }) => this.panel(id, id === "image" ? { heading: true, leads: true, keys } : { heading: true, scale: true }))
      this.$(".panels").style.setProperty("--across", panels.length === 4 ? 4 : Math.min(panels.length, 3))
      this.$(".panels").replaceChildren(...this.panels.map(panel => panel.figure))
    }
    panels.forEach(({ title }, i) => (this.panels[i].title.textContent = title))
  }

  draw() {
    const pixel = this.hover || this.pixel, { sigma, h, w, head } = this, far = head.options.outside_radius
    const predicted = this.predictedAt(pixel, sigma), learned = this.learnedAt(pixel, sigma), p = predicted?.field, l = learned?.field
    // A stored field may belong to the pixel beside: it is compared with the prediction for its own pixel.
    const partner = l && this.predictedAt(learned.pixel, sigma)?.field
    const fields = { predicted: p, learned: l, projection: this.exact.get(this.key(pixel, sigma))?.projection,
      difference: partner ? partner.map((v, i) => v - l[i]) : null }
    const limit = largest([p, l, fields.projection])
    const numbers = numbersOf({ field: p, pixel }, { field: l, pixel: learned?.pixel, partner }, h, w, far)
    this.shown = { pixel, sigma, fields, exact: { predicted: !!predicted?.exact, learned: !!learned?.exact }, limit, numbers }
    for (const panel of this.panels) this.drawPanel(panel, fields[panel.id], limit, pixel, learned)
    this.showNoise(`σ = ${short(sigma)}    t = ${Math.round(timestep(sigma))}    ᾱ = ${short(alphaBar(sigma))}`)
    this.$(".numbers").innerHTML = numbersTable(numbers, far)
    this.drawChart(pixel)
    this.root.dataset.shown = `${pixel} ${sigma.toPrecision(6)} ${predicted?.exact ? "exact" : "preview"} ${learned ? (learned.exact ? "exact" : "stored") : "none"}`
    this.$(".status").textContent = this.failed ? head.texts.failed : head.status || (predicted && !predicted.exact ? head.texts.preview : "")
  }

  drawPanel(panel, field, limit, pixel, learned) {
    const image = panel.id === "image", { head, w, h } = this, own = panel.id === "learned" && learned ? learned.pixel : pixel, [r, c] = pixel
    if (image) {
      paintImage(this.arrays.x0, this.arrays.eps, this.sigma, this.c, this.size, panel.pixels)
      panel.put()
    } else { // alone, nothing comes later: it says so instead of waiting
      this.show(panel, field, limit, head.empty[panel.id] || "Waiting for the pointer to rest", !head.alone)
      panel.canvas.setAttribute("aria-label", `${panel.title.textContent}: field of row ${r}, column ${c} at sigma ${short(this.sigma)}`)
      this.limits(panel.limits, limit)
    }
    panel.sub.textContent = panel.id === "learned" && learned ? learned.note : head.panels.find(({ id }) => id === panel.id).sub
    this.mark(panel, own, image ? path(`M0 ${r + 0.5}H${c}M${c + 1} ${r + 0.5}H${w}M${c + 0.5} 0V${r}M${c + 0.5} ${r + 1}V${h}`, 0.55) : "")
    const spot = image ? pixel : this.cursor || own, value = field?.[spot[0] * w + spot[1]]
    panel.caption.textContent = `Row ${spot[0]}, column ${spot[1]}${value === undefined ? "" : `: ${short(value)}`}`
  }

  drawChart(pixel) {
    const { points, note } = this.curve(pixel), { range, empty } = this.head, ink = "var(--st-primary-color, #0b6a88)"
    const title = `Pearson r of predicted and learned field${note}`, place = this.$(".chart")
    const known = points.map(([s, r]) => `${r.toFixed(2)} at sigma ${short(s)}`).join(", ")
    const tip = (s, r) => `σ ${short(s)}: r = ${r.toFixed(3)}`
    this.$(".chart-title").textContent = title
    place.setAttribute("aria-label", `${title}: ${known || empty.chart}`)
    place.innerHTML = chart({ wide: place.clientWidth || 460, tall: 170, here: this.sigma, empty: empty.chart, series: [{ title: "", ink, points, dot: 3.5, tip }],
      x: { range, log: true, ticks: [0.1, 0.3, 1, 3, 10].map(s => [s, short(s)]), name: "noise level σ" },
      y: { range: [-0.2, 1], ticks: [0, 0.5, 1].map(r => [r, short(r)]) } })
  }

  spoken() {
    const { pixel: [row, col], numbers: { pearson: [r], radius: [near] } } = this.shown
    return `Row ${row}, column ${col}. ${Number.isFinite(r) ? `Pearson r ${r.toFixed(2)}. ` : ""}Half of the predicted field within ${near.toFixed(1)} pixels.`
  }

  // --- acting ------------------------------------------------------------------------------------

  moved(event) {
    this.ask(event)
    clearTimeout(this.resting)
    this.resting = setTimeout(() => {
      if (!this.playing && !this.exact.get(this.key(this.hover || this.pixel, this.sigma))?.predicted) this.commit("rest")
    }, REST)
  }

  chosen(kind) {
    const [row, col] = kind === "rest" && this.hover ? this.hover : this.pixel
    this.sigma = +this.sigma.toPrecision(6)
    return { row, col, pinned: this.pixel, sigma: this.sigma }
  }

  advance(seconds) {
    this.sigma = this.sigmaAt(this.bounce(this.positionOf(this.sigma), 1000 * seconds / SWEEP, 0, 1000))
    return true
  }
  stopped() { this.commit("noise") }

  fileName() {
    const { head, shown: { pixel: [row, col], sigma } } = this
    return `field-${head.file}-${row}-${col}-sigma${short(sigma)}`
  }

  poster() {
    const { head, panels, h, w, shown: { pixel: [row, col], sigma, limit, numbers: { pearson: [r], cosine: [same] } } } = this
    const tiles = panels.map(({ title, canvas }) => ({ title: title.textContent, canvas, at: [row, col] }))
    const agree = Number.isFinite(r) ? `. Pearson r ${r.toFixed(3)}, cosine ${same.toFixed(3)}` : ""
    return poster({ side: 256, shape: [h, w], rows: [{ tiles }], limit, caption: `${head.name}, row ${row}, column ${col}, σ = ${short(sigma)}${agree}` })
  }
}

export default mounted(Explorer)
