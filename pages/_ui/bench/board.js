// The leaderboard: sorted by a heading, filtered by a name, a cell picked. What is picked goes to Python.

const boards = new WeakMap()
const PLACE = { reference: 0, ceiling: 1, control: 3 } // models stand between, in the order of the chosen column

export default function ({ data, parentElement, setStateValue }) {
  let board = boards.get(parentElement)
  if (!board) boards.set(parentElement, (board = new Board(parentElement.querySelector(".lab"))))
  board.send = value => setStateValue("pick", value)
  board.receive(data)
}

class Board {
  constructor(root) {
    this.root = root
    this.seq = 0
    root.lab = this
    const find = root.querySelector("input")
    find.oninput = () => { this.filter = find.value.trim().toLowerCase(); this.draw() }
    this.filter = ""
  }

  receive(head) {
    const fresh = this.head?.context !== head.context
    this.head = head
    if (fresh || head.seq >= this.seq) { this.picked = head.picked; this.seq = Math.max(this.seq, head.seq) }
    if (fresh || !head.columns.some(column => column.id === this.sort?.id)) this.sort = { id: head.columns[0]?.id ?? "", down: head.columns[0]?.better !== "lower" }
    this.draw()
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
    return this.head.rows.filter(row => row.name.toLowerCase().includes(this.filter)).sort(compare)
  }

  draw() {
    const { columns } = this.head, rows = this.ordered(), table = this.root.querySelector("table")
    const extent = columns.map((_, i) => {
      const values = this.head.rows.filter(row => !(row.kind in PLACE)).map(row => row.cells[i]?.mean).filter(Number.isFinite)
      return values.length > 1 ? [Math.min(...values), Math.max(...values)] : null
    })
    const arrow = id => (this.sort.id === id ? (this.sort.down ? " ↓" : " ↑") : "")
    const heading = ({ id, title, about, note }) => `<th scope="col" aria-sort="${this.sort.id === id ? (this.sort.down ? "descending" : "ascending") : "none"}"><button type="button" data-sort="${esc(id)}" title="${esc(about)}">${esc(title)}${arrow(id)}<small>${esc(note)}</small></button></th>`
    const cell = (row, i) => {
      const found = row.cells[i], { id, better } = columns[i]
      if (found === null) return `<td class="none">–</td>`
      if (!Number.isFinite(found.mean)) return `<td class="waiting">${found.waiting ? "…" : "–"}</td>`
      const classes = [found.best ? "best" : "", this.picked && this.picked.model === row.id && this.picked.column === id ? "picked" : ""].filter(Boolean).join(" ")
      const share = extent[i] && !(row.kind in PLACE) ? (found.mean - extent[i][0]) / (extent[i][1] - extent[i][0] || 1) : null
      const good = share === null || !better ? null : better === "higher" ? share : 1 - share
      return `<td class="${classes}"><button type="button" data-model="${esc(row.id)}" data-column="${esc(id)}" aria-label="${esc(`${row.name}, ${columns[i].title}: ${found.text}${found.error ? ` plus or minus ${found.error}` : ""}`)}">${found.text}${found.error ? `<small>± ${found.error}</small>` : ""}${good === null ? "" : `<i style="width:${(4 + 92 * good).toFixed(0)}%"></i>`}</button></td>`
    }
    table.innerHTML = `<thead><tr>${heading({ id: "", title: "Model", about: "Sort by name", note: "" })}${columns.map(heading).join("")}</tr></thead><tbody>${rows.map(row =>
      `<tr class="${row.kind in PLACE ? "aside" : ""}"><th scope="row" title="${esc(row.about)}">${esc(row.name)}<small>${esc(row.note)}</small></th>${columns.map((_, i) => cell(row, i)).join("")}</tr>`).join("")}</tbody>`
    table.querySelectorAll("[data-sort]").forEach(button => (button.onclick = () => {
      const id = button.dataset.sort, column = columns.find(one => one.id === id)
      this.sort = { id, down: this.sort.id === id ? !this.sort.down : id !== "" && column.better !== "lower" }
      this.draw()
      this.root.querySelector(`[data-sort="${CSS.escape(id)}"]`)?.focus()
    }))
    table.querySelectorAll("[data-model]").forEach(button => (button.onclick = () => {
      this.picked = { model: button.dataset.model, column: button.dataset.column }
      this.seq += 1
      this.send({ ...this.picked, seq: this.seq })
      this.draw()
      this.root.querySelector(`td.picked button`)?.focus()
    }))
    this.root.querySelector(".hint").textContent = this.head.hint
    this.root.querySelector(".legend").textContent = this.head.legend
    this.root.dataset.shown = rows.map(row => row.id).join(" ")
  }
}

const esc = text => String(text).replace(/[&<>"]/g, sign => `&#${sign.charCodeAt(0)};`)
