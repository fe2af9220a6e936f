"""Contracts that every plug-in meets, whoever wrote it: call one of these from a test of your own.

    from locality.checks import check_denoiser

    def test_my_model():
        check_denoiser("my_model:window=3")

Each raises AssertionError with the name of the contract, what it asks for and what was found instead. A spec that
cannot meet one says so in its `exempt`, with the reason; those it meets only roughly are in its `tolerance`.
"""

import locality.checks.evidence
import locality.checks.progress  # noqa: F401  both list contracts of denoisers
from locality.checks.datasets import DATASET_CHECKS, DatasetCase, check_dataset
from locality.checks.denoisers import DENOISER_CHECKS, DenoiserCase, check_denoiser
from locality.checks.edits import EDIT_CHECKS, EditCase, check_edit
from locality.checks.metrics import METRIC_CHECKS, MetricCase, check_metric
from locality.checks.named import Checks
from locality.checks.networks import NETWORK_CHECKS, NetworkCase, check_network

__all__ = [
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
