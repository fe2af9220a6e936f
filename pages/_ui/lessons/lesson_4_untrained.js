// Six fields as options of the guess; after it their names and correlations, and a training moment by moment.
import { element } from "../lab/lab.js"
import { decodeRow, largest, pearson, short } from "../lab/math.js"
import { chosen } from "../lab/svg.js"
import { beside, Lesson, taught } from "./lesson.js"
import { LEGEND, Panel, Picture, signed } from "./panel.js"

const PACE = 1.2 // moments a second

class Untrained extends Lesson {
  build() {
    this.cards = []
    const { recording, side } = this.data
    this.predicted = new Panel("predicted", side)
    this.words = element("p", "fields-said")
    this.figure.replaceChildren(beside(this.predicted.figure, this.words))
    if (recording) this.theatre(recording)
  }

  // A training: predicted field, learned field at a moment, a slider over the moments.
  theatre({ side, images }) {
    this.stageBox = element("div", "theatre")
    const pair = element("div", "maps")
    this.scenes = ["Predicted from S", "Learned"].map(name => {
      const panel = new Panel("recorded", side).titled(name)
      pair.append(panel.figure)
      return panel
    })
    const row = element("div", "slider moments")
    row.innerHTML = `<button class="play" type="button" aria-label="Play the training">▶</button><label><span class="name">Images seen</span><input type="range" min="0" max="${images.length - 1}" step="1" aria-label="Moment of the training"></label><output></output>`
    const input = row.querySelector("input")
    input.oninput = event => { this.stop(); this.moment = +input.value; this.ask(event) }
    this.moment = 0
    this.stageBox.append(pair, row)
  }

  ornament(i) {
    this.cards[i] = new Picture(this.data.side)
    return this.cards[i].stage
  }

  advance(seconds) {
    const last = this.data.recording.images.length - 1
    this.clock = (this.clock ?? this.moment) + PACE * seconds
    const now = Math.min(last, Math.floor(this.clock)), moved = now !== this.moment
    this.moment = now
    if (this.clock >= last) this.stop()
    return moved
  }

  play() {
    if (this.moment === this.data.recording.images.length - 1) this.moment = 0
    this.clock = this.moment
    super.play()
  }

  draw() {
    const { side, pixel, names, r } = this.data, size = side * side
    this.cards.forEach((card, i) => {
      const field = this.arrays.fields.subarray(i * size, (i + 1) * size)
      this.paint(card, field, pixel, this.revealed ? `${names[i]}: correlation with W ${r[i].toFixed(2)}` : `Field ${"ABCDEF"[i]}`)
    })
    this.widget.options.forEach(({ card }, i) => { card.querySelector(".words").textContent = this.revealed ? `${"ABCDEF"[i]}: ${names[i]}, r\u00a0=\u00a0${signed(r[i].toFixed(2))}` : "ABCDEF"[i] })
    if (this.revealed) this.paint(this.predicted.titled("W, predicted"), this.arrays.goal, pixel, "Field of the pixel that W predicts")
    else this.predicted.cover("W, predicted")
    this.words.textContent = this.revealed ? `r: correlation of a field with that of W, the pixel itself left out. ${LEGEND}` : LEGEND
    this.shown = { r: this.revealed ? r : null }
    if (!this.stageBox) return
    const place = this.presenting ? this.figure : this.$("section.try") // a presenter's text and figure are apart
    if (this.stageBox.parentElement !== place) place.insertBefore(this.stageBox, place.querySelector(":scope > .seen"))
    this.stageBox.hidden = !this.revealed
    if (this.revealed) this.drawTheatre()
    else this.stop()
  }

  drawTheatre() {
    const { side, pixel, images, sigma } = this.data.recording, size = side * side, { codes, scale, predicted, predictedScale } = this.moments()
    const goal = decodeRow(predicted, predictedScale, 0, size), now = decodeRow(codes, scale, this.moment, size), own = pixel[0] * side + pixel[1]
    const r = pearson(goal, now, own), [left, right] = this.scenes
    this.paint(left, goal, pixel, `Predicted field at sigma ${short(sigma)}`)
    this.paint(right, now, pixel, `Field after ${images[this.moment]} images`)
    right.title.textContent = `Learned: r = ${Number.isFinite(r) ? signed(r.toFixed(2)) : "–"}`
    this.stageBox.querySelector("output").textContent = images[this.moment].toLocaleString("en")
    this.stageBox.querySelector(".moments input").value = `${this.moment}`
    this.shown = { ...this.shown, moment: this.moment, recorded: r }
  }

  moments() {
    const { codes, scale, predicted, predicted_scale: predictedScale } = this.arrays
    return { codes, scale, predicted, predictedScale }
  }

  paint(picture, field, pixel, label) { picture.field(field, largest([field]), chosen(pixel, 1.5), label) }
}

export default taught(Untrained)
