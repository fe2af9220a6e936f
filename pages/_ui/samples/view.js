// The grid of samples: rows of models, a walk through the steps, cards, and the clicked pixel.
import { paintBytes } from "../lab/colours.js"
import { ARROWS, bitmap, cellAt, clamp, element, mounted, Walk } from "../lab/lab.js"
import { short } from "../lab/math.js"
import { imageCard, nameCard } from "./card.js"

const PLAY = 3 // s for all steps
const PACE = 0.06 // s a step at least

class Samples extends Walk {
  constructor(root) {
    super(root)
    this.what = "x0_hat"
    this.focus = [0, 0]
    this.pointer = element("i", "cursor")
    this.picked = element("i")
    this.$("input").oninput = () => { this.stop(); this.at = +this.$("input").value; this.draw() }
    this.on("[data-what]", ({ what }) => { this.what = what; this.ask() })
    this.$(".scroll").onscroll = () => this.hide()
  }

  // --- what Python sends -------------------------------------------------------------------------

  receive(sent) {
    const { fresh } = this.take(sent), { head } = this, last = head.shown.length - 1
    this.d = this.c * this.h * this.w
    this.$("input").max = last
    if (fresh) {
      this.pick = head.pick && { row: head.pick[0], sample: head.pick[1], pixel: [head.pick[2], head.pick[3]], step: head.pick[4] }
      this.at = this.pick ? this.positionOfStep(this.pick.step) : last
      this.focus = this.pick ? [this.pick.row, this.pick.sample] : [0, 0]
    }
    this.at = Math.min(this.at, last)
    this.build()
    this.draw()
    if (this.carded) this.showCard(...this.carded) // what is known of the image may be more by now
  }

  positionOfStep(step) {
    const i = this.head.shown.findIndex(shown => shown >= step)
    return i < 0 ? this.head.shown.length - 1 : i
  }

  // Pictures of a row that were sent: how many of the shown steps.
  frames(r) {
    const sent = this.arrays[`x0_hat${r}`]
    return sent ? sent.length / (this.head.count * this.d) : 0
  }

  // --- the grid ----------------------------------------------------------------------------------

  build() {
    const { rows, count } = this.head, kinds = rows.map((row, r) => (this.frames(r) ? "drawn" : row.error ? "why" : "empty"))
    const layout = JSON.stringify([this.head.context, this.head.shape, kinds])
    if (this.layout !== layout) {
      const had = this.root.getRootNode().activeElement?.tagName === "CANVAS"
      this.layout = layout
      this.hide()
      const grid = this.$(".grid")
      grid.style.setProperty("--count", count)
      grid.style.setProperty("--shape", `${this.w} / ${this.h}`)
      const corner = element("div", "corner"), numbers = Array.from({ length: count }, (_, k) => element("div", "number", `${k + 1}`))
      this.names = rows.map(() => element("div", "who"))
      this.tiles = rows.map((row, r) => this.tilesOf(row, r, kinds[r]))
      grid.replaceChildren(corner, ...numbers, ...rows.flatMap((_, r) => [this.names[r], ...this.tiles[r].map(tile => tile.place)]))
      if (had) this.focused()?.canvas.focus()
    }
    rows.forEach((row, r) => this.name(row, r))
    this.rove()
  }

  tilesOf(row, r, kind) {
    if (kind === "why") return [{ place: element("div", "why", row.error) }]
    return Array.from({ length: this.head.count }, (_, k) => (kind === "empty" ? { place: element("div", "tile empty") } : this.tile(r, k)))
  }

  tile(r, k) {
    const place = element("div", "tile"), canvas = element("canvas"), pixelAt = event => cellAt(event, this.h, this.w)
    canvas.tabIndex = -1
    canvas.setAttribute("role", "img")
    place.append(canvas)
    canvas.onpointermove = event => { this.put(this.pointer, place, pixelAt(event)); if (this.carded?.[2] !== place) this.showCard(r, k, place) }
    canvas.onpointerleave = () => { this.pointer.remove(); this.hide() }
    canvas.onclick = event => this.choose(r, k, pixelAt(event))
    canvas.onfocus = () => { this.focus = [r, k]; this.rove() }
    canvas.onkeydown = event => this.key(event)
    return { place, ...bitmap(canvas, this.h, this.w) }
  }

  name(row, r) {
    const [title, options] = [row.text.split(":")[0], row.text.split(":").slice(1).join(":")]
    const text = JSON.stringify([row.text, row.note, row.state, row.about])
    const place = this.names[r]
    if (place.dataset.text === text) return
    place.dataset.text = text
    const button = element("button", "title", title)
    button.type = "button"
    button.onpointerenter = button.onfocus = () => this.place(nameCard(row), place)
    button.onpointerleave = button.onblur = () => this.hide()
    const lines = [["options", options.replaceAll(",", ", ")], ["note", row.note], ["state", row.state]].filter(([, words]) => words)
    place.replaceChildren(button, ...lines.map(([kind, words]) => element("span", kind, words)))
    for (const { place: tile } of this.tiles[r]) tile.classList.toggle("next", /^(Starting|Step)/.test(row.state))
  }

  // --- drawing -----------------------------------------------------------------------------------

  draw() {
    const { shown, sigmas, rows } = this.head, step = shown[this.at]
    this.$("input").value = this.at
    const label = `Step ${step + 1} of ${sigmas.length}`
    this.$(".where").textContent = `${label}   σ = ${short(sigmas[step])}`
    this.$("input").setAttribute("aria-valuetext", `${label}, sigma ${short(sigmas[step])}`)
    this.press("what", this.what)
    this.$(".about").textContent = this.what === "x"
      ? "The noisy image x of each step, divided by √(1 + σ²) so that it stays visible whatever the noise level σ."
      : "Each model's estimate of the clean image at each step; the last one is the result. σ is the noise level, in units where images run from −1 to 1." +
        (shown.length < sigmas.length ? ` ${shown.length} of the ${sigmas.length} steps are shown.` : "")
    rows.forEach((row, r) => this.drawRow(row, r))
    this.drawPick()
    this.root.dataset.shown = `${this.what} ${step + 1}/${sigmas.length} ${rows.map((row, r) => this.frames(r) && Math.min(shown[Math.min(this.at, this.frames(r) - 1)] + 1, row.drawn)).join(" ")}`
  }

  drawRow(row, r) {
    const frames = this.frames(r)
    if (!frames) return
    const frame = Math.min(this.at, frames - 1), images = this.arrays[`${this.what}${r}`]
    this.tiles[r].forEach((tile, k) => {
      paintBytes(images, (frame * this.head.count + k) * this.d, this.c, this.h * this.w, tile.pixels)
      tile.put()
      tile.canvas.setAttribute("aria-label", `${row.text}, image ${k + 1}, step ${this.head.shown[frame] + 1}`)
    })
  }

  drawPick() {
    const tile = this.pick && this.tiles[this.pick.row]?.[this.pick.sample]
    if (tile?.canvas) this.put(this.picked, tile.place, this.pick.pixel)
    else this.picked.remove()
  }

  put(mark, place, [row, col]) {
    if (mark.parentElement !== place) place.append(mark)
    Object.assign(mark.style, { left: `${100 * col / this.w}%`, top: `${100 * row / this.h}%`, width: `${100 / this.w}%`, height: `${100 / this.h}%` })
  }

  // --- cards -------------------------------------------------------------------------------------

  showCard(r, k, place) {
    const row = this.head.rows[r], images = this.arrays[`near${r}`]
    const near = row.near && { number: row.near[0][k], distance: row.near[1][k], second: row.near[2][k], shown: !!images }
    this.place(imageCard(row, k, near, this.head, this.d), place)
    this.carded = [r, k, place]
    if (!near?.shown) return
    this.copy(this.$(".card .final"), this.arrays[`x0_hat${r}`], ((this.frames(r) - 1) * this.head.count + k) * this.d)
    this.copy(this.$(".card .near"), images, k * this.d)
  }

  copy(canvas, images, start) {
    const shown = bitmap(canvas, this.h, this.w)
    paintBytes(images, start, this.c, this.h * this.w, shown.pixels)
    shown.put()
  }

  // Beside the place; on the other side, or below, where there is no room.
  place(html, place) {
    const card = this.$(".card"), all = this.root.getBoundingClientRect(), box = place.getBoundingClientRect()
    card.innerHTML = html
    card.hidden = false
    const wide = card.offsetWidth, tall = card.offsetHeight, right = box.right - all.left + 10, left = box.left - all.left - wide - 10
    const beside = right + wide <= all.width ? right : left
    const within = (v, low, high) => Math.max(low, Math.min(high, v))
    card.style.left = `${beside >= 0 ? beside : within(box.left - all.left, 0, all.width - wide)}px`
    const top = box.top - all.top + (beside >= 0 ? (box.height - tall) / 2 : box.height + 10)
    card.style.top = `${beside >= 0 ? within(top, 8 - all.top, Math.max(8 - all.top, innerHeight - all.top - tall - 8)) : top}px`
    this.carded = null
  }

  hide() {
    this.$(".card").hidden = true
    this.carded = null
  }

  // --- acting ------------------------------------------------------------------------------------

  choose(r, k, pixel) {
    const frames = this.frames(r), step = this.head.shown[Math.min(this.at, frames - 1)]
    this.pick = { row: r, sample: k, pixel, step }
    this.focus = [r, k]
    this.rove()
    this.drawPick()
    this.commit("pick")
  }

  chosen() {
    const { row, sample, pixel, step } = this.pick
    return { model: this.head.rows[row].text, sample, row: pixel[0], col: pixel[1], step }
  }

  focused() { return this.tiles[this.focus[0]]?.[this.focus[1]] }

  // One image of the grid is in the order of Tab; arrows move between the others.
  rove() {
    if (!this.focused()?.canvas) {
      const r = this.tiles.findIndex(([first]) => first?.canvas)
      this.focus = [Math.max(r, 0), 0]
    }
    this.tiles.forEach((tiles, r) => tiles.forEach(({ canvas }, k) => { if (canvas) canvas.tabIndex = r === this.focus[0] && k === this.focus[1] ? 0 : -1 }))
  }

  key(event) {
    const [r, k] = this.focus, [down, right] = ARROWS[event.key] || [0, 0]
    const move = (by, along) => {
      let at = [r + by, k + along]
      while (this.tiles[at[0]] && !this.tiles[at[0]][at[1]]?.canvas) at = [at[0] + (by || this.tiles.length), at[1]]
      this.tiles[at[0]]?.[at[1]]?.canvas?.focus()
    }
    const middle = [this.h >> 1, this.w >> 1], chosen = this.pick?.row === r && this.pick.sample === k ? this.pick.pixel : null
    if (event.shiftKey && (down || right)) {
      const [row, col] = chosen || middle, pixel = [clamp(row + down, this.h), clamp(col + right, this.w)]
      this.choose(r, k, pixel)
      this.say(`Row ${pixel[0]}, column ${pixel[1]} of image ${k + 1}`)
    } else if (right) { this.stop(); this.at = clamp(this.at + right, this.head.shown.length); this.draw(); this.say(this.$(".where").textContent) }
    else if (down) move(down, 0)
    else if (event.key === "PageUp" || event.key === "PageDown") move(0, event.key === "PageUp" ? -1 : 1)
    else if (event.key === "Enter" || event.key === " ") this.choose(r, k, chosen || middle)
    else return
    event.preventDefault()
    event.stopPropagation()
  }

  steps() { return this.head.shown.length }
  pace() { return 1 / Math.max(PLAY / this.steps(), PACE) }
}

export default mounted(Samples, "pick")
