"""One run of Human Matte: from the active layer by way of the dialog to the mask.

Knows no pixels, no widget and no socket.
"""

from __future__ import annotations

from typing import Any

from krita import Krita

from .choices import remember, remembered
from .dialog import Dialog, complain
from .layers import UnfitError, place, read


def open_dialog(document: Any, parent: Any = None, node: Any = None) -> Dialog | None:
    """The window for the node, else the active one of the document; None, and a sentence to the
    user, where there is nothing to matte."""
    krita = Krita.instance()
    if node is None and document is not None:
        node = document.activeNode()
    try:
        target = read(document, node)
    except UnfitError as error:
        complain(parent, str(error))
        return None
    dialog = Dialog(
        target.picture,
        remembered(krita.readSetting),
        agreed=lambda wishes: remember(wishes, krita.writeSetting),
        finished=lambda mask: place(target, mask),
        parent=parent,
    )
    dialog.show()
    return dialog
