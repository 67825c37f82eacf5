"""Qt as Krita itself has it: version 5 or 6.

Knows no Krita and no widget of ours. Only names that are the same in both are used.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Any

# The other one may be installed here as well, and would end Krita; its own is loaded long since.
_BINDING = "PyQt6" if "PyQt6.QtCore" in sys.modules else "PyQt5"

QtCore: Any = import_module(f"{_BINDING}.QtCore")
QtWidgets: Any = import_module(f"{_BINDING}.QtWidgets")
