"""What every plug-in declares of itself, and the lists of them by name."""

from locality.specs.code import Code, code_of
from locality.specs.outside import allow_files, blame, load_plugins, named_codes
from locality.specs.registry import Registry, import_siblings
from locality.specs.spec import Param, Spec, param

__all__ = [
    "Code",
    "Param",
    "Registry",
    "Spec",
    "allow_files",
    "blame",
    "code_of",
    "import_siblings",
    "load_plugins",
    "named_codes",
    "param",
]
