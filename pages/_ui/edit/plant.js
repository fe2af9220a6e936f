// What a planted pattern does to predicted fields that a basis makes in the browser. No DOM.
//
//   A = U diag(1 / (lambda + sigma^2)) U^T,   V = A [w a]
//   A = U diag(1 / (lambda + sigma^2) - out) U^T + out I,   out = 1 / (rest + sigma^2), where U is no whole basis
//   W' = W + sigma^2 V M(c) V^T,   M(c) = C (I + [w a]^T V C)^-1,   C = [[c^2 s^2, c], [c, 0]]

// A pattern on top of a basis: `mask` [hw] of -1, 0, 1, `tint` [c] its weight in every channel; `coupling` [r] is
// cov(x0, z) in the basis, which holds all of it; `variance` is var z.
export class Plant {
  constructor(basis, mask, coupling, variance, tint) {
    this.whole = basis.rank === basis.size * basis.channels
    this.tint = [tint.reduce((sum, v) => sum + v, 0), tint.reduce((sum, v) => sum + v * v, 0)]
    this.basis = basis
    this.coupling = coupling
    this.variance = variance
    this.mask = Int8Array.from(mask)
    this.spectrum = new Float64Array(basis.rank) // U^T w
    mask.forEach((sign, p) => { if (sign) this.add(p, sign) })
    this.sigma = null
  }

  add(p, sign) {
    const part = this.basis.at(p, true)
    for (let k = 0; k < part.length; k++) this.spectrum[k] += sign * part[k]
    this.sigma = null
  }

  // Another mask: only pixels that changed are added or taken away.
  repaint(mask) {
    mask.forEach((sign, p) => { if (sign !== this.mask[p]) this.add(p, sign - this.mask[p]) })
    this.mask.set(mask)
  }

  // V and [w a]^T V at a noise level.
  prepare(sigma) {
    if (this.sigma === sigma) return
    const { basis: { eigvals, rest }, spectrum: w, coupling: a, tint: [sum, squares] } = this, noise = sigma * sigma
    const out = this.whole ? 0 : 1 / (rest + noise), within = (k, less) => 1 / (eigvals[k] + noise) - less
    const dot = (x, y, less) => x.reduce((total, v, k) => total + v * y[k] * within(k, less), 0), across = dot(w, a, 0)
    this.columns = [w.map((v, k) => v * within(k, out)), a.map((v, k) => v * within(k, 0))].map(part => this.basis.combine(part))
    this.gram = [[dot(w, w, out) + out * squares * this.mask.reduce((count, sign) => count + sign * sign, 0), across], [across, dot(a, a, 0)]]
    if (out) this.mask.forEach((sign, p) => { this.columns[0][p] += out * sum * sign })
    this.sigma = sigma
  }

  // M(c) by hand: a 2 x 2 system.
  weights(c) {
    const [[p, q], [r, s]] = this.gram, a = c * c * this.variance, b = c
    const m = [[1 + p * a + q * b, p * b], [r * a + s * b, 1 + r * b]] // I + G C, C = [[a, b], [b, 0]]
    const det = m[0][0] * m[1][1] - m[0][1] * m[1][0]
    const inv = [[m[1][1] / det, -m[0][1] / det], [-m[1][0] / det, m[0][0] / det]]
    return [[a * inv[0][0] + b * inv[1][0], a * inv[0][1] + b * inv[1][1]], [b * inv[0][0], b * inv[0][1]]]
  }

  // The field `plain` of pixel p with the pattern at strength c.
  field(plain, p, sigma, c) {
    this.prepare(sigma)
    const [v, u] = this.columns, m = this.weights(c), s2 = sigma * sigma
    const x = s2 * (v[p] * m[0][0] + u[p] * m[1][0]), y = s2 * (v[p] * m[0][1] + u[p] * m[1][1])
    return plain.map((value, i) => value + x * v[i] + y * u[i])
  }
}
