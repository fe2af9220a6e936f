// Drawings as SVG text, the same on the page and in a saved picture.

export const escape = text => String(text).replace(/[&<>"]/g, sign => `&#${sign.charCodeAt(0)};`)

// Marks over a canvas whose viewBox is its pixels: lines stay as thin on the screen at any size.
const KEEP = `vector-effect="non-scaling-stroke"`
export const box = ([r, c], stroke, width) => `<rect x="${c}" y="${r}" width="1" height="1" stroke="${stroke}" stroke-width="${width}" ${KEEP}/>`
export const path = (d, opacity = 1) => `<path d="${d}" stroke="#808080" stroke-opacity="${opacity}" stroke-width="1" ${KEEP}/>`
export const chosen = (at, width = 2) => box(at, "#000", 2 * width) + box(at, "#ffd400", width)
export const pointed = at => box(at, "#000", 3) + box(at, "#fff", 1.5)

// About how wide a text is; which lines it makes in a given width: painted patterns are words longer than any line.
export const widthOf = (text, size) => 0.6 * size * text.length
export function wrap(text, wide, size) {
  const lines = [""], most = Math.max(1, Math.floor(wide / widthOf(" ", size)))
  for (const word of text.split(" ").flatMap(word => word.match(new RegExp(`.{1,${most}}`, "gu")) || [])) {
    const longer = `${lines[lines.length - 1]} ${word}`.trim()
    if (widthOf(longer, size) > wide && lines[lines.length - 1]) lines.push(word)
    else lines[lines.length - 1] = longer
  }
  return lines
}

const SIZE = 11, EDGE = { left: 44, right: 14, over: 8, under: 38 }, ROW = 17 // of the legend

/**
 * A curve: its name in the legend, colour, and points [x, y] or [x, y, error]. `line` false: dots alone; `band`: errors
 * as an area between the curves that are one error above and below, not as bars.
 * @typedef {{ title: string, ink: string, points: number[][], line?: boolean, band?: boolean, dash?: string, dot?: number, tip?: (x: number, y: number, error?: number) => string }} Series
 * An axis: its ends, the marks on it with their words, and its name.
 * @typedef {{ range: number[], ticks: [number, string][], name?: string, log?: boolean }} Axis
 */

// The ends of an axis that reaches from `low` to `high` and as far as any point and its error: nothing is drawn at an edge
// where it is not.
/** @param {Series[]} series */
export function holding(series, low, high) {
  const known = series.flatMap(one => one.points).filter(([, v]) => v !== null && Number.isFinite(v))
  return [Math.min(low, ...known.map(([, v, error]) => v - (error || 0))), Math.max(high, ...known.map(([, v, error]) => v + (error || 0)))]
}

/**
 * Curves over an axis with a legend above, `here` marked on it; `empty` is said where no point is known.
 * @param {{ wide: number, tall: number, x: Axis, y: Axis, series: Series[], here?: number, empty?: string }} what
 */
export function chart({ wide, tall, x: across, y: up, series, here = NaN, empty = "" }) {
  const named = legend(series.filter(one => one.title), wide), over = EDGE.over + named.rows * ROW, right = wide - EDGE.right
  const along = across.log ? Math.log : v => v, [first, last] = across.range.map(along), [low, high] = up.range
  const x = v => EDGE.left + (along(v) - first) / (last - first || 1) * (right - EDGE.left)
  const y = v => over + (high - Math.max(low, Math.min(high, v))) / (high - low || 1) * (tall - over - EDGE.under)
  const text = (at, words, anchor, more = "") => `<text x="${at[0].toFixed(1)}" y="${at[1].toFixed(1)}" text-anchor="${anchor}" ${more}>${escape(words)}</text>`
  const line = (x1, x2, y1, y2, more) => `<line x1="${x1}" x2="${x2}" y1="${y1}" y2="${y2}" ${more}/>`
  const grid = up.ticks.map(([v, words]) => line(EDGE.left, right, y(v), y(v), `stroke="currentColor" stroke-opacity="${v ? 0.15 : 0.4}"`) +
    text([EDGE.left - 6, y(v) + 4], words, "end"))
  const ticks = across.ticks.map(([v, words]) => line(x(v), x(v), tall - EDGE.under, tall - EDGE.under + 4, `stroke="currentColor" stroke-opacity=".5"`) +
    text([x(v), tall - EDGE.under + 17], words, "middle"))
  const mark = Number.isFinite(here) ? line(x(here), x(here), over, tall - EDGE.under, `stroke="#e69f00" stroke-width="1.5" stroke-dasharray="4 3"`) : ""
  const curves = series.map(({ ink, points, line: joined = true, band = false, dash = "", dot = 0, tip }) => {
    const known = points.filter(([, v]) => v !== null && Number.isFinite(v)), at = known.map(([s, v]) => `${x(s).toFixed(1)},${y(v).toFixed(1)}`)
    const sure = band ? known.filter(([, , error]) => error > 0) : [], edge = side => sure.map(([s, v, e]) => `${x(s).toFixed(1)},${y(v + side * e).toFixed(1)}`)
    const area = sure.length > 1 ? `<polygon fill="${ink}" fill-opacity=".18" points="${[...edge(1), ...edge(-1).reverse()].join(" ")}"/>` : ""
    const bars = known.map(([s, v, error]) => (error && !(band && area) ? line(x(s), x(s), y(v - error), y(v + error), `stroke="${ink}" stroke-width="1.5"`) : ""))
    const dots = dot ? known.map(([s, v, error]) => `<circle cx="${x(s).toFixed(1)}" cy="${y(v).toFixed(1)}" r="${dot}" fill="${ink}">${tip ? `<title>${escape(tip(s, v, error))}</title>` : ""}</circle>`) : []
    return area + (joined ? `<polyline fill="none" stroke="${ink}" stroke-width="2" stroke-dasharray="${dash}" points="${at.join(" ")}"/>` : "") + bars.join("") + dots.join("")
  })
  const none = series.some(one => one.points.length) ? "" : text([(EDGE.left + right) / 2, (over + tall - EDGE.under) / 2], empty, "middle", `opacity=".7"`)
  return `<svg viewBox="0 0 ${wide} ${tall}" font-size="${SIZE}" fill="currentColor">${named.text}${grid.join("")}${ticks.join("")}${mark}${curves.join("")}${none}${
    text([(EDGE.left + right) / 2, tall - 4], across.name || "", "middle")}</svg>`
}

// The value of the x axis under a place of the screen, of a chart that is `place` there; null beside the curves.
export function valueAt({ range, log }, wide, place, clientX) {
  const [first, last] = range.map(log ? Math.log : v => v), at = (clientX - place.left) / place.width * wide
  if (at < EDGE.left - 8 || at > wide - EDGE.right + 8) return null
  const share = Math.max(0, Math.min(1, (at - EDGE.left) / (wide - EDGE.right - EDGE.left))), value = first + share * (last - first)
  return log ? Math.exp(value) : value
}

// Names of the curves with their marks, in as many rows as they need.
function legend(series, wide) {
  let at = EDGE.left, row = 0
  const text = series.map(({ title, ink, line = true, dash = "" }) => {
    const needs = 20 + widthOf(title, SIZE) + 14
    if (at > EDGE.left && at + needs > wide) { at = EDGE.left; row++ }
    const middle = EDGE.over + row * ROW + 2, mark = line
      ? `<line x1="${at}" x2="${at + 14}" y1="${middle}" y2="${middle}" stroke="${ink}" stroke-width="2" stroke-dasharray="${dash}"/>`
      : `<circle cx="${at + 7}" cy="${middle}" r="4.5" fill="${ink}"/>`
    const item = `${mark}<text x="${at + 20}" y="${middle + 4}">${escape(title)}</text>`
    at += needs
    return item
  })
  return { text: text.join(""), rows: series.length ? row + 1 : 0 }
}
