"""A lesson as one HTML file: its page's own script, its data inside, nothing fetched."""

from __future__ import annotations

import base64
import html
from pathlib import Path

import locality
from pages._ui.lab.alone import policy, theme
from pages._ui.lab.modules import linked
from pages._ui.lab.mount import style
from pages._ui.lessons.payload import payload
from pages._ui.lessons.registry import lesson

_HERE = Path(__file__).parent


def standalone(number: int) -> bytes:
    """The file of a lesson, as `lesson-N.html`; those of others, saved beside it, are where its links lead."""
    this = lesson(number)
    script, _, _ = linked(this.script).rpartition("export default ")
    code = f'\n(() => {{ "use strict"\n{script}}})()\n'
    start = base64.b64encode(payload(number, suffix=".html")).decode()
    page = f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy(code)}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer">
<meta name="generator" content="Locality Lab {locality.__version__}">
<title>{number}. {html.escape(this.title)}</title>
<style>
{theme()}
:root {{ color-scheme: light dark; --st-font: system-ui, "Segoe UI", "Helvetica Neue", Arial, sans-serif; }}
body {{ margin: 0; padding: 16px; background: var(--st-background-color); color: var(--st-text-color); }}
a {{ color: var(--st-link-color); }}
{style(_HERE)}
</style>
</head>
<body>
<main>
{(_HERE / "view.html").read_text(encoding="utf-8")}
</main>
<noscript><p>The figure is drawn by a script in this file: allow scripts and open it again.</p></noscript>
<script type="text/plain" id="start">{start}</script>
<script>{code}</script>
</body>
</html>
"""
    return page.encode()
