// What every view does: it takes what Python sends, follows the pointer and the keys at the next frame, fetches files
// once, plays, saves, says aloud what keys chose, and asks Python where the browser does not know.
import { gradient, paintField } from "./colours.js"
import { short, unpack } from "./math.js"
import { save } from "./poster.js"
import { chosen, pointed } from "./svg.js"
import { isDark, whenTurned } from "./theme.js"

export const ARROWS = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }
const HELD = 150 // ms after the last key of a held one: it asks once, at its end
const views = new WeakMap()

export const clamp = (v, n) => Math.max(0, Math.min(n - 1, v))

// The pixel under the pointer, of a canvas that shows h by w of them.
/** @returns {[number, number]} */
export function cellAt({ currentTarget, clientX, clientY }, h, w) {
  const place = currentTarget.getBoundingClientRect()
  return [clamp(Math.floor((clientY - place.top) / place.height * h), h), clamp(Math.floor((clientX - place.left) / place.width * w), w)]
}

export function element(tag, name = "", text = "") {
  const made = document.createElement(tag)
  made.className = name
  made.textContent = text
  return made
}

// A canvas's pixels as 32-bit numbers, and how to show them.
export function bitmap(canvas, h, w) {
  Object.assign(canvas, { height: h, width: w })
  const context = canvas.getContext("2d"), image = context.createImageData(w, h)
  return { canvas, pixels: new Uint32Array(image.data.buffer), put: () => context.putImageData(image, 0, 0) }
}

// The entry of a component: one view for as long as its place on the page lives, called again with whatever is new.
// A file of its own, which has no server, opens tables in its own way.
export const mounted = (View, state = "view") => ({ data, parentElement, setStateValue, open = fetched }) => {
  let view = views.get(parentElement)
  if (!view) views.set(parentElement, (view = new View(parentElement.querySelector(".lab"))))
  view.send = value => setStateValue(state, value)
  view.open = open
  view.receive(unpack(data))
  if (view.unsent) view.send(view.unsent)
  view.unsent = null
  return () => { // Streamlit calls a component anew without taking it off the page: only what is off it has ended
    view.send = value => { view.unsent = value }
    setTimeout(() => {
      if (view.root.isConnected) return
      view.stop()
      view.gone.abort()
      views.delete(parentElement)
    })
  }
}

async function fetched(place) {
  const answer = await fetch(new URL(place, document.baseURI))
  if (!answer.ok) throw new Error(`${place}: ${answer.status}`)
  return answer.arrayBuffer()
}

export class Lab {
  constructor(root) {
    this.root = root
    this.head = this.arrays = this.send = this.open = this.unsent = null
    this.c = this.h = this.w = this.seq = this.since = this.resting = this.held = 0
    this.pixel = this.hover = this.cursor = null // [row, column]: chosen, that all fields follow, under the pointer
    this.colours = "linear"
    this.direction = 1 // of playing
    this.dark = null // whether the page is
    this.files = new Map()
    this.made = new Map() // what `once` keeps
    this.latency = []
    this.aloud = element("p", "aloud")
    this.aloud.setAttribute("role", "status")
    root.append(this.aloud)
    Object.assign(root, { lab: this }) // for tests: root.lab.shown, root.lab.latency
    for (const kind of ["png", "svg"]) this.on(`.${kind}`, () => save(this.printed(), this.fileName(), kind))
    this.on(".play", () => (this.playing ? this.stop() : this.play()))
    this.gone = new AbortController() // what listens beyond the view's own elements ends with it
    whenTurned(() => this.ask(), this.gone.signal)
  }

  /** @param {string} query @returns {any} */
  $(query) { return this.root.querySelector(query) }
  all(query) { return [...this.root.querySelectorAll(query)] }

  // Clicks on whatever matches, also on what is drawn later.
  on(query, act) {
    this.root.addEventListener("click", event => {
      const found = event.target.closest(query)
      if (found) act(found.dataset)
    })
  }

  // Buttons of which one is pressed: <button data-NAME="VALUE">.
  press(name, value) {
    for (const button of this.all(`[data-${name}]`)) button.setAttribute("aria-pressed", `${button.dataset[name] === `${value}`}`)
  }

  // What a view says of itself.
  draw() {}
  chosen(_kind) { return {} } // for Python
  spoken() { return "" }
  poster() { return "" }
  fileName() { return "view" }
  snap(pixel) { return pixel } // the pixel that stands for another
  advance(_seconds) { return false } // while playing, at every frame: whether anything is to be drawn anew
  opened(file) { return file } // what is kept of a file

  // --- what Python sends -------------------------------------------------------------------------

  // `fresh`: about other data than before; `newer`: not older than what was chosen here meanwhile.
  take({ head, arrays }) {
    const fresh = this.head?.context !== head.context, seq = head.seq ?? 0, newer = fresh || seq >= this.seq
    Object.assign(this, { head, arrays, seq: Math.max(this.seq, seq) })
    if (head.shape) [this.c, this.h, this.w] = head.shape
    if (fresh) this.hover = this.cursor = null
    return { fresh, newer }
  }

  // A value that is made again only when its key changes.
  once(name, key, make) {
    if (this.made.get(name)?.key !== key) this.made.set(name, { key, value: make() })
    return this.made.get(name).value
  }

  // Fetch what is missing of these files, in order, and forget all others; `failed` tells whether one did not come.
  async load(places) {
    const key = [...places].sort().join()
    if (this.loading?.key === key && !this.failed) return
    const mine = (this.loading = { key }) // a later call takes over: data may be switched meanwhile
    this.failed = false
    for (const place of this.files.keys()) if (!places.includes(place)) this.files.delete(place)
    const missing = places.filter(place => !this.files.has(place))
    if (missing.length) this.root.dataset.ready = "0"
    for (const place of missing) {
      const file = await this.open(place).then(bytes => this.opened(unpack(new Uint8Array(bytes)))).catch(() => null)
      if (this.loading !== mine) return
      if (file) this.files.set(place, file)
      else this.failed = true
      this.ask()
    }
    if (places.length) this.root.dataset.ready = "1"
  }

  // --- panels ------------------------------------------------------------------------------------

  // A picture of h by w pixels that is pointed at and clicked. `leads`: all fields follow the pointer over it;
  // `keys`: what it is called where arrow keys move the chosen pixel; `heading` and `scale`: what stands about it.
  panel(id, { h = this.h, w = this.w, heading = false, scale = false, leads = false, keys = "" } = {}) {
    const figure = element("figure")
    figure.dataset.panel = id
    figure.innerHTML = `${heading ? `<h2></h2><p class="sub"></p>` : ""}<div class="stage"><canvas></canvas><svg viewBox="0 0 ${w} ${h}" preserveAspectRatio="none" aria-hidden="true"><g fill="none"></g></svg>
      <div class="empty"></div></div><figcaption></figcaption>${scale ? `<div class="scale"><span></span><i></i><span></span></div>` : ""}`
    /** @type {(query: string) => any} */
    const find = query => figure.querySelector(query)
    const canvas = find("canvas"), at = event => cellAt(event, h, w)
    const over = event => { const [row, col] = at(event); return [row % this.h, col % this.w] } // of a mosaic: in its image
    canvas.onpointermove = event => { this.cursor = over(event); if (leads) this.hover = this.snap(this.cursor); this.moved(event) }
    canvas.onpointerleave = event => { this.cursor = this.hover = null; this.moved(event) }
    canvas.onclick = event => { this.pixel = this.snap(over(event)); this.hover = null; this.commit("click", event) }
    canvas.setAttribute("role", keys ? "application" : "img")
    if (keys) this.walk(canvas, keys)
    return { id, figure, ...bitmap(canvas, h, w), title: find("h2"), sub: find(".sub"), stage: find(".stage"), marks: find("g"), empty: find(".empty"),
      caption: find("figcaption"), limits: [...figure.querySelectorAll(".scale span")], drawn: false, shows: [] }
  }

  // Arrow keys move the chosen pixel, by four with Shift.
  walk(canvas, label) {
    canvas.tabIndex = 0
    canvas.setAttribute("aria-roledescription", "pixel picker")
    canvas.setAttribute("aria-label", label)
    canvas.onkeydown = event => {
      const step = ARROWS[event.key]
      if (!step) return
      event.preventDefault()
      event.stopPropagation()
      const by = (this.head.stride || 1) * (event.shiftKey ? 4 : 1), [row, col] = this.pixel
      this.pixel = this.snap([clamp(row + step[0] * by, this.h), clamp(col + step[1] * by, this.w)])
      this.hover = null
      this.ask(event)
      clearTimeout(this.held)
      this.held = setTimeout(() => { this.commit("key"); this.say(this.spoken()) }, HELD)
    }
  }

  // A field in a panel; where there is none, words, or with `keep` the one before, faint.
  show(panel, field, limit, words, keep = true) {
    if (field) { paintField(field, limit, this.colours === "symlog", panel.pixels, this.dark); panel.put() }
    panel.drawn = !!field || (panel.drawn && keep)
    panel.stage.classList.toggle("stale", !field && panel.drawn)
    panel.empty.textContent = panel.drawn ? "" : words
  }

  // The pixel a panel is about, and the one under the pointer, the same in every panel.
  mark(panel, own, more = "") {
    panel.marks.innerHTML = more + chosen(own) + (this.cursor && `${this.cursor}` !== `${own}` ? pointed(this.cursor) : "")
  }

  limits(ends, limit) {
    ends[0].textContent = `−${short(limit)}`
    ends[1].textContent = `+${short(limit)}`
  }

  // --- acting ------------------------------------------------------------------------------------

  moved(event) { this.ask(event) }

  // Draw at the next frame, once; the time from the event to the drawing is kept.
  ask(event) {
    if (event && !this.since) this.since = event.timeStamp
    if (this.waiting || !this.head) return
    this.waiting = true
    requestAnimationFrame(() => { this.waiting = false; if (this.root.isConnected) this.redraw() })
  }

  redraw() {
    this.turnTo(isDark(this.root))
    this.draw()
    if (this.since) { this.latency.push(performance.now() - this.since); this.since = 0 }
  }

  turnTo(dark) {
    if (this.dark === dark) return
    this.dark = dark
    this.root.style.setProperty("--map", gradient(dark))
  }

  // The poster: on white paper, whatever the page is.
  printed() {
    this.turnTo(false)
    this.draw()
    const drawn = this.poster()
    this.ask()
    return drawn
  }

  commit(kind, event) {
    clearTimeout(this.resting)
    clearTimeout(this.held)
    this.seq += 1
    this.send({ ...this.chosen(kind), kind, seq: this.seq })
    this.ask(event)
  }

  // To screen readers: once, when it changes.
  say(words) { if (words) this.aloud.textContent = words }

  // A slider of noise levels, equal steps of its logarithm.
  noiseSlider() {
    const slider = this.$(".noise input")
    slider.oninput = event => { this.stop(); this.sigma = this.sigmaAt(+slider.value); this.moved(event) }
    slider.onchange = () => this.commit("noise")
  }
  sigmaAt(position) {
    const [low, high] = this.head.range
    return low * (high / low) ** (position / 1000)
  }
  positionOf(sigma) {
    const [low, high] = this.head.range
    return 1000 * Math.log(sigma / low) / Math.log(high / low)
  }
  showNoise(words) {
    this.$(".noise input").value = this.positionOf(this.sigma)
    this.$(".noise output").textContent = words
    this.$(".noise input").setAttribute("aria-valuetext", `sigma ${short(this.sigma)}`)
  }

  play() {
    let last = performance.now()
    const step = now => {
      if (!this.playing || !this.root.isConnected) return
      if (this.advance((now - last) / 1000)) this.redraw()
      last = now
      requestAnimationFrame(step)
    }
    this.playing = true
    this.playLabel("❚❚", "Play", "Pause")
    requestAnimationFrame(step)
  }

  stop() {
    if (!this.playing) return false
    this.playing = false
    this.playLabel("▶", "Pause", "Play")
    this.stopped()
    return true
  }
  stopped() {}

  playLabel(sign, from, to) {
    const button = this.$(".play"), words = button.getAttribute("aria-label").replace(from, to)
    button.textContent = sign
    button.title = words
    button.setAttribute("aria-label", words)
  }

  // A value moved on, back and forth between two ends.
  bounce(value, by, low, high) {
    const next = value + this.direction * by
    if (next >= high) this.direction = -1
    if (next <= low) this.direction = 1
    return Math.max(low, Math.min(high, next))
  }
}

// A view that plays its steps once: `at` is the one shown.
export class Walk extends Lab {
  constructor(root) {
    super(root)
    this.at = this.walked = 0
  }

  steps() { return 1 } // how many there are
  pace() { return 1 } // of them a second

  // From the first where the last is shown.
  play() {
    this.walked = this.at = this.at < this.steps() - 1 ? this.at : 0
    super.play()
    this.draw()
  }

  advance(seconds) {
    const before = this.at, last = this.steps() - 1
    this.walked += seconds * this.pace()
    this.at = Math.min(Math.floor(this.walked), last)
    if (this.at >= last) this.stop()
    return this.at !== before
  }
}
