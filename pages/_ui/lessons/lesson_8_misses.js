// One sample of the network beside those of five models from the same noise, and R2 against the noise level.
import { element } from "../lab/lab.js"
import { short } from "../lab/math.js"
import { chart } from "../lab/svg.js"
import { Lesson, taught } from "./lesson.js"
import { signed, strip } from "./panel.js"

class Misses extends Lesson {
  build() {
    const { each } = this.data
    this.sample = 0
    this.samples = this.choice("sample", "Sample", each[0].map((_, i) => [`${i}`, `${i + 1}`]), i => (this.sample = +i))
    this.row = element("div", "samples")
    this.plot = element("div", "chart")
    this.plot.setAttribute("role", "img")
    this.below = element("p", "ends")
    this.choose = element("div", "row")
    this.choose.append(element("span", "name", "Sample"), this.samples)
    this.title = element("h3")
    this.figure.replaceChildren(this.choose, this.title, this.row, this.plot, this.below)
  }

  kept() { return { sample: `${this.sample}` } }
  restore({ sample }) { if (sample in this.data.each[0]) this.sample = +sample }

  picture(name, words, sample = this.sample) {
    const { side } = this.data, size = side * side, figure = element("figure")
    figure.append(strip([this.arrays[name].subarray(sample * size, (sample + 1) * size)], side), element("figcaption", "", words))
    return figure
  }

  draw() {
    this.press("sample", `${this.sample}`)
    const { names, titles, each, means, curves, best, hard } = this.data, { sample, revealed } = this
    const models = revealed ? names.map((name, i) => this.picture(name, `${titles[i]}, R² ${signed(each[i][sample].toFixed(2))}${i === best && sample === hard ? ", its worst" : ""}`)) : []
    const theirs = revealed ? [this.picture("reference", "The network")] : each[0].map((_, i) => this.picture("reference", `${i + 1}`, i))
    const columns = theirs.length + models.length
    this.row.replaceChildren(...theirs, ...models)
    this.row.style.setProperty("--columns", `${columns}`)
    this.row.style.setProperty("--few", `${columns / 2}`) // on a phone
    this.choose.hidden = this.plot.hidden = this.below.hidden = !revealed
    this.title.hidden = revealed
    this.title.textContent = "The network’s images, from eight noises"
    this.widget.rows.forEach(({ card }, i) => { card.querySelector(".words").textContent = `${titles[i]}${revealed ? `, mean R² ${signed(means[i][0].toFixed(2))}` : ""}` })
    this.shown = { sample, scores: revealed ? each.map(row => row[sample]) : [] }
    if (!revealed) return
    const inks = ["var(--st-primary-color)", "var(--second)", "var(--third)", "var(--other)", "var(--wrong)"]
    const series = names.map((name, i) => ({ title: titles[i], ink: inks[i], points: curves[name].map(([s, r, e]) => [s, r, e]), dot: 2.5, tip: (s, r, e) => `${titles[i]}, σ ${short(s)}: R² ${r.toFixed(3)} ± ${(e || 0).toFixed(3)}` }))
    const sigmas = curves[names[0]].map(([s]) => s), lowest = Math.min(...names.flatMap(name => curves[name].map(([, r]) => r)))
    this.plot.setAttribute("aria-label", `R2 against the noise level: ${names.map((name, i) => `${titles[i]} ${curves[name].map(([s, r]) => `${r.toFixed(2)} at sigma ${short(s)}`).join(", ")}`).join("; ")}`)
    this.below.textContent = `R² of one denoising step: the model’s estimate beside the network’s, both of the same noisy image.${lowest < 0 ? ` Values below 0 lie on the lower edge; the lowest is ${signed(short(lowest))}.` : ""}`
    this.plot.innerHTML = chart({ ...this.size(this.plot, 280), series,
      x: { range: [Math.min(...sigmas), Math.max(...sigmas)], log: true, ticks: [0.01, 0.1, 1, 10, 60].map(s => [s, short(s)]), name: "noise level σ" },
      y: { range: [0, 1], ticks: [0, 0.5, 1].map(v => [v, short(v)]) } })
  }
}

export default taught(Misses)
