// Pearson r of predicted and learned field against the noise level, as an SVG.
import { short } from "./math.js"

const W = 460, H = 190, LEFT = 40, RIGHT = 12, TOP = 20, BOTTOM = 36
const LOWEST = -0.2 // bottom of the axis of r; the top is 1

export function chart(curve, [low, high], sigma, empty) {
  const x = s => LEFT + Math.log(s / low) / Math.log(high / low) * (W - LEFT - RIGHT)
  const y = r => TOP + (1 - Math.max(LOWEST, r)) / (1 - LOWEST) * (H - TOP - BOTTOM)
  const points = (curve?.points || []).filter(([, r]) => Number.isFinite(r))
  const label = "Pearson r of predicted and learned field" + (curve ? ` (${curve.note})` : "")
  const svg = `<svg viewBox="0 0 ${W} ${H}"><text x="${LEFT}" y="11">${label}</text>${grid(y)}${ticks(x)}
    <line x1="${x(sigma)}" x2="${x(sigma)}" y1="${TOP}" y2="${H - BOTTOM}" stroke="#e69f00" stroke-width="1.5" stroke-dasharray="4 3"/>
    ${line(points, x, y)}${points.length ? "" : `<text x="${W / 2}" y="${H / 2 - 8}" text-anchor="middle" opacity=".7">${empty}</text>`}
    <text x="${(LEFT + W - RIGHT) / 2}" y="${H - 3}" text-anchor="middle">noise level σ</text></svg>`
  return { svg, label: `${label}: ${points.map(([s, r]) => `${r.toFixed(2)} at sigma ${short(s)}`).join(", ") || empty}` }
}

const grid = y => [0, 0.5, 1].map(r => `<line x1="${LEFT}" x2="${W - RIGHT}" y1="${y(r)}" y2="${y(r)}" stroke="currentColor" stroke-opacity="${r === 0 ? 0.4 : 0.15}"/>
  <text x="${LEFT - 6}" y="${y(r) + 4}" text-anchor="end">${r}</text>`).join("")

const ticks = x => [0.1, 0.3, 1, 3, 10].map(s => `<line x1="${x(s)}" x2="${x(s)}" y1="${H - BOTTOM}" y2="${H - BOTTOM + 4}" stroke="currentColor" stroke-opacity=".5"/>
  <text x="${x(s)}" y="${H - BOTTOM + 16}" text-anchor="middle">${s}</text>`).join("")

const line = (points, x, y) => `<polyline fill="none" stroke="var(--st-primary-color)" stroke-width="2" points="${points.map(([s, r]) => `${x(s)},${y(r)}`).join(" ")}"/>` +
  points.map(([s, r]) => `<circle cx="${x(s)}" cy="${y(r)}" r="3.5" fill="var(--st-primary-color)"><title>σ ${short(s)}: r = ${r.toFixed(3)}</title></circle>`).join("")
