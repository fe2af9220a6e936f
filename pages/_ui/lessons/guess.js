// What a student answers with: one widget a kind, by pointer and by keyboard, the answer shown beside the guess.
//
// A widget has `value` (null until something was chosen), `put(value)`, `reveal(truth)` and `judge(truth)`: "right",
// "wrong" or "close", and the words that say so. `changed` is called when the value changes.
import { ARROWS, cellAt, clamp, element } from "../lab/lab.js"
import { short } from "../lab/math.js"
import { chosen } from "../lab/svg.js"

const same = (a, b) => `${a}` === `${b}`
const listed = words => (words.length < 2 ? words.join("") : `${words.slice(0, -1).join(", ")} and ${words[words.length - 1]}`)

class Widget {
  constructor(place, spec, changed, ornament) {
    this.place = place
    this.spec = spec
    this.changed = changed
    this.ornament = ornament
    this.value = this.truth = null
    this.locked = false
    place.replaceChildren()
  }

  // A card of an option: its picture, if the figure has one, its words, and what is said of it later.
  card(i, text, ...inputs) {
    const card = element("label", "card"), picture = this.ornament(i)
    const words = element("span", "words", text), said = element("span", "said")
    card.append(...inputs, ...(picture ? [picture] : []), words, said)
    return { card, said }
  }

  cards(n) {
    const group = element("div", "cards")
    const across = this.spec.across || (n === 4 ? 4 : Math.min(n, 3))
    group.style.setProperty("--across", `${across}`)
    group.style.setProperty("--few", `${Math.ceil(across / 2)}`) // on a phone
    return group
  }

  say(said, words, kind) {
    said.textContent = words
    said.dataset.kind = kind
  }

  get ready() { return this.value !== null } // to be answered
  commit() {} // what is shown is the answer

  set(value) {
    this.value = value
    this.changed()
  }

  lock(locked) {
    for (const input of this.place.querySelectorAll("input, select, button")) input.disabled = locked
    this.locked = locked
  }
}

export class Pick extends Widget {
  constructor(place, spec, changed, ornament) {
    super(place, spec, changed, ornament)
    const group = this.cards(spec.options.length), one = spec.several === 1
    group.setAttribute("role", one ? "radiogroup" : "group")
    group.setAttribute("aria-label", one ? "Choose one" : `Choose ${spec.several}`)
    this.options = spec.options.map((text, i) => {
      const input = element("input")
      Object.assign(input, { type: one ? "radio" : "checkbox", name: "guess", value: i })
      const made = { input, ...this.card(i, text, input) }
      input.onchange = () => this.set(this.chosen())
      group.append(made.card)
      return made
    })
    place.append(group)
  }

  // Several: a guess once as many as asked are chosen.
  chosen() {
    const on = this.options.flatMap(({ input }, i) => (input.checked ? [i] : [])), { several } = this.spec
    if (several === 1) return on.length ? on[0] : null
    for (const { input } of this.options) input.disabled = !input.checked && on.length >= several
    return on.length === several ? on : null
  }

  put(value) {
    const on = value === null ? [] : [value].flat()
    this.options.forEach(({ input, said, card }, i) => { input.checked = on.includes(i); input.disabled = false; this.say(said, "", ""); card.dataset.kind = "" })
    this.value = this.chosen()
  }

  reveal(truth) {
    const right = [truth].flat(), mine = this.value === null ? [] : [this.value].flat()
    this.options.forEach(({ said, card }, i) => {
      const is = right.includes(i), guessed = mine.includes(i)
      card.dataset.kind = is ? "right" : guessed ? "wrong" : ""
      this.say(said, is ? (guessed ? "✓ your guess, and right" : "the answer") : guessed ? "✗ your guess" : "", card.dataset.kind)
    })
    this.lock(true)
  }

  judge(truth) {
    const name = value => listed([value].flat().map(i => this.spec.options[i])), good = same(this.value, truth)
    return good ? ["right", `Right: ${name(truth)}.`] : ["wrong", `You chose ${name(this.value)}; it is ${name(truth)}.`]
  }
}

export class Match extends Widget {
  constructor(place, spec, changed, ornament) {
    super(place, spec, changed, ornament)
    const group = this.cards(spec.items.length)
    this.items = spec.items.map((text, i) => {
      const select = document.createElement("select")
      select.setAttribute("aria-label", text)
      select.append(new Option("which?", ""), ...spec.names.map((name, k) => new Option(name, `${k}`)))
      const made = { select, ...this.card(i, text, select) }
      select.onchange = () => this.take(i)
      group.append(made.card)
      return made
    })
    place.append(group)
  }

  // A name is given once: whoever had it loses it; the last name left goes to the last item left.
  take(i) {
    const name = this.items[i].select.value
    this.items.forEach(({ select }, k) => { if (k !== i && name && select.value === name) select.value = "" })
    const free = this.spec.names.map((_, k) => `${k}`).filter(k => !this.items.some(({ select }) => select.value === k))
    const open = this.items.filter(({ select }) => !select.value)
    if (free.length === 1 && open.length === 1 && this.items.length === this.spec.names.length) open[0].select.value = free[0]
    this.set(this.chosen())
  }

  chosen() {
    const names = this.items.map(({ select }) => (select.value === "" ? -1 : +select.value))
    return names.includes(-1) ? null : names
  }

  put(value) {
    this.items.forEach(({ select, said, card }, i) => { select.value = value === null ? "" : `${value[i]}`; this.say(said, "", ""); card.dataset.kind = "" })
    this.lock(false)
    this.value = this.chosen()
  }

  reveal(truth) {
    this.items.forEach(({ said, card }, i) => {
      const good = this.value?.[i] === truth[i], name = this.spec.names[truth[i]]
      card.dataset.kind = this.value === null ? "right" : good ? "right" : "wrong"
      this.say(said, this.value === null ? name : good ? `✓ ${name}` : `✗ ${this.spec.names[this.value[i]]}; it is ${name}`, card.dataset.kind)
    })
    this.lock(true)
  }

  judge(truth) {
    const right = truth.filter((name, i) => this.value[i] === name).length
    return right === truth.length ? ["right", `All ${right} are right.`] : ["wrong", `${right || "None"} of ${truth.length} ${right === 1 ? "is" : "are"} right.`]
  }
}

export class Order extends Widget {
  constructor(place, spec, changed, ornament) {
    super(place, spec, changed, ornament)
    this.list = element("ol", "order")
    this.rows = spec.items.map((text, i) => {
      const row = element("li"), up = element("button", "", "↑"), down = element("button", "", "↓")
      const { card, said } = this.card(i, text)
      up.setAttribute("aria-label", `${text}: move up`)
      down.setAttribute("aria-label", `${text}: move down`)
      for (const [button, by] of /** @type {[HTMLButtonElement, number][]} */ ([[up, -1], [down, 1]])) {
        button.type = "button"
        button.onclick = () => this.move(i, by, button)
      }
      row.onkeydown = event => {
        const by = { ArrowUp: -1, ArrowDown: 1 }[event.key]
        if (!by || this.locked) return
        event.preventDefault()
        event.stopPropagation()
        this.move(i, by, event.target)
      }
      row.append(card, up, down)
      return { row, said, card }
    })
    place.append(element("p", "end", spec.ends[0]), this.list, element("p", "end", spec.ends[1]))
    this.put(null)
  }

  move(i, by, focus) {
    const order = [...this.order], at = order.indexOf(i), to = clamp(at + by, order.length)
    order.splice(at, 1)
    order.splice(to, 0, i)
    this.arrange(order)
    focus.focus()
    this.set(order)
  }

  arrange(order) {
    this.order = order
    this.list.replaceChildren(...order.map(i => this.rows[i].row))
  }

  get ready() { return true } // the order given may be the answer
  commit() { this.value ??= [...this.order] }

  put(value) {
    for (const { said, card } of this.rows) { this.say(said, "", ""); card.dataset.kind = "" }
    this.arrange(value || this.spec.items.map((_, i) => i))
    this.lock(false)
    this.value = value
  }

  reveal(truth) {
    this.rows.forEach(({ said, card }, i) => {
      const mine = this.order.indexOf(i) + 1, [first, last] = this.places(truth, i), good = first <= mine && mine <= last, is = first === last ? `${first}` : `${first} to ${last}`
      card.dataset.kind = this.value === null || good ? "right" : "wrong"
      this.say(said, this.value === null ? `place ${is}` : good ? `✓ place ${is}` : `✗ place ${is}, not ${mine}`, card.dataset.kind)
    })
    this.lock(true)
  }

  tied(i, j) { return (this.spec.ties || []).some(pair => same(pair, [i, j]) || same(pair, [j, i])) }

  // First and last place of an item whose order with those it is tied with is open.
  places(truth, i) {
    const at = truth.indexOf(i), open = side => side.filter(j => this.tied(i, j)).length
    return [at + 1 - open(truth.slice(0, at)), at + 1 + open(truth.slice(at + 1))]
  }

  // By pairs: of any two, is the one said to come first really before the other, or tied with it?
  judge(truth) {
    const place = this.value.map(i => truth.indexOf(i)), pairs = place.flatMap((a, i) => place.slice(i + 1).map(b => a < b || this.tied(truth[a], truth[b]))), right = pairs.filter(Boolean).length
    return right === pairs.length ? ["right", "All in the right order."] : ["wrong", `Any two compared: ${right} of ${pairs.length} pairs are in the right order.`]
  }
}

export class Number extends Widget {
  constructor(place, spec, changed, ornament) {
    super(place, spec, changed, ornament)
    const row = element("label", "slider"), input = (this.input = document.createElement("input"))
    const { low, high, step } = spec
    Object.assign(input, { type: "range", min: low, max: high, step, value: low })
    input.setAttribute("aria-label", spec.label)
    this.output = document.createElement("output")
    this.track = element("span", "track")
    this.mark = element("span", "truth")
    this.track.append(input, this.mark)
    row.append(element("span", "name", spec.label), this.track, this.output)
    input.oninput = () => { this.show(); this.set(+input.value) }
    place.append(row)
    this.put(null)
  }

  words(value) { return `${short(value)}${this.spec.unit ? ` ${this.spec.unit}` : ""}` }

  show() { this.output.textContent = this.words(+this.input.value) }

  put(value) {
    this.value = value
    this.input.value = `${value ?? this.spec.low}`
    this.mark.textContent = ""
    this.show()
    if (value === null) this.output.textContent = "?"
    this.lock(false)
  }

  reveal(truth) {
    const { low, high } = this.spec, share = Math.max(0, Math.min(1, (truth - low) / (high - low)))
    this.mark.style.left = `calc(${100 * share}% + ${8 - 16 * share}px)`
    this.mark.textContent = `▲ ${this.words(truth)}`
    this.mark.dataset.side = share > 0.75 ? "left" : share < 0.25 ? "right" : ""
    this.lock(true)
  }

  judge(truth) {
    const good = Math.abs(this.value - truth) <= this.spec.near
    return [good ? "right" : "wrong", `You said ${this.words(this.value)}; it is ${this.words(truth)}${good ? ". Right." : "."}`]
  }
}

const TALL = 150, NAMES = 22, SCALE = 30 // of the drawing: its bars, their names below, the scale at their left

export class Draw extends Widget {
  constructor(place, spec, changed, ornament) {
    super(place, spec, changed, ornament)
    this.chart = element("div", "sketch")
    this.at = Math.floor(spec.names.length / 2)
    this.heights = spec.names.map(() => 0)
    const wide = Math.max(300, Math.min(place.clientWidth || 0, 720)), bar = (this.bar = (wide - SCALE) / spec.names.length), at = i => SCALE + i * bar
    const grid = [0, spec.high / 2, spec.high].map(v => `<line x1="${SCALE}" x2="${wide}" y1="${this.y(v)}" y2="${this.y(v)}" stroke="currentColor" stroke-opacity="${v ? 0.15 : 0.5}"/><text x="${SCALE - 6}" y="${this.y(v) + (v < spec.high ? 4 : 11)}" text-anchor="end" aria-hidden="true">${v}</text>`)
    this.chart.innerHTML = `<p class="name">${spec.label}</p><svg viewBox="0 0 ${wide} ${TALL + NAMES}" role="group" aria-label="${spec.label}: arrow keys left and right choose a bar, up and down draw it">${grid.join("")}
      <text class="prompt" x="${(SCALE + wide) / 2}" y="${TALL / 3}" text-anchor="middle">drag to sketch</text>
      ${spec.names.map((name, i) => `<g class="bar" role="slider" aria-orientation="vertical" aria-label="${name}" aria-valuemin="${spec.low}" aria-valuemax="${spec.high}"><rect class="area" x="${at(i)}" y="0" width="${bar}" height="${TALL}"/>
        <rect class="mine" x="${at(i) + 3}" width="${bar - 6}"/><text x="${at(i + 0.5)}" y="${TALL + 15}" text-anchor="middle" aria-hidden="true">${name}</text></g>`).join("")}</svg>`
    place.append(this.chart)
    this.bars = [...this.chart.querySelectorAll(".bar")]
    this.bars.forEach((bar, i) => { bar.onkeydown = event => this.key(event, i) })
    const svg = this.chart.querySelector("svg")
    svg.onpointerdown = event => { if (!this.locked) { this.last = null; svg.setPointerCapture(event.pointerId); this.drag(event) } }
    svg.onpointermove = event => { if (event.buttons && !this.locked && svg.hasPointerCapture(event.pointerId)) this.drag(event) }
    this.put(null)
  }

  y(value) {
    const { low, high } = this.spec
    return (high - value) / (high - low) * TALL
  }

  // The bars between this place of the pointer and its last one follow it.
  drag(event) {
    const svg = event.currentTarget, { names, low, high } = this.spec, n = names.length
    const at = new DOMPoint(event.clientX, event.clientY).matrixTransform(svg.getScreenCTM().inverse())
    const i = clamp(Math.floor((at.x - SCALE) / this.bar), n), down = at.y / TALL
    const value = Math.max(low, Math.min(high, high - down * (high - low))), from = this.last || [i, value]
    for (let k = Math.min(i, from[0]); k <= Math.max(i, from[0]); k++) {
      this.heights[k] = i === from[0] ? value : from[1] + (value - from[1]) * (k - from[0]) / (i - from[0])
    }
    this.last = [i, value]
    this.at = i
    this.done()
  }

  key(event, i) {
    const step = ARROWS[event.key], { low, high, names } = this.spec
    if (!step || this.locked) return
    event.preventDefault()
    event.stopPropagation()
    if (step[1]) this.at = clamp(i + step[1], names.length)
    else {
      const by = (high - low) / (event.shiftKey ? 8 : 40)
      this.heights[i] = Math.max(low, Math.min(high, this.heights[i] - step[0] * by))
    }
    this.done(!step[1])
    this.bars[this.at].focus()
  }

  done(drawn = true) {
    this.draw()
    if (drawn) this.set(this.heights.map(v => +v.toFixed(3)))
  }

  draw() {
    this.chart.querySelector(".prompt").style.display = this.heights.some(v => v) ? "none" : ""
    this.bars.forEach((bar, i) => {
      bar.setAttribute("tabindex", i === this.at && !this.locked ? "0" : "-1")
      bar.setAttribute("aria-valuenow", this.heights[i].toFixed(2))
      const top = this.y(Math.max(this.heights[i], 0)), mine = bar.querySelector(".mine")
      mine.setAttribute("y", top)
      mine.setAttribute("height", this.y(Math.min(this.heights[i], 0)) - top)
    })
  }

  put(value) {
    this.value = value
    this.heights = value ? [...value] : this.spec.names.map(() => 0)
    this.locked = false
    this.draw()
  }

  reveal(_truth) { // the figure draws both
    this.locked = true
    this.draw()
  }

  judge(_truth) { return ["close", "Your sketch is in the chart."] }
}

export class Point extends Widget {
  constructor(place, spec, changed, ornament) {
    super(place, spec, changed, ornament)
    this.stage = element("div", "stage point")
    this.canvas = ornament(0)
    this.marks = document.createElementNS("http://www.w3.org/2000/svg", "svg")
    this.marks.setAttribute("viewBox", `0 0 ${spec.columns} ${spec.rows}`)
    this.marks.setAttribute("aria-hidden", "true")
    this.stage.append(this.canvas, this.marks)
    const canvas = this.canvas
    this.here = null // the pixel whose field the figure shows
    this.explore = _at => {} // what a click does once the answer is shown
    canvas.tabIndex = 0
    canvas.setAttribute("role", "application")
    canvas.setAttribute("aria-roledescription", "pixel picker")
    canvas.onclick = event => this.go(cellAt(event, spec.rows, spec.columns))
    canvas.onkeydown = event => {
      const step = ARROWS[event.key]
      if (!step) return
      event.preventDefault()
      event.stopPropagation()
      const by = event.shiftKey ? 4 : 1, [row, col] = (this.locked ? this.here : this.value) || spec.start
      this.go([clamp(row + step[0] * by, spec.rows), clamp(col + step[1] * by, spec.columns)])
    }
    place.append(this.stage)
    this.put(null)
  }

  go(at) {
    if (this.locked) {
      this.explore(at)
      return
    }
    this.value = at
    this.draw()
    this.changed()
  }

  show(at) {
    this.here = at
    this.draw()
  }

  draw() {
    const cross = ([row, col], ink) => `<path d="M${col + 0.5} ${row - 1.5}v4M${col - 1.5} ${row + 0.5}h4" stroke="${ink}" stroke-width="3" vector-effect="non-scaling-stroke"/>`
    this.marks.innerHTML = (this.here ? chosen(this.here, 1.5) : "") + (this.value ? cross(this.value, "#000") + cross(this.value, "#ffd400").replace('"3"', '"1.5"') : "") + (this.truth ? cross(this.truth, "#000") + cross(this.truth, "#00c48c").replace('"3"', '"1.5"') : "")
    const at = this.locked ? this.here : this.value, where = at ? `row ${at[0]}, column ${at[1]}` : "nothing yet"
    this.canvas.setAttribute("aria-label", `${this.locked ? "Field of" : `${this.spec.label}:`} ${where}. Arrow keys move, with Shift by four.`)
  }

  put(value) {
    Object.assign(this, { value, truth: null, locked: false })
    this.draw()
  }

  reveal(truth) {
    Object.assign(this, { truth, locked: true })
    this.draw()
  }

  judge(truth) {
    const far = Math.hypot(this.value[0] - truth[0], this.value[1] - truth[1]), good = far <= this.spec.near
    return [good ? "right" : "wrong", `${good ? "Right" : "Not there"}: it is row ${truth[0]}, column ${truth[1]}, ${short(far)} pixels from your point.`]
  }
}

export const WIDGETS = { pick: Pick, match: Match, order: Order, number: Number, draw: Draw, point: Point }
