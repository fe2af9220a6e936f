// The page of edits: paint a pattern, drag its strength, and the predicted field follows at once. Python is asked
// when the pointer lets go: for exact fields, for networks without stored ones, and for edits that need a new basis.
import { brush, between2, maskText, readMask } from "./paint.js"
import { about, colour, largest, mixRows, nearest, paintField, short, unpack } from "./math.js"
import { Basis } from "../explorer/basis.js"
import { massOn, Plant } from "./plant.js"
import { massChart } from "./masschart.js"
import { measured, measuredTable } from "./measured.js"
import { saveBoard } from "./board.js"

const views = new WeakMap()
const SWEEP = 4000 // ms of the play button, weakest to strongest
const FAR = 4
const UNHURRIED = 80 // ms between two updates of the table and the chart

export default function ({ data, parentElement, setStateValue }) {
  let view = views.get(parentElement)
  if (!view) views.set(parentElement, (view = new View(parentElement.querySelector(".lab"))))
  view.send = value => setStateValue("view", value)
  view.receive(unpack(data))
  return () => view.stop()
}

class View {
  constructor(root) {
    this.root = root
    this.$ = query => root.querySelector(query)
    this.seq = 0
    this.tool = 1
    this.width = 1
    this.colours = "symlog"
    this.files = new Map()
    this.rows = new Map()
    this.latency = []
    root.lab = this // for tests: root.lab.shown, root.lab.latency
    const [dial, noise] = [this.$(".dial input"), this.$(".noise input")]
    dial.oninput = event => { this.stop(); this.level = +dial.value; this.ask(event) }
    dial.onchange = () => this.commit("level")
    noise.oninput = event => { this.stop(); this.sigma = this.sigmaAt(+noise.value); this.ask(event) }
    noise.onchange = () => this.commit("noise")
    this.$(".play").onclick = () => (this.playing ? this.stop() : this.play())
    this.$(".png").onclick = () => saveBoard(this, "png")
    this.$(".svg").onclick = () => saveBoard(this, "svg")
    this.$(".clear").onclick = () => { this.mask.fill(0); this.painted() }
    root.querySelectorAll("[data-tool]").forEach(button => (button.onclick = () => { this.tool = +button.dataset.tool; this.ask() }))
    root.querySelectorAll("[data-width]").forEach(button => (button.onclick = () => { this.width = +button.dataset.width; this.ask() }))
    root.querySelectorAll("[data-colours]").forEach(button => (button.onclick = () => { this.colours = button.dataset.colours; this.commit("colours") }))
    this.$(".scale i").style.background = `linear-gradient(90deg, ${Array.from({ length: 11 }, (_, i) => `rgb(${colour(i / 5 - 1)})`)})`
  }

  // --- what Python sends -----------------------------------------------------------------------

  receive({ head, arrays }) {
    const fresh = this.head?.context !== head.context
    this.head = head
    this.arrays = arrays
    ;[this.c, this.h, this.w] = head.shape
    if (fresh || head.seq >= this.seq) {
      this.seq = Math.max(this.seq, head.seq)
      this.pixel = head.pixel
      if (!this.playing) { this.sigma = head.sigma; this.level = head.level }
      this.mask = head.mask ? readMask(head.mask, this.h * this.w) : null
    }
    if (fresh) { this.hover = this.cursor = null; this.network = head.network; this.colours = head.colours; this.rows.clear() }
    if (!head.networks.some(network => network.id === this.network)) this.network = head.networks[0]?.id ?? ""
    this.exact = { key: this.key(head.pixel, head.sigma, head.level, head.mask), before: arrays.before, after: arrays.after }
    this.build()
    this.fetchFiles()
    this.ask()
  }

  key(pixel, sigma, level, mask) { return `${pixel} ${sigma.toPrecision(6)} ${level.toPrecision(6)} ${mask}` }

  // Bases first, then the stored fields of the chosen network.
  async fetchFiles() {
    const mine = (this.fetching = {}), tables = this.head.networks.flatMap(({ id, before, after }) =>
      [before, ...after].filter(one => one?.url).map(one => [id === this.network ? 0 : 1, one.url])).sort((a, b) => a[0] - b[0])
    const urls = [...new Set([...Object.values(this.head.bases).filter(Boolean), ...tables.map(([, url]) => url)])]
    for (const url of this.files.keys()) if (!urls.includes(url)) this.files.delete(url)
    this.root.dataset.ready = "0"
    this.failed = false
    for (const url of urls) {
      if (this.files.has(url)) continue
      try {
        const answer = await fetch(new URL(url, document.baseURI))
        if (!answer.ok) throw new Error(answer.status)
        const file = unpack(new Uint8Array(await answer.arrayBuffer()))
        if (this.fetching !== mine) return
        this.files.set(url, file.head.basis ? new Basis(file, this.h, this.w) : file)
      } catch {
        if (this.fetching !== mine) return
        this.failed = true
      }
      this.ask()
    }
    this.root.dataset.ready = "1"
  }

  // --- fields ------------------------------------------------------------------------------------

  row(url, p) {
    const basis = this.files.get(url)
    if (!basis) return null
    const key = `${url} ${p} ${this.sigma}`
    if (!this.rows.has(key)) {
      if (this.rows.size > 200) this.rows.clear()
      this.rows.set(key, basis.row(p, this.sigma))
    }
    return this.rows.get(key)
  }

  // Predicted fields of a pixel before and after, at any strength where the last edit is a pattern.
  predicted(pixel, level) {
    const p = pixel[0] * this.w + pixel[1], { bases, live } = this.head
    const same = this.exact.key === this.key(pixel, this.sigma, level, this.head.mask) && (!this.mask || this.masked === this.head.mask)
    if (same && this.exact.before) return { before: this.exact.before, after: this.exact.after, exact: true }
    const before = this.row(bases.before, p)
    if (!live) return { before, after: level === this.head.level ? this.row(bases.after, p) : null, exact: false }
    const plain = bases.after === bases.before ? before : this.row(bases.after, p), plant = plain && this.plant()
    return { before, after: plant ? plant.field(plain, p, this.sigma, level) : null, exact: false }
  }

  plant() {
    const basis = this.files.get(this.head.bases.after), key = `${this.head.bases.after} ${this.head.coupled}`
    if (this.planted?.key !== key) this.planted = { key, plant: new Plant(basis, this.mask, this.arrays.coupling, this.head.variance) }
    else this.planted.plant.repaint(this.mask)
    return this.planted.plant
  }

  // A network's field: from a stored table at the nearest pixel, or as Python computed it here.
  learned(which, pixel) {
    const network = this.head.networks.find(({ id }) => id === this.network)
    if (!network) return null
    const one = which === "before" ? network.before : this.nearestLevel(network.after)
    if (!one) return null
    const table = one.url && this.files.get(one.url)
    if (table && !this.within(table)) return { field: null, pixel, one, note: `Stored for σ ${short(table.head.sigmas[0])} to ${short(table.head.sigmas.at(-1))}` }
    if (table) {
      const { sigmas, pixels, draws } = table.head, { codes, scale } = table.arrays, p = nearest(pixels, ...pixel), [r, c] = pixels[p]
      const field = mixRows(about(sigmas, this.sigma).map(([k, weight]) => [codes, scale, k * pixels.length + p, weight]), this.h * this.w)
      return { field, pixel: pixels[p], one, note: `${draws} draws${r === pixel[0] && c === pixel[1] ? "" : `, stored pixel ${r}, ${c}`}` }
    }
    const field = this.arrays[`learned_${which}`], { head } = this, here = head.learned_at === this.network
    return field && here && `${pixel}` === `${head.pixel}` && this.sigma.toPrecision(6) === head.sigma.toPrecision(6)
      ? { field, pixel, one, note: head.draws } : { field: null, pixel, one, note: "Click a pixel to compute" }
  }

  nearestLevel(list) { return list.reduce((best, one) => (!best || Math.abs(one.level - this.level) < Math.abs(best.level - this.level) ? one : best), null) }

  // --- drawing -----------------------------------------------------------------------------------

  build() {
    const { head } = this, layout = JSON.stringify([head.shape, !!head.mask, head.mosaic, head.shapes && Object.keys(head.shapes)])
    this.$(".board").classList.toggle("unmasked", !head.mask)
    this.networkButtons()
    if (this.layout === layout) return
    this.layout = layout
    const [rows, cols] = head.mosaic
    this.panels = {}
    for (const which of ["before", "after"]) {
      const row = this.$(`.panel-row.${which}`)
      row.querySelectorAll("figure").forEach(figure => figure.remove())
      for (const [kind, h, w] of [["images", rows * this.h, cols * this.w], ["predicted", this.h, this.w], ["learned", this.h, this.w]]) {
        this.panels[`${kind}_${which}`] = this.panel(row, kind, which, h, w)
      }
    }
    if (head.mask) this.paintArea()
    this.$(".shapes").replaceChildren(...Object.keys(head.shapes || {}).map(name => {
      const button = document.createElement("button")
      button.type = "button"
      button.textContent = name
      button.dataset.shape = name
      button.onclick = () => { this.mask = readMask(this.head.shapes[name], this.h * this.w); this.painted() }
      return button
    }))
  }

  networkButtons() {
    const box = this.$(".networks"), { networks } = this.head, names = networks.map(({ id }) => id).join()
    if (box.dataset.names !== names) {
      box.dataset.names = names
      box.replaceChildren(...networks.map(({ id, title }) => {
        const button = document.createElement("button")
        button.type = "button"
        button.textContent = title
        button.dataset.network = id
        button.onclick = () => { this.network = id; this.commit("network") }
        return button
      }))
    }
    box.hidden = networks.length < 2
  }

  panel(row, kind, which, h, w) {
    const figure = document.createElement("figure")
    figure.dataset.panel = `${kind}-${which}`
    figure.innerHTML = `<div class="stage"><canvas width="${w}" height="${h}"></canvas><svg viewBox="0 0 ${w} ${h}" preserveAspectRatio="none" aria-hidden="true"><g fill="none"></g></svg><div class="empty"></div></div><figcaption></figcaption>`
    row.append(figure)
    const find = query => figure.querySelector(query), canvas = find("canvas"), context = canvas.getContext("2d"), bitmap = context.createImageData(w, h)
    const panel = { kind, which, figure, canvas, context, bitmap, pixels: new Uint32Array(bitmap.data.buffer), stage: find(".stage"), marks: find("g"), empty: find(".empty"), caption: find("figcaption") }
    const at = event => {
      const box = canvas.getBoundingClientRect(), clamp = (v, n) => Math.max(0, Math.min(n - 1, Math.floor(v)))
      return [clamp((event.clientY - box.top) / box.height * h, h) % this.h, clamp((event.clientX - box.left) / box.width * w, w) % this.w]
    }
    canvas.onpointermove = event => { this.cursor = at(event); if (kind === "images") this.hover = this.cursor; this.ask(event) }
    canvas.onpointerleave = event => { this.cursor = this.hover = null; this.ask(event) }
    canvas.onpointerdown = event => { this.pixel = at(event); this.hover = null; this.commit("click"); this.ask(event) }
    if (kind === "predicted" && which === "after") this.keyboard(canvas)
    else canvas.setAttribute("role", "img")
    return panel
  }

  keyboard(canvas) {
    canvas.tabIndex = 0
    canvas.setAttribute("role", "application")
    canvas.setAttribute("aria-roledescription", "pixel picker")
    canvas.onkeydown = event => {
      const step = STEPS[event.key]
      if (!step) return
      event.preventDefault()
      event.stopPropagation()
      const by = event.shiftKey ? 4 : 1, clamp = (v, n) => Math.max(0, Math.min(n - 1, v))
      this.pixel = [clamp(this.pixel[0] + step[0] * by, this.h), clamp(this.pixel[1] + step[1] * by, this.w)]
      this.ask(event)
      clearTimeout(this.timer)
      this.timer = setTimeout(() => this.commit("key"), 150)
    }
  }

  ask(event) {
    if (event && !this.since) this.since = event.timeStamp
    if (this.waiting) return
    this.waiting = true
    requestAnimationFrame(() => { this.waiting = false; this.draw() })
  }

  draw() {
    if (!this.head) return
    const { head } = this, pixel = this.hover || this.pixel
    this.masked = this.mask && (this.kept === `${this.mask}` ? this.keptText : ((this.kept = `${this.mask}`), (this.keptText = maskText(this.mask, this.h, this.w))))
    const { before, after, exact } = this.predicted(pixel, this.level)
    const learned = { before: this.learned("before", pixel), after: this.learned("after", pixel) }
    const fields = { predicted_before: before, predicted_after: after, learned_before: learned.before?.field, learned_after: learned.after?.field }
    const limit = largest(Object.values(fields))
    this.images()
    for (const which of ["before", "after"]) {
      this.field(this.panels[`predicted_${which}`], fields[`predicted_${which}`], limit, pixel, pixel, which === "after" && !head.live && this.level !== head.level ? head.texts.release : head.texts.loading)
      const one = learned[which]
      this.field(this.panels[`learned_${which}`], one?.field, limit, pixel, one?.pixel || pixel, one ? one.note : head.empty[which])
    }
    const marks = [pixel, learned.before?.pixel, pixel, learned.after?.pixel]
    this.shown = { pixel, sigma: this.sigma, level: this.level, fields, limit, exact, learned }
    this.shown.numbers = measured([before, fields.learned_before, after, fields.learned_after], [marks[0], marks[1], marks[2], marks[3]], this.mask, this.h, this.w, FAR)
    this.labels(limit, learned)
    this.unhurried(() => {
      this.$(".numbers").innerHTML = measuredTable(this.shown.numbers, this.mask, FAR, this.h * this.w)
      this.chart(pixel, learned)
    })
    if (this.mask) this.drawPaint(pixel)
    this.root.dataset.shown = `${pixel} ${this.sigma.toPrecision(6)} ${this.level.toPrecision(6)} ${after ? (exact ? "exact" : "preview") : "none"}`
    if (this.since) { this.latency.push(performance.now() - this.since); this.since = 0 }
  }

  // Table and chart while something is dragged: often enough to read, so that the fields get every frame.
  unhurried(work) {
    clearTimeout(this.later)
    const wait = UNHURRIED - (performance.now() - (this.lately ?? -UNHURRIED))
    const now = () => { this.lately = performance.now(); work() }
    if (wait <= 0) now()
    else this.later = setTimeout(now, wait)
  }

  // A mosaic of images: as they are, and with the edit.
  images() {
    const { head, arrays, c, h, w } = this, size = c * h * w, [rows, cols] = head.mosaic
    const byte = v => Math.max(0, Math.min(255, Math.round((v + 1) * 127.5)))
    for (const which of ["before", "after"]) {
      const panel = this.panels[`images_${which}`], after = which === "after"
      const key = `${this.pixel} ${after && head.live ? `${this.level} ${this.masked}` : ""}`
      if (panel.key === key && panel.source === arrays) continue // a drag redraws only what it changes
      Object.assign(panel, { key, source: arrays })
      const planted = after && head.live, source = after && !head.live ? arrays.edited : arrays.images
      if (source) for (let n = 0; n < rows * cols; n++) for (let i = 0; i < h * w; i++) {
        const v = [0, 1, 2].map(k => {
          const channel = c === 1 ? 0 : k, value = source[n * size + channel * h * w + i]
          return byte(planted ? value + this.level * arrays.strengths[n] * this.mask[i] * arrays.weights[channel] : value)
        })
        const r = Math.floor(n / cols) * h + Math.floor(i / w), col = n % cols * w + i % w
        panel.pixels[r * cols * w + col] = (0xff000000 | v[2] << 16 | v[1] << 8 | v[0]) >>> 0
      }
      panel.context.putImageData(panel.bitmap, 0, 0)
      panel.empty.textContent = source ? "" : head.texts.loading
      const boxes = Array.from({ length: rows * cols }, (_, n) => [this.pixel[0] + Math.floor(n / cols) * h, this.pixel[1] + n % cols * w])
      panel.marks.innerHTML = boxes.map(at => box(at, "#000", 2.5) + box(at, "#ffd400", 1.2)).join("") + lines(rows, cols, h, w)
      panel.caption.textContent = head.images[which]
      panel.canvas.setAttribute("aria-label", `${after ? "Edited images" : "Images as they are"}: ${head.images[which]}`)
    }
  }

  field(panel, field, limit, pixel, own, note) {
    if (field) { paintField(field, limit, this.colours === "symlog", panel.pixels); panel.context.putImageData(panel.bitmap, 0, 0); panel.drawn = true }
    panel.stage.classList.toggle("stale", !field && !!panel.drawn && panel.kind === "predicted")
    if (!field && panel.kind === "learned") panel.drawn = false
    panel.empty.textContent = field || panel.drawn ? "" : note
    const outline = this.mask && panel.which === "after" ? this.once("outline", this.masked, () => edges(this.mask, this.h, this.w)) : ""
    panel.marks.innerHTML = outline + box(own, "#000", 4) + box(own, "#ffd400", 2) + (this.cursor && `${this.cursor}` !== `${own}` ? box(this.cursor, "#000", 3) + box(this.cursor, "#fff", 1.5) : "")
    const spot = this.cursor || own, value = field?.[spot[0] * this.w + spot[1]]
    const mass = field && this.mask ? ` · on the pattern ${percent(measureMass(field, this.mask))}` : ""
    panel.caption.textContent = field ? `${spot[0]}, ${spot[1]}: ${short(value)}${mass}` : ""
    panel.canvas.setAttribute("aria-label", `${panel.kind === "predicted" ? "Predicted" : "Learned"} field ${panel.which} the edit, row ${pixel[0]}, column ${pixel[1]}, sigma ${short(this.sigma)}, strength ${short(this.level)}`)
  }

  labels(limit, learned) {
    const { head } = this, [low, high] = this.root.querySelectorAll(".scale > span")
    low.textContent = `−${short(limit)}`
    high.textContent = `+${short(limit)}`
    this.$(".panel-row.before .side span").textContent = head.before
    this.$(".panel-row.after .side span").textContent = head.dial ? `${head.title}, ${head.dial.label} ${short(this.level)}` : head.title
    const after = this.panels.learned_after, before = this.panels.learned_before
    const told = (panel, one) => { if (one?.field && one.one.title) panel.caption.textContent += ` · ${one.one.title}` }
    told(before, learned.before)
    told(after, learned.after)
    const dial = this.$(".dial"), input = dial.querySelector("input")
    dial.hidden = !head.dial
    this.$(".play").hidden = !head.live
    if (head.dial) {
      Object.assign(input, { min: Math.min(head.dial.low, this.level), max: Math.max(head.dial.high, this.level), step: head.dial.step })
      input.value = this.level
      dial.querySelector(".name").textContent = head.dial.label[0].toUpperCase() + head.dial.label.slice(1)
      dial.querySelector("output").textContent = `${head.dial.symbol} = ${short(this.level)}`
    }
    this.$(".noise input").value = this.positionOf(this.sigma)
    this.$(".noise output").textContent = `σ = ${short(this.sigma)}`
    this.$(".noise input").setAttribute("aria-valuetext", `sigma ${short(this.sigma)}`)
    this.root.querySelectorAll("[data-tool]").forEach(button => button.setAttribute("aria-pressed", +button.dataset.tool === this.tool))
    this.root.querySelectorAll("[data-width]").forEach(button => button.setAttribute("aria-pressed", +button.dataset.width === this.width))
    this.root.querySelectorAll("[data-colours]").forEach(button => button.setAttribute("aria-pressed", button.dataset.colours === this.colours))
    this.root.querySelectorAll("[data-shape]").forEach(button => button.setAttribute("aria-pressed", head.shapes[button.dataset.shape] === this.masked))
    this.root.querySelectorAll("[data-network]").forEach(button => button.setAttribute("aria-pressed", button.dataset.network === this.network))
    const empty = this.mask && !this.mask.some(v => v)
    this.$(".status").textContent = empty ? "The pattern is empty: paint at least one pixel." : this.failed ? "Some files did not load. Reload the page to try again." : head.status
  }

  chart(pixel, learned) {
    const { head } = this, here = this.$(".below section:last-child")
    here.hidden = !this.mask
    if (!this.mask) return
    const high = head.dial ? Math.max(head.dial.high, Math.abs(this.level)) : 1
    const levels = Array.from({ length: 41 }, (_, i) => high * i / 40)
    const ready = head.live && this.files.get(head.bases.after), key = `${pixel} ${this.sigma} ${this.masked} ${high} ${!!ready} ${this.files.size} ${this.network}`
    const curve = this.once("curve", key, () => (ready ? levels.map(level => [level, measureMass(this.predicted(pixel, level).after, this.mask)]) : []))
    const points = this.once("points", `${key} ${this.exact.key}`, () => head.networks.map(({ id, title, colour: ink, before, after }) => {
      const kept = this.network, found = []
      this.network = id
      for (const [which, one] of [["before", before], ...after.map(one => ["after", one])]) {
        if (!one) continue
        const table = one.url && this.files.get(one.url)
        const field = table ? this.within(table) && this.stored(table, pixel) : id === kept && learned[which]?.one === one ? learned[which].field : null
        if (field) found.push([which === "before" ? 0 : one.level, measureMass(field, this.mask)])
      }
      this.network = kept
      return { title, ink, points: found.sort((a, b) => a[0] - b[0]) }
    }))
    const chance = this.mask.reduce((sum, v) => sum + (v ? 1 : 0), 0) / this.mask.length
    const { svg, label } = massChart(curve, points, chance, high, this.level, head.dial ? head.dial.label : "strength")
    this.$(".chart-title").textContent = "Mass on the pattern as it grows stronger"
    this.$(".chart").innerHTML = this.chartSvg = svg
    this.$(".chart").setAttribute("aria-label", label)
    this.$(".chart-note").textContent = "Line: predicted for this pixel. Dots: networks, each trained on images edited at that strength; at 0 on the images as they are."
    this.shown.curve = curve
    this.shown.points = points
  }

  // A value that is made again only when its key changes.
  once(name, key, make) {
    const kept = (this.made ??= new Map()).get(name)
    if (kept?.key === key && kept.context === this.head.context) return kept.value
    const value = make()
    this.made.set(name, { key, context: this.head.context, value })
    return value
  }

  // Whether the noise level is one that a table's levels tell of.
  within(table) {
    const { sigmas } = table.head
    return this.sigma >= sigmas[0] / 1.1 && this.sigma <= sigmas[sigmas.length - 1] * 1.1
  }

  stored(table, pixel) {
    const { sigmas, pixels } = table.head, { codes, scale } = table.arrays, p = nearest(pixels, ...pixel)
    return mixRows(about(sigmas, this.sigma).map(([k, weight]) => [codes, scale, k * pixels.length + p, weight]), this.h * this.w)
  }

  // --- painting ----------------------------------------------------------------------------------

  paintArea() {
    const canvas = this.$(".mask canvas"), svg = this.$(".mask svg")
    canvas.width = this.w
    canvas.height = this.h
    svg.setAttribute("viewBox", `0 0 ${this.w} ${this.h}`)
    svg.setAttribute("preserveAspectRatio", "none")
    canvas.setAttribute("aria-label", `Paint area of ${this.h} by ${this.w} pixels. Arrow keys move, space paints or erases.`)
    this.spot = [this.h >> 1, this.w >> 1]
    const at = event => {
      const box = canvas.getBoundingClientRect(), clamp = (v, n) => Math.max(0, Math.min(n - 1, Math.floor(v)))
      return [clamp((event.clientY - box.top) / box.height * this.h, this.h), clamp((event.clientX - box.left) / box.width * this.w, this.w)]
    }
    const stroke = (from, to, event) => {
      for (const cell of between2(from, to)) for (const p of brush(cell, this.width, this.h, this.w)) this.mask[p] = this.tool
      this.ask(event)
    }
    canvas.onpointerdown = event => { canvas.setPointerCapture?.(event.pointerId); this.stop(); this.stroke = at(event); stroke(this.stroke, this.stroke, event) }
    canvas.onpointermove = event => { const to = at(event); this.spot = to; if (this.stroke) { stroke(this.stroke, to, event); this.stroke = to } else this.ask(event) }
    canvas.onpointerup = canvas.onpointercancel = () => { if (this.stroke) { this.stroke = null; this.painted() } }
    canvas.onkeydown = event => {
      const step = STEPS[event.key]
      if (step) this.spot = [Math.max(0, Math.min(this.h - 1, this.spot[0] + step[0])), Math.max(0, Math.min(this.w - 1, this.spot[1] + step[1]))]
      else if (event.key === " ") { const p = this.spot[0] * this.w + this.spot[1]; this.mask[p] = this.mask[p] ? 0 : this.tool || 1; this.painted() }
      else return
      event.preventDefault()
      event.stopPropagation()
      this.ask(event)
    }
  }

  painted() {
    this.ask()
    if (this.mask.some(v => v)) this.commit("paint")
  }

  drawPaint(pixel) {
    const canvas = this.$(".mask canvas"), g = canvas.getContext("2d"), bitmap = g.createImageData(this.w, this.h), out = new Uint32Array(bitmap.data.buffer)
    const { head, arrays, c, h, w } = this, size = h * w
    for (let i = 0; i < size; i++) { // the mean image, faint, below the pattern
      const grey = [0, 1, 2].map(k => 255 - (255 - Math.max(0, Math.min(255, (arrays.mean[(c === 1 ? 0 : k) * size + i] + 1) * 127.5))) * 0.45)
      const [r, gr, b] = this.mask[i] > 0 ? [178, 24, 43] : this.mask[i] < 0 ? [33, 102, 172] : grey.map(Math.round)
      out[i] = (0xff000000 | b << 16 | gr << 8 | r) >>> 0
    }
    g.putImageData(bitmap, 0, 0)
    const count = this.mask.reduce((sum, v) => sum + (v ? 1 : 0), 0)
    this.$(".mask g").innerHTML = box(pixel, "#000", 4) + box(pixel, "#ffd400", 2) + box(this.spot, "#fff", 1.5)
    this.$(".paint-title").textContent = head.texts.paint
    this.$(".paint-sub").textContent = head.texts.paintSub
    this.$(".paint-read").textContent = `${count} pixels, ${percent(count / size)} of the image · row ${this.spot[0]}, column ${this.spot[1]}`
  }

  // --- acting ------------------------------------------------------------------------------------

  sigmaAt(position) {
    const [low, high] = this.head.range
    return low * (high / low) ** (position / 1000)
  }
  positionOf(sigma) {
    const [low, high] = this.head.range
    return Math.round(1000 * Math.log(sigma / low) / Math.log(high / low))
  }

  commit(kind) {
    clearTimeout(this.timer)
    this.seq += 1
    const [row, col] = this.pixel, mask = this.mask ? maskText(this.mask, this.h, this.w) : null
    this.send({ row, col, sigma: this.sigma, level: this.level, mask, network: this.network, colours: this.colours, kind, seq: this.seq })
    this.ask()
  }

  play() {
    const { low, high } = this.head.dial, from = Math.max(0, low)
    let direction = this.level >= high ? -1 : 1, last = performance.now()
    this.playing = true
    this.$(".play").textContent = "❚❚"
    const step = now => {
      if (!this.playing || !this.root.isConnected) return
      this.level += direction * (now - last) / SWEEP * (high - from)
      last = now
      if (this.level >= high || this.level <= from) { direction = -direction; this.level = Math.max(from, Math.min(high, this.level)) }
      this.draw()
      requestAnimationFrame(step)
    }
    requestAnimationFrame(step)
  }

  stop() {
    if (!this.playing) return
    this.playing = false
    this.$(".play").textContent = "▶"
    this.level = +this.level.toPrecision(3)
    this.commit("level")
  }
}

const STEPS = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }
const percent = share => (Number.isFinite(share) ? `${(100 * share).toFixed(1)} %` : "–")
const box = ([r, c], stroke, width) => `<rect x="${c}" y="${r}" width="1" height="1" stroke="${stroke}" stroke-width="${width}" vector-effect="non-scaling-stroke"/>`

// Lines between the images of a mosaic.
function lines(rows, cols, h, w) {
  const line = (x1, y1, x2, y2) => `<line x1="${x1}" y1="${y1}" x2="${x2}" y2="${y2}" stroke="#808080" stroke-width="1" vector-effect="non-scaling-stroke"/>`
  return Array.from({ length: rows - 1 }, (_, i) => line(0, (i + 1) * h, cols * w, (i + 1) * h)).join("") +
    Array.from({ length: cols - 1 }, (_, i) => line((i + 1) * w, 0, (i + 1) * w, rows * h)).join("")
}

// The outline of a mask: one segment wherever the pattern meets what is not.
function edges(mask, h, w) {
  const on = (r, c) => r >= 0 && r < h && c >= 0 && c < w && mask[r * w + c] !== 0
  let path = ""
  for (let r = 0; r < h; r++) for (let c = 0; c < w; c++) {
    if (!on(r, c)) continue
    if (!on(r - 1, c)) path += `M${c} ${r}h1`
    if (!on(r + 1, c)) path += `M${c} ${r + 1}h1`
    if (!on(r, c - 1)) path += `M${c} ${r}v1`
    if (!on(r, c + 1)) path += `M${c + 1} ${r}v1`
  }
  return `<path d="${path}" stroke="#808080" stroke-opacity=".8" stroke-width="1" vector-effect="non-scaling-stroke"/>`
}

const measureMass = (field, mask) => (field ? massOn(field, mask) : NaN)
