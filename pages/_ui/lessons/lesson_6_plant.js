// Four cases of a planted W: the predicted field of each, and the learned one once it is uncovered.
import { element } from "../lab/lab.js"
import { percent, short } from "../lab/math.js"
import { chosen } from "../lab/svg.js"
import { Lesson, taught } from "./lesson.js"
import { elsewhere, framed, Panel } from "./panel.js"

class Plant extends Lesson {
  build() {
    const { cases, side, levels, start } = this.data
    this.one = 0
    this.cases = this.choice("case", "Case", cases.map(({ words }, i) => [`${i}`, words]), i => (this.one = +i))
    this.panels = ["predicted", "learned"].map(id => new Panel(id, side))
    const maps = element("div", "maps")
    maps.append(...this.panels.map(({ figure }) => figure))
    this.figure.replaceChildren(this.cases, maps)
    this.levels(levels, start)
  }

  kept() { return { case: `${this.one}`, level: `${this.level}` } }
  restore(kept) {
    if (kept.case in this.data.cases) this.one = +kept.case
    if (kept.level in this.data.levels) this.setLevel(+kept.level)
  }

  // The W as dark as it is strong, and the pixel.
  ornament(i) {
    const { side, cases, strengths } = this.data, panel = new Panel("guess", side), { pixels, put, canvas } = panel
    const grey = 255 - Math.round(150 * strengths[i]), [r, c] = cases[i].pixel
    for (let p = 0; p < side * side; p++) pixels[p] = this.arrays.mask[p] && strengths[i] ? (0xff000000 | grey << 16 | grey << 8 | grey) >>> 0 : 0xffffffff
    pixels[r * side + c] = 0xff00d4ff
    put()
    return framed(canvas)
  }

  get outline() {
    const { side } = this.data, { mask } = this.arrays
    let d = ""
    for (let r = 0; r <= side; r++) for (let c = 0; c <= side; c++) {
      const on = (y, x) => y >= 0 && x >= 0 && y < side && x < side && mask[y * side + x]
      if (on(r, c) !== on(r - 1, c)) if (on(r, c) || on(r - 1, c)) d += `M${c} ${r}h1`
      if (on(r, c) !== on(r, c - 1)) if (on(r, c) || on(r, c - 1)) d += `M${c} ${r}v1`
    }
    return `<path d="${d}" stroke="#0f766e" stroke-opacity=".7" stroke-width="1" vector-effect="non-scaling-stroke"/>`
  }

  draw() {
    this.press("case", `${this.one}`)
    const { side, cases, levels, shares, draws } = this.data, size = side * side, { pixel, words } = cases[this.one], sigma = levels[this.level]
    const at = (this.one * levels.length + this.level) * size, own = pixel[0] * side + pixel[1], share = shares[this.one].map(each => each[this.level])
    const fields = [this.arrays.predicted, this.arrays.learned].map(all => all.subarray(at, at + size)), marks = this.outline + chosen(pixel, 1.5)
    const [predicted, learned] = this.panels
    predicted.field(`Predicted: ${percent(share[0])} on the W`, fields[0], elsewhere(fields[0], own), marks, `Predicted field, ${words}, sigma ${short(sigma)}`)
    if (this.revealed) learned.field(`Learned: ${percent(share[1])} on the W`, fields[1], elsewhere(fields[1], own), marks, `Learned field, mean over ${draws} noisy images, ${words}`)
    else learned.cover("Learned by a UNet")
    this.shown = { case: this.one, sigma, shares: this.revealed ? share : share.slice(0, 1) }
  }
}

export default taught(Plant)
