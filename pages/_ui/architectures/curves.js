// Agreement with the reference against the noise level, a line a network, as an SVG.
import { short } from "./math.js"
import { escape } from "./picture.js"

const WIDE = 480, HIGH = 230, EDGE = { left: 38, right: 14, top: 8, bottom: 38 }
const FLOOR = -0.2 // bottom of the axis; the top is 1

export function curvesChart(entries, curves, reference, sigmas, level, chance) {
  const low = Math.log(sigmas[0]), span = Math.log(sigmas[sigmas.length - 1]) - low || 1
  const x = s => EDGE.left + 10 + (Math.log(s) - low) / span * (WIDE - EDGE.left - EDGE.right - 20)
  const y = r => EDGE.top + (1 - Math.max(FLOOR, r)) / (1 - FLOOR) * (HIGH - EDGE.top - EDGE.bottom)
  const grid = [0, 0.25, 0.5, 0.75, 1].map(r => `<line x1="${EDGE.left}" x2="${WIDE - EDGE.right}" y1="${y(r)}" y2="${y(r)}" stroke="currentColor" stroke-opacity="${r === 0 ? 0.45 : 0.14}"/>
    ${r % 0.5 === 0 ? `<text x="${EDGE.left - 6}" y="${y(r) + 4}" text-anchor="end">${r}</text>` : ""}`).join("")
  const ticks = sigmas.map(s => `<text x="${x(s)}" y="${HIGH - EDGE.bottom + 16}" text-anchor="middle">${short(+s.toPrecision(2))}</text>`).join("")
  const by = chance ? `<polyline fill="none" stroke="currentColor" stroke-opacity=".55" stroke-dasharray="2 4" points="${sigmas.map((s, k) => `${x(s)},${y(chance[k])}`).join(" ")}"/>` : ""
  const lines = entries.map((entry, i) => {
    if (i === reference) return ""
    const points = curves[i].map(([r, error], k) => [sigmas[k], r, error]).filter(([, r]) => r !== null && Number.isFinite(r))
    const bar = ([s, r, error]) => (error ? `<line x1="${x(s)}" x2="${x(s)}" y1="${y(r - error)}" y2="${y(r + error)}" stroke="${entry.colour}" stroke-width="1.5"/>` : "")
    const dot = ([s, r, error]) => `<circle cx="${x(s)}" cy="${y(r)}" r="3.5" fill="${entry.colour}"><title>${escape(entry.title)}, σ ${short(s)}: ${r.toFixed(3)}${error ? ` ± ${error.toFixed(3)}` : ""}</title></circle>`
    return `<polyline fill="none" stroke="${entry.colour}" stroke-width="2" points="${points.map(([s, r]) => `${x(s)},${y(r)}`).join(" ")}"/>${points.map(bar).join("")}${points.map(dot).join("")}`
  })
  const here = x(sigmas[level])
  return `<svg viewBox="0 0 ${WIDE} ${HIGH}">${grid}${ticks}
    <line x1="${here}" x2="${here}" y1="${EDGE.top}" y2="${HIGH - EDGE.bottom}" stroke="currentColor" stroke-opacity=".6" stroke-dasharray="4 3"/>
    ${by}${lines.join("")}<text x="${(EDGE.left + WIDE - EDGE.right) / 2}" y="${HIGH - 4}" text-anchor="middle">noise level σ</text></svg>`
}
