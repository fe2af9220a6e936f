// Rows of samples, then how many training images the optimal denoiser averages at each noise level.
import { element } from "../lab/lab.js"
import { short } from "../lab/math.js"
import { chart } from "../lab/svg.js"
import { Lesson, taught } from "./lesson.js"
import { strip } from "./panel.js"

class Copies extends Lesson {
  build() {
    const { counts } = this.data
    this.count = counts[counts.length - 1]
    this.counts = this.choice("count", "Training images", counts.map(n => [`${n}`, `${n.toLocaleString("en")} images`]), n => (this.count = +n))
    this.plot = element("div", "chart")
    this.plot.setAttribute("role", "img")
    this.wait = element("p", "waits", "How many images it averages: after your guess")
    this.title = element("h3", "", `How many training images the average holds, of ${this.data.set}`)
    this.figure.replaceChildren(this.wait, this.title, this.counts, this.plot)
  }

  ornament(i) {
    const { side, shown } = this.data, size = side * side, start = i * shown * size
    return strip(Array.from({ length: shown }, (_, k) => this.arrays.row.subarray(start + k * size, start + (k + 1) * size)), side)
  }

  verdict() {
    const { names } = this.data, [kind, words] = this.widget.judge(this.truth)
    return [kind, `${words.slice(0, -1)}, ${names[this.truth]}.`]
  }

  kept() { return { count: `${this.count}` } }
  restore({ count }) { if (this.data.counts.includes(+count)) this.count = +count }

  draw() {
    this.press("count", `${this.count}`)
    const { levels, curves, counts, draws } = this.data
    this.wait.hidden = this.revealed
    this.title.hidden = this.counts.hidden = this.plot.hidden = !this.revealed
    const { names, copies, apart } = this.data
    this.widget.options.forEach(({ card }, i) => { card.querySelector(".words").textContent = `Row ${"ABCD"[i]}${this.revealed ? `: ${names[i]}, copies ${Math.round(100 * copies[i][0])} %, nearest ${apart[i][0].toFixed(1)}, second ${apart[i][1].toFixed(1)}` : ""}` })
    this.wait.textContent = this.revealed ? "" : "How many images it averages: after your guess"
    if (!this.revealed) { this.shown = {}; return }
    const inks = ["var(--third)", "var(--second)", "var(--other)", "var(--st-primary-color)"], ln = Math.log10
    const series = counts.map((n, i) => ({ title: `${n.toLocaleString("en")} images`, ink: inks[i % inks.length], dash: n === this.count ? "" : "3 4",
      dot: n === this.count ? 3 : 0, points: curves[n].map(([value], k) => [levels[k], ln(value)]),
      tip: (s, v) => `σ ${short(s)}: ${short(10 ** v)} of ${n} images` }))
    const words = curves[this.count].map(([value], k) => `${short(value)} at sigma ${short(levels[k])}`).join(", ")
    this.plot.setAttribute("aria-label", `Effective number of images, mean over ${draws} noisy digits, of ${this.count}: ${words}`)
    const top = ln(counts[counts.length - 1])
    this.plot.innerHTML = chart({ ...this.size(this.plot, 260), series,
      x: { range: [levels[0], levels[levels.length - 1]], log: true, ticks: [0.1, 0.3, 1, 3, 10].map(s => [s, short(s)]), name: "noise level σ" },
      y: { range: [0, top], ticks: [[0, "1"], [ln(2), "2"], [1, "10"], [2, "100"], [3, "1000"]] } })
    this.shown = { count: this.count, effective: curves[this.count].map(([value]) => value) }
  }
}

export default taught(Copies)
