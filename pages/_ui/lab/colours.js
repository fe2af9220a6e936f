// Signed fields and images as colours of pixels. No DOM.

// A signed value to [-1, 1] of the colour scale; symlog is linear within 1 % of the limit.
export function toUnit(value, limit, symlog) {
  const u = value / limit
  if (!symlog) return Math.max(-1, Math.min(1, u))
  return Math.sign(u) * Math.min(1, Math.log1p(Math.abs(u) * 100) / Math.log1p(100))
}

// Blue - white - red, ColorBrewer RdBu reversed: symmetric, safe for red-green colour blindness. On a dark page zero is
// as dark as the page, and both ends are bright.
const parts = hexes => hexes.map(hex => [0, 2, 4].map(i => parseInt(hex.slice(i, i + 2), 16)))
const LIGHT = parts(["053061", "2166ac", "4393c3", "92c5de", "d1e5f0", "f7f7f7", "fddbc7", "f4a582", "d6604d", "b2182b", "67001f"])
const DARK = parts(["b9e4ff", "7cc4f5", "4296d6", "2a6a9e", "1e455f", "18232b", "4f2a24", "8c4030", "cc5c41", "f28e68", "ffd0b3"])
export function colour(unit, dark = false) {
  const anchors = dark ? DARK : LIGHT, x = (unit + 1) / 2 * (anchors.length - 1), i = Math.min(Math.floor(x), anchors.length - 2), f = x - i
  return anchors[i].map((a, k) => Math.round(a + f * (anchors[i + 1][k] - a)))
}
const stops = dark => Array.from({ length: 11 }, (_, i) => `rgb(${colour(i / 5 - 1, dark)})`)
export const STOPS = stops(false)
export const gradient = dark => `linear-gradient(90deg, ${stops(dark)})`

// A pixel as a canvas keeps it; parts 0 to 255.
export const rgba = (r, g, b) => (0xff000000 | b << 16 | g << 8 | r) >>> 0
// A value of an image in [-1, 1] as such a part.
export const byte = v => Math.max(0, Math.min(255, Math.round((v + 1) * 127.5)))

const table = dark => Uint32Array.from({ length: 511 }, (_, i) => {
  const [r, g, b] = colour(i / 255 - 1, dark)
  return rgba(r, g, b)
})
const ON_LIGHT = table(false), ON_DARK = table(true)
export function paintField(field, limit, symlog, pixels, dark = false) {
  const painted = dark ? ON_DARK : ON_LIGHT
  for (let i = 0; i < field.length; i++) pixels[i] = painted[Math.round((toUnit(field[i], limit, symlog) + 1) * 255)]
}

// An image of 8-bit values, channels first, from `start` on.
export function paintBytes(bytes, start, c, size, pixels) {
  const green = c === 1 ? 0 : size, blue = c === 1 ? 0 : 2 * size
  for (let i = start, j = 0; j < size; i++, j++) pixels[j] = rgba(bytes[i], bytes[i + green], bytes[i + blue])
}

// The noisy image as a variance-preserving network sees it: (x0 + sigma eps) / sqrt(1 + sigma^2), channels first.
export function paintImage(x0, eps, sigma, c, size, pixels) {
  const scale = 1 / Math.sqrt(1 + sigma * sigma)
  for (let i = 0; i < size; i++) {
    const v = [0, 1, 2].map(k => {
      const j = (c === 1 ? 0 : k) * size + i
      return byte((x0[j] + sigma * (eps ? eps[j] / 32 : 0)) * (eps ? scale : 1))
    })
    pixels[i] = rgba(v[0], v[1], v[2])
  }
}
