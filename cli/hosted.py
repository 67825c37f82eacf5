"""The program as a child of a host, `python -m cli.hosted`: ends as by Ctrl-C when the host closes
its stdin, or is gone. Knows no command.
"""

from __future__ import annotations

import os
import signal
import sys
import threading

from cli.entry import main


def _end_with_stdin() -> None:
    while os.read(0, 1024):
        pass
    if sys.platform == "win32":
        import _thread

        _thread.interrupt_main()
    else:
        # Unlike SIGINT never ignored by a process in the background, and it wakes who waits.
        os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    threading.Thread(target=_end_with_stdin, daemon=True).start()
    main()
