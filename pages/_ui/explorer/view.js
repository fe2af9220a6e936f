// The explorer's view: panels, slider, linked cursor, numbers, chart, export. Reads what Python sends,
// previews from tables while the pointer moves, and asks Python for exact fields when it rests.
import { Basis } from "./basis.js"
import { chart } from "./chart.js"
import { about, alphaBar, between, colour, decodeRow, largest, mixRows, nearest, paintField, paintImage, pearson, short, timestep, unpack } from "./math.js"
import { numbersOf, numbersTable } from "./numbers.js"
import { save } from "./picture.js"

const views = new WeakMap()
const REST = 350 // ms without movement before exact values are asked for
const SWEEP = 7000 // ms of the play button, low noise to high

// A table's bytes by its address; the file of its own, which has no server, gives another way to open one.
const fetched = async place => (await fetch(new URL(place, document.baseURI))).arrayBuffer()

export default function ({ data, parentElement, setStateValue, open = fetched }) {
  let view = views.get(parentElement)
  if (!view) views.set(parentElement, (view = new View(parentElement.querySelector(".lab"))))
  view.send = value => setStateValue("view", value)
  view.open = open
  view.receive(unpack(data))
  return () => view.stop()
}

class View {
  constructor(root) {
    this.root = root
    this.$ = query => root.querySelector(query)
    this.seq = 0
    this.hover = null
    this.cursor = null
    this.exact = new Map()
    this.tables = { key: null, predicted: [], learned: null }
    this.latency = []
    root.lab = this // for tests: root.lab.latency, root.lab.shown
    const slider = this.$("input")
    slider.oninput = event => { this.stop(); this.sigma = this.sigmaAt(+slider.value); this.moved(event) }
    slider.onchange = () => this.commit("noise")
    this.$(".play").onclick = () => (this.playing ? this.stop() : this.play())
    this.$(".png").onclick = () => save(this, "png")
    this.$(".svg").onclick = () => save(this, "svg")
  }

  // --- what Python sends -----------------------------------------------------------------------

  receive({ head, arrays }) {
    const fresh = !this.head || this.head.context !== head.context
    this.head = head
    ;[this.c, this.h, this.w] = head.shape
    if (fresh) {
      this.exact.clear()
      this.hover = null
      this.pixel = head.pixel
      this.sigma = head.sigma
      this.seq = Math.max(this.seq, head.seq)
      this.$("input").value = this.positionOf(this.sigma)
    } else if (head.seq >= this.seq) {
      this.pixel = head.pixel
      if (!this.playing) this.sigma = head.sigma
    }
    this.x0 = arrays.x0
    this.eps = arrays.eps
    if (arrays.predicted) this.remember(head.exact, { predicted: arrays.predicted, projection: arrays.projection })
    if (arrays.learned) this.remember(head.exact, { learned: arrays.learned })
    this.build()
    this.fetchTables(head.tables)
    this.ask()
  }

  key([row, col], sigma) { return `${row},${col},${sigma.toPrecision(6)}` }

  remember({ pixel, sigma }, fields) {
    const key = this.key(pixel, sigma)
    this.exact.set(key, { ...this.exact.get(key), ...Object.fromEntries(Object.entries(fields).filter(([, f]) => f)) })
    if (this.exact.size > 64) this.exact.delete(this.exact.keys().next().value)
  }

  async fetchTables(tables) {
    const key = tables ? tables.key : null
    if (key === this.tables.key) return
    const mine = (this.tables = { key, predicted: [], learned: null, levels: tables ? tables.levels : [] })
    if (!tables) return
    const load = async place => unpack(new Uint8Array(await this.open(place)))
    const [near] = between(tables.levels, this.sigma)
    const order = tables.predicted.map((_, i) => i).sort((a, b) => Math.abs(a - near) - Math.abs(b - near))
    try {
      if (tables.basis) mine.basis = new Basis(await load(tables.basis), this.h, this.w)
      if (this.tables === mine && tables.basis) this.ask()
      if (tables.learned) mine.learned = await load(tables.learned)
      for (const i of order) {
        mine.predicted[i] = await load(tables.predicted[i])
        if (this.tables !== mine) return
        this.ask()
      }
      this.root.dataset.ready = "1"
    } catch (error) {
      if (this.tables === mine) { mine.key = null; this.head.status = this.head.texts.failed; this.ask() }
    }
  }

  // --- fields at a pixel and a noise level -------------------------------------------------------

  predictedAt(pixel, sigma) {
    const found = this.exact.get(this.key(pixel, sigma))
    if (found?.predicted) return { field: found.predicted, exact: true }
    const levels = this.tables.levels || [], size = this.h * this.w, index = pixel[0] * this.w + pixel[1]
    if (this.tables.basis) return { field: this.tables.basis.row(index, sigma), exact: false }
    if (!levels.length || !this.tables.predicted.length) return null
    const near = about(levels, sigma).map(([k, weight]) => [this.tables.predicted[k], weight])
    if (near.some(([table]) => !table)) return null
    return { field: mixRows(near.map(([{ arrays }, weight]) => [arrays.codes, arrays.scale, index, weight]), size), exact: false }
  }

  learnedAt(pixel, sigma) {
    const found = this.exact.get(this.key(pixel, sigma))
    if (found?.learned) return { field: found.learned, exact: true, pixel, note: this.head.learned_note }
    const table = this.tables.learned
    if (!table) return null
    const { sigmas, pixels, draws } = table.head, { codes, scale } = table.arrays, [i] = between(sigmas, sigma), p = nearest(pixels, ...pixel)
    const [r, c] = pixels[p], moved = r !== pixel[0] || c !== pixel[1] ? ` at the nearest stored pixel ${r}, ${c}` : ""
    return {
      field: mixRows(about(sigmas, sigma).map(([k, weight]) => [codes, scale, k * pixels.length + p, weight]), this.h * this.w),
      exact: false,
      pixel: pixels[p],
      note: `Stored, ${draws} draws${moved}, between σ ${short(sigmas[i])} and ${short(sigmas[i + 1])}`,
    }
  }

  learnedRow(i, p) {
    const { arrays, head } = this.tables.learned
    return decodeRow(arrays.codes, arrays.scale, i * head.pixels.length + p, this.h * this.w)
  }

  // --- drawing -----------------------------------------------------------------------------------

  build() {
    const ids = this.head.panels.map(panel => panel.id).join()
    const layout = `${ids}:${this.h}x${this.w}`
    this.$(".panels").style.setProperty("--across", this.head.panels.length === 4 ? 4 : Math.min(this.head.panels.length, 3))
    if (this.layout !== layout) {
      this.layout = layout
      this.panels = this.head.panels.map(panel => this.panel(panel.id))
      this.$(".panels").replaceChildren(...this.panels.map(panel => panel.figure))
    }
    this.head.panels.forEach(({ title }, i) => (this.panels[i].title.textContent = title))
  }

  panel(id) {
    const figure = document.createElement("figure")
    figure.dataset.panel = id
    figure.innerHTML = `<h4></h4><p class="sub"></p><div class="stage"><canvas width="${this.w}" height="${this.h}"></canvas>
      <svg viewBox="0 0 ${this.w} ${this.h}" preserveAspectRatio="none" aria-hidden="true">
      <g fill="none" vector-effect="non-scaling-stroke"></g></svg><div class="empty"></div></div>
      <figcaption></figcaption>${id === "image" ? "" : '<div class="scale"><span></span><i></i><span></span></div>'}`
    const find = query => figure.querySelector(query), canvas = find("canvas"), context = canvas.getContext("2d")
    const bitmap = context.createImageData(this.w, this.h)
    const panel = { id, figure, canvas, context, bitmap, pixels: new Uint32Array(bitmap.data.buffer), title: find("h4"), sub: find(".sub"),
      stage: find(".stage"), marks: find("g"), empty: find(".empty"), caption: find("figcaption"), limits: [...figure.querySelectorAll(".scale span")], bar: find(".scale i") }
    if (panel.bar) panel.bar.style.background = `linear-gradient(90deg, ${Array.from({ length: 11 }, (_, i) => `rgb(${colour(i / 5 - 1)})`)})`
    const at = event => {
      const box = canvas.getBoundingClientRect(), clamp = (v, n) => Math.max(0, Math.min(n - 1, Math.floor(v)))
      return [clamp((event.clientY - box.top) / box.height * this.h, this.h), clamp((event.clientX - box.left) / box.width * this.w, this.w)]
    }
    canvas.onpointermove = event => { this.cursor = at(event); if (id === "image") this.hover = this.cursor; this.moved(event) }
    canvas.onpointerleave = event => { this.cursor = this.hover = null; clearTimeout(this.timer); this.ask(event) }
    canvas.onpointerdown = event => { this.pixel = at(event); this.hover = null; this.commit("click", event) }
    if (id === "image") this.keyboard(canvas)
    else canvas.setAttribute("role", "img")
    return panel
  }

  keyboard(canvas) {
    canvas.tabIndex = 0
    canvas.setAttribute("role", "application")
    canvas.setAttribute("aria-roledescription", "pixel picker")
    canvas.setAttribute("aria-label", `Image of ${this.h} by ${this.w} pixels. Arrow keys move the chosen pixel, Shift moves by four.`)
    const steps = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }
    canvas.onkeydown = event => {
      const step = steps[event.key]
      if (!step) return
      event.preventDefault()
      event.stopPropagation()
      const by = event.shiftKey ? 4 : 1, clamp = (v, n) => Math.max(0, Math.min(n - 1, v))
      this.pixel = [clamp(this.pixel[0] + step[0] * by, this.h), clamp(this.pixel[1] + step[1] * by, this.w)]
      this.hover = null
      this.ask(event)
      clearTimeout(this.timer)
      this.timer = setTimeout(() => this.commit("key"), 120) // a held key asks once, at its end
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
    const pixel = this.hover || this.pixel, { symlog, outside_radius: far } = this.head.options
    const predicted = this.predictedAt(pixel, this.sigma), learned = this.learnedAt(pixel, this.sigma)
    const p = predicted?.field, l = learned?.field
    // A stored field may belong to the pixel beside: it is compared with the prediction for its own pixel.
    const partner = l && this.predictedAt(learned.pixel, this.sigma)?.field
    const fields = { predicted: p, learned: l, projection: this.exact.get(this.key(pixel, this.sigma))?.projection,
      difference: partner ? partner.map((v, i) => v - l[i]) : null }
    const limit = largest([p, l, fields.projection])
    this.shown = { pixel, sigma: this.sigma, fields, exact: { predicted: !!predicted?.exact, learned: !!learned?.exact }, limit }
    for (const panel of this.panels) this.drawPanel(panel, fields[panel.id], limit, symlog, pixel, learned)
    this.drawNoise()
    this.shown.numbers = numbersOf({ field: p, pixel }, { field: l, pixel: learned?.pixel, partner }, this.h, this.w, far)
    this.$(".numbers").innerHTML = numbersTable(this.shown.numbers, far)
    this.drawChart(pixel)
    const state = predicted?.exact && (learned?.exact || !learned) ? "exact" : "preview"
    this.root.dataset.state = state
    this.root.dataset.shown = `${pixel} ${this.sigma.toPrecision(6)} ${predicted?.exact ? "exact" : "preview"} ${learned ? (learned.exact ? "exact" : "stored") : "none"}`
    this.$(".status").textContent = this.head.status || (predicted && !predicted.exact ? this.head.texts.preview : "")
    if (this.since) { this.latency.push(performance.now() - this.since); this.since = 0 }
  }

  drawPanel(panel, field, limit, symlog, pixel, learned) {
    const image = panel.id === "image", where = `row ${pixel[0]}, column ${pixel[1]}`
    if (image) paintImage(this.x0, this.eps, this.sigma, this.c, this.h * this.w, panel.pixels)
    else if (field) paintField(field, limit, symlog, panel.pixels)
    if (image || field) panel.context.putImageData(panel.bitmap, 0, 0)
    panel.drawn = !!(field || (panel.drawn && !this.head.alone)) // alone, nothing comes later: say so instead
    panel.stage.classList.toggle("stale", !image && !field && panel.drawn)
    panel.empty.textContent = image || field || panel.drawn ? "" : this.head.empty[panel.id] || "Waiting for the pointer to rest"
    panel.sub.textContent = panel.id === "learned" && learned ? learned.note : this.head.panels.find(({ id }) => id === panel.id).sub
    const box = ([r, c], stroke, width) => `<rect x="${c}" y="${r}" width="1" height="1" stroke="${stroke}" stroke-width="${width}" vector-effect="non-scaling-stroke"/>`
    const line = (x1, y1, x2, y2) => `<line x1="${x1}" y1="${y1}" x2="${x2}" y2="${y2}" stroke="#808080" stroke-opacity=".55" stroke-width="1" vector-effect="non-scaling-stroke"/>`
    const own = panel.id === "learned" && learned ? learned.pixel : pixel
    const [r, c] = pixel, cross = line(0, r + 0.5, c, r + 0.5) + line(c + 1, r + 0.5, this.w, r + 0.5) + line(c + 0.5, 0, c + 0.5, r) + line(c + 0.5, r + 1, c + 0.5, this.h)
    panel.marks.innerHTML = (image ? cross : "") + box(own, "#000", 4) + box(own, "#ffd400", 2) + (this.cursor && `${this.cursor}` !== `${own}` ? box(this.cursor, "#000", 3) + box(this.cursor, "#fff", 1.5) : "")
    const value = at => { const v = field?.[at[0] * this.w + at[1]]; return v === undefined ? "" : `: ${short(v)}` }
    const spot = image ? pixel : this.cursor || own
    panel.caption.textContent = `Row ${spot[0]}, column ${spot[1]}${image ? "" : value(spot)}`
    if (!image) {
      panel.canvas.setAttribute("aria-label", `${panel.title.textContent}: field of ${where} at sigma ${short(this.sigma)}`)
      panel.limits[0].textContent = `−${short(limit)}`
      panel.limits[1].textContent = `+${short(limit)}`
    }
  }

  drawNoise() {
    this.$("output").textContent = `σ = ${short(this.sigma)}    t = ${Math.round(timestep(this.sigma))}    ᾱ = ${short(alphaBar(this.sigma))}`
    this.$("input").setAttribute("aria-valuetext", `sigma ${short(this.sigma)}`)
  }

  // Pearson r against sigma: from the stored tables at the nearest stored pixel.
  curve(pixel) {
    const table = this.tables.learned, levels = this.tables.levels || []
    const basis = this.tables.basis
    if (!table || (!basis && this.tables.predicted.filter(Boolean).length < levels.length)) return null
    const { sigmas, pixels, draws } = table.head, p = nearest(pixels, ...pixel), index = pixels[p][0] * this.w + pixels[p][1]
    const predicted = sigma => {
      if (basis) return basis.row(index, sigma)
      const [k, weight] = between(levels, sigma), { arrays } = this.tables.predicted[weight < 0.5 ? k : k + 1]
      return decodeRow(arrays.codes, arrays.scale, index, this.h * this.w)
    }
    const curves = (this.tables.curves ||= new Map()) // by pixel: rows of a basis take a while
    if (!curves.has(p)) curves.set(p, sigmas.map((sigma, i) => [sigma, pearson(predicted(sigma), this.learnedRow(i, p))]))
    const points = curves.get(p)
    return { points, note: `row ${pixels[p][0]}, column ${pixels[p][1]}, ${draws} draws` }
  }

  drawChart(pixel) {
    const curve = this.curve(pixel), { svg, label } = chart(curve, this.head.range, this.sigma, this.head.empty.chart)
    this.$(".chart").innerHTML = svg
    this.$(".chart").setAttribute("aria-label", label)
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

  moved(event) {
    this.ask(event)
    clearTimeout(this.timer)
    this.timer = setTimeout(() => {
      const pixel = this.hover || this.pixel
      if (!this.playing && !this.exact.get(this.key(pixel, this.sigma))?.predicted) this.commit("rest")
    }, REST)
  }

  commit(kind, event) {
    clearTimeout(this.timer)
    const pixel = kind === "rest" && this.hover ? this.hover : this.pixel
    this.seq += 1
    this.send({ row: pixel[0], col: pixel[1], pinned: this.pixel, sigma: +this.sigma.toPrecision(6), kind, seq: this.seq })
    this.sigma = +this.sigma.toPrecision(6)
    this.ask(event)
  }

  play() {
    this.playing = true
    this.$(".play").textContent = "❚❚"
    this.$(".play").setAttribute("aria-label", "Pause the noise sweep")
    let position = +this.$("input").value, direction = position >= 1000 ? -1 : 1, last = performance.now()
    const step = now => {
      if (!this.playing || !this.root.isConnected) return
      position += direction * (now - last) / SWEEP * 1000
      last = now
      if (position >= 1000 || position <= 0) { direction = -direction; position = Math.max(0, Math.min(1000, position)) }
      this.$("input").value = position
      this.sigma = this.sigmaAt(position)
      this.draw()
      requestAnimationFrame(step)
    }
    requestAnimationFrame(step)
  }

  stop() {
    if (!this.playing) return
    this.playing = false
    this.$(".play").textContent = "▶"
    this.$(".play").setAttribute("aria-label", "Play the noise sweep")
    this.commit("noise")
  }
}
