// The paint area: the pattern over the mean image, painted with the pointer or with arrow keys and space.
import { byte, rgba } from "../lab/colours.js"
import { ARROWS, bitmap, cellAt, clamp, element } from "../lab/lab.js"
import { percent } from "../lab/math.js"
import { chosen, pointed } from "../lab/svg.js"
import { countOf } from "./measured.js"
import { brush, cellsBetween, onMask, readMask } from "./paint.js"

const FAINT = 0.45 // of the mean image below the pattern

export class Area {
  constructor(view) {
    this.view = view
    this.tool = 1
    this.width = 1
    this.stroke = null // where the pointer was, while it paints
    view.on("[data-tool]", ({ tool }) => { this.tool = +tool; view.ask() })
    view.on("[data-width]", ({ width }) => { this.width = +width; view.ask() })
    view.on("[data-shape]", ({ shape }) => { view.mask = readMask(view.head.shapes[shape], view.h * view.w); view.pixel = onMask(view.mask, view.pixel, view.h, view.w); this.done() })
    view.on(".clear", () => { view.mask.fill(0); this.done() })
  }

  build() {
    const { view } = this, { h, w, head } = view, canvas = view.$(".mask canvas"), svg = view.$(".mask svg"), at = event => cellAt(event, h, w)
    this.bitmap = bitmap(canvas, h, w)
    this.spot = [h >> 1, w >> 1]
    svg.setAttribute("viewBox", `0 0 ${w} ${h}`)
    svg.setAttribute("preserveAspectRatio", "none")
    canvas.setAttribute("aria-label", `Paint area of ${h} by ${w} pixels. Arrow keys move, space paints or erases.`)
    canvas.onpointerdown = event => { canvas.setPointerCapture?.(event.pointerId); view.stop(); this.stroke = this.spot = at(event); this.paint(this.stroke, event) }
    canvas.onpointermove = event => { this.spot = at(event); if (this.stroke) this.paint(this.spot, event); else view.ask(event) }
    canvas.onpointerup = canvas.onpointercancel = () => { if (this.stroke) { this.stroke = null; this.done() } }
    canvas.onkeydown = event => this.key(event)
    view.$(".shapes").replaceChildren(...Object.keys(head.shapes).map(name => {
      const button = element("button", "", name)
      button.type = "button"
      button.dataset.shape = name
      return button
    }))
  }

  paint(to, event) {
    const { mask, h, w } = this.view
    for (const cell of cellsBetween(this.stroke, to)) for (const p of brush(cell, this.width, h, w)) mask[p] = this.tool
    this.stroke = to
    this.view.ask(event)
  }

  key(event) {
    const step = ARROWS[event.key], { mask, h, w } = this.view, [row, col] = this.spot, p = row * w + col
    if (step) this.spot = [clamp(row + step[0], h), clamp(col + step[1], w)]
    else if (event.key === " ") { mask[p] = mask[p] ? 0 : this.tool || 1; this.done() }
    else return
    event.preventDefault()
    event.stopPropagation()
    this.view.say(`Row ${this.spot[0]}, column ${this.spot[1]}: ${mask[this.spot[0] * w + this.spot[1]] ? "painted" : "empty"}`)
    this.view.ask(event)
  }

  done() {
    this.view.ask()
    if (this.view.mask.some(v => v)) this.view.commit("paint")
  }

  draw(pixel) {
    const { view } = this, { mask, c, h, w, head, arrays } = view, size = h * w, { pixels } = this.bitmap, count = countOf(mask)
    for (let i = 0; i < size; i++) {
      const grey = k => Math.round(255 - (255 - byte(arrays.mean[(c === 1 ? 0 : k) * size + i])) * FAINT)
      pixels[i] = mask[i] > 0 ? rgba(178, 24, 43) : mask[i] < 0 ? rgba(33, 102, 172) : rgba(grey(0), grey(1), grey(2))
    }
    this.bitmap.put()
    view.$(".mask g").innerHTML = chosen(pixel) + pointed(this.spot)
    view.$(".paint-title").textContent = head.texts.paint
    view.$(".paint-sub").textContent = head.texts.paintSub
    view.$(".paint-read").textContent = `${count} pixels, ${percent(count / size)} of the image · row ${this.spot[0]}, column ${this.spot[1]}`
    view.press("tool", this.tool)
    view.press("width", this.width)
    view.press("shape", Object.keys(head.shapes).find(name => head.shapes[name] === view.masked))
  }
}
