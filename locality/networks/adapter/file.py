"""A network or denoiser made by a function of a Python file: called once a process, tried, and described."""

from __future__ import annotations

import functools
import hashlib
import json
import sys
import threading
from collections.abc import Callable, Mapping
from contextlib import redirect_stdout
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from locality.errors import BadInput, LocalityError, TooLarge, UnknownName, first_line
from locality.grammar import read
from locality.networks.adapter.denoiser import (
    MAKING,
    AdaptedDenoiser,
    FunctionDenoiser,
    PythonSpec,
    image_shape,
)
from locality.networks.adapter.options import arguments_of
from locality.networks.checkpoints.opened import UNKNOWN
from locality.networks.parts.spec import NetworkDenoiser
from locality.specs import Code
from locality.specs.outside import function_of, line_in, source_digest

_CLASS = "class"  # no function can have an option of this name: it is the fact
_PROBES = (0.3, 1.0, 3.0)  # noise levels at which a function is told from another one


@dataclass(frozen=True, eq=False)
class Made:
    """What a function made, and a manifest of it in the form of those on disk."""

    denoiser: NetworkDenoiser
    manifest: dict[str, Any]


def open_code(code: Code) -> Made:
    """The network of a function, tried on noise; made once a process.

    Raises:
        BadInput: it may not be opened here, fails, or makes no network of images; says where and why.
        CheckpointMismatch, NonFinite: its weights do not fit, or hold NaN.
    """
    function = function_of(code)  # whoever asks must be allowed to, opened before or not
    with _MAKING_ONE:  # the folder beside which weights lie, and where it prints to, are the process's
        return _open_code(code, function)


_MAKING_ONE = threading.RLock()


@functools.lru_cache(maxsize=16)
def _open_code(code: Code, function: Callable[..., Any]) -> Made:
    options = read(f"{code.function}:{code.options}")[1] if code.options else {}
    asked = options.pop(_CLASS, None)
    arguments = arguments_of(code, function, options)
    denoiser = _as_denoiser(code, _guarded(code, "fails", lambda: _call(code, function, arguments)))
    if asked is not None:
        denoiser = _of_class(code, denoiser, asked)
    _guarded(code, f"does not run on {denoiser.shape} images", lambda: _try(denoiser))
    return Made(denoiser, _manifest(code, denoiser))


def _call(code: Code, function: Callable[..., Any], arguments: Mapping[str, Any]) -> Any:
    MAKING.append(code.path.parent)
    try:
        with torch.random.fork_rng(devices=[]), redirect_stdout(sys.stderr):
            torch.manual_seed(0)  # what it draws is the same each time
            return function(**arguments)
    finally:
        MAKING.pop()


def _guarded(code: Code, what: str, work: Callable[[], Any]) -> Any:
    """Whatever the user's code raises, as one message that names its line."""
    try:
        return work()
    except LocalityError as error:
        if isinstance(error, UnknownName | TooLarge):  # made of parts, not of a text
            raise
        raise type(error)(f"{code.short}: {error}") from error
    except (Exception, SystemExit) as error:
        raise BadInput(f"{code.short} {what}{line_in(error, code.path)}: {_said(error)}") from error


def _said(error: BaseException) -> str:
    text = " ".join(str(error).split())
    if "in loading state_dict" in text:  # torch lists every key; its first line says nothing
        return f"{text[:300]}{'...' if len(text) > 300 else ''}"
    if not torch.cuda.is_available() and any(word in text for word in ("CUDA", "NVIDIA", "cuda")):
        return (
            f"{first_line(error)}. It asks for a GPU, and there is none here: make the network on the CPU and read its "
            "weights with map_location='cpu'; --device moves it to a GPU where there is one."
        )
    return first_line(error)


def _as_denoiser(code: Code, made: Any) -> NetworkDenoiser:
    if isinstance(made, NetworkDenoiser):
        return made
    if isinstance(made, nn.Module) and not hasattr(made, "shape"):
        raise BadInput(
            f"{code.short} returns a bare network: what it takes and gives is not known. Return "
            "locality.networks.adapt(network, shape=(1, 28, 28), schedule=..., label=..., gives=...)."
        )
    if not callable(made):
        raise BadInput(
            f"{code.short} returns {type(made).__name__}: a denoiser (x, sigma) -> x0_hat with a shape, or "
            "locality.networks.adapt(network, ...), is needed."
        )
    if not hasattr(made, "shape"):
        raise BadInput(f"{code.short} returns a denoiser without its images' shape: set denoiser.shape = (1, 28, 28).")
    net = next((one for one in (made, getattr(made, "net", None)) if isinstance(one, nn.Module)), nn.Module())
    trained_on = str(getattr(made, "trained_on", UNKNOWN))
    return FunctionDenoiser(net.eval(), PythonSpec(), image_shape(made.shape), made, trained_on)


def _of_class(code: Code, denoiser: NetworkDenoiser, text: str) -> NetworkDenoiser:
    if not isinstance(denoiser, AdaptedDenoiser) or not text.isdecimal():
        raise BadInput(f"{code.short}: class={text} is for a network of classes, made by adapt(): give a number.")
    return denoiser.of_class(int(text))


def _try(denoiser: NetworkDenoiser) -> None:
    x = torch.randn(2, denoiser.shape.d, generator=torch.Generator().manual_seed(0))
    adapted = denoiser if isinstance(denoiser, AdaptedDenoiser) else None
    low, high = adapted.facts.range if adapted else _PROBES[::2]
    with torch.no_grad(), redirect_stdout(sys.stderr):
        first = denoiser(x, (low * high) ** 0.5)
        labels = [adapted.label(torch.full((2,), sigma)) for sigma in (low, high)] if adapted else []
        ends = " to ".join(f"{float(label[0]):g}" for label in labels if label is not None)
        try:
            told = [adapted.told(x, label) for label in labels] if adapted and ends else []
        except IndexError as error:
            raise BadInput(
                f"the network has no row for one of its labels, which run from {ends} ({first_line(error)}). "
                "Check steps and offset."
            ) from error
    if not bool(first.isfinite().all()):
        raise BadInput("it gives NaN or infinity for plain noise. Check its weights.")
    if told and torch.equal(*told):
        what = "nothing but zeros" if not bool(told[0].any()) else "the same at every noise level"
        raise BadInput(
            f"the network gives {what}, whatever its label. Are its weights loaded? One that is not told the noise is "
            "stated as schedule='blind', label='none', sigma_range=(low, high)."
        )


def _manifest(code: Code, denoiser: NetworkDenoiser) -> dict[str, Any]:
    adapted = denoiser if isinstance(denoiser, AdaptedDenoiser) else None
    about = {
        "source": source_digest(code),
        "options": code.options,
        "shape": list(denoiser.shape),
        "facts": adapted.facts.key() if adapted else _behaviour(denoiser),
        "weights": state_digest(denoiser.net),
    }
    low, high = adapted.facts.range if adapted else (None, None)
    trained_on = denoiser.trained_on if isinstance(denoiser, AdaptedDenoiser | FunctionDenoiser) else UNKNOWN
    return {
        "format": "python",
        "network": {"name": PythonSpec.name, "kind": code.short, "function": code.function, "options": code.options},
        "shape": list(denoiser.shape),
        "parameters": sum(weight.numel() for weight in denoiser.net.parameters()),
        "sha256": hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest(),
        "dataset": trained_on,
        "error_ratio": {},
        "sigma_range": [low, high] if adapted else None,
        "timesteps": len(adapted.facts.timeline.ln_sigmas) if adapted and adapted.facts.timeline else None,
    }


def state_digest(net: nn.Module) -> str:
    """SHA-256 of a network's weights and buffers, by name."""
    digest = hashlib.sha256()
    for name, tensor in sorted(net.state_dict().items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def _behaviour(denoiser: NetworkDenoiser) -> list[str]:
    """A few sums of its estimates, coarsely: what a function read from other files shows nowhere else."""
    generator = torch.Generator().manual_seed(0)
    x, weights = (
        torch.randn(2, denoiser.shape.d, generator=generator),
        torch.rand(denoiser.shape.d, generator=generator),
    )
    with torch.no_grad(), redirect_stdout(sys.stderr):
        sums = [denoiser(x, sigma) @ weights for sigma in _PROBES]
    return [f"{float(one):.3e}" for each in sums for one in each]
