"""What every plug-in declares of itself, and the lists of them by name."""

from locality.specs.outside import blame, load_plugins
from locality.specs.registry import Registry, import_siblings
from locality.specs.spec import Param, Spec, param

__all__ = ["Param", "Registry", "Spec", "blame", "import_siblings", "load_plugins", "param"]
