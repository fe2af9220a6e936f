"""Analytic denoisers, one file each. `parts` holds what they share."""

from locality.denoisers.parts.evidence import Evidence, Explains
from locality.denoisers.parts.spec import DENOISERS, DenoiserSpec
from locality.specs import import_siblings

import_siblings(__name__, __path__)

__all__ = ["DENOISERS", "DenoiserSpec", "Evidence", "Explains"]
