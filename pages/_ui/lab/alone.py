"""What every page saved as one HTML file has: the app's colours, and a policy that lets nothing else in."""

from __future__ import annotations

import base64
import hashlib
import re
import tomllib
from pathlib import Path

_CONFIG = Path(__file__).resolve().parents[3] / ".streamlit" / "config.toml"


def policy(code: str) -> str:
    """Nothing may be fetched, and only this script may run; pictures are made to be saved."""
    digest = base64.b64encode(hashlib.sha256(code.encode()).digest()).decode()
    allowed = f"script-src 'sha256-{digest}'; style-src 'unsafe-inline'; img-src data: blob:"
    return f"default-src 'none'; {allowed}; base-uri 'none'; form-action 'none'"


def theme() -> str:
    """The app's colours, light and dark, as the variables a component's style reads."""
    themes = tomllib.loads(_CONFIG.read_text(encoding="utf-8"))["theme"]

    def variables(name: str) -> str:
        pairs = ((re.sub("([A-Z])", r"-\1", key).lower(), value) for key, value in themes[name].items())
        return " ".join(f"--st-{key}: {value};" for key, value in pairs)

    dark = f"@media (prefers-color-scheme: dark) {{ :root {{ {variables('dark')} }} }}"
    return f":root {{ {variables('light')} }}\n{dark}\n"
