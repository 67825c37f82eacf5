"""A plug-in of Krita that answers its tester: where something is on the screen, and what the
document is like. It changes nothing.

Questions are files *.ask in $SHM_QUESTIONS; the answer to each is a file *.told beside it.
"""

import json
import os
from pathlib import Path

from krita import Extension, Krita
from PyQt5.QtCore import QTimer
from PyQt5.QtWidgets import QAbstractButton, QApplication, QLabel, QMenu, QMenuBar

FOLDER = Path(os.environ["SHM_QUESTIONS"])


def seen(kind):
    """The widgets of a kind that are on the screen."""
    return [
        each for each in QApplication.allWidgets() if isinstance(each, kind) and each.isVisible()
    ]


def plain(text):
    """Without the mark of the key that chooses it."""
    return text.replace("&", "")


def where(text):
    """The middle of the button or of the entry of a menu with that text, or None."""
    for menu in [*seen(QMenuBar), *seen(QMenu)]:
        for action in menu.actions():
            if plain(action.text()) == text and menu.actionGeometry(action).isValid():
                place = menu.mapToGlobal(menu.actionGeometry(action).center())
                return [place.x(), place.y()]
    for button in seen(QAbstractButton):
        if plain(button.text()) == text and button.isEnabled():
            place = button.mapToGlobal(button.rect().center())
            return [place.x(), place.y()]
    return None


def state():
    """What the document is like, and what there is to read."""
    document = Krita.instance().activeDocument()
    if document is None:
        return None
    masks = []
    for layer in document.topLevelNodes():
        for mask in layer.childNodes():
            bounds = (0, 0, document.width(), document.height())
            masks.append([mask.name(), list(bytes(mask.pixelData(*bounds)))])
    return {
        "is_modified": document.modified(),
        "masks": masks,
        "labels": [each.text() for each in seen(QLabel)],
        "window": int(Krita.instance().activeWindow().qwindow().winId()),
    }


def answer():
    """All questions that are there."""
    for asked in sorted(FOLDER.glob("*.ask")):
        question = json.loads(asked.read_text())
        asked.unlink()
        said = where(question["text"]) if question["do"] == "where" else state()
        partial = asked.with_suffix(".writing")
        partial.write_text(json.dumps(said))
        partial.rename(asked.with_suffix(".told"))


class Inside(Extension):
    """What Krita asks of a plug-in."""

    def setup(self):
        self.timer = QTimer()
        self.timer.timeout.connect(answer)
        self.timer.start(50)

    def createActions(self, window):  # noqa: N802 (Krita's)
        pass


Krita.instance().addExtension(Inside(Krita.instance()))
