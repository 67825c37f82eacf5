"""What is on the screen as a camera for other programs, by pyvirtualcam (an extra)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from shm_engine.errors import MattingError

if TYPE_CHECKING:
    from cli.camera.drawing import Picture


class VirtualCamera:
    """A camera of one size; MattingError if there can be none."""

    def __init__(self, size: tuple[int, int], fps: float) -> None:
        """size: width and height in pixels."""
        try:
            import pyvirtualcam
        except ImportError as error:
            raise MattingError(
                "--virtual-camera needs pyvirtualcam; pip install semantic-human-matting[camera]"
            ) from error
        self._size = size
        try:
            self._camera: Any = pyvirtualcam.Camera(*size, fps)
        except RuntimeError as error:
            raise MattingError(
                "there is no virtual camera to send to; install v4l2loopback (Linux) or OBS "
                "(Windows, macOS) first"
            ) from error

    @property
    def name(self) -> str:
        """As other programs list it."""
        return str(self._camera.device)

    def send(self, picture: Picture) -> None:
        """Show a picture [H, W, 3] RGB; one of another size is scaled. Does not wait."""
        import cv2

        if picture.shape[1::-1] != self._size:
            picture = cv2.resize(picture, self._size, interpolation=cv2.INTER_AREA)  # type: ignore[assignment]
        self._camera.send(picture)

    def close(self) -> None:
        """End it."""
        self._camera.close()
