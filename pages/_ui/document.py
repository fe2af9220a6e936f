"""The document that the server answers with, before any page runs: where the server is, and the style of the frame.

Streamlit's own looks for its server below the path of every page first, which costs a deep link four refused requests
and their time, and opens the sidebar on screens that have no room for it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from starlette.responses import HTMLResponse
from streamlit.web.server.starlette import starlette_static_routes

STYLE = (Path(__file__).parent / "frame.css").read_text(encoding="utf-8")
SMALL = 1100  # pixels: narrower screens begin without the sidebar
_HEAD = f"""<head>
<style>{STYLE}</style>
<script>
window.__streamlit = {{ BACKEND_BASE_URL: new URL(".", location.href).href.split("?")[0] }}
try {{
  const key = "stSidebarCollapsed-"
  if (innerWidth < {SMALL} && localStorage.getItem(key) === null) localStorage.setItem(key, "true")
}} catch {{ /* without storage the sidebar is as Streamlit has it */ }}
</script>"""


def dressed(text: str) -> str:
    """Streamlit's document with ours in its head; unchanged where it has no head that we know."""
    return text.replace("<head>", _HEAD, 1)


def dress() -> None:
    """Let this process answer with it; must come before the server starts."""
    make = starlette_static_routes.create_streamlit_static_handler

    def handler(directory: str, base_url: str | None) -> Any:
        files = make(directory, base_url)
        index = Path(directory) / "index.html"
        page, answer = dressed(index.read_text(encoding="utf-8")), files.get_response

        async def get_response(path: str, scope: Any) -> Any:
            found = await answer(path, scope)
            if found.status_code == 200 and Path(getattr(found, "path", "")).name == index.name:
                return HTMLResponse(page, headers={"Cache-Control": "no-cache"})
            return found

        files.get_response = get_response  # type: ignore[method-assign]
        return files

    starlette_static_routes.create_streamlit_static_handler = handler
