"""Network plug-ins, one file each. A file with a leading underscore is a shared part."""

from locality.networks._spec import NETWORKS, NetworkDenoiser, NetworkSpec
from locality.registry import import_siblings

import_siblings(__name__, __path__)

__all__ = ["NETWORKS", "NetworkDenoiser", "NetworkSpec"]
