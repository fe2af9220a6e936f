"""Locality Lab: sensitivity fields and analytic diffusion models from data statistics."""

__version__ = "0.1.0"
