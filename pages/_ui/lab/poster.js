// A view as a picture to take away: rows of panels on one colour scale, charts and tables below, a caption.
import { STOPS } from "./colours.js"
import { short } from "./math.js"
import { chosen, escape, wrap } from "./svg.js"

const EDGE = 24, GAP = 18, NAME = 66, ZOOM = 16, SMALL = 11, LINE = 15

/**
 * A panel: its canvas, what stands above and below it, and the pixel that is marked. Without a canvas: why there is none.
 * @typedef {{ canvas?: HTMLCanvasElement, title?: string, note?: string, at?: number[], empty?: string }} Tile
 * A drawing of ours with its size.
 * @typedef {{ svg: string, wide: number, tall: number, title?: string }} Block
 */

/**
 * One SVG on white.
 * @param {{ side: number, shape: number[], rows: { name?: string, tiles: Tile[] }[], limit: number, blocks?: Block[], caption: string }} what
 * `side` is the width of a panel, `shape` height and width of an image, `limit` the end of the colour scale.
 */
export function poster({ side, shape: [h, w], rows, limit, blocks = [], caption }) {
  const left = EDGE + (rows.some(row => row.name) ? NAME : 0), across = Math.max(...rows.map(row => row.tiles.length))
  const wide = Math.max(left + across * (side + GAP) - GAP, 2 * EDGE + Math.max(0, ...blocks.map(block => block.wide))) + EDGE
  let y = EDGE
  const parts = rows.map(({ name = "", tiles }) => {
    const titled = tiles.some(tile => tile.title), top = y + (titled ? 20 : 0), tall = Math.round(side * h / w)
    const notes = tiles.map(tile => wrap(tile.note || "", side, SMALL))
    y = top + tall + 8 + LINE * Math.max(...notes.map(lines => (lines[0] ? lines.length : 0))) + 8
    return words([name], EDGE, top + tall / 2, 13, `font-weight="600"`) + tiles.map((tile, i) => {
      const x = left + i * (side + GAP)
      return words([tile.title || ""], x, top - 8, 13, `font-weight="600"`) + panel(tile, x, top, side, tall, h, w) + words(notes[i], x, top + tall + 16, SMALL)
    }).join("")
  })
  const stops = STOPS.map((stop, i) => `<stop offset="${i / 10}" stop-color="${stop}"/>`).join("")
  const scale = `<rect x="${left}" y="${y + 4}" width="${side}" height="8" fill="url(#map)"/>` + words([`−${short(limit)}`], left, y + 26, SMALL) +
    words([`+${short(limit)}`], left + side, y + 26, SMALL, `text-anchor="end"`)
  y += 48
  let x = EDGE, deepest = 0
  const below = blocks.map(({ svg, wide: needs, tall, title = "" }) => {
    if (x > EDGE && x + needs > wide - EDGE) { x = EDGE; y += deepest + GAP; deepest = 0 }
    const drawn = words([title], x, y + 4, 13, `font-weight="600"`) + svg.replace("<svg", `<svg x="${x}" y="${y + 12}" width="${needs}" height="${tall}"`)
    x += needs + GAP
    deepest = Math.max(deepest, tall + 12)
    return drawn
  })
  y += deepest + (blocks.length ? GAP : 0)
  const lines = wrap(caption, wide - 2 * EDGE, 13), height = y + 18 * lines.length + 14
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${wide}" height="${height}" viewBox="0 0 ${wide} ${height}" font-family="sans-serif" color="#111"><defs><linearGradient id="map">${
    stops}</linearGradient></defs><rect width="${wide}" height="${height}" fill="#fff"/>${parts.join("")}${scale}${below.join("")}${words(lines, EDGE, y + 12, 13, "", 18)}</svg>`
}

const words = (lines, x, y, size, more = "", step = LINE) => lines.map((line, i) => (line ? `<text x="${x}" y="${y + i * step}" font-size="${size}" ${more}>${escape(line)}</text>` : "")).join("")

/** @param {Tile} tile */
function panel({ canvas, at, empty = "" }, x, y, side, tall, h, w) {
  if (!canvas) return `<rect x="${x}" y="${y}" width="${side}" height="${tall}" fill="#eee"/>` + words(wrap(empty, side - 16, SMALL), x + 8, y + tall / 2, SMALL)
  const mark = at ? `<svg x="${x}" y="${y}" width="${side}" height="${tall}" viewBox="0 0 ${w} ${h}" preserveAspectRatio="none" fill="none">${chosen(at, 1.5)}</svg>` : ""
  return `<image x="${x}" y="${y}" width="${side}" height="${tall}" href="${enlarged(canvas)}"/>${mark}`
}

// Whole pixels enlarged, so that no viewer smooths them.
function enlarged(canvas) {
  const big = document.createElement("canvas"), g = big.getContext("2d")
  big.width = canvas.width * ZOOM
  big.height = canvas.height * ZOOM
  g.imageSmoothingEnabled = false
  g.drawImage(canvas, 0, 0, big.width, big.height)
  return big.toDataURL()
}

// Give the reader a drawing as a file: itself, or as a picture of twice its size.
export async function save(svg, name, kind) {
  const drawing = new Blob([svg], { type: "image/svg+xml" }), link = document.createElement("a")
  link.href = URL.createObjectURL(kind === "png" ? await rasterised(drawing) : drawing)
  link.download = `${name}.${kind}`
  link.click()
  setTimeout(() => URL.revokeObjectURL(link.href), 1000)
}

/** @returns {Promise<Blob>} */
async function rasterised(drawing) {
  const image = new Image(), canvas = document.createElement("canvas")
  image.src = URL.createObjectURL(drawing)
  await image.decode()
  canvas.width = image.width * 2
  canvas.height = image.height * 2
  canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height)
  URL.revokeObjectURL(image.src)
  return new Promise(done => canvas.toBlob(done, "image/png"))
}
