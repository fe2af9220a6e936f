// Masks: [hw] of -1, 0, 1, as text and under a brush. No DOM.

const ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

const pack = bits => {
  let text = ""
  for (let i = 0; i < Math.ceil(bits.length / 8) * 8; i += 6) {
    let six = 0
    for (let k = 0; k < 6; k++) six = six * 2 + (bits[i + k] ? 1 : 0)
    text += ALPHABET[six]
  }
  return text
}

const unfold = (text, size) => {
  const bits = new Int8Array(size)
  for (let i = 0; i < size; i++) bits[i] = (ALPHABET.indexOf(text[Math.floor(i / 6)]) >> (5 - (i % 6))) & 1
  return bits
}

// `bits.HxW.DATA`, and `.DATA` again for negative pixels where there are any: as Python writes it.
export function maskText(mask, h, w) {
  const planes = [mask.map(v => (v > 0 ? 1 : 0))]
  if (mask.some(v => v < 0)) planes.push(mask.map(v => (v < 0 ? 1 : 0)))
  return `bits.${h}x${w}.${planes.map(plane => pack([...plane])).join(".")}`
}

export function readMask(text, size) {
  const [, , on, off] = text.split("."), mask = unfold(on, size)
  if (off) unfold(off, size).forEach((v, i) => { if (v && !mask[i]) mask[i] = -1 })
  return mask
}

// Pixels under a brush of 1, 2 or 3 pixels at [row, col]: squares, the even one down and to the right.
export function brush([row, col], width, h, w) {
  const found = [], from = -Math.floor((width - 1) / 2)
  for (let r = row + from; r < row + from + width; r++)
    for (let c = col + from; c < col + from + width; c++) if (r >= 0 && r < h && c >= 0 && c < w) found.push(r * w + c)
  return found
}

// Pixels of a line between two cells, so that a fast pointer leaves no gaps.
/** @returns {[number, number][]} */
export function cellsBetween([r0, c0], [r1, c1]) {
  const steps = Math.max(Math.abs(r1 - r0), Math.abs(c1 - c0), 1)
  return Array.from({ length: steps + 1 }, (_, i) => [Math.round(r0 + (r1 - r0) * i / steps), Math.round(c0 + (c1 - c0) * i / steps)])
}

// The pixel itself where it lies on a mask, else the one of the mask nearest to the middle: of those in every second
// row and column, whose learned fields are stored, where there is one.
/** @returns {number[]} */
export function onMask(mask, pixel, h, w) {
  if (mask[pixel[0] * w + pixel[1]]) return pixel
  const far = spot => (spot[0] - (h - 1) / 2) ** 2 + (spot[1] - (w - 1) / 2) ** 2, found = []
  for (let r = 0; r < h; r++) for (let c = 0; c < w; c++) if (mask[r * w + c]) found.push([r, c])
  const stored = found.filter(([r, c]) => r % 2 === 0 && c % 2 === 0)
  return (stored.length ? stored : found).reduce((best, one) => (far(one) < far(best) ? one : best), found[0] || pixel)
}

// The outline of a mask as the path of an SVG: one segment wherever the pattern meets what is not.
export function edges(mask, h, w) {
  const on = (r, c) => r >= 0 && r < h && c >= 0 && c < w && mask[r * w + c] !== 0
  let path = ""
  for (let r = 0; r < h; r++) for (let c = 0; c < w; c++) {
    if (!on(r, c)) continue
    if (!on(r - 1, c)) path += `M${c} ${r}h1`
    if (!on(r + 1, c)) path += `M${c} ${r + 1}h1`
    if (!on(r, c - 1)) path += `M${c} ${r}v1`
    if (!on(r, c + 1)) path += `M${c + 1} ${r}v1`
  }
  return path
}
