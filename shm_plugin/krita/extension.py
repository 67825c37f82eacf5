"""Human Matte as Krita sees it: its place in the menus, and one run from click to mask.

Knows no pixels. What the work needs is imported where it begins: whatever may be missing then, the
menu entry is there and says so.
"""

from __future__ import annotations

from typing import Any

from krita import Extension, Krita

from .qt import QtCore, QtWidgets


class HumanMatte(Extension):  # type: ignore[misc]  # krita has no types
    """What Krita asks of a plug-in."""

    _dialog: Any = None

    def setup(self) -> None:
        """Nothing is done before somebody asks for it."""

    def createActions(self, window: Any) -> None:  # noqa: N802 (Krita's)
        """The menu entry of a window."""
        action = window.createAction("human_matte", "Human Matte...", "tools/scripts")
        action.triggered.connect(lambda *_: self._open())

    def _open(self) -> None:
        krita = Krita.instance()
        # The one of `createActions` does not live as long as its menu.
        parent = krita.activeWindow().qwindow()
        try:
            from .run import open_dialog
        except (ImportError, SyntaxError) as error:
            sentence = f"This plug-in is damaged or incomplete; install it anew ({error})."
            QtWidgets.QMessageBox.warning(parent, "Human Matte", sentence)
            return
        # Kept, because Qt does not keep what belongs to Python.
        self._dialog = dialog = open_dialog(krita.activeDocument(), parent)
        if dialog is not None:
            # Later, because in Qt 5 the window tells first that it is left, then how.
            dialog.window.finished.connect(lambda *_: QtCore.QTimer.singleShot(0, self._forget))

    def _forget(self) -> None:
        """Of a window that was left nothing stays: the picture is large."""
        if self._dialog is not None:
            self._dialog.window.deleteLater()
        self._dialog = None
