// Share of a field's mass on the pattern against the edit's dial: the prediction as a line, networks as dots.
import { percent, short } from "../lab/math.js"
import { chart } from "../lab/svg.js"

export const TALL = 230

// `curve` and every network's `points` are [dial, share], up to `high`; `level` is where the dial is.
export function massChart({ curve, points, chance, high, level, name }, wide) {
  const most = Math.max(chance, ...[curve, ...points.map(one => one.points)].flat().map(([, v]) => v).filter(Number.isFinite))
  const top = Math.min(1, Math.max(0.2, Math.ceil(most * 10 + 0.3) / 10)), step = top <= 0.5 ? 0.1 : 0.2
  const dots = points.filter(one => one.points.length).map(one => ({ ...one, line: false, dot: 5, tip: (s, v) => `${one.title}, trained at ${short(s)}: ${percent(v)}` }))
  const lines = [{ title: "Predicted", ink: "currentColor", points: curve }, { title: "by chance", ink: "currentColor", dash: "2 4", points: [[0, chance], [high, chance]] }]
  return chart({ wide, tall: TALL, here: Math.abs(level), series: [...lines, ...dots],
    x: { range: [0, high], ticks: [0, 1, 2, 3, 4].map(i => [high * i / 4, short(high * i / 4)]), name: `${name} of the edit` },
    y: { range: [0, top], ticks: [0, 1, 2, 3, 4, 5].filter(i => i * step < top + 1e-9).map(i => [i * step, `${Math.round(100 * i * step)} %`]) } })
}

export function massWords({ curve, points, level, name }) {
  const far = ([s]) => Math.abs(s - Math.abs(level)), [, now] = curve.reduce((best, point) => (far(point) < far(best) ? point : best), curve[0] || [0, NaN])
  const others = points.filter(one => one.points.length).map(one => `${one.title} ${one.points.map(([s, v]) => `${percent(v)} at ${short(s)}`).join(", ")}`)
  return `Share of the field's mass on the pattern against its ${name}: ${[`predicted ${percent(now)} at ${short(level)}`, ...others].join("; ")}`
}
