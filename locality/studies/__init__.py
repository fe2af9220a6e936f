"""The verbs that pages and the command line call: names and specs in, results out, through the store.

Long verbs are generators of `Progress` that return their result; `finish` runs one to its end.
"""

from locality.metrics import COPY
from locality.studies._agreement import agreement, found_agreement, ship_agreement
from locality.studies._agreement_plan import Agreement, AgreementPlan, Explained
from locality.studies._catalogue import edit_list, model_list
from locality.studies._costs import costs
from locality.studies._costs_plan import CostPlan, Costs
from locality.studies._costs_ship import ship_costs, shipped_costs
from locality.studies._edited import Overflow, overflow, trained_on_edit
from locality.studies._fields import Draws, learned_field, pixel_field
from locality.studies._finish import finish
from locality.studies._journal import read_log, read_progress
from locality.studies._likeness import Likeness
from locality.studies._masses import QUANTITIES, Masses, masses_of_rows
from locality.studies._members import Untrained, find_members, untrained_twins
from locality.studies._memorisation import Copies, Memorisation, memorisation
from locality.studies._models import (
    Model,
    Trained,
    find_model,
    find_network,
    fit_wiener,
    model_key,
    open_denoiser,
    read_trained,
    trained_networks,
)
from locality.studies._nearest import nearest_training
from locality.studies._preview import Frame, Preview, read_preview
from locality.studies._samples import denoise, found_samples, sample
from locality.studies._sampling import Sampling, Stepped, Trajectory
from locality.studies._ship import ship_held_out, ship_learned_table, ship_model, ship_statistics
from locality.studies._sweep import at_strength, mask_of, part_takers, pixels_along, planted_filter, sweep
from locality.studies._sweep_plan import PREDICTED, Sweep, SweepPlan
from locality.studies._sweep_ship import ship_sweep, shipped_sweeps
from locality.studies._tables import (
    learned_key,
    learned_table,
    make_learned_table,
    pixel_grid,
    predicted_table,
    table_row,
)
from locality.studies._train import judge, train_network
from locality.studies.benchmark import (
    PRESETS,
    Bench,
    BenchPlan,
    CellFinished,
    bench,
    found_bench,
    ship_bench,
    shipped_benches,
)

__all__ = [
    "COPY",
    "PREDICTED",
    "PRESETS",
    "QUANTITIES",
    "Agreement",
    "AgreementPlan",
    "Bench",
    "BenchPlan",
    "CellFinished",
    "Copies",
    "CostPlan",
    "Costs",
    "Draws",
    "Explained",
    "Frame",
    "Likeness",
    "Masses",
    "Memorisation",
    "Model",
    "Overflow",
    "Preview",
    "Sampling",
    "Stepped",
    "Sweep",
    "SweepPlan",
    "Trained",
    "Trajectory",
    "Untrained",
    "agreement",
    "at_strength",
    "bench",
    "costs",
    "denoise",
    "edit_list",
    "find_members",
    "find_model",
    "find_network",
    "finish",
    "fit_wiener",
    "found_agreement",
    "found_bench",
    "found_samples",
    "judge",
    "learned_field",
    "learned_key",
    "learned_table",
    "make_learned_table",
    "mask_of",
    "masses_of_rows",
    "memorisation",
    "model_key",
    "model_list",
    "nearest_training",
    "open_denoiser",
    "overflow",
    "part_takers",
    "pixel_field",
    "pixel_grid",
    "pixels_along",
    "planted_filter",
    "predicted_table",
    "read_log",
    "read_preview",
    "read_progress",
    "read_trained",
    "sample",
    "ship_agreement",
    "ship_bench",
    "ship_costs",
    "ship_held_out",
    "ship_learned_table",
    "ship_model",
    "ship_statistics",
    "ship_sweep",
    "shipped_benches",
    "shipped_costs",
    "shipped_sweeps",
    "sweep",
    "table_row",
    "train_network",
    "trained_networks",
    "trained_on_edit",
    "untrained_twins",
]
