// Presenting a view: it fills the screen in large type, arrow keys and a clicker's keys step, Escape leaves.

const STEPS = { ArrowRight: 1, ArrowUp: 1, PageDown: 1, ArrowLeft: -1, ArrowDown: -1, PageUp: -1 }

/**
 * @param {HTMLElement} root @param {HTMLElement} button
 * @param {(by: number) => void} step @param {() => void} changed @param {AbortSignal} signal
 */
export function presenting(root, button, step, changed, signal) {
  const shows = () => root.classList.contains("presenting")
  const set = on => {
    if (shows() === on) return
    root.classList.toggle("presenting", on)
    button.textContent = on ? "Leave (Esc)" : "Present"
    button.setAttribute("aria-pressed", `${on}`)
    if (on) root.focus()
    else button.focus()
    changed()
  }
  const leave = () => { if (document.fullscreenElement) document.exitFullscreen(); set(false) }
  root.tabIndex = -1
  button.addEventListener("click", () => {
    if (shows()) return leave()
    set(true) // even where a browser refuses the whole screen
    root.requestFullscreen?.().catch(() => {})
  })
  document.addEventListener("fullscreenchange", () => { if (!document.fullscreenElement && root.isConnected) set(false) }, { signal })
  root.addEventListener("keydown", event => {
    if (!shows() || event.altKey || event.ctrlKey || event.metaKey) return
    if (event.key === "Escape") { event.preventDefault(); leave() }
    else if (STEPS[event.key]) { event.preventDefault(); event.stopPropagation(); step(STEPS[event.key]) }
  }, true)
}
