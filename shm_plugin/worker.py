"""The engine as a process for hosts: `python -m shm_plugin.worker`; the only door of the plug-ins
into the engine. Knows no socket and no host: what they ask comes from `serving`.
"""

from __future__ import annotations

import argparse
import logging
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from typing import TYPE_CHECKING

from shm_engine.errors import MattingError, OptionsError
from shm_engine.options import BACKENDS, SOURCE_ALPHAS, MatterOptions
from shm_plugin.client import ALREADY_RUNNING
from shm_plugin.finding import WorkerError, runtime_folder
from shm_plugin.messages import MatteReply, MatteRequest
from shm_plugin.queueing import EngineError
from shm_plugin.serving import AlreadyRunningError, Limits, serve

if TYPE_CHECKING:
    import numpy as np
    import torch
    from numpy.typing import NDArray

    from shm_engine.matter import Matter
    from shm_engine.types import Frame, Matte

_log = logging.getLogger(__name__)

_SAMPLES = {"u8": "<u1", "u16": "<u2", "f32": "<f4"}


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What the process was started with. model: another weights file than the shipped one."""

    options: MatterOptions
    limits: Limits
    model: str | None = None


class MatterEngine:
    """A Matter that takes pictures as hosts have them."""

    def __init__(self, matter: Matter) -> None:
        self.description = matter.description
        self._matter = matter

    def matte(self, request: MatteRequest, tell: Callable[[float, str], None]) -> MatteReply:
        """See `queueing.Engine`."""
        from shm_engine.detail import draw
        from shm_engine.matter import within_source

        tell(0.1, "looking at the picture")
        try:
            draft = next(self._matter.drafts([frame_of(request)]))
            tell(0.6, "drawing the outline")
            foreground = "estimate" if "foreground" in request.wants else "source"
            matte = next(draw(iter([draft]), foreground=foreground))
            if self._matter.options.source_alpha == "multiply":
                matte = within_source(matte)
            tell(0.9, "sending")
            return reply_of(request, matte)
        except MattingError as error:
            raise EngineError(str(error)) from error


def frame_of(request: MatteRequest) -> Frame:
    """The picture of a request, sRGB-encoded; what is no number in it becomes 0."""
    import numpy as np
    import torch

    from shm_engine.compositing import as_unit, linear_to_srgb
    from shm_engine.types import Frame

    flat = np.frombuffer(request.pixels, _SAMPLES[request.dtype])
    rows = flat.reshape(request.height, request.width, request.channels)
    if request.dtype == "f32":
        rows = np.clip(np.nan_to_num(rows), 0, 1)
    planes = torch.from_numpy(np.ascontiguousarray(rows.transpose(2, 0, 1)).copy())
    image, coverage = planes[:3], planes[3:]
    alpha = coverage if len(coverage) else None
    if request.colour == "linear":
        image = linear_to_srgb(as_unit(image))
        alpha = None if alpha is None else as_unit(alpha)
    return Frame(image=image, alpha=alpha)


def reply_of(request: MatteRequest, matte: Matte) -> MatteReply:
    """What the request wants of the matte of its picture."""
    blobs = {"alpha": b"", "foreground": b"", "trimap": b""}
    if "alpha" in request.wants:
        blobs["alpha"] = matte.alpha.numpy().astype("<f4").tobytes()
    if "foreground" in request.wants:
        blobs["foreground"] = _colours(matte.colours, request).tobytes()
    if "trimap" in request.wants:
        blobs["trimap"] = _classes(matte).tobytes()
    return MatteReply(id=request.id, width=request.width, height=request.height, **blobs)


def _colours(image: torch.Tensor, request: MatteRequest) -> NDArray[np.generic]:
    """[H, W, 3] as the request's own values."""
    import torch

    from shm_engine.compositing import as_unit, from_unit, srgb_to_linear

    if request.colour == "linear":
        dtype = {"u8": torch.uint8, "u16": torch.uint16, "f32": torch.float32}[request.dtype]
        image = from_unit(srgb_to_linear(as_unit(image)), dtype)
    return image.numpy().transpose(1, 2, 0).astype(_SAMPLES[request.dtype])


def _classes(matte: Matte) -> NDArray[np.generic]:
    """[H, W]: the most probable class of each pixel, as 0, 128 or 255."""
    import numpy as np

    from shm_engine.preprocess import enlarge
    from shm_engine.trimap import Trimap

    if matte.trimap is None:
        raise EngineError("This model gives no trimap; ask for the alpha alone.")
    values = np.zeros(3, np.uint8)
    values[Trimap.UNKNOWN], values[Trimap.FOREGROUND] = 128, 255
    return np.asarray(values[enlarge(matte.trimap, matte.frame.size).numpy().argmax(0)])


def load_engine(settings: Settings) -> MatterEngine:
    """The engine, loaded; takes seconds. Raises EngineError."""
    from shm_engine.matter import Matter

    try:
        return MatterEngine(Matter.load(settings.model, settings.options))
    except MattingError as error:
        raise EngineError(str(error)) from error


def parse(arguments: Sequence[str]) -> Settings:
    """What the command line says; OptionsError for a value that cannot work."""
    parser = argparse.ArgumentParser(prog="shm_plugin.worker", add_help=False)
    parser.add_argument("--idle", type=float, default=Limits.idle_seconds)
    parser.add_argument("--device", default=MatterOptions.device)
    parser.add_argument("--size", type=int, default=MatterOptions.long_side_pixels)
    parser.add_argument("--backend", choices=BACKENDS, default=MatterOptions.backend)
    parser.add_argument("--source-alpha", choices=SOURCE_ALPHAS, default=SOURCE_ALPHAS[0])
    parser.add_argument("--model")
    given = parser.parse_args(arguments)
    options = MatterOptions(
        device=given.device,
        long_side_pixels=given.size,
        backend=given.backend,
        source_alpha=given.source_alpha,
    )
    limits = Limits(idle_seconds=given.idle)
    return Settings(options=options, limits=limits, model=given.model)


def main(arguments: Sequence[str]) -> int:
    """Serves until it is time to end; the exit code. What happens is told in the log, on stderr."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    try:
        settings = parse(arguments)
        # Whatever a library prints.
        with redirect_stdout(sys.stderr):
            serve(lambda: load_engine(settings), runtime_folder(), settings.limits, stop)
    except AlreadyRunningError as error:
        _log.info("%s", error)
        return ALREADY_RUNNING
    except (WorkerError, OptionsError) as error:
        _log.error("%s", error)
        return 1
    _log.info("the end")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
