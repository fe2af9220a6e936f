// The architectures' view: panels of one pixel, its matrix of agreement, curves over noise. All of it follows the
// pointer from stored fields; networks without stored ones are computed by Python after a click.
import { curvesChart } from "./curves.js"
import { colour, decodeRow, largest, nearest, paintField, paintImage, short, unpack } from "./math.js"
import { matrixTable } from "./matrix.js"
import { alike, curvesOf, MEASURES, studied } from "./measures.js"
import { escape } from "./picture.js"
import { saveSheet } from "./sheet.js"

const views = new WeakMap()
const CHOICES = ["measure", "scope", "colours"]
const BEAT = 900 // ms a noise level of the play button

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
    this.tables = new Map()
    root.lab = this // for tests: root.lab.shown
    const slider = this.$("input")
    slider.oninput = () => { this.stop(); this.level = +slider.value; this.ask() }
    slider.onchange = () => this.commit("noise")
    this.$(".play").onclick = () => (this.playing ? this.stop() : this.play())
    this.$(".png").onclick = () => saveSheet(this, "png")
    this.$(".svg").onclick = () => saveSheet(this, "svg")
    this.$(".scale i").style.background = `linear-gradient(90deg, ${Array.from({ length: 11 }, (_, i) => `rgb(${colour(i / 5 - 1)})`)})`
    for (const name of CHOICES)
      root.querySelectorAll(`[data-${name}]`).forEach(button => (button.onclick = () => { this[name] = button.dataset[name]; this.commit("choice") }))
    this.$(".matrix").onclick = event => {
      const button = event.target.closest("[data-reference]")
      if (button) { this.reference = +button.dataset.reference; this.commit("choice") }
    }
  }

  get pixel() { return this.head.pixels[this.hover ?? this.place] }
  get sigma() { return this.head.sigmas[this.level] }

  // --- what Python sends -----------------------------------------------------------------------

  receive({ head, arrays }) {
    const fresh = this.head?.context !== head.context
    this.head = head
    this.arrays = arrays
    ;[this.c, this.h, this.w] = head.shape
    if (fresh || head.seq >= this.seq) {
      this.place = head.place
      this.level = head.level
      this.seq = Math.max(this.seq, head.seq)
    }
    if (fresh) {
      this.hover = this.cursor = null
      for (const name of CHOICES) this[name] = head[name]
      this.reference = Math.max(0, head.entries.findIndex(entry => entry.id === head.reference))
    }
    this.$("input").max = head.sigmas.length - 1
    this.$("input").value = this.level
    if (!head.study) this.scope = "pixel"
    this.build()
    this.fetchTables()
    this.ask()
  }

  async fetchTables() {
    const { entries, sigmas } = this.head, levels = sigmas.map((_, i) => i).sort((a, b) => Math.abs(a - this.level) - Math.abs(b - this.level))
    const urls = [...entries.filter(entry => entry.url).map(entry => entry.url), ...levels.flatMap(i => entries[0].urls[i] || [])]
    const mine = (this.fetching = {}) // a later call takes over: data may have been switched meanwhile
    for (const url of this.tables.keys()) if (!urls.includes(url)) this.tables.delete(url)
    this.root.dataset.ready = "0"
    this.failed = false
    for (const url of urls) {
      if (this.tables.has(url)) continue
      try {
        const answer = await fetch(new URL(url, document.baseURI))
        if (!answer.ok) throw new Error(answer.status)
        const table = unpack(new Uint8Array(await answer.arrayBuffer()))
        if (this.fetching !== mine) return
        this.tables.set(url, table)
      } catch {
        if (this.fetching !== mine) return
        this.failed = true
      }
      this.ask()
    }
    this.root.dataset.ready = "1"
  }

  // Field of entry i at a place of the grid and a noise level: from a table, or as Python computed it there.
  field(i, place, level) {
    const entry = this.head.entries[i], size = this.h * this.w, [row, col] = this.head.pixels[place]
    const table = this.tables.get(entry.urls ? entry.urls[level] : entry.url)
    if (table) {
      const { codes, scale } = table.arrays
      return decodeRow(codes, scale, entry.urls ? row * this.w + col : level * this.head.pixels.length + place, size)
    }
    return this.here(place, level) ? this.arrays[`field${i}`] || null : null
  }

  here(place, level) { return place === this.head.place && level === this.head.level }

  // --- drawing -----------------------------------------------------------------------------------

  build() {
    const { entries, twins } = this.head, layout = JSON.stringify([this.head.shape, entries.map(entry => entry.id), twins])
    if (this.layout === layout) return
    this.layout = layout
    this.picture = this.panel("image")
    this.trained = entries.map(entry => this.panel(entry.id))
    this.twins = entries.map(entry => (twins && entry.twin ? this.panel(`${entry.id}-untrained`) : null))
    const columns = [[this.picture], ...this.trained.map((panel, i) => [panel, this.twins[i]])]
    this.$(".panels").replaceChildren(...columns.map(column => {
      const box = document.createElement("div")
      box.className = "column"
      box.append(...column.filter(Boolean).map(panel => panel.figure))
      return box
    }))
    this.panels = [this.picture, ...this.trained]
  }

  panel(id) {
    const figure = document.createElement("figure")
    figure.dataset.panel = id
    figure.innerHTML = `<h4></h4><p class="sub"></p><div class="stage"><canvas width="${this.w}" height="${this.h}"></canvas>
      <svg viewBox="0 0 ${this.w} ${this.h}" preserveAspectRatio="none" aria-hidden="true"><g fill="none"></g></svg><div class="empty"></div></div><figcaption></figcaption>`
    const find = query => figure.querySelector(query), canvas = find("canvas"), context = canvas.getContext("2d")
    const bitmap = context.createImageData(this.w, this.h)
    const panel = { id, figure, canvas, context, bitmap, pixels: new Uint32Array(bitmap.data.buffer), title: find("h4"), sub: find(".sub"),
      stage: find(".stage"), marks: find("g"), empty: find(".empty"), caption: find("figcaption") }
    const at = event => {
      const box = canvas.getBoundingClientRect(), clamp = (v, n) => Math.max(0, Math.min(n - 1, Math.floor(v)))
      return [clamp((event.clientY - box.top) / box.height * this.h, this.h), clamp((event.clientX - box.left) / box.width * this.w, this.w)]
    }
    canvas.onpointermove = event => { this.cursor = at(event); if (id === "image") this.hover = nearest(this.head.pixels, ...this.cursor); this.ask() }
    canvas.onpointerleave = () => { this.cursor = this.hover = null; this.ask() }
    canvas.onpointerdown = event => { this.place = nearest(this.head.pixels, ...at(event)); this.hover = null; this.commit("click") }
    if (id === "image") this.keyboard(canvas)
    else canvas.setAttribute("role", "img")
    return panel
  }

  keyboard(canvas) {
    canvas.tabIndex = 0
    canvas.setAttribute("role", "application")
    canvas.setAttribute("aria-roledescription", "pixel picker")
    canvas.setAttribute("aria-label", `Image of ${this.h} by ${this.w} pixels. Arrow keys move the chosen pixel on the grid of stored ones.`)
    const steps = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }
    canvas.onkeydown = event => {
      const step = steps[event.key]
      if (!step) return
      event.preventDefault()
      event.stopPropagation()
      const { pixels, stride } = this.head, [row, col] = pixels[this.place], by = stride * (event.shiftKey ? 4 : 1)
      this.place = nearest(pixels, row + step[0] * by, col + step[1] * by)
      this.hover = null
      this.ask()
      clearTimeout(this.timer)
      this.timer = setTimeout(() => this.commit("key"), 120) // a held key asks once, at its end
    }
  }

  ask() {
    if (this.waiting) return
    this.waiting = true
    requestAnimationFrame(() => { this.waiting = false; if (this.root.isConnected) this.draw() })
  }

  draw() {
    const { entries } = this.head, place = this.hover ?? this.place, level = this.level
    const fields = entries.map((_, i) => this.field(i, place, level))
    const twins = entries.map((_, i) => (this.twins[i] && this.here(place, level) ? this.arrays[`twin${i}`] || null : null))
    const limit = largest(fields)
    paintImage(this.arrays.x0, this.arrays.eps, this.sigma, this.c, this.h * this.w, this.picture.pixels)
    this.finish(this.picture, null, this.head.image, "as a network sees it")
    const own = alike([fields[0], ...fields, ...twins], this.measure, this.pixel[0] * this.w + this.pixel[1])[0]
    entries.forEach((entry, i) => {
      const reported = (value, other) => (i === 0 && !other ? "" : value === null ? "" : `${this.measure === "cosine" ? "cos" : "r"} ${value.toFixed(2)}`)
      this.paint(this.trained[i], fields[i], limit, entry.title, entry.sub, entry.empty, reported(own[i + 1]), this.here(place, level) ? entry.refusal : "")
      if (this.twins[i]) this.paint(this.twins[i], twins[i], twins[i] ? largest([twins[i]]) : 1, "Untrained", "the same network as it starts; its own scale", "Click a pixel to compute", reported(own[entries.length + 1 + i], true))
    })
    const [low, high] = this.root.querySelectorAll(".scale span")
    low.textContent = `−${short(limit)}`
    high.textContent = `+${short(limit)}`
    this.$("output").textContent = `σ = ${short(this.sigma)}`
    this.$("input").setAttribute("aria-valuetext", `sigma ${short(this.sigma)}`)
    this.numbers(fields, place, level)
    this.shown = { ...this.shown, fields, twins, limit, place, level }
    this.root.dataset.shown = `${this.pixel} ${short(this.sigma)} ${fields.filter(Boolean).length}/${entries.length}`
    this.$(".status").textContent = this.failed ? "Some stored fields did not load. Reload the page to try again." : this.head.status
  }

  paint(panel, field, limit, title, sub, empty, number, refusal = "") {
    if (field) { paintField(field, limit, this.colours === "symlog", panel.pixels); panel.drawn = true }
    panel.stage.classList.toggle("stale", !field && !!panel.drawn)
    panel.empty.textContent = field || (panel.drawn && !refusal) ? "" : refusal || empty
    this.finish(panel, field, title, sub, number)
  }

  finish(panel, field, title, sub, number = "") {
    if (panel === this.picture || field) panel.context.putImageData(panel.bitmap, 0, 0)
    panel.title.textContent = panel.title.title = title
    panel.sub.textContent = panel.sub.title = sub
    const box = ([r, c], stroke, width) => `<rect x="${c}" y="${r}" width="1" height="1" stroke="${stroke}" stroke-width="${width}" vector-effect="non-scaling-stroke"/>`
    panel.marks.innerHTML = box(this.pixel, "#000", 4) + box(this.pixel, "#ffd400", 2) + (this.cursor && `${this.cursor}` !== `${this.pixel}` ? box(this.cursor, "#000", 3) + box(this.cursor, "#fff", 1.5) : "")
    const [row, col] = panel === this.picture ? this.pixel : this.cursor || this.pixel, value = field?.[row * this.w + col]
    panel.caption.textContent = panel === this.picture ? `Row ${row}, column ${col}` : [value === undefined ? "" : this.cursor ? `(${row}, ${col}): ${short(value)}` : `Centre: ${short(value)}`, number].filter(Boolean).join(" · ")
    if (panel !== this.picture) panel.canvas.setAttribute("aria-label", `${title}: field of row ${this.pixel[0]}, column ${this.pixel[1]} at sigma ${short(this.sigma)}. ${number}`)
  }

  numbers(fields, place, level) {
    const { entries, sigmas, study } = this.head, whole = this.scope === "study", names = entries.map(entry => entry.id)
    const matrices = sigmas.map((_, k) => (whole ? studied(study, names, k, this.measure)
      : { value: alike(k === level ? fields : entries.map((_, i) => this.field(i, place, k)), this.measure, this.pixel[0] * this.w + this.pixel[1]) }))
    const reference = Math.min(this.reference, entries.length - 1), [row, col] = this.pixel
    const chance = whole ? sigmas.map((_, k) => mean(matrices[k].chance[reference].filter((v, i) => i !== reference && v !== null))) : null
    const where = whole ? `all ${study.pixels} pixels of a grid` : `pixel ${row}, ${col}`
    const title = `${MEASURES[this.measure][0]} of fields, σ = ${short(this.sigma)}, ${where}`
    this.$(".matrix-title").textContent = title
    const focused = this.root.querySelector(".matrix button:focus")?.dataset.reference
    this.$(".matrix").innerHTML = matrixTable(entries, matrices[level], reference)
    if (focused) this.$(`[data-reference="${focused}"]`).focus()
    this.$(".matrix-note").textContent = whole ? study.note : "Between the fields above, all input pixels. A row's name makes it the reference of the curves."
    this.$(".curves-title").textContent = `${MEASURES[this.measure][0]} with ${entries[reference].title} over noise, ${where}`
    this.$(".legend").innerHTML = entries.map((entry, i) => (i === reference ? "" : `<span><i style="background:${entry.colour}"></i>${escape(entry.title)}</span>`)).join("") + (chance ? `<span><i class="dashed"></i>by chance</span>` : "")
    this.curvesSvg = curvesChart(entries, curvesOf(matrices, reference, entries.length), reference, sigmas, level, chance)
    this.$(".curves").innerHTML = this.curvesSvg
    this.$(".curves").setAttribute("aria-label", `${this.$(".curves-title").textContent}: ${entries.map((entry, i) => (i === reference ? "" : `${entry.title} ${matrices[level].value[reference][i]?.toFixed(2) ?? "not computed"}`)).filter(Boolean).join(", ")} at sigma ${short(this.sigma)}`)
    this.$(".curves-note").textContent = whole ? "Dashed: the same with the field of another, random pixel." : ""
    for (const name of CHOICES)
      this.root.querySelectorAll(`[data-${name}]`).forEach(button => button.setAttribute("aria-pressed", button.dataset[name] === this[name]))
    this.$('[data-scope="study"]').disabled = !study
    this.$('[data-scope="study"]').title = study ? "" : this.head.no_study
    this.shown = { matrix: matrices[level], title }
  }

  // --- acting ------------------------------------------------------------------------------------

  commit(kind) {
    clearTimeout(this.timer)
    const [row, col] = this.head.pixels[this.place]
    this.seq += 1
    const { measure, scope, colours } = this, reference = this.head.entries[this.reference]?.id
    this.send({ row, col, sigma: this.sigma, measure, scope, colours, reference, kind, seq: this.seq })
    this.ask()
  }

  play() {
    let step = 1
    this.$(".play").textContent = "❚❚"
    this.$(".play").setAttribute("aria-label", "Pause the noise levels")
    this.playing = setInterval(() => {
      if (!this.root.isConnected) return clearInterval(this.playing)
      const last = this.head.sigmas.length - 1
      if (this.level + step < 0 || this.level + step > last) step = -step
      this.level += step
      this.$("input").value = this.level
      this.ask()
    }, BEAT)
  }

  stop() {
    if (!this.playing) return
    clearInterval(this.playing)
    this.playing = null
    this.$(".play").textContent = "▶"
    this.$(".play").setAttribute("aria-label", "Play the noise levels")
    this.commit("noise")
  }
}

const mean = values => values.reduce((sum, v) => sum + v, 0) / Math.max(values.length, 1)
