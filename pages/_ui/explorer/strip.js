// The clean image beside the noisy one, and the images to choose from.
import { paintBytes, paintImage } from "../lab/colours.js"
import { bitmap, element } from "../lab/lab.js"

export class Strip {
  constructor(choose) {
    this.box = element("div", "beside")
    this.clean = element("figure", "clean")
    this.row = element("div", "strip")
    this.row.setAttribute("role", "group")
    this.row.setAttribute("aria-label", "Images to choose from")
    this.clean.append(document.createElement("canvas"), element("figcaption", "", "Clean"))
    this.box.append(this.clean, this.row)
    this.row.addEventListener("click", event => {
      const button = /** @type {HTMLElement} */ (event.target).closest("button")
      if (button) choose(+button.dataset.image)
    })
  }

  paint(x0, c, h, w, title) {
    if (this.size !== `${h}x${w}`) { this.size = `${h}x${w}`; this.made = bitmap(this.clean.querySelector("canvas"), h, w) }
    paintImage(x0, null, 0, c, h * w, this.made.pixels)
    this.made.put()
    const canvas = this.made.canvas
    canvas.setAttribute("role", "img")
    canvas.setAttribute("aria-label", `${title} without noise`)
  }

  // One button an image, as soon as their file is here; the chosen one is pressed.
  build(file, { url = "", image = "", first = 0, count = 0, chosen = -1 } = {}, c, h, w) {
    this.row.hidden = !count
    if (file && this.key !== url) {
      this.key = url
      const { images } = file.arrays, size = h * w
      this.row.replaceChildren(...Array.from({ length: count }, (_, n) => {
        const button = element("button"), { canvas, pixels, put } = bitmap(document.createElement("canvas"), h, w)
        paintBytes(images, n * c * size, c, size, pixels)
        put()
        Object.assign(button, { type: "button", title: `${image} ${first + n}` })
        button.dataset.image = `${first + n}`
        button.setAttribute("aria-label", `${image} ${first + n}`)
        button.append(canvas)
        return button
      }))
    }
    for (const button of this.row.children) button.setAttribute("aria-pressed", `${/** @type {HTMLElement} */ (button).dataset.image === `${chosen}`}`)
  }
}

// Image n of the file, [c h w] in [-1, 1].
export function imageOf({ arrays: { images } }, n, d) {
  return Float32Array.from(images.subarray(n * d, (n + 1) * d), code => code / 127.5 - 1)
}
