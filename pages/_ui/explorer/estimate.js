// The learned field that is known best: stored draws, draws that came since, or both. It never gets worse. No DOM.
import { between, short, storedField } from "../lab/math.js"

/**
 * What a network's field is known to be: `stderr` of every value (null where only its size is known), `relative` its
 * norm over that of the field, `draws` in all, `live` of them not stored, `pixel` whose field it is, `noise` how much of
 * its squared length is noise, with all pixels and without its own (null where no draws are known one by one).
 * @typedef {{ field: Float32Array, stderr: Float32Array | null, relative: number, draws: number, live: number, pixel: number[], radiusError: number, between: number[] | null, noise: (number | null)[] | null }} Estimate
 * Draws that came from Python: their mean, its error, their number.
 * @typedef {{ learned: Float32Array, stderr: Float32Array, draws: number, radiusError: number | null, noise?: (number | null)[] }} Live
 */

const norm = values => Math.sqrt(values.reduce((sum, v) => sum + v * v, 0))

// From the table: the field of the nearest stored pixel between the two nearest noise levels.
/** @returns {Estimate} */
function stored(table, pixel, sigma, size) {
  const { sigmas, pixels, draws } = table.head, found = storedField(table, pixel, sigma, size), [i, share] = between(sigmas, sigma)
  const p = pixels.indexOf(found.pixel), near = Math.min(i + 1, sigmas.length - 1)
  const mixed = name => (table.arrays[name] ? (1 - share) * table.arrays[name][i * pixels.length + p] + share * table.arrays[name][near * pixels.length + p] : NaN)
  return { ...found, stderr: null, relative: mixed("error"), draws, live: 0, radiusError: mixed("radius_error"), between: share && share < 1 ? [sigmas[i], sigmas[near]] : null, noise: null }
}

/** @param {Live} live @returns {Estimate} */
function lively({ learned, stderr, draws, radiusError, noise }, pixel) {
  return { field: learned, stderr: draws > 1 ? stderr : null, relative: draws > 1 ? norm(stderr) / norm(learned) : NaN, draws, live: draws, pixel, radiusError: radiusError ?? NaN, between: null, noise: noise ?? null }
}

// Both: draws count alike, whoever made them. The spread is that of those that came one by one.
/** @param {Estimate} kept @param {Estimate} live @returns {Estimate} */
function both(kept, live) {
  const draws = kept.draws + live.draws, share = live.draws / draws, less = Math.sqrt(share)
  const field = live.field.map((v, i) => share * v + (1 - share) * kept.field[i]), stderr = live.stderr?.map(v => less * v) ?? null
  return { ...live, field, stderr, relative: stderr ? norm(stderr) / norm(field) : NaN, draws, radiusError: less * live.radiusError, between: kept.between, noise: live.noise && live.noise.map(one => (one === null ? null : share * one)) }
}

// `table` and `live` are null where there are none. The field of the stored pixel beside gives way to the chosen one's
// own when that has as many draws.
/** @returns {Estimate | null} */
export function best(table, live, pixel, sigma, size) {
  if (!table) return live ? lively(live, pixel) : null
  const kept = stored(table, pixel, sigma, size)
  if (!live || live.draws < 2) return kept
  const own = lively(live, pixel)
  if (`${kept.pixel}` === `${pixel}`) return both(kept, own)
  return own.draws >= kept.draws ? own : kept
}

/** @param {Estimate} known */
export function about({ draws, live, relative, pixel, between: levels }, asked) {
  const beside = `${pixel}` === `${asked}` ? "" : ` of the stored pixel beside, ${pixel.join(", ")}`
  const at = levels && live < draws && !beside ? ` at σ ${levels.map(short).join(" and ")}` : ""
  const from = live === draws ? "" : live ? ` (${draws - live} of them stored${at})` : ` (stored${at})`
  const error = Number.isFinite(relative) ? `, s.e. ${(100 * relative).toFixed(0)} %` : ""
  return `Mean of ${draws} Jacobian row${draws === 1 ? "" : "s"}${error}${from}${beside}`
}
