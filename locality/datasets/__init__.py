"""Dataset plug-ins, one file each. A file with a leading underscore is a shared part."""

from locality.datasets._download import Download, RemoteFile
from locality.datasets._excerpt import ship_excerpt
from locality.datasets._files import find_file
from locality.datasets._source import Source, slug
from locality.datasets._spec import DATASETS, DatasetInfo, DatasetSpec, Split
from locality.registry import import_siblings

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
