// A training, moment by moment: the field predicted, the field learned so far, the error, and images from the same noise.
import { paintBytes } from "../lab/colours.js"
import { bitmap, element, mounted, Walk } from "../lab/lab.js"
import { decodeRow, largest, nearest, pearson, short } from "../lab/math.js"
import { box, chart } from "../lab/svg.js"

const PLAY = 7 // s for all moments
const INKS = ["#56b4e9", "#0072b2", "#009e73", "#e69f00", "#d55e00", "#cc79a7"] // of noise levels, low to high
const RATIOS = [0.25, 0.5, 0.7, 1, 1.5, 2, 3, 5, 10, 20, 50, 100]

class Moments extends Walk {
  constructor(root) {
    super(root)
    this.level = this.spot = 0
    this.colours = "symlog"
    this.$("input").oninput = () => { this.stop(); this.at = +this.$("input").value; this.ask() }
    this.on("[data-level]", ({ level }) => { this.level = +level; this.ask() })
  }

  receive(sent) {
    const before = this.head?.images.length ?? 0, { fresh } = this.take(sent), { head } = this, last = head.images.length - 1
    if (fresh) [this.level, this.spot] = [head.level, 0]
    if (fresh || this.at >= before - 1) this.at = last // whoever watches the newest goes on doing so
    this.at = Math.min(this.at, last)
    this.pixel = head.pixels[this.spot]
    this.$("input").max = last
    this.build()
    this.redraw()
  }

  // A click takes the recorded pixel that is nearest; Python need not know.
  snap(pixel) { this.spot = nearest(this.head.pixels, pixel); return this.head.pixels[this.spot] }
  commit(_kind, event) { this.ask(event) }

  build() {
    const { head, h, w } = this, layout = `${h}x${w}:${head.count}:${head.sigmas}:${head.errorSigmas}`
    if (this.layout === layout) return
    this.layout = layout
    this.predicted = this.panel("predicted", { heading: true, scale: true })
    this.learned = this.panel("learned", { heading: true, scale: true })
    this.curve = element("figure", "curve")
    this.curve.innerHTML = `<h2>Test MSE ÷ Wiener MSE</h2><p class="sub">Below 1 it denoises better than the Wiener filter</p><div class="chart" role="img"></div>`
    this.$(".panels").replaceChildren(this.predicted.figure, this.learned.figure, this.curve)
    this.tiles = Array.from({ length: head.count }, () => bitmap(element("canvas"), h, w))
    for (const { canvas } of this.tiles) canvas.setAttribute("role", "img")
    this.$(".samples").replaceChildren(...this.tiles.map(tile => tile.canvas))
    this.$(".samples").style.setProperty("--count", Math.min(head.count, 12))
    this.$(".samples").style.setProperty("--narrow", Math.min(head.count, 4))
    this.$(".levels").replaceChildren(...head.sigmas.map(sigma => Object.assign(element("button", "", `σ = ${short(sigma)}`), { type: "button" })))
    this.all(".levels button").forEach((button, s) => (button.dataset.level = s))
    this.$(".levels").hidden = head.sigmas.length < 2
  }

  // Field number `index` of an array of them, summed over channels.
  field(name, index) { return decodeRow(this.arrays[name], this.arrays[`${name}Scale`], index, this.h * this.w) }

  draw() {
    const { head, at, level, spot } = this, [row, col] = head.pixels[spot], images = head.images[at]
    const place = level * head.pixels.length + spot, all = head.sigmas.length * head.pixels.length
    const predicted = this.field("predicted", place), learned = this.field("learned", at * all + place)
    const limit = largest([predicted]), r = pearson(predicted, learned, row * this.w + col)
    this.$("input").value = at
    const seen = images.toLocaleString("en"), minutes = head.minutes[at]
    this.$(".where").textContent = images ? `${seen} images · ${minutes < 10 ? short(minutes) : Math.round(minutes)} min` : "0 images: untrained"
    this.$("input").setAttribute("aria-valuetext", this.$(".where").textContent)
    this.press("level", level)
    this.panelOf(this.predicted, "Predicted from the data", `Wiener filter, pixel ${row}, ${col}, σ = ${short(head.sigmas[level])}`, predicted, limit)
    const likeness = Number.isFinite(r) ? `r = ${r.toFixed(2)} with the predicted one` : "Nothing but the pixel itself"
    this.panelOf(this.learned, images ? `Learned after ${seen} images` : "Before training", likeness, learned, limit)
    this.$(".note").textContent = `${head.note} r leaves the pixel itself out.${head.pixels.length > 1 ? " Click a field to go to the nearest recorded pixel (dots)." : ""}`
    this.$(".named").textContent = images ? `What it generates after ${seen} images, from the same noise` : "What it generates before training"
    this.tiles.forEach((tile, k) => {
      paintBytes(this.arrays.samples, (at * head.count + k) * this.c * this.h * this.w, this.c, this.h * this.w, tile.pixels)
      tile.put()
      tile.canvas.setAttribute("aria-label", `Image ${k + 1} generated after ${seen} images seen`)
    })
    this.drawErrors()
    this.root.dataset.shown = `${images} ${short(head.sigmas[level])} ${row},${col} ${Number.isFinite(r) ? r.toFixed(3) : "-"}`
  }

  panelOf(panel, title, sub, field, limit) {
    panel.title.textContent = title
    panel.sub.textContent = sub
    panel.canvas.setAttribute("aria-label", `${title}: ${sub}`)
    this.show(panel, field, limit, "")
    this.limits(panel.limits, limit)
    this.mark(panel, this.head.pixels[this.spot], this.head.pixels.map(pixel => box(pixel, "#e69f00", 1)).join(""))
  }

  // Both axes logarithmic; what was measured before training stands at the left edge.
  drawErrors() {
    const { images, errors, errorSigmas, errorImages } = this.head, ln = Math.log
    const known = errors.flat().filter(Number.isFinite), first = Math.max(1, (errorImages.find(n => n > 0) ?? 2) / 2), last = Math.max(...errorImages, 2 * first)
    const low = Math.min(0.9, ...known) * 0.9, high = Math.max(1.1, ...known) * 1.1, x = n => Math.max(n, first)
    /** @type {[number, string][]} */
    const marks = RATIOS.filter(v => v >= low && v <= high).map(v => [ln(v), `${v}`])
    /** @type {[number, string][]} */
    const powers = [1e2, 1e3, 1e4, 1e5, 1e6, 1e7].filter(n => n > first && n <= last).map(n => [n, n >= 1e6 ? `${n / 1e6}M` : n >= 1e3 ? `${n / 1e3}k` : `${n}`])
    const series = errorSigmas.map((sigma, e) => ({ title: `σ = ${short(sigma)}`, ink: INKS[e % INKS.length], dot: errors.length < 30 ? 2.5 : 0,
      points: errors.map((row, m) => [x(errorImages[m]), ln(row[e])]), tip: (n, v) => `σ = ${short(sigma)}, ${Math.round(n).toLocaleString("en")} images: ${Math.exp(v).toFixed(3)}` }))
    const wiener = { title: "Wiener filter", ink: "#808080", dash: "5 4", points: [[first, 0], [last, 0]] }
    /** @type {[number, string][]} */
    const start = errorImages[0] === 0 ? [[first, "0"]] : []
    const place = this.curve.querySelector(".chart")
    place.innerHTML = chart({ wide: 420, tall: 290, x: { range: [first, last], ticks: [...start, ...powers], name: "Images seen (log)", log: true },
      y: { range: [ln(low), ln(high)], ticks: marks }, series: [...series, wiener], here: x(images[this.at]), empty: "Not measured yet" })
    place.setAttribute("aria-label", `Test error over the Wiener filter's by noise level: ${errorSigmas.map((sigma, e) => `${short(sigma)}: ${errors.at(-1)?.[e]?.toFixed(3) ?? "unknown"}`).join(", ")}`)
  }

  steps() { return this.head.images.length }
  pace() { return this.steps() / PLAY }
}

export default mounted(Moments)
