// Predicted fields from an eigenbasis in the browser, and what a planted pattern does to them. No DOM.
//
//   W = U diag(lambda / (lambda + sigma^2)) U^T,   A = U diag(1 / (lambda + sigma^2)) U^T,   V = A [w a]
//   W' = W + sigma^2 V M(c) V^T,   M(c) = C (I + [w a]^T V C)^-1,   C = [[c^2 s^2, c], [c, 0]]
//
// Fields are summed over channels, so the basis is: one row a pixel, 16-bit codes, one scale a component.

export class Basis {
  constructor({ head, arrays }, h, w) {
    const { codes, scale, eigvals, coloured = codes, tint = scale } = arrays
    this.codes = codes // [hw r]
    this.scale = scale // [r]
    this.eigvals = eigvals // [r]
    this.coloured = coloured // as codes and scale, where the pattern has a colour
    this.tint = tint
    this.size = h * w
    this.rank = eigvals.length
    this.id = head.id
  }

  // Component values of a pixel: row p of U, or of U weighed by the pattern's colour.
  at(p, coloured = false) {
    const codes = coloured ? this.coloured : this.codes, scale = coloured ? this.tint : this.scale
    const found = new Float64Array(this.rank), start = p * this.rank
    for (let k = 0; k < this.rank; k++) found[k] = codes[start + k] * scale[k]
    return found
  }

  // sum_k U[p, k] weights[k] for every pixel p.
  combine(weights) {
    const { codes, rank, size, scale } = this, scaled = new Float64Array(rank), out = new Float32Array(size)
    for (let k = 0; k < rank; k++) scaled[k] = weights[k] * scale[k]
    for (let p = 0, i = 0; p < size; p++) {
      let sum = 0
      for (let k = 0; k < rank; k++, i++) sum += codes[i] * scaled[k]
      out[p] = sum
    }
    return out
  }

  // The predicted field of a pixel.
  row(p, sigma) {
    const weights = this.at(p)
    for (let k = 0; k < this.rank; k++) weights[k] *= this.eigvals[k] / (this.eigvals[k] + sigma * sigma)
    return this.combine(weights)
  }
}

// A pattern on top of a basis: `mask` [hw] of -1, 0, 1; `coupling` [r] is cov(x0, z) in the basis, `variance` var z.
export class Plant {
  constructor(basis, mask, coupling, variance) {
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
    const { eigvals, rank } = this.basis, both = [this.spectrum, this.coupling]
    const solved = both.map(part => part.map((v, k) => v / (eigvals[k] + sigma * sigma)))
    this.columns = solved.map(part => this.basis.combine(part))
    this.gram = both.map(a => solved.map(b => { let sum = 0; for (let k = 0; k < rank; k++) sum += a[k] * b[k]; return sum }))
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
