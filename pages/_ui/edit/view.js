// The page of edits: paint a pattern, drag its strength, and the predicted field follows at once. Python is asked
// when the pointer lets go: for exact fields, for networks without stored ones, and for edits that need a new basis.
import { byte, rgba } from "../lab/colours.js"
import { element, Lab, mounted } from "../lab/lab.js"
import { largest, massOn, percent, short, storedField, within } from "../lab/math.js"
import { poster } from "../lab/poster.js"
import { chosen, path } from "../lab/svg.js"
import { Basis } from "../explorer/basis.js"
import { Area } from "./area.js"
import { massChart, massWords, TALL } from "./masses.js"
import { countOf, measured, measuredTable } from "./measured.js"
import { edges, maskText, readMask } from "./paint.js"
import { Plant } from "./plant.js"

const SWEEP = 4 // s of the play button, weakest to strongest
const FAR = 4
const UNHURRIED = 80 // ms between two updates of the table and the chart
const SIDES = ["before", "after"]

class Edit extends Lab {
  constructor(root) {
    super(root)
    this.rows = new Map()
    this.area = new Area(this)
    const dial = this.$(".dial input")
    dial.oninput = event => { this.stop(); this.level = +dial.value; this.ask(event) }
    dial.onchange = () => this.commit("level")
    this.noiseSlider()
    this.on("[data-colours]", ({ colours }) => { this.colours = colours; this.commit("colours") })
    this.outlined = true
    this.on(".outline", () => { this.outlined = !this.outlined; this.ask() })
    this.on("[data-network]", ({ network }) => { this.network = network; this.commit("network") })
  }

  // --- what Python sends -----------------------------------------------------------------------

  receive(sent) {
    const { fresh, newer } = this.take(sent), { head, arrays } = this
    if (newer) {
      this.pixel = head.pixel
      if (!this.playing) { this.sigma = head.sigma; this.level = head.level }
      this.mask = head.mask ? readMask(head.mask, this.size) : null
    }
    if (fresh) { this.network = head.network; this.colours = head.colours; this.rows.clear(); this.made.clear() }
    if (!head.networks.some(({ id }) => id === this.network)) this.network = head.networks[0]?.id ?? ""
    this.exact = { key: this.key(head.pixel, head.sigma, head.level, head.mask), before: arrays.before, after: arrays.after }
    this.build()
    this.load(this.places())
    this.ask()
  }

  get size() { return this.h * this.w }
  key(pixel, sigma, level, mask) { return `${pixel} ${sigma.toPrecision(6)} ${level.toPrecision(6)} ${mask}` }

  // Bases first, then the stored fields, those of the chosen network before the others.
  places() {
    const { bases, networks } = this.head, own = networks.filter(({ id }) => id === this.network), rest = networks.filter(({ id }) => id !== this.network)
    const tables = [...own, ...rest].flatMap(({ before, after }) => [before, ...after].map(one => one?.url))
    return [...new Set([...Object.values(bases), ...tables].filter(Boolean))]
  }
  opened(file) { return file.head.basis ? new Basis(file, this.h, this.w) : file }

  // --- fields ------------------------------------------------------------------------------------

  row(place, p) {
    const basis = this.files.get(place), key = `${place} ${p} ${this.sigma}`
    if (basis && !this.rows.has(key)) {
      if (this.rows.size > 200) this.rows.clear()
      this.rows.set(key, basis.row(p, this.sigma))
    }
    return basis ? this.rows.get(key) : null
  }

  // Predicted fields of a pixel before and after, at any strength where the last edit is a pattern.
  predicted(pixel, level) {
    const p = pixel[0] * this.w + pixel[1], { bases, live, mask } = this.head
    const same = this.exact.key === this.key(pixel, this.sigma, level, mask) && (!this.mask || this.masked === mask)
    if (same && this.exact.before) return { before: this.exact.before, after: this.exact.after, exact: true }
    const before = this.row(bases.before, p)
    if (!live) return { before, after: level === this.head.level ? this.row(bases.after, p) : null, exact: false }
    const plain = bases.after === bases.before ? before : this.row(bases.after, p)
    return { before, after: plain ? this.plant().field(plain, p, this.sigma, level) : null, exact: false }
  }

  plant() {
    const { bases, coupled, variance } = this.head, key = `${bases.after} ${coupled}`
    if (this.planted?.key !== key) this.planted = { key, plant: new Plant(this.files.get(bases.after), this.mask, this.arrays.coupling, variance, this.arrays.weights) }
    else this.planted.plant.repaint(this.mask)
    return this.planted.plant
  }

  // A network's stored field at the nearest pixel; null where it has no table.
  stored(one, pixel) {
    const table = one.url && this.files.get(one.url)
    if (!table) return null
    const { sigmas, draws } = table.head
    if (!within(sigmas, this.sigma)) return { field: null, pixel, note: `Stored for σ ${short(sigmas[0])} to ${short(sigmas[sigmas.length - 1])}` }
    const found = storedField(table, pixel, this.sigma, this.size)
    return { ...found, note: `${draws} draws${`${found.pixel}` === `${pixel}` ? "" : `, stored pixel ${found.pixel.join(", ")}`}` }
  }

  // The chosen network's field: stored, or as Python computed it here.
  learned(which, pixel) {
    const { head } = this, network = head.networks.find(({ id }) => id === this.network)
    const one = which === "before" ? network?.before : this.nearestLevel(network?.after || [])
    if (!one) return null
    const stored = this.stored(one, pixel), field = this.arrays[`learned_${which}`]
    if (stored) return { one, ...stored }
    const here = field && head.learned_at === this.network && `${pixel}` === `${head.pixel}` && this.sigma.toPrecision(6) === head.sigma.toPrecision(6)
    return { one, pixel, ...(here ? { field, note: head.draws } : { field: null, note: "Click a pixel to compute" }) }
  }

  nearestLevel(list) { return list.reduce((best, one) => (!best || Math.abs(one.level - this.level) < Math.abs(best.level - this.level) ? one : best), null) }

  // --- drawing -----------------------------------------------------------------------------------

  build() {
    const { head, h, w } = this, layout = JSON.stringify([head.shape, !!head.mask, head.mosaic]), [rows, cols] = head.mosaic
    this.$(".board").classList.toggle("unmasked", !head.mask)
    this.networkButtons()
    if (this.layout === layout) return
    this.layout = layout
    const keys = "Predicted field after the edit. Arrow keys move the chosen pixel, Shift moves by four."
    this.panels = Object.fromEntries(SIDES.flatMap(which => [
      [`images_${which}`, this.panel(`images-${which}`, { h: rows * h, w: cols * w, leads: true })],
      [`predicted_${which}`, this.panel(`predicted-${which}`, { keys: which === "after" ? keys : "" })],
      [`learned_${which}`, this.panel(`learned-${which}`)],
    ]))
    for (const which of SIDES) {
      const row = this.$(`.panel-row.${which}`)
      row.replaceChildren(row.firstElementChild, ...["images", "predicted", "learned"].map(kind => this.panels[`${kind}_${which}`].figure))
    }
    if (head.mask) this.area.build()
  }

  networkButtons() {
    const place = this.$(".networks"), { networks } = this.head, names = networks.map(({ id }) => id).join()
    place.hidden = networks.length < 2
    if (place.dataset.names === names) return
    place.dataset.names = names
    place.replaceChildren(...networks.map(({ id, title }) => {
      const button = element("button", "", title)
      button.type = "button"
      button.dataset.network = id
      return button
    }))
  }

  draw() {
    const { head, level, sigma, mask, panels } = this, pixel = this.hover || this.pixel
    this.masked = mask && this.once("masked", `${mask}`, () => maskText(mask, this.h, this.w))
    const { before, after, exact } = this.predicted(pixel, level)
    const learned = { before: this.learned("before", pixel), after: this.learned("after", pixel) }
    const fields = { predicted_before: before, predicted_after: after, learned_before: learned.before?.field, learned_after: learned.after?.field }
    const limit = largest(Object.values(fields)), places = [pixel, learned.before?.pixel, pixel, learned.after?.pixel]
    const numbers = measured([before, fields.learned_before, after, fields.learned_after], places, mask, this.h, this.w, FAR)
    this.shown = { pixel, sigma, level, fields, limit, exact, learned, numbers }
    this.images()
    for (const which of SIDES) {
      const one = learned[which], waits = which === "after" && !head.live && level !== head.level ? head.texts.release : head.texts.loading
      this.field(panels[`predicted_${which}`], which, fields[`predicted_${which}`], limit, pixel, waits)
      this.field(panels[`learned_${which}`], which, one?.field, limit, one?.pixel || pixel, one ? one.note : head.empty[which], one)
    }
    this.labels(limit)
    this.unhurried(() => {
      this.$(".numbers").innerHTML = measuredTable(numbers, mask, FAR, this.size)
      this.masses(pixel, learned)
    })
    if (mask) this.area.draw(pixel)
    this.root.dataset.shown = `${pixel} ${sigma.toPrecision(6)} ${level.toPrecision(6)} ${after ? (exact ? "exact" : "preview") : "none"}`
  }

  // Table and chart while something is dragged: often enough to read, so that the fields get every frame.
  unhurried(work) {
    clearTimeout(this.later)
    const wait = UNHURRIED - (performance.now() - (this.lately ?? -UNHURRIED)), now = () => { this.lately = performance.now(); work() }
    if (wait <= 0) now()
    else this.later = setTimeout(now, wait)
  }

  // A mosaic of images: as they are, and with the edit.
  images() {
    const { head, arrays, c, h, w, mask, level } = this, size = h * w, [rows, cols] = head.mosaic, count = rows * cols
    const between = path(Array.from({ length: rows - 1 }, (_, i) => `M0 ${(i + 1) * h}h${cols * w}`).join("") + Array.from({ length: cols - 1 }, (_, i) => `M${(i + 1) * w} 0v${rows * h}`).join(""))
    for (const which of SIDES) {
      const panel = this.panels[`images_${which}`], planted = which === "after" && head.live
      const source = which === "before" || planted ? arrays.images : arrays.edited, key = `${this.pixel} ${planted ? `${level} ${this.masked}` : ""}`
      if (panel.shows[0] === key && panel.shows[1] === arrays) continue // a drag redraws only what it changes
      panel.shows = [key, arrays]
      if (source) for (let n = 0; n < count; n++) for (let i = 0; i < size; i++) {
        const value = k => {
          const channel = c === 1 ? 0 : k, plain = source[(n * c + channel) * size + i]
          return byte(planted ? plain + level * arrays.strengths[n] * mask[i] * arrays.weights[channel] : plain)
        }
        panel.pixels[(Math.floor(n / cols) * h + Math.floor(i / w)) * cols * w + n % cols * w + i % w] = rgba(value(0), value(1), value(2))
      }
      panel.put()
      panel.empty.textContent = source ? "" : head.texts.loading
      const copies = Array.from({ length: count }, (_, n) => [this.pixel[0] + Math.floor(n / cols) * h, this.pixel[1] + n % cols * w])
      panel.marks.innerHTML = copies.map(at => chosen(at, 1.2)).join("") + between
      panel.caption.textContent = head.images[which]
      panel.canvas.setAttribute("aria-label", `${which === "after" ? "Edited images" : "Images as they are"}: ${head.images[which]}`)
    }
  }

  field(panel, which, field, limit, own, note, learned = null) {
    this.show(panel, field, limit, note, panel.id.startsWith("predicted"))
    this.mark(panel, own, this.mask && this.outlined && which === "after" ? path(this.once("outline", this.masked, () => edges(this.mask, this.h, this.w)), 0.8) : "")
    const spot = this.cursor || own, mass = this.mask ? ` · on the pattern ${percent(massOn(field || [], this.mask))}` : "", trained = learned?.one.title
    panel.caption.textContent = field ? `${spot[0]}, ${spot[1]}: ${short(field[spot[0] * this.w + spot[1]])}${mass}${trained ? ` · ${trained}` : ""}` : ""
    panel.canvas.setAttribute("aria-label", `${panel.id.startsWith("predicted") ? "Predicted" : "Learned"} field ${which} the edit, row ${own[0]}, column ${own[1]}, sigma ${short(this.sigma)}${this.dialWords}`)
  }

  // What the dial is at, to be put behind other words.
  get dialWords() { return this.head.dial ? `, ${this.head.dial.label} ${short(this.level)}` : "" }

  labels(limit) {
    const { head, level } = this, { dial } = head, input = this.$(".dial input")
    this.limits(this.all(".scale > span"), limit)
    this.$(".panel-row.before .side span").textContent = head.before
    this.$(".panel-row.after .side span").textContent = `${head.title}${this.dialWords}`
    this.$(".dial").hidden = !dial
    this.$(".play").hidden = !head.live
    if (dial) {
      Object.assign(input, { min: Math.min(dial.low, level), max: Math.max(dial.high, level), step: dial.step })
      input.value = level
      input.setAttribute("aria-label", `${dial.label} of the edit`)
      this.$(".dial .name").textContent = dial.label[0].toUpperCase() + dial.label.slice(1)
      this.$(".dial output").textContent = `${dial.symbol} = ${short(level)}`
    }
    this.showNoise(`σ = ${short(this.sigma)}`)
    this.press("colours", this.colours)
    this.$(".outline").hidden = !this.mask
    this.$(".outline").setAttribute("aria-pressed", `${this.outlined}`)
    this.press("network", this.network)
    const empty = this.mask && !this.mask.some(v => v)
    this.$(".status").textContent = empty ? "The pattern is empty: paint at least one pixel." : this.failed ? "Some files did not load. Reload the page to try again." : head.status
  }

  // Share of the mass on the pattern against the dial: the prediction as a line, networks as dots.
  masses(pixel, learned) {
    const { head, mask, level } = this, { dial } = head, name = dial ? dial.label : "strength", own = pixel[0] * this.w + pixel[1]
    const share = (field, at = own) => massOn(field, mask, at)
    this.$(".below section:last-child").hidden = !mask
    if (!mask) return
    const high = Math.max(dial ? dial.high : 1, Math.abs(level)), ready = head.live && this.files.has(head.bases.after)
    const key = `${pixel} ${this.sigma} ${this.masked} ${high} ${ready} ${this.files.size} ${this.network} ${this.exact.key}`
    const curve = this.once("curve", key, () => (ready ? Array.from({ length: 41 }, (_, i) => [high * i / 40, share(this.predicted(pixel, high * i / 40).after)]) : []))
    const points = this.once("points", key, () => head.networks.map(({ id, title, colour: ink, before, after }) => {
      const found = [["before", before], ...after.map(one => ["after", one])].filter(([, one]) => one).map(([which, one]) => {
        const table = this.stored(one, pixel), computed = id === this.network && learned[which]?.one === one ? learned[which].field : null
        const field = table ? table.field : computed
        const at = table && table.pixel[0] * this.w + table.pixel[1]
        return [which === "before" ? 0 : Math.abs(one.level), field ? share(field, at ?? own) : NaN]
      })
      return { title, ink, points: found.filter(([s, v]) => s <= high && Number.isFinite(v)).sort((a, b) => a[0] - b[0]) }
    }))
    this.curves = { curve, points, chance: countOf(mask) / this.size, high, level, name }
    this.$(".chart-title").textContent = `Mass on the pattern, excluding the pixel itself, as the ${name} grows`
    this.$(".chart").innerHTML = massChart(this.curves, this.$(".chart").clientWidth || 460)
    this.$(".chart").setAttribute("aria-label", massWords(this.curves))
    this.$(".chart-note").textContent = "Line: predicted for this pixel. Dots: networks, each trained on images edited at that strength; at 0 on the unedited images."
  }

  spoken() {
    const { pixel: [row, col], numbers: { mass, radius } } = this.shown
    const words = mass ? `on the pattern ${percent(mass[0])} before, ${percent(mass[2])} after` : `half of the predicted field within ${short(radius[0])} pixels before, ${short(radius[2])} after`
    return `Row ${row}, column ${col}: ${words}.`
  }

  // --- acting ------------------------------------------------------------------------------------

  chosen() {
    const { pixel: [row, col], sigma, level, network, colours, mask } = this
    return { row, col, sigma, level, mask: mask ? maskText(mask, this.h, this.w) : null, network, colours }
  }

  advance(seconds) {
    const { low, high } = this.head.dial, from = Math.max(0, low)
    this.level = this.bounce(this.level, seconds / SWEEP * (high - from), from, high)
    return true
  }
  stopped() {
    this.level = +this.level.toPrecision(3)
    this.commit("level")
  }

  fileName() { return `edit-${this.head.file}-${this.pixel.join("-")}-sigma${short(this.sigma)}` }

  poster() {
    const { head, panels, h, w, shown: { pixel, fields, learned, limit }, curves } = this
    const titles = { images: "Images", predicted: "Predicted field", learned: "Learned field" }
    const rows = SIDES.map(which => ({ name: which === "after" ? "After" : "Before", tiles: Object.keys(titles).map(kind => {
      const { canvas, caption } = panels[`${kind}_${which}`], none = kind !== "images" && !fields[`${kind}_${which}`]
      const at = { images: undefined, predicted: pixel, learned: learned[which]?.pixel }[kind]
      return { title: which === "before" ? titles[kind] : "", note: caption.textContent, at, ...(none ? { empty: "not computed" } : { canvas }) }
    }) }))
    const blocks = this.mask && curves ? [{ svg: massChart(curves, 500), wide: 500, tall: TALL, title: this.$(".chart-title").textContent }] : []
    const caption = `${head.name}, ${head.title}${this.dialWords}, row ${pixel[0]}, column ${pixel[1]}, σ = ${short(this.sigma)}`
    return poster({ side: 200, shape: [h, w], rows, limit, blocks, caption })
  }
}

export default mounted(Edit)
