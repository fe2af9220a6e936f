"""Networks trained, watched and evaluated."""
