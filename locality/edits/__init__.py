"""Edits of a dataset's statistics, one file each. `parts` holds what they share."""

from locality.edits.parts.chain import (
    Chain,
    chain_of,
    chain_text,
    check_chain,
    checked_chain,
    parse_chain,
    parse_edit,
)
from locality.edits.parts.masked import MaskedSpec
from locality.edits.parts.masks import draw_mask, mask_names, mask_text, picture_mask
from locality.edits.parts.planted import COLOURS, PlantedSpec
from locality.edits.parts.spec import EDITS, EditSpec, Stage
from locality.specs import import_siblings

import_siblings(__name__, __path__)

__all__ = [
    "COLOURS",
    "EDITS",
    "Chain",
    "EditSpec",
    "MaskedSpec",
    "PlantedSpec",
    "Stage",
    "chain_of",
    "chain_text",
    "check_chain",
    "checked_chain",
    "draw_mask",
    "mask_names",
    "mask_text",
    "parse_chain",
    "parse_edit",
    "picture_mask",
]
