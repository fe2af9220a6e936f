"""The verbs that pages and the command line call: names and specs in, results out, through the store.

Long verbs are generators of `Progress` that return their result; `finish` runs one to its end.
"""

from locality.studies._fields import Draws, learned_field, pixel_field
from locality.studies._finish import finish
from locality.studies._models import Trained, find_network, fit_wiener, open_denoiser, trained_networks
from locality.studies._ship import ship_learned_table, ship_statistics
from locality.studies._tables import learned_key, learned_table, make_learned_table, predicted_table, table_row
from locality.studies._train import judge, train_network

__all__ = [
    "Draws",
    "Trained",
    "find_network",
    "finish",
    "fit_wiener",
    "judge",
    "learned_field",
    "learned_key",
    "learned_table",
    "make_learned_table",
    "open_denoiser",
    "pixel_field",
    "predicted_table",
    "ship_learned_table",
    "ship_statistics",
    "table_row",
    "train_network",
    "trained_networks",
]
