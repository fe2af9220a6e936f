"""Results kept by content: shipped with the repository, or in this machine's cache."""

from locality.store.artifact import Artifact, Shipment, digest
from locality.store.store import Store, default_store

__all__ = ["Artifact", "Shipment", "Store", "default_store", "digest"]
