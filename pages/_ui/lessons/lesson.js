// A lesson: its texts, the guess and its answer, the steps of a presenter, and what the address keeps. A lesson's own
// script extends it with the figure:
//
//   build()       once: make the figure in `this.figure`
//   host(place)   where the guess is given, if not below the figure
//   draw()        whenever something changes; before `this.revealed` it must not show the answer
//   ornament(i)   the picture of an option of the guess, a new element; null where there is none
//   verdict()     [kind, words] about the guess, where those of the widget do not do
//   size(place, tall)   how large to draw a chart, also for a presenter; `beside(picture, ...)` a picture with words
//   kept()        what of the figure belongs in the address, as an object of strings; `restore(kept)` takes it back
//
// `this.data` and `this.arrays` are what the figure's Python computed, `this.truth` the answer, `this.guess` the guess.
import { element, Lab, mounted } from "../lab/lab.js"
import { WIDGETS } from "./guess.js"
import { paper } from "./panel.js"

export const STEPS = ["claim", "guess", "answer", "try", "not-shown"]
const NAMES = { claim: "claim", guess: "guess", answer: "answer", try: "try", "not-shown": "not shown" }
const OWN_ARROWS = "input, select, textarea, canvas[tabindex], [role=slider], .order li"
const PRESENTING = "locality-presenting"

export class Lesson extends Lab {
  constructor(root) {
    super(root)
    this.body = this.$(".body")
    this.figure = this.$(".figure")
    this.revealed = false
    this.step = 0
    this.on(".reveal", () => { this.widget.commit(); this.answer() })
    this.on(".skip", () => this.answer())
    this.on(".again", () => this.restart())
    this.on(".present", () => this.present(this.revealed ? 2 : 0))
    this.on(".print", () => globalThis.print())
    this.on(".earlier", () => this.go(this.step - 1))
    this.on(".later", () => this.go(this.step + 1))
    this.on(".steps .end", () => this.dismiss())
    root.addEventListener("keydown", event => this.pressed(event))
    root.addEventListener("click", event => this.follow(event))
    for (const kind of ["pointerover", "focusin"]) root.addEventListener(kind, event => this.fit(event.target.closest(".gloss")))
    this.printing()
  }

  get data() { return this.head.figure }
  get truth() { return this.head.answer }
  get guess() { return this.widget.value }

  build() {}
  host(place) { this.$(".respond").prepend(place) }
  ornament(_i) { return null }
  verdict() { return this.widget.judge(this.truth) }
  kept() { return {} }
  restore(_kept) {}

  receive(sent) {
    const { fresh } = this.take(sent)
    if (!fresh) return
    const { parts, guess, number, count, title, minutes, links, index } = this.head
    this.$(".kicker").textContent = `Lesson ${number} of ${count} · ${minutes} minutes`
    this.$("h1").textContent = title
    this.$(".claim").innerHTML = parts.claim
    this.$(".question").innerHTML = parts.question
    for (const part of ["answer", "try", "not-shown"]) this.$(`section.${part} .text`).innerHTML = parts[part]
    this.$(".seen .text").innerHTML = parts.seen
    this.$(".number .value").textContent = parts.number
    this.$(".number .meaning").innerHTML = parts["number-what"]
    this.$(".number .source").innerHTML = parts["number-source"]
    this.link(".back", links.back, "←")
    this.link(".next", links.next, "→")
    this.$("a.index").href = index
    this.build()
    const place = this.$(".widget")
    this.host(place)
    this.widget = new WIDGETS[guess.kind](place, guess, () => this.guessed(), i => this.ornament(i))
    // Options that have pictures are the figure.
    if (place.querySelector("canvas") && !this.figure.contains(place)) this.figure.prepend(place)
    this.recall()
    this.root.dataset.ready = "1"
    if (sessionStorage.getItem(PRESENTING)) this.present(this.step)
  }

  link(query, to, arrow) {
    const link = this.$(query)
    link.hidden = !to
    if (to) Object.assign(link, { href: to.href, textContent: arrow === "→" ? `Next: ${to.title} →` : `← ${to.title}` })
  }

  // Links to other lessons: the app changes pages itself, a saved file follows them.
  follow(event) {
    const link = event.target.closest("a"), { links } = this.head
    if (!link || this.head.alone || event.ctrlKey || event.metaKey || event.shiftKey) return
    const to = link.matches(".next") ? links.next?.number : link.matches(".back") ? links.back?.number : link.matches(".index") ? 0 : undefined
    if (to === undefined) return
    event.preventDefault()
    this.leave(to)
  }

  leave(number) {
    if (this.head.alone) location.href = number === this.head.links.next?.number ? this.head.links.next.href : this.head.links.back.href
    else this.send(number)
  }

  // A word's note stays on the screen, also at its edges; above the word, since the next word comes after it.
  fit(gloss) {
    if (!gloss) return
    const note = gloss.querySelector("[role=tooltip]"), room = this.body.getBoundingClientRect()
    gloss.classList.remove("quiet", "under")
    note.style.setProperty("--shift", "-50%")
    const { left, right, top } = note.getBoundingClientRect(), by = Math.max(room.left - left, 0) || Math.min(room.right - right, 0)
    note.style.setProperty("--shift", `calc(-50% + ${by}px)`)
    gloss.classList.toggle("under", top < this.ceiling())
  }

  // Where what scrolls begins: above it a note could not be read.
  ceiling() {
    let box = this.dialog?.isConnected ? this.dialog : this.root.getRootNode().host || this.root
    while (box && box !== this.dialog && !/auto|scroll/.test(getComputedStyle(box).overflowY)) box = box.parentElement
    return box ? Math.max(0, box.getBoundingClientRect().top) : 0
  }

  // --- the guess ---------------------------------------------------------------------------------

  guessed() {
    this.$(".reveal").disabled = !this.widget.ready
    this.ask()
    this.soon()
  }

  // What a figure does when its answer is shown for the first time; not where a link shows it.
  uncover() { this.revealed = true }

  answer() {
    this.uncover()
    this.settle()
    this.keep()
    if (this.presenting) this.go(2)
    else this.$(".verdict").focus()
  }

  restart() {
    this.revealed = false
    this.widget.put(null)
    this.settle()
    this.keep()
    if (this.presenting) this.go(1)
  }

  // Everything that depends on whether the answer is shown.
  settle() {
    const { revealed } = this
    for (const part of ["section.answer", "section.try", "section.not-shown", ".number"]) this.$(part).hidden = !revealed
    if (!revealed) this.$(".seen").open = false
    this.$(".reveal").hidden = this.$(".skip").hidden = revealed
    this.$(".again").hidden = !revealed
    this.$(".reveal").disabled = !this.widget.ready
    const verdict = this.$(".verdict")
    if (revealed) this.widget.reveal(this.truth)
    const [kind, words] = !revealed ? ["", ""] : this.guess === null ? ["none", "Without a guess."] : this.verdict()
    verdict.textContent = words
    verdict.dataset.kind = kind
    verdict.tabIndex = -1
    this.root.dataset.revealed = revealed ? "1" : "0"
    this.ask()
  }

  // --- the address -------------------------------------------------------------------------------

  // After "#": the guess, whether it is answered, and what the figure keeps.
  keep() {
    clearTimeout(this.keeping)
    const kept = new URLSearchParams(this.kept())
    if (this.guess !== null) kept.set("guess", JSON.stringify(this.guess))
    if (this.revealed) kept.set("answer", "1")
    if (this.presenting) kept.set("step", STEPS[this.step])
    history.replaceState(history.state, "", `${location.pathname}${location.search}${kept.size ? `#${kept}` : ""}`)
  }

  // While something is dragged: browsers refuse an address that changes all the time.
  soon() {
    clearTimeout(this.keeping)
    this.keeping = setTimeout(() => { if (this.root.isConnected) this.keep() }, 200)
  }

  recall() {
    const kept = new URLSearchParams(location.hash.slice(1))
    let guess = null
    try {
      guess = JSON.parse(kept.get("guess"))
      this.widget.put(guess)
    } catch { // written by hand
      this.widget.put(null)
    }
    this.revealed = kept.has("answer")
    this.step = Math.max(0, STEPS.indexOf(kept.get("step")))
    this.restore(Object.fromEntries(kept))
    this.settle()
    if (kept.has("step")) this.present(this.step)
  }

  // --- presenting --------------------------------------------------------------------------------

  present(step) {
    if (!this.presenting) {
      this.dialog = document.createElement("dialog")
      this.dialog.className = "stage-show"
      this.dialog.setAttribute("aria-label", this.head.title)
      this.dialog.append(this.body)
      this.dialog.oncancel = event => { event.preventDefault(); this.dismiss() }
      this.root.append(this.dialog)
      this.dialog.showModal()
      this.presenting = true
      sessionStorage.setItem(PRESENTING, "1")
    }
    this.$(".steps").hidden = false
    this.go(step)
  }

  dismiss() {
    this.presenting = false
    sessionStorage.removeItem(PRESENTING)
    this.root.prepend(this.body)
    this.dialog.remove()
    this.$(".steps").hidden = true
    delete this.root.dataset.step
    this.keep()
    this.ask()
    this.$(".present").focus()
  }

  // A step; before the first and after the last is the lesson beside this one. The answer is shown from its step on.
  go(step) {
    const { links } = this.head, other = step < 0 ? links.back : links.next
    if (step < 0 || step >= STEPS.length) {
      if (other) this.leave(other.number)
      return
    }
    this.step = step
    this.root.dataset.step = STEPS[step]
    if (step >= 2 && !this.revealed) this.uncover()
    if (step < 2 && this.revealed && this.guess === null) this.revealed = false
    this.settle()
    if (step < 2 && !this.revealed) this.widget.put(this.guess)
    this.$(".where").textContent = `${step + 1} of ${STEPS.length}: ${NAMES[STEPS[step]]}`
    this.keep()
    this.$("h1").focus()
    this.dialog.scrollTop = 0
    this.ask()
  }

  pressed(event) {
    if (event.key === "Escape") for (const gloss of this.all(".gloss")) gloss.classList.add("quiet")
    const own = event.target.closest(OWN_ARROWS), button = event.target.closest("button, a, select, summary")
    if (event.key === "Enter" && !button && !this.revealed && this.guess !== null) {
      event.preventDefault()
      this.answer()
      return
    }
    if (!this.presenting || event.ctrlKey || event.metaKey || event.altKey) return
    const by = { PageDown: 1, PageUp: -1, ...(own ? {} : { ArrowRight: 1, ArrowLeft: -1, ArrowDown: 1, ArrowUp: -1 }), ...(own || button ? {} : { " ": 1 }) }[event.key]
    if (!by) return
    event.preventDefault()
    this.go(this.step + by)
  }

  // Paper shows the lesson with its answer.
  printing() {
    const seen = this.$(".seen")
    let before = false, open = false
    const { signal } = this.gone
    addEventListener("beforeprint", () => { before = this.revealed; open = seen.open; paper.on = this.revealed = seen.open = true; if (this.root.isConnected) { this.settle(); this.draw() } }, { signal })
    addEventListener("afterprint", () => { paper.on = false; this.revealed = before; seen.open = open; if (this.root.isConnected) { if (!before) this.widget.put(this.guess); this.settle() } }, { signal })
  }

  // --- for figures -------------------------------------------------------------------------------

  // Buttons of which one is pressed; `act` takes its value.
  choice(name, label, options, act) {
    const group = element("div", "what")
    group.setAttribute("role", "group")
    group.setAttribute("aria-label", label)
    for (const [value, words] of options) {
      const button = element("button", "", words)
      Object.assign(button, { type: "button" })
      button.dataset[name] = value
      button.onclick = () => { act(value); this.press(name, value); this.keep(); this.ask() }
      group.append(button)
    }
    return group
  }

  // How large a chart is drawn that is shown in a place: smaller for a presenter, so that its letters are larger.
  size(place, tall, most = 700) {
    const share = this.presenting ? 0.72 : 1
    return { wide: share * Math.max(300, Math.min(place.clientWidth || 460, most)), tall: share * tall }
  }

  // A slider over a list of noise levels: `this.level` is its place.
  levels(sigmas, start, words = sigma => `σ = ${sigma}`) {
    const row = element("div", "slider noise")
    row.innerHTML = `<label><span class="name">Noise level σ</span><input type="range" min="0" max="${sigmas.length - 1}" step="1" aria-label="Noise level sigma"></label><output></output>`
    /** @type {HTMLInputElement} */
    const input = row.querySelector("input")
    const show = () => {
      row.querySelector("output").textContent = words(sigmas[this.level])
      input.setAttribute("aria-valuetext", `sigma ${sigmas[this.level]}`)
      input.value = `${this.level}`
    }
    input.oninput = event => { this.level = +input.value; show(); this.ask(event); this.soon() }
    this.setLevel = level => { this.level = level; show() }
    this.setLevel(start)
    this.figure.append(row)
    return row
  }
}

// A small picture, and words or controls at its side.
export function beside(picture, ...others) {
  const row = element("div", "beside"), rest = element("div")
  rest.append(...others)
  row.append(picture, rest)
  return row
}

// The entry of a lesson's script; in a saved file, which holds its data as base64, it starts by itself.
export function taught(View) {
  const begin = mounted(View, "go"), saved = document.querySelector("script#start")
  if (saved) begin({ data: Uint8Array.from(atob(saved.textContent), sign => sign.charCodeAt(0)), parentElement: document, setStateValue() {} })
  return begin
}
