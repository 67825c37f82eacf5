"""The window of Human Matte in Krita: what is wanted, then how far it is, and Cancel.

Knows no layer, and of the engine that it is asked. Krita's own window waits behind it, so that the
layer stays what it was; it goes on being drawn.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ..choices import DEVICE_HELP, DEVICES, QUALITIES, QUALITY_HELP, Option
from ..client import Cancelled, WorkerError
from ..jobs import Work
from .asking import masking
from .choices import Wishes
from .pixels import Picture
from .qt import QtCore, QtWidgets

_TITLE = "Human Matte"
_TICK_MILLISECONDS = 50
_STEPS = 1000


class Dialog:
    """One run. `show` returns at once; `agreed` gets the wishes when the work begins, `finished`
    the mask when it is done, and nothing where the user has had enough."""

    def __init__(
        self,
        picture: Picture,
        wishes: Wishes,
        *,
        agreed: Callable[[Wishes], object],
        finished: Callable[[bytes], object],
        parent: Any = None,
    ) -> None:
        self._picture, self._agreed, self._finished = picture, agreed, finished
        self._work: Work[bytes] | None = None
        self.window = QtWidgets.QDialog(parent)
        self.window.setWindowTitle(_TITLE)
        self.window.setWindowModality(QtCore.Qt.WindowModality.ApplicationModal)
        self.window.rejected.connect(self._leave)
        self._make_form(wishes)
        self._make_foot()
        self._timer = QtCore.QTimer(self.window)
        self._timer.setInterval(_TICK_MILLISECONDS)
        self._timer.timeout.connect(self._tick)

    def show(self) -> None:
        """Opens the window."""
        self._is_working(False)
        self.window.show()

    def _make_form(self, wishes: Wishes) -> None:
        self.form = QtWidgets.QWidget()
        rows = QtWidgets.QFormLayout(self.form)
        rows.setContentsMargins(0, 0, 0, 0)
        self.quality = _choice(QUALITIES, wishes.quality)
        self.quality.setToolTip(QUALITY_HELP)
        self.device = _choice(DEVICES, wishes.device)
        self.device.setToolTip(DEVICE_HELP)
        self.engine = QtWidgets.QLineEdit(wishes.engine)
        self.engine.setPlaceholderText("looked for")
        self.engine.setToolTip(
            "The program shm-matte, or the folder it was installed from; where it is empty, it is "
            "looked for"
        )
        browse = QtWidgets.QPushButton("...")
        # Else it would be what the Enter key does.
        browse.setAutoDefault(False)
        browse.clicked.connect(self._browse)
        line = QtWidgets.QHBoxLayout()
        line.addWidget(self.engine, 1)
        line.addWidget(browse)
        rows.addRow("Quality:", self.quality)
        rows.addRow("Device:", self.device)
        rows.addRow("Engine:", line)

    def _make_foot(self) -> None:
        self.bar = QtWidgets.QProgressBar()
        self.bar.setRange(0, _STEPS)
        self.bar.setTextVisible(False)
        self.words = QtWidgets.QLabel("A transparency mask on the layer; its pixels stay.")
        buttons = QtWidgets.QDialogButtonBox(QtWidgets.QDialogButtonBox.StandardButton.Cancel)
        self.go = buttons.addButton("Cut Out", QtWidgets.QDialogButtonBox.ButtonRole.ActionRole)
        self.go.clicked.connect(self._begin)
        buttons.rejected.connect(self.window.reject)
        column = QtWidgets.QVBoxLayout(self.window)
        for widget in (self.form, self.words, self.bar, buttons):
            column.addWidget(widget)
        self.window.setMinimumWidth(420)

    def _browse(self) -> None:
        name, _ = QtWidgets.QFileDialog.getOpenFileName(
            self.window, "The program shm-matte, or scripts/matte"
        )
        if name:
            self.engine.setText(name)

    def _begin(self) -> None:
        wishes = Wishes(
            quality=self.quality.currentData(),
            device=self.device.currentData(),
            engine=self.engine.text().strip(),
        )
        self._agreed(wishes)
        self._is_working(True)
        self._work = Work(masking(self._picture, wishes))
        self._timer.start()
        self._tick()

    def _is_working(self, working: bool) -> None:
        self.form.setEnabled(not working)
        self.go.setEnabled(not working)
        self.go.setDefault(not working)
        if not working:
            self.go.setFocus()

    def _tick(self) -> None:
        work = self._work
        if work is None:
            return
        self.bar.setValue(round(_STEPS * work.tell.share))
        self.words.setText(work.tell.text)
        if not work.is_done:
            return
        self._timer.stop()
        self._work = None
        try:
            mask = work.result()
        except WorkerError as error:
            self._failed(error)
        else:
            self._finished(mask)
            self.window.accept()

    def _failed(self, error: WorkerError) -> None:
        """The window stays, because what is wrong may be in it."""
        self._is_working(False)
        self.bar.setValue(0)
        self.words.setText("")
        if not isinstance(error, Cancelled):
            complain(self.window, str(error))

    def _leave(self) -> None:
        self._timer.stop()
        if self._work is not None:
            self._work.tell.stop()
        self._work = None


def _choice(options: Sequence[Option], chosen: str) -> Any:
    box = QtWidgets.QComboBox()
    for option in options:
        box.addItem(option.label, option.name)
    box.setCurrentIndex(box.findData(chosen))
    return box


def complain(parent: Any, sentence: str) -> None:
    """Says why it does not work."""
    QtWidgets.QMessageBox.warning(parent, _TITLE, sentence)
