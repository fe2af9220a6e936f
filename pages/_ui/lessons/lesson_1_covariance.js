// Two pixels, a line, an image: correlations beside the weights that follow from them, solved here for any noise level.
import { element } from "../lab/lab.js"
import { largest, pearson, radius, short } from "../lab/math.js"
import { chosen } from "../lab/svg.js"
import { weights } from "./linear.js"
import { Lesson, taught } from "./lesson.js"
import { Picture, signed } from "./panel.js"

const NEAR = 0.05 // of the weight two pixels away: so close a sketch is right
const WIDE = 360, TALL = 170, LEFT = 34, UNDER = 20

class Covariance extends Lesson {
  build() {
    const { levels, start } = this.data
    this.view = "line"
    this.views = this.choice("view", "How many pixels", [["two", "Two pixels"], ["line", "A line"], ["image", "An image"]], view => (this.view = view))
    const pair = element("div", "pair")
    this.sides = ["Correlation with the middle pixel", ""].map(words => {
      const figure = element("figure"), title = element("h3", "", words), place = element("div", "side")
      figure.append(title, place)
      pair.append(figure)
      return { figure, title, place }
    })
    this.figure.replaceChildren(this.views, pair)
    this.levels(levels, start)
  }

  host(place) { this.sides[1].figure.prepend(place) }

  kept() { return { view: this.view, level: `${this.level}` } }
  restore({ view, level }) {
    if (["two", "line", "image"].includes(view)) this.view = view
    if (level in this.data.levels) this.setLevel(+level)
  }

  get noise() { return this.data.levels[this.level] }

  // Covariance of the pixels of a view, and which of them is the middle one.
  problem() {
    const { at: [, col], side } = this.data, { line } = this.arrays
    const chosen = this.view === "two" ? [col, col + 1] : Array.from({ length: side }, (_, i) => i)
    return { cov: chosen.map(i => chosen.map(j => line[i * side + j])), own: chosen.indexOf(col) }
  }

  draw() {
    this.press("view", this.view)
    const [left, right] = this.sides, hidden = !this.revealed && this.view !== "two"
    right.place.hidden = right.title.hidden = this.$(".noise").hidden = hidden
    this.$(".widget").hidden = !hidden
    const sketch = this.revealed && this.view === "line" ? this.guess : null // in the chart of the weights
    right.title.innerHTML = `Weights at σ = ${this.noise}${sketch ? ` <span class="keys"><i></i> your sketch, at σ = ${this.data.levels[this.data.start]}</span>` : ""}`
    if (this.view === "image") {
      const size = this.data.side ** 2, field = this.arrays.fields.subarray(this.level * size, (this.level + 1) * size)
      this.map(left.place, this.arrays.correlation, 1, "Correlation of every pixel with the middle one")
      if (!hidden) this.map(right.place, field, largest([field]), `Weights of the image at sigma ${this.noise}`)
      this.shown = { view: this.view, sigma: this.noise, weights: hidden ? null : [...field] }
    } else {
      const { cov, own } = this.problem(), found = weights(cov, own, this.noise)
      const { reach } = this.data, from = Math.max(0, own - reach), shown = values => values.slice(from, own + reach + 1) // as far as the sketch goes
      left.place.innerHTML = bars(shown(cov[own].map((v, i) => v / Math.sqrt(cov[own][own] * cov[i][i]))), own - from, "var(--other)", "Correlations")
      if (!hidden) right.place.innerHTML = bars(shown(found), own - from, "var(--st-primary-color)", `Weights at sigma ${this.noise}`, sketch)
      this.shown = { view: this.view, sigma: this.noise, weights: hidden ? null : found }
    }
    this.figure.dataset.shows = this.view
  }

  map(place, field, limit, label) {
    const picture = new Picture(this.data.side)
    picture.field(field, limit, chosen(this.data.at, 1.5), label, false)
    place.replaceChildren(picture.stage, element("p", "ends", `blue −${short(limit)}, red +${short(limit)}, 0 between them`))
  }

  verdict() {
    const { reach } = this.data, r = pearson(this.guess, this.truth), half = values => radius(values, 1, values.length, 0, reach)
    const second = values => (values[reach - 2] + values[reach + 2]) / 2, [mine, theirs] = [second(this.guess), second(this.truth)], off = Math.abs(mine - theirs)
    const times = theirs > 0 && mine / theirs >= 2 ? `, ${short(+(mine / theirs).toPrecision(2))} times as much` : ""
    const far = `Two pixels away you gave ${signed(mine.toFixed(2))} on average; the weight is ${signed(theirs.toFixed(2))}${times}. `
    const words = Number.isFinite(r) ? `Your sketch and the weights: r = ${signed(r.toFixed(2))}. ` : ""
    const near = n => (n === 0 ? "the pixel itself" : n === 1 ? "one pixel" : `${short(n)} pixels`)
    return [r > 0.95 && off <= NEAR ? "right" : r > 0.75 ? "close" : "wrong", `${words}${far}Half of your weight lies within ${near(half(this.guess))}, half of theirs within ${near(half(this.truth))}.`]
  }
}

// Bars from 0, one a pixel, on a scale from -0.2 to 1, and a sketch of the middle ones around them.
function bars(values, own, ink, label, sketch = null) {
  const low = Math.min(-0.2, ...values), n = values.length, each = Math.min((WIDE - LEFT) / n, 60), start = LEFT + (WIDE - LEFT - each * n) / 2
  const y = v => (1 - v) / (1 - low) * (TALL - UNDER)
  const grid = [0, 0.5, 1].map(v => `<line x1="${LEFT}" x2="${WIDE}" y1="${y(v)}" y2="${y(v)}" stroke="currentColor" stroke-opacity="${v ? 0.15 : 0.5}"/><text x="${LEFT - 6}" y="${y(v) + 4}" text-anchor="end">${v}</text>`)
  const found = values.map((v, i) => `<rect x="${start + i * each + 1}" y="${y(Math.max(v, 0))}" width="${each - 2}" height="${Math.abs(y(v) - y(0))}" fill="${ink}" fill-opacity="${i === own ? 1 : 0.6}"><title>${i - own}: ${short(v)}</title></rect>`)
  const names = values.map((_, i) => (n < 12 || (i - own) % 5 === 0 ? `<text x="${start + (i + 0.5) * each}" y="${TALL - 4}" text-anchor="middle">${i === own ? "pixel" : (i > own ? "+" : "−") + Math.abs(i - own)}</text>` : ""))
  const drawn = (sketch || []).map((v, k) => {
    const i = own + k - (sketch.length - 1) / 2
    return `<rect class="sketched" x="${start + i * each + 0.5}" y="${y(Math.max(v, 0))}" width="${each - 1}" height="${Math.abs(y(v) - y(0))}"><title>your sketch, ${i - own}: ${short(v)}</title></rect>`
  })
  const words = values.map((v, i) => [i - own, v]).filter(([far]) => Math.abs(far) < 4).map(([far, v]) => `${far}: ${short(v)}`).join(", ")
  return `<svg viewBox="0 -6 ${WIDE + 10} ${TALL + 6}" role="img" aria-label="${label}: ${words}" font-size="11" fill="currentColor">${grid.join("")}${found.join("")}${drawn.join("")}${names.join("")}</svg>`
}

export default taught(Covariance)
