// Saving the view: one SVG of panels, scale and numbers; the PNG is the same SVG drawn at twice its size.
import { colour, short } from "./math.js"

const SIDE = 256, GAP = 24, ABOVE = 40, ZOOM = 16
export const escape = text => text.replace(/[&<>"]/g, ch => `&#${ch.charCodeAt(0)};`)

export async function save(view, kind) {
  const [row, col] = view.shown.pixel, svg = new Blob([picture(view)], { type: "image/svg+xml" })
  const link = document.createElement("a")
  link.href = URL.createObjectURL(kind === "png" ? await rasterise(svg) : svg)
  link.download = `field-${view.head.file}-${row}-${col}-sigma${short(view.sigma)}.${kind}`
  link.click()
  setTimeout(() => URL.revokeObjectURL(link.href), 1000)
}

export async function rasterise(svg) {
  const image = new Image(), canvas = document.createElement("canvas")
  image.src = URL.createObjectURL(svg)
  await image.decode()
  canvas.width = image.width * 2
  canvas.height = image.height * 2
  canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height)
  URL.revokeObjectURL(image.src)
  return new Promise(done => canvas.toBlob(done, "image/png"))
}

function picture({ panels, shown, head, sigma, h, w }) {
  const high = Math.round(SIDE * h / w), width = panels.length * (SIDE + GAP) + GAP, height = high + 130
  const [row, col] = shown.pixel, r = shown.numbers.pearson[0], k = SIDE / w
  const box = (x, colour, line) => `<rect x="${x + col * k}" y="${ABOVE + row * k}" width="${k}" height="${k}" fill="none" stroke="${colour}" stroke-width="${line}"/>`
  const body = panels.map(({ id, title, canvas }, i) => {
    const x = GAP + i * (SIDE + GAP), at = `y="${ABOVE + 30 + high}" font-size="10"`
    return `<text x="${x}" y="28" font-weight="600">${escape(title.textContent)}</text>
      <image x="${x}" y="${ABOVE}" width="${SIDE}" height="${high}" href="${enlarged(canvas)}"/>${box(x, "#000", 3)}${box(x, "#ffd400", 1.5)}` +
      (id === "image" ? "" : `<rect x="${x}" y="${ABOVE + 8 + high}" width="${SIDE}" height="8" fill="url(#map)"/>
      <text x="${x}" ${at}>−${short(shown.limit)}</text><text x="${x + SIDE}" ${at} text-anchor="end">+${short(shown.limit)}</text>`)
  }).join("")
  const stops = Array.from({ length: 11 }, (_, i) => `<stop offset="${i / 10}" stop-color="rgb(${colour(i / 5 - 1)})"/>`).join("")
  const about = `${head.name}, row ${row}, column ${col}, σ = ${short(sigma)}` + (Number.isFinite(r) ? `. Pearson r ${r.toFixed(3)}, cosine ${shown.numbers.cosine[0].toFixed(3)}` : "")
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" font-family="sans-serif" font-size="13">
    <defs><linearGradient id="map">${stops}</linearGradient></defs><rect width="${width}" height="${height}" fill="#fff"/>${body}
    <text x="${GAP}" y="${height - 22}">${escape(about)}</text></svg>`
}

// Whole pixels enlarged, so that no viewer smooths them.
export function enlarged(canvas) {
  const big = document.createElement("canvas"), g = big.getContext("2d")
  big.width = canvas.width * ZOOM
  big.height = canvas.height * ZOOM
  g.imageSmoothingEnabled = false
  g.drawImage(canvas, 0, 0, big.width, big.height)
  return big.toDataURL()
}
