"""Analytic denoisers, one file each. A file with a leading underscore is a shared part."""

from locality.denoisers._evidence import Evidence, Explains
from locality.denoisers._spec import DENOISERS, DenoiserSpec
from locality.registry import import_siblings

import_siblings(__name__, __path__)

__all__ = ["DENOISERS", "DenoiserSpec", "Evidence", "Explains"]
