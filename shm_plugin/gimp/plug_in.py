"""The plug-in as GIMP sees it: its place in the menus, its arguments, and what a call returns.

Knows no pixels. What the work needs is imported where it begins: whatever may be missing then, the
menu entry is there and says so.
"""

from __future__ import annotations

import sys
from typing import Any

from gi.repository import Gegl, Gimp, GLib, GObject

from .choices import CHOICES, NAMES, Wishes

PROCEDURE = "plug-in-human-matte"
_MENU = "<Image>/Layer/Transparency"


class HumanMatte(Gimp.PlugIn):  # type: ignore[misc]  # gi has no types
    """What GIMP asks of a plug-in."""

    def do_set_i18n(self, _: str) -> bool:
        """There are no translations."""
        return False

    def do_query_procedures(self) -> list[str]:
        """What there is."""
        return [PROCEDURE]

    def do_create_procedure(self, name: str) -> Any:
        """How it is called."""
        procedure = Gimp.ImageProcedure.new(self, name, Gimp.PDBProcType.PLUGIN, _run, None)
        procedure.set_image_types("*")
        sensitivity = Gimp.ProcedureSensitivityMask
        procedure.set_sensitivity_mask(sensitivity.DRAWABLE | sensitivity.DRAWABLES)
        procedure.set_menu_label("Human _Matte...")
        procedure.set_icon_name("gimp-layer-mask")
        procedure.add_menu_path(_MENU)
        procedure.set_documentation(
            "Cut people out: make the background behind them transparent",
            "Finds people, their hair too, in the selected layers. The result is a layer mask, a "
            "new layer without the background, or a trimap.",
            None,
        )
        procedure.set_attribution("Human Matte", "Apache-2.0", "2026")
        _add_arguments(procedure)
        return procedure


def _add_arguments(procedure: Any) -> None:
    flags = GObject.ParamFlags.READWRITE
    for choice in CHOICES:
        values = Gimp.Choice.new()
        for number, option in enumerate(choice.options):
            values.add(option.name, number, option.label, option.help)
        procedure.add_choice_argument(
            choice.name, choice.label, choice.help, values, choice.default, flags
        )
    procedure.add_file_argument(
        "engine",
        "_Engine (if not found)",
        "The program shm-matte, or scripts/matte of the folder it was unpacked in; where none is "
        "chosen, it is looked for",
        Gimp.FileChooserAction.OPEN,
        True,
        None,
        flags,
    )


def _run(
    procedure: Any, run_mode: Any, image: Any, drawables: list[Any], config: Any, _: Any
) -> Any:
    """One call. A sentence that GIMP shows says why it did not work."""
    status = Gimp.PDBStatusType
    try:
        if run_mode == Gimp.RunMode.INTERACTIVE:
            from .dialog import agree

            if not agree(procedure, config):
                return procedure.new_return_values(status.CANCEL, GLib.Error())
        sentence = _work(image, drawables, wishes_of(config))
    except (ImportError, SyntaxError) as error:
        sentence = f"This plug-in is damaged or incomplete; install it anew ({error})."
    if sentence:
        return procedure.new_return_values(status.EXECUTION_ERROR, GLib.Error(sentence))
    return procedure.new_return_values(status.SUCCESS, GLib.Error())


def wishes_of(config: Any) -> Wishes:
    """What the arguments say."""
    said = {name: config.get_property(name) for name in NAMES}
    engine = said.pop("engine")
    return Wishes(engine=(engine and engine.get_path()) or "", **said)


def _work(image: Any, drawables: list[Any], wishes: Wishes) -> str:
    """Does it; "", or why it cannot be done."""
    from ..finding import WorkerError
    from .asking import ask_all
    from .results import UnfitError, fit, place

    Gegl.init(None)
    try:
        layers = fit(image, drawables, wishes)
        place(image, layers, ask_all(image, layers, wishes), wishes)
    except (UnfitError, WorkerError) as error:
        return str(error)
    return ""


def main() -> None:
    """Answers GIMP, which started this process."""
    Gimp.main(HumanMatte.__gtype__, sys.argv)
