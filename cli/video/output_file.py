"""A file that a muxer can write to, and that remembers what went wrong; knows no codec library."""

from __future__ import annotations

import io
from pathlib import Path


class OutputFile:
    """A new file at `path` for FFmpeg to write to.

    It never raises into FFmpeg: an error there cannot pass C code without a trace on the user's
    terminal, and a file opened by PyAV itself stays open for good when its first write fails.
    The first error is kept instead, what follows it is not written, and `check` raises it.
    """

    def __init__(self, path: Path) -> None:
        self.name = str(path)
        # Unbuffered: FFmpeg has a buffer, and a late flush would fail where nobody looks.
        self._file = io.FileIO(path, "wb")
        self._error: OSError | None = None

    def write(self, data: bytes) -> int:
        """Write all of `data`, or remember why not."""
        rest = memoryview(data)
        while rest and self._error is None:
            try:
                rest = rest[self._file.write(rest) :]
            except OSError as error:
                self._error = error
        return len(data)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move to a position."""
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        """The position."""
        return self._file.tell()

    def check(self) -> None:
        """Raise the first error, if there was one."""
        if self._error is not None:
            raise self._error

    def close(self) -> None:
        """Close the file; some network disks report a failed write only now."""
        self._file.close()
