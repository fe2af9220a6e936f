// Predicted fields from files: from the basis of the images, or where there is none from rows stored at noise levels.
import { about, mixRows } from "../lab/math.js"

// The field of pixel number `index`; null while its files are not here.
export function predictedRow(tables, files, index, sigma, size) {
  if (!tables) return null
  if (tables.basis) return files.get(tables.basis)?.row(index, sigma) ?? null
  const near = about(tables.levels, sigma).map(([k, weight]) => [files.get(tables.predicted[k]), weight])
  if (!near.every(([table]) => table)) return null
  return mixRows(near.map(([{ arrays: { codes, scale } }, weight]) => [codes, scale, index, weight]), size)
}

// Whether they are here for all noise levels.
export const predictedKnown = (tables, files) => !!tables && (tables.basis ? files.has(tables.basis) : tables.predicted.every(place => files.has(place)))

// What to fetch: the basis and stored draws first, then stored rows, those of near noise levels before the others.
export function placesOf(tables, strip, sigma) {
  const far = level => Math.abs(Math.log(level / sigma)), order = (tables?.levels ?? []).map((level, i) => [far(level), i]).sort((a, b) => a[0] - b[0])
  return [tables?.basis, tables?.learned, strip, ...order.map(([, i]) => tables.predicted[i])].filter(Boolean)
}
