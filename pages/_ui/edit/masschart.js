// Share of the mass on the pattern against the edit's strength: the prediction as a line, networks as dots.
import { short } from "./math.js"
import { escape } from "./picture.js"

const PLOT = { wide: 460, tall: 210, left: 44, right: 14, over: 26, under: 38 }

export function massChart(curve, networks, chance, high, level, name) {
  const values = [...curve.map(([, v]) => v), ...networks.flatMap(one => one.points.map(([, v]) => v)), chance].filter(Number.isFinite)
  const top = Math.min(1, Math.max(0.2, Math.ceil(Math.max(...values) * 10 + 0.3) / 10))
  const x = s => PLOT.left + s / high * (PLOT.wide - PLOT.left - PLOT.right), y = v => PLOT.over + (1 - v / top) * (PLOT.tall - PLOT.over - PLOT.under)
  const marks = Array.from({ length: Math.round(top / 0.1) + 1 }, (_, i) => i / 10).filter(v => top <= 0.5 || Math.round(v * 10) % 2 === 0)
  const grid = marks.map(v => `<line x1="${PLOT.left}" x2="${PLOT.wide - PLOT.right}" y1="${y(v)}" y2="${y(v)}" stroke="currentColor" stroke-opacity="${v ? 0.15 : 0.4}"/>
    <text x="${PLOT.left - 6}" y="${y(v) + 4}" text-anchor="end">${Math.round(100 * v)} %</text>`).join("")
  const ticks = Array.from({ length: 5 }, (_, i) => high * i / 4).map(s => `<text x="${x(s)}" y="${PLOT.tall - PLOT.under + 16}" text-anchor="middle">${short(s)}</text>`).join("")
  const by = `<line x1="${PLOT.left}" x2="${PLOT.wide - PLOT.right}" y1="${y(chance)}" y2="${y(chance)}" stroke="currentColor" stroke-opacity=".6" stroke-dasharray="2 4"/><text x="${PLOT.wide - PLOT.right}" y="${y(chance) - 4}" text-anchor="end" opacity=".75">by chance</text>`
  const here = Math.abs(level) <= high ? `<line x1="${x(Math.abs(level))}" x2="${x(Math.abs(level))}" y1="${PLOT.over}" y2="${PLOT.tall - PLOT.under}" stroke="#e69f00" stroke-width="1.5" stroke-dasharray="4 3"/>` : ""
  const line = curve.length ? `<polyline fill="none" stroke="currentColor" stroke-width="2" points="${curve.map(([s, v]) => `${x(s)},${y(v)}`).join(" ")}"/>` : ""
  const dots = networks.map(({ title, ink, points }) => points.filter(([s, v]) => Math.abs(s) <= high && Number.isFinite(v)).map(([s, v]) =>
    `<circle cx="${x(Math.abs(s))}" cy="${y(v)}" r="5" fill="${ink}" stroke="var(--st-background-color, #fff)"><title>${escape(title)}, trained at ${short(s)}: ${(100 * v).toFixed(1)} %</title></circle>`).join("")).join("")
  let at = PLOT.left
  const legend = [["Predicted", "currentColor"], ...networks.filter(one => one.points.length).map(one => [one.title, one.ink])].map(([title, ink], i) => {
    const mark = i ? `<circle cx="${at + 5}" cy="10" r="4.5" fill="${ink}"/>` : `<line x1="${at}" x2="${at + 14}" y1="10" y2="10" stroke="${ink}" stroke-width="2"/>`
    const text = `${mark}<text x="${at + (i ? 14 : 19)}" y="14">${escape(title)}</text>`
    at += (i ? 14 : 19) + 7 * title.length + 14
    return text
  }).join("")
  const now = curve.reduce((best, point) => (Math.abs(point[0] - Math.abs(level)) < Math.abs(best[0] - Math.abs(level)) ? point : best), curve[0] || [0, NaN])
  const label = `Share of the field's mass on the pattern against its ${name}: predicted ${(100 * now[1]).toFixed(1)} % at ${short(level)}, ` +
    networks.filter(one => one.points.length).map(one => `${one.title} ${one.points.map(([s, v]) => `${(100 * v).toFixed(1)} % at ${short(s)}`).join(", ")}`).join("; ")
  const svg = `<svg viewBox="0 0 ${PLOT.wide} ${PLOT.tall}">${legend}${grid}${ticks}${by}${here}${line}${dots}
    <text x="${(PLOT.left + PLOT.wide - PLOT.right) / 2}" y="${PLOT.tall - 4}" text-anchor="middle">${escape(name)} of the edit</text></svg>`
  return { svg, label }
}
