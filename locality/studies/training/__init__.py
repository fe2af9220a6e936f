"""Networks trained, watched and judged."""
