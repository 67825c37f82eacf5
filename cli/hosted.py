"""The program as a child of a host, `python -m cli.hosted`: ends as by Ctrl-C when the host closes
its stdin, or is gone. Knows no command.
"""

from __future__ import annotations

import os
import signal
import sys
import threading

from cli.entry import main


def _take_stdin() -> int:
    """What was stdin, to wait for its end; stdin itself is empty from now on.

    On Windows whatever asks for the state of a stdin that is being read waits as well, for ever:
    `import numpy` does (numpy/numpy#24290).
    """
    own, empty = os.dup(0), os.open(os.devnull, os.O_RDONLY)
    os.dup2(empty, 0)
    os.close(empty)
    return own


def _end_with(host: int) -> None:
    while os.read(host, 1024):
        pass
    if sys.platform == "win32":
        import _thread

        _thread.interrupt_main()
    else:
        # Unlike SIGINT never ignored by a process in the background, and it wakes who waits.
        os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    threading.Thread(target=_end_with, args=(_take_stdin(),), daemon=True).start()
    main()
