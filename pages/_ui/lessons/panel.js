// Pictures of the lessons: cells with marks over them, and titled ones that can be covered while the answer is.
import { paintField, paintImage, rgba } from "../lab/colours.js"
import { bitmap, element } from "../lab/lab.js"
import { isDark } from "../lab/theme.js"

export const LEGEND = "Red: counts towards the estimate, blue: against it. Colours are logarithmic, each field on its own scale."
export const signed = words => words.replace("-", "−")

export const paper = { on: false } // while the page is printed, whatever its colours are on the screen

export class Picture {
  constructor(side) {
    this.side = side
    this.stage = element("div", "stage")
    const { canvas, pixels, put } = bitmap(document.createElement("canvas"), side, side)
    this.canvas = canvas
    this.pixels = pixels
    this.put = put
    canvas.setAttribute("role", "img")
    this.stage.append(canvas)
    this.stage.insertAdjacentHTML("beforeend", `<svg viewBox="0 0 ${side} ${side}" aria-hidden="true" fill="none"></svg>`)
    this.marks = this.stage.querySelector("svg")
  }

  get dark() { return !paper.on && isDark(this.canvas) }

  // A field on a symmetric scale up to `limit`, small values lifted unless told otherwise.
  field(field, limit, marks, label, lifted = true) {
    paintField(field, limit, lifted, this.pixels, this.dark)
    this.done(marks, label)
  }

  // An image in [-1, 1], channels first.
  image(x0, channels, marks, label) {
    paintImage(x0, null, 0, channels, this.side ** 2, this.pixels)
    this.done(marks, label)
  }

  done(marks, label) {
    this.put()
    this.marks.innerHTML = marks
    this.canvas.setAttribute("aria-label", label)
  }
}

export class Panel extends Picture {
  constructor(id, side) {
    super(side)
    this.figure = element("figure")
    this.figure.dataset.panel = id
    this.title = element("h3")
    this.words = element("p", "waits")
    this.figure.append(this.title, this.stage, this.words)
  }

  // Uncovered, with a title.
  titled(title) {
    this.title.textContent = title
    this.stage.hidden = false
    this.words.textContent = ""
    return this
  }

  cover(title, words = "after your guess") {
    this.title.textContent = title
    this.stage.hidden = true
    this.words.textContent = words
  }
}

// Small grey images of 8-bit values on one canvas, so many side by side, a line between them.
export function strip(images, side, columns = images.length) {
  const down = Math.ceil(images.length / columns), step = side + 1
  const { canvas, pixels, put } = bitmap(document.createElement("canvas"), down * step - 1, columns * step - 1)
  pixels.fill(rgba(128, 128, 128))
  images.forEach((image, i) => {
    const corner = Math.floor(i / columns) * step * canvas.width + i % columns * step
    for (let p = 0; p < side * side; p++) pixels[corner + Math.floor(p / side) * canvas.width + p % side] = rgba(image[p], image[p], image[p])
  })
  put()
  canvas.setAttribute("aria-hidden", "true")
  const stage = element("div", "stage strip")
  stage.append(canvas)
  return stage
}
