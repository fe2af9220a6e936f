// The matrix as a table: one cell a pair, coloured on the scale of signed values, its row names choose the reference.
import { colour } from "./math.js"
import { escape } from "./picture.js"

const dark = ([r, g, b]) => 0.299 * r + 0.587 * g + 0.114 * b < 140

export function matrixTable(entries, { value, stderr, chance }, reference) {
  const label = entry => `<span class="full">${escape(entry.title)}</span>`
  const head = `<tr><td></td>${entries.map(entry => `<th scope="col"><i style="background:${entry.colour}"></i>${label(entry)}</th>`).join("")}</tr>`
  const cell = (i, j) => {
    const v = value[i][j]
    if (v === null || !Number.isFinite(v)) return `<td class="none" title="not computed">–</td>`
    const paint = colour(v), more = stderr && i !== j ? ` ± ${stderr[i][j].toFixed(3)}; by chance ${chance[i][j].toFixed(2)}` : ""
    return `<td style="background:rgb(${paint});color:${dark(paint) ? "#fff" : "#111"}" title="${escape(entries[i].title)} and ${escape(entries[j].title)}: ${v.toFixed(3)}${more}">${v.toFixed(2)}</td>`
  }
  const rows = entries.map((entry, i) => `<tr><th scope="row"><button type="button" data-reference="${i}" aria-pressed="${i === reference}" title="Compare all with this one"><i style="background:${entry.colour}"></i>${label(entry)}</button></th>${entries.map((_, j) => cell(i, j)).join("")}</tr>`)
  return `<table><thead>${head}</thead><tbody>${rows.join("")}</tbody></table>`
}
