// The explorer: a noisy image, the predicted and the learned field of one of its pixels, and how far both reach at every
// noise level. It previews while the pointer moves, and knows more the longer it rests.
import { paintImage } from "../lab/colours.js"
import { mounted } from "../lab/lab.js"
import { alphaBar, largest, short, timestep } from "../lab/math.js"
import { poster } from "../lab/poster.js"
import { presenting } from "../lab/present.js"
import { path } from "../lab/svg.js"
import { Charts } from "./charts.js"
import { about } from "./estimate.js"
import { Known } from "./known.js"
import { numbersOf, numbersTable } from "./numbers.js"
import { imageOf, Strip } from "./strip.js"
import { sweepOnce } from "./sweep.js"

const SWEEP = 7 // s of the play button, low noise to high

export class Explorer extends Known {
  constructor(root) {
    super(root)
    this.charts = new Charts(this)
    this.strip = new Strip(n => this.choose(n))
    this.noiseSlider()
    presenting(root, this.$(".present"), by => this.step(by), () => this.ask(), this.gone.signal)
    this.$("details").addEventListener("toggle", () => this.ask())
  }

  // Once everything is here that the first view needs.
  arrived() {
    if (this.greeted || this.root.dataset.ready !== "1") return
    this.greeted = true
    if (!this.head.alone) sweepOnce({ root: this.root, range: this.head.range, to: this.sigma, show: sigma => { this.sigma = sigma; this.ask() }, over: () => this.moved() })
  }

  // --- drawing -----------------------------------------------------------------------------------

  build() {
    const { panels, image, prompt } = this.head, layout = `${panels.map(panel => panel.id)}:${this.h}x${this.w}`
    if (this.layout !== layout) {
      this.layout = layout
      const keys = `Image of ${this.h} by ${this.w} pixels. Arrow keys move the chosen pixel, Shift moves by four.`
      this.panels = panels.map(({ id }) => this.panel(id, id === "image" ? { heading: true, leads: true, keys } : { heading: true, scale: true }))
      this.panels[0].figure.append(this.strip.box)
      this.$(".panels").style.setProperty("--across", panels.length === 4 ? 4 : Math.min(panels.length, 3))
      this.$(".panels").replaceChildren(...this.panels.map(panel => panel.figure))
    }
    panels.forEach(({ title }, i) => (this.panels[i].title.textContent = this.panels[i].title.title = title))
    this.$(".prompt").textContent = prompt
    this.strip.paint(this.x0, this.c, this.h, this.w, image)
  }

  draw() {
    const pixel = this.target, { sigma, h, w, head } = this, far = head.options.outside_radius, own = pixel[0] * w + pixel[1]
    const predicted = this.predictedAt(pixel, sigma), learned = this.learnedAt(pixel, sigma), p = predicted?.field, l = learned?.field
    // A stored field may belong to the pixel beside: it is compared with the prediction for its own pixel.
    const partner = l && this.predictedAt(learned.pixel, sigma)?.field, beside = l ? learned.pixel[0] * w + learned.pixel[1] : own
    const fields = { predicted: p, learned: l, projection: this.exact.get(this.key(pixel, sigma))?.projection,
      difference: partner ? partner.map((v, i) => v - l[i]) : null }
    const limit = Math.max(p ? largest([p, fields.projection], own) : 0, l ? largest([l], beside) : 0) || 1
    const numbers = numbersOf({ field: p, pixel }, { field: l, pixel: learned?.pixel, partner, noise: learned?.noise }, h, w, far)
    this.shown = { pixel, sigma, fields, exact: !!predicted?.exact, draws: learned?.draws ?? 0, live: learned?.live ?? 0, limit, numbers }
    this.strip.build(this.files.get(head.strip?.url), head.strip, this.c, h, w)
    for (const panel of this.panels) this.drawPanel(panel, fields[panel.id], limit, pixel, learned)
    this.showNoise(`σ = ${short(sigma)}    t = ${Math.round(timestep(sigma))}    ᾱ = ${short(alphaBar(sigma))}`)
    const scale = this.colours === "symlog" ? "Symmetric logarithmic colours" : "Linear colours", centres = [p && `predicted ${short(p[own])}`, l && `learned ${short(l[beside])}`].filter(Boolean)
    this.$(".legend").textContent = `${scale}, the same for both fields; the pixel itself does not set their ends${centres.length ? ` (${centres.join(", ")})` : ""}.`
    this.charts.draw(pixel, learned, numbers.radius[1])
    if (this.$("details").open) {
      this.$(".numbers").innerHTML = numbersTable(numbers, far)
      this.charts.agreement(pixel)
    }
    const state = learned ? (learned.live ? "live" : "stored") : "none"
    this.root.dataset.shown = `${pixel} ${sigma.toPrecision(6)} ${predicted?.exact ? "exact" : "preview"} ${state}`
    this.root.dataset.draws = `${learned?.draws ?? 0}`
    const waits = head.cold && this.asked ? "Loading the network…" : predicted && !predicted.exact ? head.texts.preview : ""
    this.$(".status").textContent = this.failed ? head.texts.failed : head.status || waits
  }

  drawPanel(panel, field, limit, pixel, learned) {
    const image = panel.id === "image", { head, w, h } = this, own = panel.id === "learned" && learned ? learned.pixel : pixel, [r, c] = pixel
    if (image) {
      paintImage(this.x0, this.arrays.eps, this.sigma, this.c, this.size, panel.pixels)
      panel.put()
    } else { // alone, nothing comes later: it says so instead of waiting
      this.show(panel, field, limit, head.empty[panel.id] || "Waiting for the pointer to rest", !head.alone)
      panel.canvas.setAttribute("aria-label", `${panel.title.textContent}: field of row ${r}, column ${c} at sigma ${short(this.sigma)}`)
      this.limits(panel.limits, limit)
    }
    panel.sub.textContent = panel.sub.title = panel.id === "learned" && learned ? about(learned, pixel) : head.panels.find(({ id }) => id === panel.id).sub
    this.mark(panel, own, image ? path(`M0 ${r + 0.5}H${c}M${c + 1} ${r + 0.5}H${w}M${c + 0.5} 0V${r}M${c + 0.5} ${r + 1}V${h}`, 0.55) : "")
    const spot = image ? pixel : this.cursor || own, i = spot[0] * w + spot[1], value = field?.[i], error = panel.id === "learned" ? learned?.stderr?.[i] : 0
    panel.caption.textContent = `Row ${spot[0]}, column ${spot[1]}${value === undefined ? "" : `: ${short(value)}${error ? ` ± ${short(+error.toPrecision(1))}` : ""}`}`
  }

  spoken() {
    const { pixel: [row, col], numbers: { pearson: [r], radius: [near] } } = this.shown
    return `Row ${row}, column ${col}. ${Number.isFinite(r) ? `Pearson r ${r.toFixed(2)}. ` : ""}${Number.isFinite(near) ? `Half of the predicted field within ${near.toFixed(1)} pixels.` : ""}`
  }

  // --- acting ------------------------------------------------------------------------------------

  curvePixel() { return this.charts.pixelOf(this.pixel) }

  // Another image: shown at once, Python keeps it in the link.
  choose(n) {
    const { image, url, first } = this.head.strip
    this.x0 = imageOf(this.files.get(url), n - first, this.c * this.size)
    Object.assign(this.head.strip, { chosen: n })
    this.strip.paint(this.x0, this.c, this.h, this.w, `${image} ${n}`)
    this.panels[0].title.textContent = this.head.panels[0].title = `${image} ${n}`
    this.about = { image, index: n }
    this.commit("image")
  }

  setNoise(sigma) {
    this.stop()
    this.sigma = sigma
    this.commit("noise")
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
    const agree = Number.isFinite(r) ? `. Pearson r ${r.toFixed(2)}, cosine ${same.toFixed(2)}` : ""
    return poster({ side: 256, shape: [h, w], rows: [{ tiles }], limit, caption: `${head.name}, row ${row}, column ${col}, σ = ${short(sigma)}${agree}` })
  }
}

export default mounted(Explorer)
