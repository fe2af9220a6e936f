// Predicted fields from an eigenbasis in the browser. No DOM.
//
//   W = U diag(g) U^T + g_rest (I - U U^T),   g = lambda / (lambda + sigma^2)
//
// Fields are summed over channels, so the basis is: one row a pixel, 16-bit codes, one scale a component. What lies
// outside of it has one variance, `rest`, which only the pixel itself sees.

export class Basis {
  constructor({ head, arrays }, h, w) {
    const { codes, scale, eigvals, coloured = codes, tint = scale } = arrays
    this.codes = codes // [hw r]
    this.scale = scale // [r]
    this.eigvals = eigvals // [r]
    this.coloured = coloured // as codes and scale, where the pattern has a colour
    this.tint = tint
    this.size = h * w
    this.rank = arrays.eigvals.length
    this.id = head.id
    this.rest = head.rest || 0
    this.channels = head.channels || 1
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
    const weights = this.at(p), rest = this.rest / (this.rest + sigma * sigma)
    for (let k = 0; k < this.rank; k++) weights[k] *= this.eigvals[k] / (this.eigvals[k] + sigma * sigma) - rest
    const found = this.combine(weights)
    found[p] += rest * this.channels
    return found
  }
}
