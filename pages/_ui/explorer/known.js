// What the explorer knows of fields, and how it comes to know more: files first, then Python, which sends the exact
// prediction wherever the reader rests, and then draws of the learned field, a few at a time, for as long as they do.
import { clamp, Lab } from "../lab/lab.js"
import { Basis } from "./basis.js"
import { best } from "./estimate.js"
import { predictedRow, placesOf } from "./tables.js"

const REST = 350 // ms without movement before anything is asked for
const PAUSE = 30 // ms between an answer and the next question
const FIRST = 32 // draws of the chosen pixel before the curve has its own
const KEPT = 64 // fields

export class Known extends Lab {
  constructor(root) {
    super(root)
    this.exact = new Map() // predicted and projected fields from Python
    this.live = new Map() // draws of learned fields from Python
    this.rows = new Map() // predicted rows made here
    this.points = new Map() // pixel -> level of the curve -> [radius, error, draws]
    this.x0 = null
    document.addEventListener("visibilitychange", () => this.wonder(), { signal: this.gone.signal })
  }

  receive(sent) {
    const { fresh, newer } = this.take(sent), { head, arrays } = this
    if (fresh) for (const kept of [this.exact, this.live, this.points, this.rows]) kept.clear()
    if (fresh || (head.restored && newer)) { this.pixel = head.pixel; this.sigma = head.sigma } // else the browser knows best
    this.colours = head.options.symlog ? "symlog" : "linear"
    if (newer) { // else the answer to what was chosen meanwhile is still to come
      this.asked = false
      this.x0 = arrays.x0
    }
    this.remember()
    this.build()
    this.load(placesOf(head.tables, head.strip?.url, this.sigma)).then(() => this.arrived())
    this.ask()
    clearTimeout(this.wondering)
    this.wondering = setTimeout(() => this.wonder(), PAUSE)
  }

  remember() {
    const { head: { exact, learned, point }, arrays } = this
    this.keep(this.exact, exact, { predicted: arrays.predicted, projection: arrays.projection })
    if (learned) this.keep(this.live, learned, { learned: arrays.learned, stderr: arrays.stderr, draws: learned.draws, radiusError: learned.radius_error, noise: learned.noise })
    if (!point) return
    const found = this.points.get(`${point.pixel}`) || new Map(), [level, ...numbers] = point.at
    this.points.set(`${point.pixel}`, found.set(level, numbers))
  }

  keep(kept, { pixel, sigma }, value) {
    const key = this.key(pixel, sigma)
    kept.delete(key) // the latest last
    kept.set(key, value)
    if (kept.size > KEPT) kept.delete(kept.keys().next().value)
  }
  key([row, col], sigma) { return `${row},${col},${sigma.toPrecision(6)}` }

  // Of large images a basis is cut, of small ones whole.
  opened(file) { return file.head.basis ? new Basis(file, this.h, this.w) : file }
  arrived() {}
  build() {}

  // --- fields at a pixel and a noise level -------------------------------------------------------

  get size() { return this.h * this.w }
  get learnedTable() { return this.files.get(this.head.tables?.learned) }

  predictedAt(pixel, sigma) {
    const found = this.exact.get(this.key(pixel, sigma))?.predicted
    if (found) return { field: found, exact: true }
    const key = this.key(pixel, sigma)
    if (!this.rows.has(key)) {
      const row = predictedRow(this.head.tables, this.files, pixel[0] * this.w + pixel[1], sigma, this.size)
      if (!row) return row
      this.keep(this.rows, { pixel, sigma }, row)
    }
    return { field: this.rows.get(key), exact: false }
  }

  // Stored draws count where the options ask for as many as there are.
  learnedAt(pixel, sigma) {
    const live = this.live.get(this.key(pixel, sigma)), table = this.head.growing || !live ? this.learnedTable : null
    return best(table, live, pixel, sigma, this.size)
  }

  // --- asking Python -----------------------------------------------------------------------------

  get target() { return this.hover || this.pixel }

  moved(event) {
    this.ask(event)
    clearTimeout(this.resting)
    clearTimeout(this.wondering)
    this.resting = setTimeout(() => {
      if (this.busy) return
      if (this.exact.has(this.key(this.target, this.sigma))) this.wonder()
      else this.commit("rest")
    }, REST)
  }

  get busy() { return this.playing || this.root.dataset.sweeping || document.hidden || !this.head || this.head.alone }

  // One question at a time, and none before the prediction is here: more draws, or a point of the curve.
  wonder() {
    if (this.busy || this.asked || !this.head.draws || !this.exact.has(this.key(this.target, this.sigma))) return
    const { draws: most, levels } = this.head, draws = this.live.get(this.key(this.target, this.sigma))?.draws ?? 0
    const at = this.curvePixel(), known = this.points.get(`${at}`), level = this.hover ? -1 : levels.findIndex((_, i) => !known?.has(i))
    if (draws < Math.min(most, FIRST)) return this.question("draws")
    if (level >= 0) return this.question("curve", { at, level })
    if (draws < most) this.question("draws")
  }

  commit(kind, event) {
    clearTimeout(this.wondering)
    super.commit(kind, event)
  }

  question(kind, about = {}) {
    this.asked = true
    this.about = about
    this.commit(kind)
  }

  curvePixel() { return this.pixel }

  chosen(kind) {
    const [row, col] = kind === "curve" ? this.about.at : kind === "rest" || kind === "draws" ? this.target : this.pixel
    this.sigma = +this.sigma.toPrecision(6)
    return { row, col, pinned: this.pixel, sigma: this.sigma, ...(kind === "curve" ? { level: this.about.level } : {}), ...(kind === "image" ? this.about : {}) }
  }

  // A step of the noise level from the keyboard, as share of the slider.
  step(by) {
    this.stop()
    this.sigma = this.sigmaAt(clamp(this.positionOf(this.sigma) + 40 * by, 1001))
    clearTimeout(this.held)
    this.held = setTimeout(() => this.commit("noise"), 150)
    this.ask()
  }
}
