"""A network of a test's own in the place of Inception."""

from __future__ import annotations

import hashlib
import io
import warnings
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from locality.features import INCEPTION_FILE, inception


def stand_in(net: torch.nn.Module, folder: Path, patch: pytest.MonkeyPatch) -> Path:
    """Its TorchScript file under Inception's name; the known digest is that of this file."""
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # torch calls TorchScript deprecated
        torch.jit.save(torch.jit.script(net), buffer)
    path, raw = folder / INCEPTION_FILE.name, buffer.getvalue()
    path.write_bytes(raw)
    known = replace(INCEPTION_FILE, size=len(raw), sha256=hashlib.sha256(raw).hexdigest())
    patch.setattr(inception, "INCEPTION_FILE", known)
    return path
