"""The program's first statements: imports the door so that Ctrl-C meanwhile is no traceback.

Imports nothing else before: whatever comes first here is out of the reach of the `try`.
"""

import sys


def main() -> None:
    """Run shm-matte and exit."""
    try:
        from cli.main import main as door

        door()
    except KeyboardInterrupt:
        if sys.stderr is not None:
            sys.stderr.write("shm-matte: interrupted\n")
        sys.exit(130)
