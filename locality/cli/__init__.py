"""The command line: every study without a browser. Results on stdout, progress on stderr."""

from locality.cli.parts.app import app
from locality.specs import import_siblings

import_siblings(__name__, __path__)

__all__ = ["app"]
