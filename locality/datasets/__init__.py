"""Dataset plug-ins, one file each. `parts` holds what they share."""

from locality.datasets.parts.download import Download, RemoteFile
from locality.datasets.parts.excerpt import ship_excerpt
from locality.datasets.parts.files import find_file
from locality.datasets.parts.source import Source, slug
from locality.datasets.parts.spec import DATASETS, DatasetInfo, DatasetSpec, Split
from locality.specs import import_siblings

import_siblings(__name__, __path__)

__all__ = [
    "DATASETS",
    "DatasetInfo",
    "DatasetSpec",
    "Download",
    "RemoteFile",
    "Source",
    "Split",
    "find_file",
    "ship_excerpt",
    "slug",
]
