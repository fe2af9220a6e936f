// Four cases of a planted W: the predicted field of each, and the learned one once it is uncovered.
import { rgba } from "../lab/colours.js"
import { element } from "../lab/lab.js"
import { largest, percent, short } from "../lab/math.js"
import { edges } from "../edit/paint.js"
import { chosen, path } from "../lab/svg.js"
import { Lesson, taught } from "./lesson.js"
import { Panel, Picture } from "./panel.js"

class Plant extends Lesson {
  build() {
    const { cases, side, levels, start } = this.data
    this.one = 0
    this.cases = this.choice("case", "Case", cases.map(({ words }, i) => [`${i}`, words]), i => (this.one = +i))
    this.panels = ["predicted", "learned"].map(id => new Panel(id, side))
    const maps = element("div", "maps")
    maps.append(...this.panels.map(({ figure }) => figure))
    this.figure.replaceChildren(this.cases, maps)
    this.levels(levels, start, sigma => `σ = ${short(sigma)}`)
  }

  kept() { return { case: `${this.one}`, level: `${this.level}` } }
  restore(kept) {
    if (kept.case in this.data.cases) this.one = +kept.case
    if (kept.level in this.data.levels) this.setLevel(+kept.level)
  }

  // The W as dark as it is strong, and the pixel.
  ornament(i) {
    const { side, cases, strengths } = this.data, { canvas, pixels, put, stage } = new Picture(side)
    const grey = 255 - Math.round(150 * strengths[i]), [r, c] = cases[i].pixel
    for (let p = 0; p < side * side; p++) pixels[p] = this.arrays.mask[p] && strengths[i] ? rgba(grey, grey, grey) : rgba(255, 255, 255)
    pixels[r * side + c] = rgba(255, 212, 0)
    put()
    canvas.setAttribute("aria-hidden", "true")
    return stage
  }

  draw() {
    this.press("case", `${this.one}`)
    const { side, cases, levels, shares, draws } = this.data, size = side * side, { pixel, words } = cases[this.one], sigma = levels[this.level]
    const at = (this.one * levels.length + this.level) * size, own = pixel[0] * side + pixel[1], share = shares[this.one].map(each => each[this.level])
    const fields = [this.arrays.predicted, this.arrays.learned].map(all => all.subarray(at, at + size)), marks = path(this.once("outline", "mask", () => edges(this.arrays.mask, side, side)), 0.8) + chosen(pixel, 1.5)
    const [predicted, learned] = this.panels
    predicted.titled(this.revealed ? `Predicted: ${percent(share[0])} on the letter` : "Predicted from S").field(fields[0], largest([fields[0]], own), marks, `Predicted field, ${words}, sigma ${short(sigma)}`)
    if (this.revealed) learned.titled(`Learned: ${percent(share[1])} on the letter`).field(fields[1], largest([fields[1]], own), marks, `Learned field, mean over ${draws} noisy images, ${words}`)
    else learned.cover("Learned by a UNet")
    this.shown = { case: this.one, sigma, shares: this.revealed ? share : [] }
  }
}

export default taught(Plant)
