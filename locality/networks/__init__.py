"""Network plug-ins, one file each. `parts` holds what they share."""

from locality.networks.adapter.denoiser import AdaptedDenoiser, PythonSpec, adapt
from locality.networks.adapter.facts import Facts
from locality.networks.adapter.file import open_code
from locality.networks.adapter.weights import read_weights
from locality.networks.checkpoints.external import classed, load_checkpoint, read_checkpoint
from locality.networks.checkpoints.files import (
    MANIFEST,
    WEIGHTS,
    load_manifest,
    load_network,
    network_spec,
    read_tensors,
    save_network,
)
from locality.networks.checkpoints.opened import UNKNOWN
from locality.networks.checkpoints.steps import own_levels
from locality.networks.parts.spec import NETWORKS, NetworkDenoiser, NetworkSpec
from locality.networks.training.loop import HELD_OUT_SIGMA, Training
from locality.networks.training.machine import ALONE, Machine
from locality.networks.training.moments import of_training, read_moments
from locality.networks.training.plan import Budget, TrainSpec
from locality.networks.training.speed import parameter_count, training_speed
from locality.networks.training.state import STATE
from locality.specs import import_siblings
from locality.store.atomic import write_atomic

import_siblings(__name__, __path__)

__all__ = [
    "ALONE",
    "HELD_OUT_SIGMA",
    "MANIFEST",
    "NETWORKS",
    "STATE",
    "UNKNOWN",
    "WEIGHTS",
    "AdaptedDenoiser",
    "Budget",
    "Facts",
    "Machine",
    "NetworkDenoiser",
    "NetworkSpec",
    "PythonSpec",
    "TrainSpec",
    "Training",
    "adapt",
    "classed",
    "load_checkpoint",
    "load_manifest",
    "load_network",
    "network_spec",
    "of_training",
    "open_code",
    "own_levels",
    "parameter_count",
    "read_checkpoint",
    "read_moments",
    "read_tensors",
    "read_weights",
    "save_network",
    "training_speed",
    "write_atomic",
]
