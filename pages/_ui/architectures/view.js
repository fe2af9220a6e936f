// The architectures: fields of one pixel by every network, the matrix of their agreement, curves over noise. All of it
// follows the pointer from stored fields; networks without stored ones are computed by Python after a click.
import { paintImage } from "../lab/colours.js"
import { Lab, mounted } from "../lab/lab.js"
import { decodeRow, largest, mean, nearest, short } from "../lab/math.js"
import { poster } from "../lab/poster.js"
import { chart, holding } from "../lab/svg.js"
import { matrixDrawing, matrixTable } from "./matrix.js"
import { alike, curvesOf, MEASURES, studied } from "./measures.js"

const CHOICES = ["measure", "scope", "colours"]
const BEAT = 0.9 // s a noise level of the play button
const CLICK = "Click a pixel to compute"

class Architectures extends Lab {
  constructor(root) {
    super(root)
    this.measure = this.scope = ""
    const slider = this.$("input")
    slider.oninput = event => { this.stop(); this.turn(+slider.value); this.ask(event) }
    slider.onchange = () => this.commit("noise")
    for (const name of CHOICES) this.on(`[data-${name}]`, chosen => { this[name] = chosen[name]; this.commit("choice") })
    this.on("[data-reference]", ({ reference }) => { this.reference = +reference; this.commit("choice") })
  }

  turn(level) { this.level = level; this.sigma = this.head.sigmas[level] }
  snap(pixel) { return this.head.pixels[nearest(this.head.pixels, pixel)] }

  receive(sent) {
    const { fresh, newer } = this.take(sent), { head } = this
    if (newer) { this.pixel = head.pixels[head.place]; this.turn(head.level) }
    if (fresh) {
      for (const name of CHOICES) this[name] = head[name]
      this.reference = Math.max(0, head.entries.findIndex(entry => entry.id === head.reference))
    }
    if (!head.study) this.scope = "pixel"
    this.$("input").max = head.sigmas.length - 1
    this.build()
    this.load(this.places())
    this.ask()
  }

  // Networks first, then the predicted fields, those of near noise levels before the others.
  places() {
    const { entries, sigmas } = this.head, far = i => Math.abs(i - this.level), levels = sigmas.map((_, i) => i).sort((a, b) => far(a) - far(b))
    return [...entries.map(entry => entry.url), ...levels.map(i => entries[0].urls[i])].filter(Boolean)
  }

  // Field of entry i at a place of the grid and a noise level: from a table, or as Python computed it there.
  field(i, place, level) {
    const entry = this.head.entries[i], [row, col] = this.head.pixels[place], table = this.files.get(entry.urls ? entry.urls[level] : entry.url)
    if (!table) return this.here(place, level) ? this.arrays[`field${i}`] || null : null
    const index = entry.urls ? row * this.w + col : level * this.head.pixels.length + place
    return decodeRow(table.arrays.codes, table.arrays.scale, index, this.h * this.w)
  }

  here(place, level) { return place === this.head.place && level === this.head.level }

  // --- drawing -----------------------------------------------------------------------------------

  build() {
    const { entries, twins, shape } = this.head, layout = JSON.stringify([shape, entries.map(entry => entry.id), twins])
    if (this.layout === layout) return
    this.layout = layout
    const keys = `Image of ${this.h} by ${this.w} pixels. Arrow keys move the chosen pixel on the grid of stored ones.`
    this.picture = this.panel("image", { heading: true, leads: true, keys })
    this.trained = entries.map(({ id }) => this.panel(id, { heading: true }))
    this.twins = entries.map(({ id, twin }) => (twins && twin ? this.panel(`${id}-untrained`, { heading: true }) : null))
    const columns = [[this.picture], ...this.trained.map((panel, i) => [panel, this.twins[i]])]
    this.$(".panels").replaceChildren(...columns.map(column => {
      const box = document.createElement("div")
      box.className = "column"
      box.append(...column.filter(Boolean).map(panel => panel.figure))
      return box
    }))
  }

  draw() {
    const { entries, image, status } = this.head, { level, measure, arrays } = this, pixel = this.hover || this.pixel
    const place = nearest(this.head.pixels, pixel), here = this.here(place, level), centre = pixel[0] * this.w + pixel[1]
    const fields = entries.map((_, i) => this.field(i, place, level))
    const twins = entries.map((_, i) => (this.twins[i] && here ? arrays[`twin${i}`] || null : null))
    const limit = largest(fields), [own] = alike([fields[0], ...fields, ...twins], measure, centre)
    const reported = value => (value === null ? "" : `${measure === "cosine" ? "cos" : "r"} ${value.toFixed(2)}`)
    paintImage(arrays.x0, arrays.eps, this.sigma, this.c, this.h * this.w, this.picture.pixels)
    this.picture.put()
    this.name(this.picture, pixel, image, "as a network sees it")
    this.picture.caption.textContent = `Row ${pixel[0]}, column ${pixel[1]}`
    entries.forEach((entry, i) => {
      const refusal = here ? entry.refusal : "", twin = this.twins[i]
      this.show(this.trained[i], fields[i], limit, refusal || entry.empty, !refusal)
      this.name(this.trained[i], pixel, entry.title, entry.sub, fields[i], i ? reported(own[i + 1]) : "")
      if (!twin) return
      this.show(twin, twins[i], largest([twins[i]]), CLICK)
      this.name(twin, pixel, "Untrained", "same architecture at initialisation; its own scale", twins[i], reported(own[entries.length + 1 + i]))
    })
    this.limits(this.all(".scale span"), limit)
    this.$("input").value = level
    this.$(".noise output").textContent = `σ = ${short(this.sigma)}`
    this.$("input").setAttribute("aria-valuetext", `sigma ${short(this.sigma)}`)
    this.shown = { pixel, fields, twins, limit, place, level }
    this.numbers(fields, place, pixel)
    this.root.dataset.shown = `${pixel} ${short(this.sigma)} ${fields.filter(Boolean).length}/${entries.length}`
    this.$(".status").textContent = this.failed ? "Some stored fields did not load. Reload the page to try again." : status
  }

  // What stands about a panel, and its marks.
  name(panel, pixel, title, sub, field = null, number = "") {
    panel.title.textContent = panel.title.title = title
    panel.sub.textContent = panel.sub.title = sub
    this.mark(panel, pixel)
    const [row, col] = this.cursor || pixel, value = field?.[row * this.w + col]
    panel.caption.textContent = [value === undefined ? "" : this.cursor ? `(${row}, ${col}): ${short(value)}` : `Centre: ${short(value)}`, number].filter(Boolean).join(" · ")
    if (panel !== this.picture) panel.canvas.setAttribute("aria-label", `${title}: field of row ${pixel[0]}, column ${pixel[1]} at sigma ${short(this.sigma)}. ${number}`)
  }

  numbers(fields, place, [row, col]) {
    const { entries, sigmas, study, no_study } = this.head, { level, measure } = this, whole = this.scope === "study", names = entries.map(entry => entry.id)
    const matrices = sigmas.map((_, k) => (whole ? studied(study, names, k, measure)
      : { value: alike(k === level ? fields : entries.map((_, i) => this.field(i, place, k)), measure, row * this.w + col) }))
    const reference = Math.min(this.reference, entries.length - 1), others = entries.map((_, i) => i).filter(i => i !== reference)
    const where = whole ? `all ${study.pixels} pixels of a grid` : `pixel ${row}, ${col}`
    const title = `${MEASURES[measure][0]} of fields, σ = ${short(this.sigma)}, ${where}`
    const over = `${MEASURES[measure][0]} with ${entries[reference].title} over noise, ${where}`
    const curves = curvesOf(matrices, reference, entries.length)
    const series = others.map(i => ({ title: entries[i].title, ink: entries[i].colour, dot: 3.5, points: curves[i].map(([r, error], k) => [sigmas[k], r, error]),
      tip: (s, r, error) => `${entries[i].title}, σ ${short(s)}: ${r.toFixed(3)}${error ? ` ± ${error.toFixed(3)}` : ""}` }))
    const chance = k => mean(others.map(i => matrices[k].chance[reference][i]).filter(v => v !== null))
    if (whole) series.push({ title: "by chance", ink: "currentColor", dash: "2 4", points: sigmas.map((s, k) => [s, chance(k)]) })
    this.shown = { ...this.shown, matrix: matrices[level], title, over, series }
    this.$(".matrix-title").textContent = title
    const focused = this.$(".matrix button:focus")?.dataset.reference
    this.$(".matrix").innerHTML = matrixTable(entries, matrices[level], reference)
    if (focused) this.$(`[data-reference="${focused}"]`).focus()
    this.$(".matrix-note").textContent = whole ? study.note : "Between the fields above, all input pixels, with the noise of their draws, which lowers r; the study is corrected for it. Click a row label to make it the reference of the curves."
    this.$(".curves-title").textContent = over
    this.$(".chart").innerHTML = this.curves(this.$(".chart").clientWidth || 480)
    const now = others.map(i => `${entries[i].title} ${matrices[level].value[reference][i]?.toFixed(2) ?? "not computed"}`).join(", ")
    this.$(".chart").setAttribute("aria-label", `${over}: ${now} at sigma ${short(this.sigma)}`)
    this.$(".curves-note").textContent = whole ? "Dashed: chance level, the second field taken at another, random pixel." : ""
    for (const name of CHOICES) this.press(name, this[name])
    Object.assign(this.$('[data-scope="study"]'), { disabled: !study, title: study ? "" : no_study })
  }

  curves(wide) {
    const { sigmas } = this.head
    return chart({ wide, tall: 250, series: this.shown.series, here: this.sigma, empty: "Needs stored fields",
      x: { range: [sigmas[0] / 1.15, sigmas[sigmas.length - 1] * 1.15], log: true, ticks: sigmas.map(s => [s, short(+s.toPrecision(2))]), name: "noise level σ" },
      y: { range: holding(this.shown.series, -0.2, 1), ticks: [0, 0.25, 0.5, 0.75, 1].map(r => [r, r % 0.5 ? "" : short(r)]) } })
  }

  spoken() {
    const { pixel: [row, col], matrix, fields } = this.shown, { entries } = this.head
    const agree = entries.map(({ title }, i) => (i && fields[i] && this.scope === "pixel" ? `${title} ${matrix.value[0][i]?.toFixed(2)}` : "")).filter(Boolean)
    return `Row ${row}, column ${col}.${agree.length ? ` ${MEASURES[this.measure][0]} with ${entries[0].title}: ${agree.join(", ")}.` : ""}`
  }

  // --- acting ------------------------------------------------------------------------------------

  chosen() {
    const [row, col] = this.pixel, { sigma, measure, scope, colours } = this
    return { row, col, sigma, measure, scope, colours, reference: this.head.entries[this.reference]?.id }
  }

  advance(seconds) {
    this.beat = (this.beat ?? 0) + seconds
    if (this.beat < BEAT) return false
    this.beat = 0
    const last = this.head.sigmas.length - 1
    if (this.level + this.direction < 0 || this.level + this.direction > last) this.direction = -this.direction
    this.turn(this.level + this.direction)
    return true
  }
  stopped() { this.commit("noise") }

  fileName() { return `architectures-${this.head.file}-${this.pixel.join("-")}-sigma${short(this.sigma)}` }

  poster() {
    const { head, picture, trained, h, w, shown: { pixel, limit, matrix, title, over, fields } } = this, [row, col] = pixel
    const tiles = [picture, ...trained].map((panel, i) => ({ title: panel.title.textContent, at: pixel, note: i ? panel.caption.textContent : "",
      ...(i && !fields[i - 1] ? { empty: "not computed" } : { canvas: panel.canvas }) }))
    const blocks = [{ ...matrixDrawing(head.entries, matrix), title }, { svg: this.curves(480), wide: 480, tall: 250, title: over }]
    return poster({ side: 160, shape: [h, w], rows: [{ tiles }], limit, blocks, caption: `${head.name}, row ${row}, column ${col}, σ = ${short(this.sigma)}` })
  }
}

export default mounted(Architectures)
