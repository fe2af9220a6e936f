// The noise sweeps once when somebody comes for the first time, and stops at whatever they do.

const KEY = "locality-swept", SECONDS = 5, FROM = 0.1
const INPUTS = ["pointerdown", "pointermove", "keydown", "wheel", "touchstart"]

function first() {
  try {
    if (localStorage.getItem(KEY)) return false
    localStorage.setItem(KEY, "1")
    return true
  } catch { return false } // no memory, no sweep: else it would come back at every visit
}

// From the lowest noise to the highest and back to `to`: sigma at a share of the time.
/** @param {number} share @param {number[]} range @param {number} to */
export function swept(share, [low, high], to) {
  const ln = Math.log, ease = x => x * x * (3 - 2 * x), [from, turn] = [Math.max(low, FROM), high]
  const [a, b, part] = share < 0.6 ? [from, turn, share / 0.6] : [turn, to, (share - 0.6) / 0.4]
  return Math.exp(ln(a) + (ln(b) - ln(a)) * ease(part))
}

/**
 * @param {{ root: HTMLElement, range: number[], to: number, show: (sigma: number) => void, over: () => void }} what
 */
export function sweepOnce({ root, range, to, show, over }) {
  const calm = matchMedia("(prefers-reduced-motion: reduce)").matches
  if (calm || new URLSearchParams(location.search).has("sigma") || !first()) return
  let began = 0, ended = false
  const end = () => {
    ended = true
    for (const kind of INPUTS) removeEventListener(kind, end, true)
    delete root.dataset.sweeping
    over()
  }
  for (const kind of INPUTS) addEventListener(kind, end, { capture: true, passive: true })
  root.dataset.sweeping = "1"
  const step = now => {
    if (ended || !root.isConnected) return
    began ||= now
    const share = Math.min(1, (now - began) / (1000 * SECONDS))
    show(share < 1 ? swept(share, range, to) : to)
    if (share < 1) requestAnimationFrame(step)
    else end()
  }
  requestAnimationFrame(step)
}
