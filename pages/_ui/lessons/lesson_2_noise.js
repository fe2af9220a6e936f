// The field and its radius against the noise level; and where the power spectrum meets the noise.
import { element } from "../lab/lab.js"
import { closest, largest, short } from "../lab/math.js"
import { chart, chosen } from "../lab/svg.js"
import { kernel } from "./linear.js"
import { Lesson, taught } from "./lesson.js"
import { Panel } from "./panel.js"

class Noise extends Lesson {
  build() {
    const { levels, start } = this.data
    this.view = "pixels"
    this.views = this.choice("view", "Space", [["pixels", "In pixels"], ["fourier", "In Fourier space"]], view => (this.view = view))
    this.pair = element("div", "pair wide-right")
    this.maps = ["predicted", "second"].map(id => new Panel(id, this.data.side))
    const maps = element("div", "maps")
    maps.append(...this.maps.map(({ figure }) => figure))
    this.plot = element("div", "chart")
    this.plot.setAttribute("role", "img")
    this.pair.append(maps, this.plot)
    this.figure.replaceChildren(this.views, this.pair)
    this.slider = this.levels(levels, start).querySelector("input")
  }

  kept() { return { view: this.view, level: `${this.level}` } }
  restore({ view, level }) {
    if (view === "pixels" || view === "fourier") this.view = view
    if (level in this.data.levels) this.setLevel(+level)
  }

  get last() { return this.revealed ? this.data.levels.length - 1 : this.data.seen }
  get noise() { return this.data.levels[this.level] }

  settle() {
    this.slider.max = `${this.last}`
    this.setLevel(Math.min(this.level, this.last)) // also where the end of the slider held its thumb back
    super.settle()
  }

  uncover() {
    this.setLevel(this.data.asked)
    super.uncover()
  }

  draw() {
    this.press("view", this.view)
    const { side, pixel, radii, learned } = this.data, size = side * side, { noise: sigma, level } = this, fourier = this.view === "fourier"
    const field = this.arrays.predicted.subarray(level * size, (level + 1) * size), [radius] = radii[level]
    const [first, second] = this.maps
    this.paint(first, "Predicted from S", field, pixel, radius)
    if (fourier) {
      const gains = this.arrays.power.map(p => p / (p + sigma * sigma)), found = kernel(gains, side)
      this.paint(second, "Kernel of the gain", found, [side / 2, side / 2], 0)
      this.shown = { sigma, radius, kernel: [...found] }
    } else {
      const near = closest(learned.sigmas, sigma)
      const theirs = this.revealed ? this.arrays.learned.subarray(near * size, (near + 1) * size) : null
      this.paint(second, this.revealed ? `Learned at σ ${short(learned.sigmas[near])} (stored, nearest to ${short(sigma)})` : "Learned by a UNet", theirs, pixel, learned.radii[near][0])
      this.shown = { sigma, radius, curve: radii.slice(0, this.last + 1).map(([r]) => r) }
    }
    this.plot.innerHTML = fourier ? this.spectrum() : this.curve()
    this.plot.insertAdjacentHTML("afterbegin", `<h3>${fourier ? "Spectrum of brightness, mean over the image" : `Half-mass radius, mean of ${this.data.pixels} pixels`}</h3>`)
  }

  paint(panel, name, field, [r, c], radius) {
    if (!field) {
      panel.cover(name)
      return
    }
    const ring = ink => `<circle cx="${c + 0.5}" cy="${r + 0.5}" r="${radius}" stroke="${ink}" stroke-width="${ink === "#000" ? 4 : 2}" vector-effect="non-scaling-stroke"/>`
    const marks = chosen([r, c], 1.5) + (radius ? ring("#000") + ring("#ffd400") : "")
    panel.titled(name).field(field, largest([field]), marks, `${name}, sigma ${short(this.noise)}${radius ? `, half of the weight within ${radius.toFixed(1)} pixels` : ""}`)
  }

  curve() {
    const { levels, radii, learned, asked } = this.data, ink = "var(--st-primary-color)"
    const points = radii.slice(0, this.last + 1).map(([r], i) => [levels[i], r])
    const tip = (s, r, e) => `σ ${short(s)}: ${r.toFixed(2)} ± ${(e || 0).toFixed(2)} px`
    /** @type {import("../lab/svg.js").Series[]} */
    const series = [{ title: "predicted from S", ink, points, dot: 2.5, tip }]
    if (this.revealed) series.push({ title: "learned by a UNet", ink: "var(--second)", line: false, dot: 5, tip, points: learned.sigmas.map((s, i) => [s, ...learned.radii[i]]) })
    if (this.revealed) series.push({ title: "limit: the covariance", ink: "currentColor", dash: "2 4", points: [levels[0], levels[this.last]].map(s => [s, this.data.limit]) })
    if (this.guess !== null) series.push({ title: "your guess", ink: "var(--third)", line: false, dot: 6, points: [[levels[asked], this.guess]], tip })
    const words = points.map(([s, r]) => `${r.toFixed(1)} at sigma ${short(s)}`).join(", ")
    this.plot.setAttribute("aria-label", `Half-mass radius in pixels, predicted: ${words}`)
    return chart({ ...this.size(this.plot, 250), series, here: this.noise, x: { range: [levels[0], levels[levels.length - 1]], log: true, ticks: [0.1, 0.3, 1, 3, 10, 30].map(s => [s, short(s)]), name: "noise level σ" },
      y: { range: [0, 16], ticks: [0, 4, 8, 12, 16].map(r => [r, `${r} px`]) } })
  }

  // Powers, by their logarithm, over the gain that follows from them; where they cross is marked in both.
  spectrum() {
    const { frequency, typical } = this.arrays, { noise: sigma } = this, ln = Math.log10
    const known = [...frequency].map((f, i) => [f, typical[i]]).filter(([f, p]) => f >= 1 && p > 0)
    const noise = [[known[0][0], 2 * ln(sigma)], [known[known.length - 1][0], 2 * ln(sigma)]]
    const gain = known.map(([f, p]) => [f, p / (p + sigma * sigma)]), across = known.findIndex(([, p]) => p < sigma * sigma), here = across > 0 ? crossing(known[across - 1], known[across], sigma * sigma) : NaN
    const passes = known.filter(([, p]) => p > sigma * sigma)
    this.plot.setAttribute("aria-label", `Power spectrum of brightness, and noise power ${short(sigma * sigma)}: frequencies up to ${passes.length ? short(passes[passes.length - 1][0]) : "none"} cycles per image are above the noise`)
    /** @type {[number, string][]} */
    const ticks = [1, 2, 4, 8, 16].map(f => [f, `${f}`]), x = { range: [1, known[known.length - 1][0]], log: true, ticks, name: "" }
    const powers = chart({ ...this.size(this.plot, 160), here, x, y: { range: [-3, 4], ticks: [[-2, "0.01"], [0, "1"], [2, "100"], [4, "10⁴"]] },
      series: [{ title: "power P of images (logarithmic)", ink: "var(--st-primary-color)", points: known.map(([f, p]) => [f, ln(p)]) },
        { title: "noise σ²", ink: "var(--second)", dash: "6 4", points: noise }] })
    return powers + chart({ ...this.size(this.plot, 160), here, x: { ...x, name: "frequency f, cycles per image" }, y: { range: [0, 1], ticks: [[0, "0"], [0.5, "½"], [1, "1"]] },
      series: [{ title: "gain P / (P + σ²)", ink: "var(--third)", points: gain }] })
  }
}

// The frequency between two of a spectrum at which the power is `noise`, straight in logarithms.
/** @param {number[]} below @param {number[]} above @param {number} noise */
function crossing([f, p], [g, q], noise) {
  return f * (g / f) ** (Math.log(p / noise) / Math.log(p / q))
}

export default taught(Noise)
