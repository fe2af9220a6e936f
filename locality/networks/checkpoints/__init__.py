"""Trained networks on disk: those written here, and those of other code."""
