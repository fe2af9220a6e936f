// The matrix of agreement, coloured on the scale of signed values: as a table, whose row names choose the reference of
// the curves, and as a drawing.
import { colour } from "../lab/colours.js"
import { escape } from "../lab/svg.js"

const CELL = 74, ROW = 26, NAME = 110

const known = v => v !== null && Number.isFinite(v)
const inkOn = paint => (0.299 * paint[0] + 0.587 * paint[1] + 0.114 * paint[2] < 140 ? "#fff" : "#111")

export function matrixTable(entries, { value, stderr = null, chance = null }, reference) {
  const label = ({ title, colour: ink }) => `<i style="background:${ink}"></i><span class="full">${escape(title)}</span>`
  const head = `<tr><td></td>${entries.map(entry => `<th scope="col">${label(entry)}</th>`).join("")}</tr>`
  const cell = (i, j) => {
    const v = value[i][j]
    if (!known(v)) return `<td class="none" title="not computed">–</td>`
    const paint = colour(v), more = stderr && i !== j ? ` ± ${stderr[i][j].toFixed(3)}; by chance ${chance[i][j].toFixed(2)}` : ""
    const about = `${escape(entries[i].title)} and ${escape(entries[j].title)}: ${v.toFixed(3)}${more}`
    return `<td style="background:rgb(${paint});color:${inkOn(paint)}" title="${about}">${v.toFixed(2)}</td>`
  }
  const rows = entries.map((entry, i) => `<tr><th scope="row"><button type="button" data-reference="${i}" aria-pressed="${i === reference}" title="Compare all with this one">${
    label(entry)}</button></th>${entries.map((_, j) => cell(i, j)).join("")}</tr>`)
  return `<table><thead>${head}</thead><tbody>${rows.join("")}</tbody></table>`
}

export function matrixDrawing(entries, { value }) {
  const wide = NAME + entries.length * CELL, tall = (entries.length + 1) * ROW, side = `width="${CELL}" height="${ROW}"`
  const names = entries.map(({ title }, i) => `<text x="0" y="${(i + 1) * ROW + 17}">${escape(title)}</text>
    <text x="${NAME + (i + 0.5) * CELL}" y="17" text-anchor="middle" font-size="11">${escape(title)}</text>`)
  const cells = value.flatMap((row, i) => row.map((v, j) => {
    if (!known(v)) return ""
    const paint = colour(v), x = NAME + j * CELL, y = (i + 1) * ROW
    return `<rect x="${x}" y="${y}" ${side} fill="rgb(${paint})"/><text x="${x + CELL / 2}" y="${y + 17}" text-anchor="middle" fill="${inkOn(paint)}">${v.toFixed(2)}</text>`
  }))
  return { svg: `<svg viewBox="0 0 ${wide} ${tall}" font-size="13">${names.join("")}${cells.join("")}</svg>`, wide, tall }
}
