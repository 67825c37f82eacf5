"""Runs within Krita's own Python: makes documents as cases describe them, calls the plug-in as its
menu entry does, and writes down what they are like before and after. Knows no engine and judges
nothing.

$SHM_CASES names the JSON file of the cases; `krita.py` of the tests writes it.
"""

import json
import os
import sys
import time
import traceback
from pathlib import Path

from krita import InfoObject, Krita, Selection
from PyQt5.QtCore import QByteArray
from PyQt5.QtWidgets import QApplication, QMessageBox

JOB = Path(os.environ["SHM_CASES"])
SRGB = ("RGBA", "U8", "sRGB-elle-V2-srgbtrc.icc")


def make_document(case):
    """The document of a case, and the node that the plug-in is called with."""
    document = Krita.instance().createDocument(*case["canvas"], case["name"], *SRGB, 72.0)
    document.setBatchmode(True)
    layer = document.createNode("picture", "paintlayer")
    document.rootNode().addChildNode(layer, None)
    raw = (JOB.parent / case["picture"]).read_bytes()
    layer.setPixelData(QByteArray(raw), *case["offset"], *case["size"])
    if case["space"] != list(SRGB):
        document.setColorSpace(*case["space"])
    if case["selection"]:
        selection = Selection()
        left, top, width, height, value = case["selection"]
        selection.select(left, top, width, height, value)
        document.setSelection(selection)
    document.waitForDone()
    return document, layer, pick(document, layer, case["pick"])


def pick(document, layer, what):
    """The node that the plug-in is called with."""
    if what == "mask":
        mask = document.createTransparencyMask("another")
        layer.addChildNode(mask, None)
        return mask
    if what == "group":
        group = document.createGroupLayer("group")
        document.rootNode().addChildNode(group, None)
        layer.remove()
        group.addChildNode(layer, None)
        document.refreshProjection()
        document.waitForDone()
        return group
    if what == "empty":
        empty = document.createNode("nothing", "paintlayer")
        document.rootNode().addChildNode(empty, None)
        return empty
    if what == "filter":
        shade = document.createFilterLayer("shade", Krita.instance().filter("invert"), Selection())
        document.rootNode().addChildNode(shade, None)
        return shade
    return layer


def masks_of(node, area, stem):
    """Its masks: names, and values as files."""
    names = []
    for child in node.childNodes():
        if child.type() != "transparencymask":
            continue
        names.append(child.name())
        values = bytes(child.pixelData(*area))
        stem.with_suffix(f".{child.name().replace(' ', '-')}.mask").write_bytes(values)
    return names


def run(case):
    """A case, from its document to what became of it."""
    from human_matte.shm_plugin.krita import choices
    from human_matte.shm_plugin.krita import run as ours

    if case["engine"]:
        # Where no living one is found.
        os.environ["SHM_MATTE_RUNTIME"] = str(JOB.parent / "nobody")
    document, layer, node = make_document(case)
    wishes = choices.Wishes(engine=case["engine"], quality=case["quality"], device="cpu")
    choices.remember(wishes, Krita.instance().writeSetting)
    stem = JOB.parent / case["name"].replace(" ", "-")
    bounds = layer.bounds()
    area = bounds.x(), bounds.y(), bounds.width(), bounds.height()
    before = bytes(layer.pixelData(*area))
    stem.with_suffix(".raw").write_bytes(before)
    said, texts = [], set()
    QMessageBox.warning = lambda *shown: said.append(shown[-1])
    begun = time.monotonic()
    for _ in range(case["times"]):
        dialog = ours.open_dialog(document, None, node)
        if dialog is not None:
            dialog.go.click()
            while dialog.window.isVisible() and not said:
                QApplication.processEvents()
                texts.add(dialog.words.text())
                time.sleep(0.01)
            dialog.window.reject()
    document.waitForDone()
    owner = node.parentNode() if case["pick"] == "mask" else node
    result = {
        "sentences": said,
        "texts": sorted(texts),
        "seconds": time.monotonic() - begun,
        "area": area,
        "is_unchanged": bytes(layer.pixelData(*area)) == before,
        "masks": masks_of(owner, area, stem),
        "documents": len(Krita.instance().documents()),
    }
    assert document.exportImage(str(stem.with_suffix(".png")), InfoObject())
    document.setModified(False)
    document.close()
    return result


def main(_=None):
    """Called by kritarunner, which hides what is raised."""
    try:
        sys.path.insert(0, os.environ["SHM_PLUG_INS"])
        Krita.instance().setBatchmode(True)
        import human_matte  # registers itself, as in Krita

        results = {case["name"]: run(case) for case in json.loads(JOB.read_text())}
        results["qt"] = human_matte.shm_plugin.krita.qt.QtCore.__name__
        (JOB.parent / "results.json").write_text(json.dumps(results))
    except BaseException:
        traceback.print_exc()
        raise
