"""Every error the project raises on purpose; knows nothing but a message, a path and a frame.

MattingError             the user can act on it; the message is one sentence that says how
├── OptionsError         an option has a value that cannot work (also a ValueError)
├── CheckpointError      a weights file is missing, damaged or of another kind
├── ImageFileError       a still picture cannot be read or written
├── VideoError           a movie cannot be read or written
├── ExportError          the network cannot be written in another form
└── DeviceError          the device that was asked for is not here or ran out of memory
"""

from __future__ import annotations

from pathlib import Path


class MattingError(Exception):
    """An error with one sentence for the user; `path` and `frame_index` say where, if known."""

    def __init__(
        self, message: str, *, path: Path | str | None = None, frame_index: int | None = None
    ) -> None:
        super().__init__(message)
        self.path = None if path is None else Path(path)
        self.frame_index = frame_index


class OptionsError(MattingError, ValueError):
    """An option has a value that cannot work."""


class CheckpointError(MattingError):
    """A weights file is missing, damaged or of another kind."""


class ImageFileError(MattingError):
    """A still picture cannot be read or written."""


class VideoError(MattingError):
    """A movie cannot be read or written."""


class ExportError(MattingError):
    """The network cannot be written in another form."""


class DeviceError(MattingError):
    """The device that was asked for is not here or ran out of memory."""
