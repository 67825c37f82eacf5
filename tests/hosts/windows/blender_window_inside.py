"""Runs within Blender's program: does what it is told in files, one after the other, while its
window lives on. Knows no engine and judges nothing.

After `--`: a folder. `N.py` there is run, `N.json` says what it left in `told`, or its error.
"""

import json
import sys
import traceback
from pathlib import Path

import bpy

FOLDER = Path(sys.argv[sys.argv.index("--") + 1])
state = {"number": 0, "ticks": 0}


def step():
    state["ticks"] += 1
    number = state["number"]
    asked = FOLDER / f"{number}.py"
    if asked.exists():
        state["number"] += 1
        names = {"bpy": bpy, "ticks": state["ticks"], "told": None}
        try:
            exec(asked.read_text(), names)
            told = {"told": names["told"]}
        except Exception:  # noqa: BLE001 (the test reads it)
            told = {"error": traceback.format_exc()}
        partial = FOLDER / f"{number}.partial"
        partial.write_text(json.dumps(told))
        partial.rename(FOLDER / f"{number}.json")
    return 0.05


bpy.context.preferences.view.show_splash = False
bpy.app.timers.register(step, first_interval=1.0, persistent=True)
