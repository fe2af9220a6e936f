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
    this.letters = []
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

  ornament(i) {
    const picture = (this.letters[i] = new Picture(this.data.side))
    picture.canvas.setAttribute("aria-hidden", "true")
    return picture.stage
  }

  // The letter as strong as it is planted, on the colour of a field of zeros, and the pixel.
  letter({ pixels, put, dark, marks }, { pixel }, strength) {
    const { mask } = this.arrays, grey = dark ? 32 + Math.round(150 * strength) : 247 - Math.round(150 * strength)
    const zero = dark ? rgba(24, 35, 43) : rgba(247, 247, 247)
    for (let p = 0; p < mask.length; p++) pixels[p] = mask[p] && strength ? rgba(grey, grey, grey) : zero
    marks.innerHTML = chosen(pixel, 1.5)
    put()
  }

  draw() {
    this.press("case", `${this.one}`)
    this.letters.forEach((picture, i) => this.letter(picture, this.data.cases[i], this.data.strengths[i]))
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
