// Small linear algebra of the lessons. No DOM.

// Row `at` of S (S + sigma^2 I)^-1: solves (S + sigma^2 I) w = S[at] by Cholesky.
export function weights(cov, at, sigma) {
  const n = cov.length, low = cov.map((row, i) => row.map((v, j) => v + (i === j ? sigma * sigma : 0)))
  for (let j = 0; j < n; j++) {
    for (let k = 0; k < j; k++) for (let i = j; i < n; i++) low[i][j] -= low[i][k] * low[j][k]
    const root = Math.sqrt(low[j][j])
    for (let i = j; i < n; i++) low[i][j] /= root
  }
  const w = [...cov[at]]
  for (let i = 0; i < n; i++) {
    for (let k = 0; k < i; k++) w[i] -= low[i][k] * w[k]
    w[i] /= low[i][i]
  }
  for (let i = n - 1; i >= 0; i--) {
    for (let k = i + 1; k < n; k++) w[i] -= low[k][i] * w[k]
    w[i] /= low[i][i]
  }
  return w
}

// The kernel of a stationary filter at the origin of an n by n image: mean over frequencies of gain * cos, by rows and
// columns. `gains` [n n] in the order of a Fourier transform, even; the origin lies in the middle of the result.
export function kernel(gains, n) {
  const wave = Array.from({ length: n }, (_, i) => Math.cos(2 * Math.PI * i / n)), sine = Array.from({ length: n }, (_, i) => Math.sin(2 * Math.PI * i / n))
  const real = new Float64Array(n * n), odd = new Float64Array(n * n), out = new Float32Array(n * n), half = n >> 1
  for (let u = 0; u < n; u++) for (let x = 0; x < n; x++) for (let v = 0; v < n; v++) {
    real[u * n + x] += gains[u * n + v] * wave[v * x % n]
    odd[u * n + x] += gains[u * n + v] * sine[v * x % n]
  }
  for (let y = 0; y < n; y++) for (let x = 0; x < n; x++) {
    let sum = 0
    for (let u = 0; u < n; u++) sum += real[u * n + x] * wave[u * y % n] - odd[u * n + x] * sine[u * y % n]
    out[(y + half) % n * n + (x + half) % n] = sum / (n * n)
  }
  return out
}
