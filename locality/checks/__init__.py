"""Contracts that every plug-in meets, whoever wrote it: call one of these from a test of your own.

    from locality.checks import check_denoiser

    def test_my_model():
        check_denoiser("my_model:window=3")

or, over all its examples, `python -m locality check denoiser my_model`. Each raises AssertionError with the name of
the contract, what it asks for and what was found instead. A spec that cannot meet one says so in its `exempt`, with
the reason; those it meets only roughly are in its `tolerance`.
"""

from typing import Any

import locality.checks.answers
import locality.checks.derivatives
import locality.checks.evidence
import locality.checks.progress
import locality.checks.refusals  # noqa: F401  all of these list contracts of denoisers
from locality.checks.datasets import DATASET_CHECKS, DatasetCase, check_dataset
from locality.checks.denoisers import DENOISER_CHECKS, DenoiserCase, check_denoiser
from locality.checks.edits import EDIT_CHECKS, EditCase, check_edit
from locality.checks.metrics import METRIC_CHECKS, MetricCase, check_metric
from locality.checks.named import Checks
from locality.checks.networks import NETWORK_CHECKS, NetworkCase, check_network
from locality.datasets import DATASETS
from locality.denoisers import DENOISERS
from locality.edits import EDITS
from locality.metrics import SCORES
from locality.networks import NETWORKS

# Kind of plug-in: its registry, its contracts, and what holds one to them.
CHECKS: dict[str, tuple[Any, Any, Any]] = {
    "denoiser": (DENOISERS, DENOISER_CHECKS, check_denoiser),
    "dataset": (DATASETS, DATASET_CHECKS, check_dataset),
    "edit": (EDITS, EDIT_CHECKS, check_edit),
    "network": (NETWORKS, NETWORK_CHECKS, check_network),
    "metric": (SCORES, METRIC_CHECKS, check_metric),
}

__all__ = [
    "CHECKS",
    "DATASET_CHECKS",
    "DENOISER_CHECKS",
    "EDIT_CHECKS",
    "METRIC_CHECKS",
    "NETWORK_CHECKS",
    "Checks",
    "DatasetCase",
    "DenoiserCase",
    "EditCase",
    "MetricCase",
    "NetworkCase",
    "check_dataset",
    "check_denoiser",
    "check_edit",
    "check_metric",
    "check_network",
]
