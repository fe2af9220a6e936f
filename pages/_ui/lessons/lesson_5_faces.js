// The eye of a cat: a photograph to point at, predicted fields of any pixel of two sets, and the learned one of the eye.
import { Basis } from "../explorer/basis.js"
import { element } from "../lab/lab.js"
import { closest, largest, short } from "../lab/math.js"
import { chosen } from "../lab/svg.js"
import { Lesson, taught } from "./lesson.js"
import { LEGEND, Panel, Picture } from "./panel.js"

class Faces extends Lesson {
  build() {
    const { side, eye, levels, start, bases } = this.data
    this.at = [...eye]
    this.bases = Object.fromEntries(Object.entries(bases).map(([name, head]) => [name, new Basis({ head, arrays: this.part(name) }, side, side)]))
    this.panels = Object.fromEntries(["cats", "learned", "cifar10"].map(id => [id, new Panel(id, side)]))
    this.photo = element("figure")
    this.photo.append(element("h3", "", "A cat"))
    const maps = element("div", "maps")
    maps.append(this.photo, ...Object.values(this.panels).map(({ figure }) => figure))
    this.words = element("p", "ends")
    this.figure.replaceChildren(maps, this.words)
    this.levels(levels, start)
  }

  host(place) { this.photo.append(place) }

  part(name) { return Object.fromEntries(["codes", "scale", "eigvals"].map(part => [part, this.arrays[`${name}.${part}`]])) }

  ornament(_i) {
    const picture = new Picture(this.data.side)
    picture.image(this.arrays.photo, 3, "", "")
    return picture.canvas
  }

  move(at) {
    this.at = at
    this.keep()
    this.ask()
  }

  kept() { return { level: `${this.level}`, at: this.at.join("-") } }
  restore({ level, at }) {
    if (level in this.data.levels) this.setLevel(+level)
    const { side } = this.data, place = (at || "").split("-").map(Number)
    if (place.length === 2 && place.every(v => Number.isInteger(v) && v >= 0 && v < side)) this.at = place
  }

  settle() {
    if (!this.revealed) this.at = [...this.data.eye]
    this.widget.explore = at => this.move(at)
    this.$(".noise").hidden = !this.revealed
    super.settle()
  }

  draw() {
    const { side, learned, eye, levels } = this.data, sigma = levels[this.level], [r, c] = this.at, own = r * side + c
    const { cats, ...others } = this.panels
    this.widget.show(this.at)
    for (const { figure } of Object.values(others)) figure.hidden = !this.revealed
    this.shown = { sigma, at: this.at }
    this.words.textContent = this.revealed ? `${LEGEND} Predicted: row ${r}, column ${c}, σ = ${short(sigma)}. Learned: row ${learned.pixel[0]}, column ${learned.pixel[1]}, as stored, at the stored σ nearest to that.` : ""
    if (!this.revealed) {
      cats.cover("Its field")
      return
    }
    for (const [id, name] of [["cats", "Predicted, cats"], ["cifar10", "Predicted, CIFAR-10"]]) {
      const field = this.bases[id].row(own, sigma)
      this.shown[id] = [...field]
      this.panels[id].titled(name).field(field, largest([field], own), chosen(this.at, 1.5), `${name}: field of row ${r}, column ${c} at sigma ${short(sigma)}`)
    }
    this.learned(others.learned, sigma, learned, eye)
  }

  // Stored for the pixel beside the eye, at a few noise levels.
  learned(panel, sigma, { sigmas, pixel, draws }, eye) {
    if (this.at.join() !== eye.join()) {
      panel.cover("Learned by a UNet", "stored for the eye alone")
      return
    }
    const near = closest(sigmas, sigma)
    const size = this.data.side ** 2, field = this.arrays.learned.subarray(near * size, (near + 1) * size)
    panel.titled(`Learned at σ ${short(sigmas[near])}`).field(field, largest([field], pixel[0] * this.data.side + pixel[1]), chosen(pixel, 1.5), `Learned by a UNet: mean over ${draws} noisy photographs`)
  }
}

export default taught(Faces)
