// Three fields of one pixel, without names until the guess; then any pixel and noise level, with their correlations.
import { ARROWS, cellAt, clamp, element } from "../lab/lab.js"
import { decodeRow, largest, nearest, pearson, short } from "../lab/math.js"
import { chosen } from "../lab/svg.js"
import { beside, Lesson, taught } from "./lesson.js"
import { LEGEND, Panel, Picture, signed } from "./panel.js"

class Architecture extends Lesson {
  build() {
    const { levels, start, at, side } = this.data
    this.cards = []
    this.place = at
    this.mean = new Panel("mean", side).titled("Mean image")
    this.words = element("p", "fields-said")
    this.words.setAttribute("role", "status")
    this.figure.replaceChildren()
    const slider = this.levels(levels, start, sigma => `σ = ${short(sigma)}`)
    this.figure.append(beside(this.mean.figure, this.words, slider))
    this.pick(this.mean)
  }

  kept() { return this.revealed ? { at: `${this.place}`, level: `${this.level}` } : {} }
  restore({ at, level }) {
    if (at in this.data.pixels) this.place = +at
    if (level in this.data.levels) this.setLevel(+level)
  }

  ornament(i) {
    this.pick((this.cards[i] = new Picture(this.data.side)))
    return this.cards[i].stage
  }

  // On any of the pictures the pixel is moved, once the answer is shown.
  pick(picture) {
    const { side } = this.data
    picture.canvas.onclick = event => { if (this.revealed) { event.preventDefault(); this.move(cellAt(event, side, side)) } }
    picture.canvas.onkeydown = event => {
      const step = ARROWS[event.key], [row, col] = this.data.pixels[this.place]
      if (!step || !this.revealed) return
      event.preventDefault()
      event.stopPropagation()
      for (let far = 2; far < side; far += 2) {
        const to = nearest(this.data.pixels, [clamp(row + step[0] * far, side), clamp(col + step[1] * far, side)])
        if (to !== this.place) { this.move(this.data.pixels[to]); break }
      }
    }
  }

  move(pixel) {
    this.place = nearest(this.data.pixels, pixel)
    this.keep()
    this.ask()
  }

  settle() {
    if (!this.revealed) {
      this.place = this.data.at
      this.setLevel(this.data.start)
    }
    this.$(".noise").hidden = !this.revealed
    super.settle()
  }

  field(which) {
    const { side, pixels } = this.data, index = this.level * pixels.length + this.place
    return decodeRow(this.arrays[`codes${which}`], this.arrays[`scale${which}`], index, side * side)
  }

  draw() {
    const { side, names, shuffled, pixels, levels } = this.data, pixel = pixels[this.place], fields = names.map((_, i) => this.field(i))
    this.mean.image(this.arrays.mean, 1, chosen(pixel, 1.5), `Mean of the training images, row ${pixel[0]}, column ${pixel[1]}`)
    const own = pixel[0] * side + pixel[1], r = fields.slice(0, 2).map(field => pearson(field, fields[2], own))
    this.cards.forEach((card, i) => {
      const field = fields[shuffled[i]]
      const name = this.revealed ? names[shuffled[i]] : `field ${"ABC"[i]}`
      card.field(field, largest([field]), chosen(pixel, 1.5), `${name}, row ${pixel[0]}, column ${pixel[1]}, sigma ${short(levels[this.level])}${this.revealed ? ". Arrow keys move the pixel." : ""}`)
    })
    for (const { canvas } of [...this.cards, this.mean]) {
      canvas.setAttribute("role", this.revealed ? "application" : "img")
      if (this.revealed) canvas.tabIndex = 0
      else canvas.removeAttribute("tabindex")
    }
    this.words.textContent = this.revealed
      ? `Row ${pixel[0]}, column ${pixel[1]}, σ = ${short(levels[this.level])}. Correlation with W, without the pixel itself: UNet ${signed(r[0].toFixed(2))}, MLP ${signed(r[1].toFixed(2))}. Click a picture, or use arrow keys on it, to move the pixel.`
      : `The yellow square is the pixel. ${LEGEND}`
    this.shown = { pixel, sigma: levels[this.level], r: this.revealed ? r : null }
  }
}

export default taught(Architecture)
