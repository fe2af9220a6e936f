"""Network plug-ins, one file each. A file with a leading underscore is a shared part."""

from locality.networks._checkpoint import (
    MANIFEST,
    WEIGHTS,
    load_manifest,
    load_network,
    load_weights,
    network_spec,
    read_tensors,
    save_network,
    write_atomic,
)
from locality.networks._foreign import load_checkpoint, read_checkpoint
from locality.networks._moments import read_moments
from locality.networks._plan import Budget, TrainSpec
from locality.networks._spec import NETWORKS, NetworkDenoiser, NetworkSpec
from locality.networks._speed import parameter_count, training_speed
from locality.networks._state import STATE
from locality.networks._training import HELD_OUT_SIGMA, Training
from locality.registry import import_siblings

import_siblings(__name__, __path__)

__all__ = [
    "HELD_OUT_SIGMA",
    "MANIFEST",
    "NETWORKS",
    "STATE",
    "WEIGHTS",
    "Budget",
    "NetworkDenoiser",
    "NetworkSpec",
    "TrainSpec",
    "Training",
    "load_checkpoint",
    "load_manifest",
    "load_network",
    "load_weights",
    "network_spec",
    "parameter_count",
    "read_checkpoint",
    "read_moments",
    "read_tensors",
    "save_network",
    "training_speed",
    "write_atomic",
]
