"""A picture to the engine and its mask back, in a thread of its own: Krita's window lives on.

Knows no Krita and no window. Changes no document.
"""

from __future__ import annotations

import threading
from contextlib import closing, suppress

from ..client import Cancelled, Client, Preferences, WorkerError, connect
from ..messages import MatteReply, MatteRequest
from . import pixels
from .choices import SIZES, Wishes
from .pixels import Picture


class Asking:
    """A picture under way. share: how much is done, in [0, 1]; text: the same in words."""

    def __init__(self, picture: Picture, wishes: Wishes) -> None:
        self.share, self.text = 0.0, "starting"
        self._picture, self._wishes = picture, wishes
        self._stopped = threading.Event()
        self._client: Client | None = None
        self._mask = b""
        self._error: BaseException | None = None
        # A daemon: Krita does not wait for it when it is closed.
        self._thread = threading.Thread(target=self._run, name="Human Matte", daemon=True)
        self._thread.start()

    @property
    def is_done(self) -> bool:
        return not self._thread.is_alive()

    def stop(self) -> None:
        """Nobody wants the mask any more; returns at once."""
        self._stopped.set()
        # The client may be busy with sending the picture.
        threading.Thread(target=self._cancel, daemon=True).start()

    def mask(self) -> bytes:
        """A byte a pixel, once it is done; raises WorkerError, of which Cancelled after `stop`."""
        self._thread.join()
        if self._error is not None:
            raise self._error
        return self._mask

    def _cancel(self) -> None:
        client = self._client
        if client is not None:
            # The engine may have left by itself.
            with suppress(WorkerError):
                client.cancel()

    def _run(self) -> None:
        try:
            self._mask = self._ask()
        except BaseException as error:  # noqa: BLE001 (raised again in `mask`)
            self._error = error

    def _ask(self) -> bytes:
        preferences = Preferences(engine=self._wishes.engine)
        with closing(connect(preferences, told=lambda words: self._tell(0, words))) as client:
            self._client = client
            for item in client.matte(self._request()):
                if isinstance(item, MatteReply):
                    return pixels.mask(self._picture, item.alpha)
                self._tell(item.share, item.text)
        raise WorkerError("The engine did not answer; try again.")

    def _request(self) -> MatteRequest:
        picture, wishes = self._picture, self._wishes
        return MatteRequest(
            width=picture.width,
            height=picture.height,
            dtype=picture.form.dtype,
            colour=picture.form.colour,
            device=wishes.device,
            size=SIZES[wishes.quality],
            pixels=pixels.rgb(picture),
        )

    def _tell(self, share: float, text: str) -> None:
        # `stop` may have come before there was anything to cancel.
        if self._stopped.is_set():
            raise Cancelled("Human Matte was cancelled.")
        self.share, self.text = share, text
