// Saving the view: one SVG of the panels, the matrix and the curve; the PNG is the same SVG drawn at twice its size.
import { colour, short } from "./math.js"
import { enlarged, escape, rasterise } from "./picture.js"

const TILE = 160, SPACE = 16, MARGIN = 24, CELL = 74, LINE = 26

export async function saveSheet(view, kind) {
  const svg = new Blob([sheet(view)], { type: "image/svg+xml" }), [row, col] = view.pixel
  const link = document.createElement("a")
  link.href = URL.createObjectURL(kind === "png" ? await rasterise(svg) : svg)
  link.download = `architectures-${view.head.file}-${row}-${col}-sigma${short(view.sigma)}.${kind}`
  link.click()
  setTimeout(() => URL.revokeObjectURL(link.href), 1000)
}

function sheet({ panels, shown, head, sigma, pixel, h, w, curvesSvg }) {
  const tall = Math.round(TILE * h / w), k = TILE / w, [row, col] = pixel, { entries } = head, n = entries.length
  const below = MARGIN + 30 + tall + 54, tableTop = below + 28
  const width = Math.max(MARGIN * 2 + panels.length * (TILE + SPACE) - SPACE, MARGIN * 3 + 110 + n * CELL + 480)
  const height = tableTop + Math.max((n + 1) * LINE, 240) + 40
  const tiles = panels.map(({ title, canvas }, i) => {
    const x = MARGIN + i * (TILE + SPACE), box = (stroke, line) => `<rect x="${x + col * k}" y="${MARGIN + 30 + row * k}" width="${k}" height="${k}" fill="none" stroke="${stroke}" stroke-width="${line}"/>`
    return `<text x="${x}" y="${MARGIN + 18}" font-weight="600">${escape(title.textContent)}</text><image x="${x}" y="${MARGIN + 30}" width="${TILE}" height="${tall}" href="${enlarged(canvas)}"/>${box("#000", 3)}${box("#ffd400", 1.5)}`
  }).join("")
  const bar = `<rect x="${MARGIN}" y="${MARGIN + 42 + tall}" width="${TILE}" height="8" fill="url(#map)"/><text x="${MARGIN}" y="${MARGIN + 64 + tall}" font-size="10">−${short(shown.limit)}</text><text x="${MARGIN + TILE}" y="${MARGIN + 64 + tall}" text-anchor="end" font-size="10">+${short(shown.limit)}</text>`
  const at = (i, j) => [MARGIN + 110 + j * CELL, tableTop + (i + 1) * LINE]
  const cells = entries.map((entry, i) => `<text x="${MARGIN}" y="${at(i, 0)[1] + 17}">${escape(entry.title)}</text><text x="${at(0, i)[0] + CELL / 2}" y="${tableTop + 17}" text-anchor="middle" font-size="11">${escape(entry.title)}</text>` +
    entries.map((_, j) => {
      const v = shown.matrix.value[i][j], [x, y] = at(i, j)
      if (v === null || !Number.isFinite(v)) return ""
      const paint = colour(v), ink = Math.abs(v) > 0.6 ? "#fff" : "#111"
      return `<rect x="${x}" y="${y}" width="${CELL}" height="${LINE}" fill="rgb(${paint})"/><text x="${x + CELL / 2}" y="${y + 17}" text-anchor="middle" fill="${ink}">${v.toFixed(2)}</text>`
    }).join("")).join("")
  const stops = Array.from({ length: 11 }, (_, i) => `<stop offset="${i / 10}" stop-color="rgb(${colour(i / 5 - 1)})"/>`).join("")
  const chart = curvesSvg.replace("<svg ", `<svg x="${MARGIN * 2 + 110 + n * CELL}" y="${tableTop}" width="480" height="230" font-size="11" `)
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" font-family="sans-serif" font-size="13" color="#111">
    <defs><linearGradient id="map">${stops}</linearGradient></defs><rect width="${width}" height="${height}" fill="#fff"/>${tiles}${bar}
    <text x="${MARGIN}" y="${below + 16}" font-weight="600">${escape(shown.title)}</text>${cells}${chart}
    <text x="${MARGIN}" y="${height - 14}">${escape(`${head.name}, row ${row}, column ${col}, σ = ${short(sigma)}`)}</text></svg>`
}
