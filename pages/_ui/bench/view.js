// The leaderboard: sorted by a heading, filtered by a name, a cell picked. What is picked goes to Python.

import { Lab, mounted } from "../lab/lab.js"
import { escape } from "../lab/svg.js"

const PLACE = { reference: 0, ceiling: 1, control: 3 } // models stand between, in the order of the chosen column

// The ends of a scale that an outlier does not stretch: more than 1.5 interquartile ranges beyond the quarters.
function span(values) {
  const sorted = [...values].sort((a, b) => a - b), at = share => sorted[Math.round(share * (sorted.length - 1))]
  const [low, high] = [at(0.25), at(0.75)], far = 1.5 * (high - low), inside = sorted.filter(v => v >= low - far && v <= high + far)
  return [inside[0], inside[inside.length - 1]]
}

class Board extends Lab {
  constructor(root) {
    super(root)
    const find = this.$("input")
    find.oninput = () => { this.filter = find.value.trim().toLowerCase(); this.draw() }
    this.filter = ""
    this.$(".scroll").onscroll = () => this.more()
    new ResizeObserver(() => this.more()).observe(this.$(".scroll"))
    this.on("[data-sort]", ({ sort }) => this.order(sort))
    this.on("[data-model]", ({ model, column }) => {
      this.picked = { model, column }
      this.commit("pick")
      this.draw()
      this.$("td.picked button")?.focus()
    })
  }

  chosen() { return this.picked }

  receive(sent) {
    const { fresh, newer } = this.take(sent), { columns, picked } = this.head
    if (newer) this.picked = picked
    if (fresh || !columns.some(column => column.id === this.sort?.id)) this.sort = { id: columns[0]?.id ?? "", down: columns[0]?.better !== "lower" }
    this.draw()
  }

  // By a column, its better end first; again, the other way round.
  order(id) {
    const column = this.head.columns.find(one => one.id === id)
    this.sort = { id, down: this.sort.id === id ? !this.sort.down : id !== "" && column.better !== "lower" }
    this.draw()
    this.$(`[data-sort="${CSS.escape(id)}"]`)?.focus()
  }

  ordered() {
    const at = this.head.columns.findIndex(({ id }) => id === this.sort.id), sign = this.sort.down ? -1 : 1
    const value = row => row.cells[at]?.mean ?? NaN
    const compare = (a, b) => {
      const place = (PLACE[a.kind] ?? 2) - (PLACE[b.kind] ?? 2)
      if (place) return place
      if (this.sort.id === "") return sign * a.name.localeCompare(b.name)
      const [x, y] = [value(a), value(b)]
      return Number.isNaN(x) ? (Number.isNaN(y) ? 0 : 1) : Number.isNaN(y) ? -1 : sign * (x - y)
    }
    return this.head.rows.filter(row => `${row.name} ${row.id}`.toLowerCase().includes(this.filter)).sort(compare)
  }

  // How many columns lie beyond the right edge: a button that moves there.
  more() {
    const scroll = this.$(".scroll"), edge = scroll.getBoundingClientRect().right, button = this.$(".more")
    const hidden = this.all("thead th").filter(one => one.getBoundingClientRect().right > edge + 8).length
    button.hidden = hidden === 0 && scroll.scrollLeft === 0
    button.textContent = hidden ? `${hidden} more column${hidden > 1 ? "s" : ""} →` : "← first columns"
    button.onclick = () => scroll.scrollTo({ left: hidden ? scroll.scrollLeft + 0.7 * scroll.clientWidth : 0, behavior: "smooth" })
  }

  draw() {
    const { columns } = this.head, rows = this.ordered(), table = this.$("table")
    const extent = columns.map((_, i) => {
      const values = this.head.rows.filter(row => !(row.kind in PLACE)).map(row => row.cells[i]?.mean).filter(Number.isFinite)
      return values.length > 1 ? span(values) : null
    })
    const arrow = id => (this.sort.id === id ? (this.sort.down ? " ↓" : " ↑") : "")
    const heading = ({ id, title, about, note }) => `<th scope="col" aria-sort="${this.sort.id === id ? (this.sort.down ? "descending" : "ascending") : "none"}"><button type="button" data-sort="${escape(id)}" title="${escape(about)}">${escape(title)}${arrow(id)}<small>${escape(note)}</small></button></th>`
    const cell = (row, i) => {
      const found = row.cells[i], { id, better } = columns[i]
      if (found === null) return `<td class="none">–</td>`
      if (!Number.isFinite(found.mean)) return `<td class="waiting">${found.waiting ? "…" : found.text || "–"}</td>`
      const classes = [found.best ? "best" : "", this.picked && this.picked.model === row.id && this.picked.column === id ? "picked" : ""].filter(Boolean).join(" ")
      const share = extent[i] && !(row.kind in PLACE) ? Math.min(1, Math.max(0, (found.mean - extent[i][0]) / (extent[i][1] - extent[i][0] || 1))) : null
      const good = share === null || !better ? null : better === "higher" ? share : 1 - share
      return `<td class="${classes}"><button type="button" data-model="${escape(row.id)}" data-column="${escape(id)}" aria-label="${escape(`${row.name}, ${columns[i].title}: ${found.text}${found.error ? ` plus or minus ${found.error}` : ""}`)}">${found.text}${found.error ? `<small>± ${found.error}</small>` : ""}${good === null ? "" : `<i style="width:${(4 + 92 * good).toFixed(0)}%"></i>`}</button></td>`
    }
    table.innerHTML = `<thead><tr>${heading({ id: "", title: "Model", about: "Sort by name", note: "" })}${columns.map(heading).join("")}</tr></thead><tbody>${rows.map(row =>
      `<tr class="${row.kind in PLACE ? "aside" : ""}"><th scope="row" title="${escape(row.about)}">${escape(row.name)}<small>${escape(row.note)}</small></th>${columns.map((_, i) => cell(row, i)).join("")}</tr>`).join("")}</tbody>`
    this.$(".hint").textContent = this.head.hint
    this.more()
    this.$(".legend").textContent = this.head.legend
    this.root.dataset.shown = rows.map(row => row.id).join(" ")
  }
}

export default mounted(Board, "pick")
