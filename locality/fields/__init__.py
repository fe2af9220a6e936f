"""Sensitivity fields: Jacobian rows, how similar they are, where their mass lies, and how tables of them are stored."""
