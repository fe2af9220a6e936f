// A titled picture with marks over it; or words in its place, while the answer is covered.
import { paintField, paintImage, rgba } from "../lab/colours.js"
import { bitmap, element } from "../lab/lab.js"

export class Panel {
  constructor(id, side) {
    this.side = side
    this.figure = element("figure")
    this.figure.dataset.panel = id
    this.title = element("h3")
    this.stage = element("div", "stage")
    this.words = element("p", "waits")
    const { canvas, pixels, put } = bitmap(document.createElement("canvas"), side, side)
    this.canvas = canvas
    this.pixels = pixels
    this.put = put
    this.canvas.setAttribute("role", "img")
    this.stage.append(this.canvas)
    this.stage.insertAdjacentHTML("beforeend", `<svg viewBox="0 0 ${side} ${side}" aria-hidden="true" fill="none"></svg>`)
    this.marks = this.stage.querySelector("svg")
    this.figure.append(this.title, this.stage, this.words)
  }

  // A field on a symmetric scale up to `limit`, small values lifted (symlog).
  field(title, field, limit, marks, label = title) {
    paintField(field, limit, true, this.pixels)
    this.put()
    this.show(title, label, marks)
  }

  // An image in [-1, 1], channels first.
  image(title, x0, channels, marks = "", label = title) {
    paintImage(x0, null, 0, channels, this.side ** 2, this.pixels)
    this.put()
    this.show(title, label, marks)
  }

  show(title, label, marks) {
    this.title.textContent = title
    this.stage.hidden = false
    this.words.textContent = ""
    this.canvas.setAttribute("aria-label", label)
    this.marks.innerHTML = marks
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
  return framed(canvas)
}

// A picture of an option of the guess.
export function framed(canvas) {
  const stage = element("div", "stage")
  canvas.setAttribute("aria-hidden", "true")
  stage.append(canvas)
  return stage
}

// The largest size of a field but for its own pixel, which would set the scale alone.
export function elsewhere(field, own) {
  let most = 0
  for (let p = 0; p < field.length; p++) if (p !== own) most = Math.max(most, Math.abs(field[p]))
  return most || 1
}

