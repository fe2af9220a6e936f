// Saving the board: one SVG of the six panels, the colour scale and the numbers; the PNG is the same at twice its size.
import { colour, short } from "./math.js"
import { enlarged, escape, rasterise } from "./picture.js"

const SHEET = { tile: 200, gap: 18, left: 90, above: 44 }

export async function saveBoard(view, kind) {
  const svg = new Blob([board(view)], { type: "image/svg+xml" }), [row, col] = view.pixel
  const link = document.createElement("a")
  link.href = URL.createObjectURL(kind === "png" ? await rasterise(svg) : svg)
  link.download = `edit-${view.head.file}-${row}-${col}-sigma${short(view.sigma)}.${kind}`
  link.click()
  setTimeout(() => URL.revokeObjectURL(link.href), 1000)
}

function board({ panels, shown, head, level, sigma, pixel, h, w, mask, chartSvg }) {
  const tall = Math.round(SHEET.tile * h / w), step = tall + 34, [row, col] = pixel
  const headings = ["Images", "Predicted field", "Learned field"].map((text, j) => `<text x="${SHEET.left + j * (SHEET.tile + SHEET.gap)}" y="34" font-weight="600">${text}</text>`).join("")
  const tiles = ["before", "after"].map((which, i) => {
    const y = SHEET.above + i * step
    return `<text x="16" y="${y + tall / 2}" font-weight="600">${i ? "After" : "Before"}</text>` + ["images", "predicted", "learned"].map((kind, j) => {
      const x = SHEET.left + j * (SHEET.tile + SHEET.gap), panel = panels[`${kind}_${which}`], field = shown.fields[`${kind}_${which}`]
      if (kind === "learned" && !field) return `<rect x="${x}" y="${y}" width="${SHEET.tile}" height="${tall}" fill="#eee"/><text x="${x + SHEET.tile / 2}" y="${y + tall / 2}" text-anchor="middle" font-size="11">no network</text>`
      const k = SHEET.tile / w, own = kind === "learned" ? shown.learned[which].pixel : pixel
      const mark = kind === "images" ? "" : `<rect x="${x + own[1] * k}" y="${y + own[0] * k}" width="${k}" height="${k}" fill="none" stroke="#000" stroke-width="3"/><rect x="${x + own[1] * k}" y="${y + own[0] * k}" width="${k}" height="${k}" fill="none" stroke="#ffd400" stroke-width="1.5"/>`
      return `<image x="${x}" y="${y}" width="${SHEET.tile}" height="${tall}" href="${enlarged(panel.canvas)}"/>${mark}<text x="${x}" y="${y + tall + 16}" font-size="11">${escape(panel.caption.textContent)}</text>`
    }).join("")
  }).join("")
  const foot = SHEET.above + 2 * step + 6, wide = SHEET.left + 3 * (SHEET.tile + SHEET.gap)
  const stops = Array.from({ length: 11 }, (_, i) => `<stop offset="${i / 10}" stop-color="rgb(${colour(i / 5 - 1)})"/>`).join("")
  const chart = mask && chartSvg ? chartSvg.replace("<svg ", `<svg x="${SHEET.left}" y="${foot + 34}" width="460" height="210" font-size="11" `) : ""
  const height = foot + 60 + (chart ? 220 : 0)
  const about = `${head.name}, ${head.title}${head.dial ? `, ${head.dial.label} ${short(level)}` : ""}, row ${row}, column ${col}, σ = ${short(sigma)}`
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${wide}" height="${height}" viewBox="0 0 ${wide} ${height}" font-family="sans-serif" font-size="13" color="#111">
    <defs><linearGradient id="map">${stops}</linearGradient></defs><rect width="${wide}" height="${height}" fill="#fff"/>${headings}${tiles}
    <rect x="${SHEET.left}" y="${foot}" width="${SHEET.tile}" height="8" fill="url(#map)"/><text x="${SHEET.left}" y="${foot + 22}" font-size="10">−${short(shown.limit)}</text><text x="${SHEET.left + SHEET.tile}" y="${foot + 22}" text-anchor="end" font-size="10">+${short(shown.limit)}</text>
    ${chart}<text x="16" y="${height - 12}">${escape(about)}</text></svg>`
}
