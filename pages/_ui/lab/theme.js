// Whether a view stands on a dark page, as its text colour tells. Reads the DOM, keeps nothing.

export function isDark(root) {
  const [r, g, b] = (getComputedStyle(root).color.match(/[\d.]+/g) || [0, 0, 0]).map(Number)
  return 0.3 * r + 0.59 * g + 0.11 * b > 128
}

// Call back when the reader's system turns to dark or light; the page follows a moment later.
/** @param {() => void} act @param {AbortSignal} signal */
export function whenTurned(act, signal) {
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => setTimeout(act, 200), { signal })
}
