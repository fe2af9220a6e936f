// The small card beside a pointed-at image or name: words only, no numbers of its own.
import { short } from "../lab/math.js"
import { escape } from "../lab/svg.js"

// What a distance in [-1, 1] units means: the root mean square difference in grey levels.
export function distanceWords(distance, second, d) {
  const typical = distance / Math.sqrt(d), grey = typical * 127.5
  const words = [`<p>L2 distance ${short(distance < 1e-4 ? 0 : distance)}: RMS difference ${grey < 0.5 ? "below 1" : Math.round(grey)}/255.</p>`]
  if (second !== null) {
    const copy = distance < second / 3
    words.push(`<p>${copy ? "<strong>A copy</strong>: the second nearest is" : "No copy: the second nearest is"} at ${short(second)}${copy ? ", more than three times as far" : ""}.</p>`)
  }
  return words.join("")
}

export function imageCard(row, sample, near, head, d) {
  const title = `<b>Image ${sample + 1} of ${escape(row.text)}</b>`
  if (!near) return title + `<p>${unknown(row, head)}</p>`
  if (!near.shown) return title + `<p>Nearest training image: no. ${near.number}, which is not on this machine.</p>` + distanceWords(near.distance, near.second, d)
  return title + `<div class="pair"><div><canvas class="final"></canvas><small>Final image</small></div><div><canvas class="near"></canvas><small>Nearest: no. ${near.number}</small></div></div>` +
    distanceWords(near.distance, near.second, d)
}

function unknown(row, head) {
  if (!head.images) return "The training images are not on this machine, so the nearest one is not known."
  return row.done ? "Its nearest training image is not known yet." : "The search for nearest training images starts when all models are done."
}

export function nameCard(row) {
  return [`<b>${escape(row.text)}</b>`, row.about && `<p>${escape(row.about)}</p>`, row.paper && `<small>${escape(row.paper)}</small>`].filter(Boolean).join("")
}
