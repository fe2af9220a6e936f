// The eye of a cat: a photograph to point at, predicted fields of any pixel of two sets, and the learned one of the eye.
import { Basis } from "../explorer/basis.js"
import { rgba } from "../lab/colours.js"
import { ARROWS, cellAt, clamp, element } from "../lab/lab.js"
import { closest, largest, short } from "../lab/math.js"
import { chosen } from "../lab/svg.js"
import { Lesson, taught } from "./lesson.js"
import { Panel, Picture } from "./panel.js"

class Faces extends Lesson {
  build() {
    const { side, eye, levels, start, bases } = this.data
    this.at = [...eye]
    this.bases = Object.fromEntries(Object.entries(bases).map(([name, head]) => [name, new Basis({ head, arrays: this.part(name) }, side, side)]))
    this.panels = Object.fromEntries(["photo", "cats", "learned", "cifar10"].map(id => [id, new Panel(id, side)]))
    const maps = (this.maps = element("div", "maps"))
    this.wait = element("p", "waits", "Its fields: after your guess")
    maps.append(...Object.values(this.panels).map(({ figure }) => figure))
    this.figure.replaceChildren(this.wait, maps)
    this.levels(levels, start)
    const { canvas } = this.panels.photo
    canvas.setAttribute("role", "application")
    canvas.setAttribute("aria-roledescription", "pixel picker")
    canvas.tabIndex = 0
    canvas.style.cursor = "crosshair"
    canvas.onclick = event => this.move(cellAt(event, side, side))
    canvas.onkeydown = event => {
      const step = ARROWS[event.key], by = event.shiftKey ? 4 : 1
      if (!step) return
      event.preventDefault()
      event.stopPropagation()
      this.move(this.at.map((v, i) => clamp(v + step[i] * by, side)))
    }
  }

  part(name) { return Object.fromEntries(["codes", "scale", "eigvals"].map(part => [part, this.arrays[`${name}.${part}`]])) }

  ornament(_i) {
    const { side, eye } = this.data, panel = new Picture(side)
    panel.image(this.arrays.photo, 3, "", "")
    const { pixels, put, canvas } = panel, [r, c] = eye
    pixels[r * side + c] = rgba(255, 212, 0) // the eye
    put()
    return canvas
  }

  move(at) {
    if (!this.revealed) return
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

  restart() {
    this.at = [...this.data.eye]
    super.restart()
  }

  draw() {
    const { side, learned, eye, levels } = this.data, sigma = levels[this.level], [r, c] = this.at, own = r * side + c
    const { photo, ...fields } = this.panels
    this.maps.hidden = !this.revealed
    this.wait.hidden = this.revealed
    this.wait.textContent = this.revealed ? "" : "Its fields: after your guess"
    photo.titled("A cat").image(this.arrays.photo, 3, chosen(this.at, 1.5), `A photograph of a cat. Chosen: row ${r}, column ${c}. Arrow keys move, with Shift by four.`)
    const names = { cats: "Predicted, cats", cifar10: "Predicted, CIFAR-10", learned: "Learned by a UNet" }
    this.shown = { sigma, at: this.at }
    for (const [id, panel] of Object.entries(fields)) {
      if (!this.revealed) continue
      if (id === "learned") this.learned(panel, names[id], sigma, learned, eye)
      else {
        const field = this.bases[id].row(own, sigma)
        this.shown[id] = [...field]
        panel.titled(names[id]).field(field, largest([field], own), chosen(this.at, 1.5), `${names[id]}: field of row ${r}, column ${c} at sigma ${short(sigma)}`)
      }
    }
  }

  // Stored for the pixel beside the eye, at a few noise levels.
  learned(panel, name, sigma, { sigmas, pixel, draws }, eye) {
    if (this.at.join() !== eye.join()) {
      panel.cover(name, "stored for the eye alone")
      return
    }
    const near = closest(sigmas, sigma)
    const size = this.data.side ** 2, field = this.arrays.learned.subarray(near * size, (near + 1) * size)
    panel.titled(`${name} at σ ${short(sigmas[near])}`).field(field, largest([field], pixel[0] * this.data.side + pixel[1]), chosen(pixel, 1.5), `${name}: mean over ${draws} noisy photographs`)
  }
}

export default taught(Faces)
