// Decoding, mixing and measuring fields: what is drawn is measured here, as Python would. No DOM, no state.

const LN = Math.log

// A buffer from Python: uint32 header length, JSON header (padded to 4 bytes), then the arrays it names.
export function unpack(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const length = view.getUint32(0, true)
  const head = JSON.parse(new TextDecoder().decode(bytes.subarray(4, 4 + length)))
  const kinds = { f8: Float64Array, f4: Float32Array, i2: Int16Array, u1: Uint8Array, i1: Int8Array }
  const arrays = {}
  for (const { name, kind, at, count } of head.arrays) {
    const kept = bytes.slice(4 + length + at, 4 + length + at + count * kinds[kind].BYTES_PER_ELEMENT)
    arrays[name] = new kinds[kind](kept.buffer)
  }
  return { head, arrays }
}

// Row `index` of a coded table: code = 128 + sign(v) * round(127 * sqrt(|v| / scale)).
const DECODE = Float32Array.from({ length: 256 }, (_, q) => Math.sign(q - 128) * ((q - 128) / 127) ** 2)
export function decodeRow(codes, scale, index, size) {
  const row = new Float32Array(size), start = index * size, s = scale[index]
  for (let i = 0; i < size; i++) row[i] = DECODE[codes[start + i]] * s
  return row
}

// The (up to four) levels about sigma with the weights of the cubic through them in ln sigma: [[index, weight], ...].
export function about(levels, sigma) {
  const last = levels.length - 1, x = LN(Math.min(Math.max(sigma, levels[0]), levels[last]))
  let below = 0
  while (below < last && levels[below + 1] <= sigma) below++
  const first = Math.max(0, Math.min(below - 1, last - 3)), nodes = levels.map((level, k) => [k, LN(level)]).slice(first, first + 4)
  return nodes.map(([k, xk]) => [k, nodes.reduce((product, [j, xj]) => (j === k ? product : product * (x - xj) / (xk - xj)), 1)])
}

// A row between noise levels: shapes are mixed linearly, scales geometrically (a field falls as 1 / sigma^2).
// `parts` are [codes, scale, index, weight].
export function mixRows(parts, size) {
  const out = new Float32Array(size)
  let ln = 0
  for (const [, scale, index, weight] of parts) {
    if (!(scale[index] > 0)) return out
    ln += weight * LN(scale[index])
  }
  for (const [codes, , index, weight] of parts) {
    const start = index * size, w = weight * Math.exp(ln)
    if (w) for (let i = 0; i < size; i++) out[i] += w * DECODE[codes[start + i]]
  }
  return out
}

// Position of sigma between increasing levels, linear in ln sigma: [index below, weight of the one above].
export function between(levels, sigma) {
  const last = levels.length - 1
  if (sigma <= levels[0]) return [0, 0]
  if (sigma >= levels[last]) return [Math.max(last - 1, 0), last > 0 ? 1 : 0]
  let i = 0
  while (levels[i + 1] < sigma) i++
  return [i, (LN(sigma) - LN(levels[i])) / (LN(levels[i + 1]) - LN(levels[i]))]
}

// Place of the level nearest to sigma in its logarithm, the first of equals.
export const closest = (levels, sigma) => levels.reduce((best, level, i) => (Math.abs(LN(level / sigma)) < Math.abs(LN(levels[best] / sigma)) ? i : best), 0)

export function nearest(pixels, [row, col]) {
  let best = 0, least = Infinity
  pixels.forEach(([r, c], i) => {
    const far = (r - row) ** 2 + (c - col) ** 2
    if (far < least) { least = far; best = i }
  })
  return best
}

// A network's stored field at the stored pixel nearest to `pixel`, between its noise levels.
export function storedField({ head: { sigmas, pixels }, arrays: { codes, scale } }, pixel, sigma, size) {
  const p = nearest(pixels, pixel), near = about(sigmas, sigma)
  return { pixel: pixels[p], field: mixRows(near.map(([k, weight]) => [codes, scale, k * pixels.length + p, weight]), size) }
}

// Whether the noise level is one that a table's levels tell of.
export const within = (sigmas, sigma) => sigma >= sigmas[0] / 1.1 && sigma <= sigmas[sigmas.length - 1] * 1.1

export function cosine(u, v, skip = -1, centre = false) {
  let n = 0, mu = 0, mv = 0
  for (let i = 0; i < u.length; i++) if (i !== skip) { n++; mu += u[i]; mv += v[i] }
  mu = centre ? mu / n : 0
  mv = centre ? mv / n : 0
  let uv = 0, uu = 0, vv = 0
  for (let i = 0; i < u.length; i++) {
    if (i === skip) continue
    const a = u[i] - mu, b = v[i] - mv
    uv += a * b; uu += a * a; vv += b * b
  }
  return uu > 0 && vv > 0 ? uv / Math.sqrt(uu * vv) : NaN
}
export const pearson = (u, v, skip = -1) => cosine(u, v, skip, true)

// Smallest distance from the pixel that holds half of the absolute mass, in pixels.
export function radius(field, h, w, row, col) {
  const byDistance = new Map()
  let total = 0
  for (let r = 0, i = 0; r < h; r++) for (let c = 0; c < w; c++, i++) {
    const d2 = (r - row) ** 2 + (c - col) ** 2, m = Math.abs(field[i])
    total += m
    byDistance.set(d2, (byDistance.get(d2) || 0) + m)
  }
  if (!(total > 0)) return NaN
  let held = 0
  for (const d2 of [...byDistance.keys()].sort((a, b) => a - b)) {
    held += byDistance.get(d2)
    if (held >= 0.5 * total) return Math.sqrt(d2)
  }
  return NaN
}

// The same as a length that changes smoothly with the field: the mass nearer than a distance and half of that at it is
// joined by straight lines between distances; the radius is where it is half of all.
export function halfMassRadius(field, h, w, row, col) {
  const byDistance = new Float64Array(h * h + w * w), there = new Uint8Array(h * h + w * w) // distances that exist, with mass or without
  let total = 0
  for (let r = 0, i = 0; r < h; r++) for (let c = 0; c < w; c++, i++) {
    const m = Math.abs(field[i]), d2 = (r - row) ** 2 + (c - col) ** 2
    byDistance[d2] += m
    there[d2] = 1
    total += m
  }
  if (!(total > 0)) return NaN
  let held = 0, last = 0, before = 0
  for (let d2 = 0; d2 < there.length; d2++) {
    if (!there[d2]) continue
    const middle = held + byDistance[d2] / 2, at = Math.sqrt(d2)
    if (middle >= total / 2) return d2 && middle > before ? last + (total / 2 - before) / (middle - before) * (at - last) : at
    held += byDistance[d2]
    last = at
    before = middle
  }
  return last
}

// Share of the absolute mass farther than `limit` pixels from the pixel.
export function outside(field, h, w, row, col, limit) {
  let total = 0, far = 0
  for (let r = 0, i = 0; r < h; r++) for (let c = 0; c < w; c++, i++) {
    const m = Math.abs(field[i])
    total += m
    if ((r - row) ** 2 + (c - col) ** 2 > limit * limit) far += m
  }
  return total > 0 ? far / total : NaN
}

// Share of the absolute mass on a mask, without the pixel `skip` where it is one.
export function massOn(field, mask, skip = -1) {
  let on = 0, total = 0
  for (let i = 0; i < field.length; i++) {
    if (i === skip) continue
    const m = Math.abs(field[i])
    total += m
    if (mask[i]) on += m
  }
  return total > 0 ? on / total : NaN
}

// The largest size of any value, `skip` left out of all fields.
export function largest(fields, skip = -1) {
  let most = 0
  for (const field of fields) if (field) for (let i = 0; i < field.length; i++) if (i !== skip) most = Math.max(most, Math.abs(field[i]))
  return most || 1
}

// Signal share of a variance-preserving process, and the DDPM timestep (linear schedule) of a noise level.
export const alphaBar = sigma => 1 / (1 + sigma * sigma)
const LN_SIGMAS = (() => {
  const out = []
  for (let t = 0, bar = 1; t < 1000; t++) {
    bar *= 1 - (1e-4 + (2e-2 - 1e-4) * t / 999)
    out.push(0.5 * LN((1 - bar) / bar))
  }
  return out
})()
export function timestep(sigma) {
  const target = LN(sigma)
  if (target <= LN_SIGMAS[0]) return 0
  for (let t = 1; t < 1000; t++)
    if (LN_SIGMAS[t] >= target) return t - 1 + (target - LN_SIGMAS[t - 1]) / (LN_SIGMAS[t] - LN_SIGMAS[t - 1])
  return 999
}

export function short(value) {
  if (!Number.isFinite(value)) return "–"
  const size = Math.abs(value)
  if (size !== 0 && (size < 0.001 || size >= 10000)) return value.toExponential(1)
  return String(+value.toPrecision(3))
}

export const percent = share => (Number.isFinite(share) ? `${(100 * share).toFixed(1)} %` : "–")

export const mean = values => values.reduce((sum, v) => sum + v, 0) / Math.max(values.length, 1)
