// How similar the fields are: matrices and curves of numbers, from what is on the screen or from the stored study.
import { cosine, pearson } from "../lab/math.js"

export const MEASURES = {
  pearson: ["Pearson r", (a, b) => pearson(a, b)],
  off_centre: ["Pearson r excluding the centre", pearson],
  cosine: ["Cosine", (a, b) => cosine(a, b)],
}

// Square matrix of one measure between fields of the pixel at `centre`; null where a field is missing.
export function alike(fields, measure, centre) {
  const of = (a, b) => MEASURES[measure][1](a, b, centre)
  return fields.map((a, i) => fields.map((b, j) => (!a || !b ? null : i === j ? 1 : of(a, b))))
}

// The stored study restricted to `names`, at one noise level: {value, stderr, chance}, null where it has no such network.
export function studied(study, names, level, measure) {
  const where = names.map(name => study.names.indexOf(name))
  const pick = table => where.map(i => where.map(j => (i < 0 || j < 0 ? null : table[level][i][j])))
  return { value: pick(study[measure]), stderr: pick(study[`${measure}_stderr`]), chance: pick(study[`${measure}_chance`]) }
}

// Row `reference` of one matrix per noise level, as a curve per network: [[value, stderr], ...].
export function curvesOf(matrices, reference, count) {
  return Array.from({ length: count }, (_, i) =>
    matrices.map(({ value, stderr }) => [value[reference][i], stderr ? stderr[reference][i] : null]))
}
