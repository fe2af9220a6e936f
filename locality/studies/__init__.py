"""The verbs that pages and the command line call: names and specs in, results out, through the store.

Long verbs are generators of `Progress` that return their result; `finish` runs one to its end.
"""

from locality.fields.mass import mass_fractions_of_rows
from locality.studies.agreement.members import Untrained, find_members, untrained_twins
from locality.studies.agreement.plan import Agreement, AgreementPlan
from locality.studies.agreement.study import found_agreement, measure_agreement, ship_agreement
from locality.studies.benchmark import (
    PRESETS,
    Bench,
    BenchPlan,
    CellFinished,
    bench,
    expected_bench,
    found_bench,
    ship_bench,
    shipped_benches,
)
from locality.studies.catalogue import edit_list, model_list, network_list
from locality.studies.checkpoint.check import check_network_on
from locality.studies.costs.expected import Expected, expected_call, expected_sampling
from locality.studies.costs.plan import CostPlan, Costs
from locality.studies.costs.ship import ship_costs, shipped_costs
from locality.studies.costs.study import measure_costs
from locality.studies.edited import Overflow, overflow, trained_on_edit
from locality.studies.fields.draws import Draws, learned_field, pixel_field
from locality.studies.fields.running import RunningField
from locality.studies.fields.tables import learned_table, nearest_pixel, pixel_grid, predicted_table, table_row
from locality.studies.models import Model, find_model, fit_wiener, model_key, open_denoiser
from locality.studies.sampling.config import OwnSampling, Sampling, Stepped, Trajectory
from locality.studies.sampling.grids import Grid, make_grid, ship_grid, shipped_grid
from locality.studies.sampling.memorisation import Copies, memorisation
from locality.studies.sampling.nearest import nearest_training
from locality.studies.sampling.samples import denoise, found_samples, sample
from locality.studies.ship import ship_held_out, ship_learned_table, ship_model, ship_statistics
from locality.studies.sweep.participants import mask_of, pixels_along
from locality.studies.sweep.plan import PREDICTED, Sweep, SweepPlan
from locality.studies.sweep.ship import ship_sweep, shipped_sweeps
from locality.studies.sweep.study import planted_filter, run_sweep
from locality.studies.trained import (
    Trained,
    find_network,
    networks_for,
    read_named,
    read_trained,
    trained_networks,
)
from locality.studies.training.journal import read_log, read_progress
from locality.studies.training.preview import Preview, read_preview
from locality.studies.training.record import RecordingPlan, record, ship_recording
from locality.studies.training.recording import Recording, shipped_recordings
from locality.studies.training.train import PAPER_EPOCHS, join_training, sized, train_network
from locality.work import finish

__all__ = [
    "PAPER_EPOCHS",
    "PREDICTED",
    "PRESETS",
    "Agreement",
    "AgreementPlan",
    "Bench",
    "BenchPlan",
    "CellFinished",
    "Copies",
    "CostPlan",
    "Costs",
    "Draws",
    "Expected",
    "Grid",
    "Model",
    "Overflow",
    "OwnSampling",
    "Preview",
    "Recording",
    "RecordingPlan",
    "RunningField",
    "Sampling",
    "Stepped",
    "Sweep",
    "SweepPlan",
    "Trained",
    "Trajectory",
    "Untrained",
    "bench",
    "check_network_on",
    "denoise",
    "edit_list",
    "expected_bench",
    "expected_call",
    "expected_sampling",
    "find_members",
    "find_model",
    "find_network",
    "finish",
    "fit_wiener",
    "found_agreement",
    "found_bench",
    "found_samples",
    "join_training",
    "learned_field",
    "learned_table",
    "make_grid",
    "mask_of",
    "mass_fractions_of_rows",
    "measure_agreement",
    "measure_costs",
    "memorisation",
    "model_key",
    "model_list",
    "nearest_pixel",
    "nearest_training",
    "network_list",
    "networks_for",
    "open_denoiser",
    "overflow",
    "pixel_field",
    "pixel_grid",
    "pixels_along",
    "planted_filter",
    "predicted_table",
    "read_log",
    "read_named",
    "read_preview",
    "read_progress",
    "read_trained",
    "record",
    "run_sweep",
    "sample",
    "ship_agreement",
    "ship_bench",
    "ship_costs",
    "ship_grid",
    "ship_held_out",
    "ship_learned_table",
    "ship_model",
    "ship_recording",
    "ship_statistics",
    "ship_sweep",
    "shipped_benches",
    "shipped_costs",
    "shipped_grid",
    "shipped_recordings",
    "shipped_sweeps",
    "sized",
    "table_row",
    "train_network",
    "trained_networks",
    "trained_on_edit",
    "untrained_twins",
]
