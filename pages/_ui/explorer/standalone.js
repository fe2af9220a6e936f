// Starts the view in a file of its own. Its data lie in the page as base64, the tables gzipped; nobody answers.
import { mounted } from "../lab/lab.js"
import { Explorer } from "./view.js"

const TOO_OLD = "This browser cannot unpack the stored fields: only the saved pixel at its noise level is shown. " +
  "Chrome and Edge 80, Firefox 113, Safari 16.4 and later can."

const bytesOf = id => {
  const text = atob(document.getElementById(id).textContent), bytes = new Uint8Array(text.length)
  for (let i = 0; i < bytes.length; i++) bytes[i] = text.charCodeAt(i)
  return bytes
}

// The tables stand below this script, so that the saved view is drawn before they are read.
const whole = new Promise(done => (document.readyState === "loading" ? document.addEventListener("DOMContentLoaded", done) : done()))

async function unzipped(id) {
  await whole
  const packed = new Blob([bytesOf(id)])
  document.getElementById(id).remove()
  return new Response(packed.stream().pipeThrough(new DecompressionStream("gzip"))).arrayBuffer()
}

if (!("DecompressionStream" in window)) {
  const notice = /** @type {HTMLElement} */ (document.querySelector(".notice"))
  notice.textContent = TOO_OLD
  notice.hidden = false
}
mounted(Explorer)({ data: bytesOf("start"), parentElement: document, setStateValue() {}, open: unzipped })
