"""The sections of the Data page, top to bottom."""

from pages._ui.data.address import read_address
from pages._ui.data.averages import averages
from pages._ui.data.components import components
from pages._ui.data.export import export
from pages._ui.data.notes import notes
from pages._ui.data.reading import reading
from pages._ui.data.samples import samples
from pages._ui.data.structure import structure
from pages._ui.data.summary import summary

__all__ = [
    "averages",
    "components",
    "export",
    "notes",
    "read_address",
    "reading",
    "samples",
    "structure",
    "summary",
]
