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
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from shm_engine.errors import MattingError, OptionsError
from shm_engine.options import BACKENDS, SOURCE_ALPHAS, MatterOptions
from shm_plugin.client import ALREADY_RUNNING
from shm_plugin.finding import WorkerError, runtime_folder
from shm_plugin.messages import MatteReply, MatteRequest
from shm_plugin.queueing import EngineError
from shm_plugin.serving import AlreadyRunningError, Limits, serve

if TYPE_CHECKING:
    import torch
    from numpy.typing import NDArray

    from shm_engine.matter import Matter
    from shm_engine.types import Frame, Matte

    Values = NDArray[Any]

_log = logging.getLogger(__name__)

_SAMPLES = {"u8": "<u1", "u16": "<u2", "f32": "<f4"}


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What the process was started with. model: another weights file than the shipped one."""

    options: MatterOptions
    limits: Limits
    model: str | None = None


class MatterEngine:
    """A Matter that takes pictures as hosts have them; another one where they want another."""

    def __init__(self, matter: Matter, load: Callable[[MatterOptions], Matter]) -> None:
        self._matter = matter
        self._load = load
        self._own = matter.options

    @property
    def description(self) -> str:
        return self._matter.description

    def matte(self, request: MatteRequest, tell: Callable[[float, str], None]) -> MatteReply:
        """See `queueing.Engine`."""
        from shm_engine.detail import draw
        from shm_engine.matter import within_source

        try:
            matter = self._matter_for(request, tell)
            tell(0.1, "looking at the picture")
            draft = next(matter.drafts([frame_of(request)]))
            tell(0.6, "drawing the outline")
            is_clean = "foreground" in request.wants or request.foreground == "estimate"
            matte = next(draw(iter([draft]), foreground="estimate" if is_clean else "source"))
            if matter.options.source_alpha == "multiply":
                matte = within_source(matte)
            tell(0.9, "sending")
            return reply_of(request, matte)
        except MattingError as error:
            raise EngineError(str(error)) from error

    def _matter_for(self, request: MatteRequest, tell: Callable[[float, str], None]) -> Matter:
        wanted = replace(
            self._own,
            device=request.device or self._own.device,
            long_side_pixels=request.size or self._own.long_side_pixels,
        )
        if self._matter.options != wanted:
            tell(0.0, "loading the engine")
            self._matter = self._load(wanted)
        return self._matter


def frame_of(request: MatteRequest) -> Frame:
    """The picture of a request, sRGB-encoded; what is no number in it becomes 0."""
    import numpy as np
    import torch

    from shm_engine.compositing import as_unit, linear_to_srgb
    from shm_engine.types import Frame

    rows = samples_of(request)
    if request.dtype == "f32":
        rows = np.nan_to_num(rows)
        if request.premultiplied:
            rows[..., :3] = _straight(rows)
        rows = np.clip(rows, 0, 1)
    planes = torch.from_numpy(np.ascontiguousarray(rows.transpose(2, 0, 1)).copy())
    image, coverage = planes[:3], planes[3:]
    alpha = coverage if len(coverage) else None
    if request.colour == "linear":
        image = linear_to_srgb(as_unit(image))
        alpha = None if alpha is None else as_unit(alpha)
    return Frame(image=image, alpha=alpha)


def samples_of(request: MatteRequest) -> Values:
    """[H, W, C] as they were sent, but with rows top-down."""
    import numpy as np

    flat = np.frombuffer(request.pixels, _SAMPLES[request.dtype])
    return _turned(flat.reshape(request.height, request.width, request.channels), request)


def reply_of(request: MatteRequest, matte: Matte) -> MatteReply:
    """What the request wants of the matte of its picture."""
    import numpy as np

    values: dict[str, Values] = {}
    if "alpha" in request.wants:
        values["alpha"] = matte.alpha[0].numpy().astype("<f4")
    if "foreground" in request.wants:
        values["foreground"] = _colours(matte.colours, request)
    if "trimap" in request.wants:
        values["trimap"] = _classes(matte)
    if "rgba" in request.wants:
        values["rgba"] = _rgba(request, matte)
    parts = ("alpha", "foreground", "trimap", "rgba")
    blobs = {
        name: np.ascontiguousarray(_turned(values[name], request)).tobytes()
        if name in values
        else b""
        for name in parts
    }
    return MatteReply(id=request.id, width=request.width, height=request.height, **blobs)


def _turned(rows: Values, request: MatteRequest) -> Values:
    """Rows top-down from those of a request, or the other way round."""
    return rows[::-1] if request.bottom_up else rows


def _straight(samples: Values) -> Values:
    """Colours of premultiplied float RGBA; black where nothing is covered."""
    import numpy as np

    coverage = samples[..., 3:]
    straight = np.zeros_like(samples[..., :3])
    return np.divide(samples[..., :3], coverage, out=straight, where=coverage > 0)


def _rgba(request: MatteRequest, matte: Matte) -> Values:
    """[H, W, 4]: the samples of the request, beyond 1 too, but for estimated colours and alpha."""
    samples = samples_of(request).copy()
    if request.premultiplied:
        samples[..., :3] = _straight(samples)
    if request.foreground == "estimate" and matte.foreground is not None:
        changed = matte.foreground.pixels.numpy()
        estimated = _colours(matte.foreground.colours[:, :, None], request)
        samples.reshape(-1, 4)[changed, :3] = estimated[:, 0]
    samples[..., 3:] = _interleaved(matte.alpha, request)
    if request.premultiplied:
        samples[..., :3] *= samples[..., 3:]
    return samples


def _colours(planes: torch.Tensor, request: MatteRequest) -> Values:
    """[H, W, 3] as the request's own values, of planes [3, H, W] for displays."""
    from shm_engine.compositing import as_unit, srgb_to_linear

    is_light = request.colour == "linear"
    return _interleaved(srgb_to_linear(as_unit(planes)) if is_light else planes, request)


def _interleaved(planes: torch.Tensor, request: MatteRequest) -> Values:
    """[H, W, C] in the dtype of the request."""
    import torch

    from shm_engine.compositing import from_unit

    dtype = {"u8": torch.uint8, "u16": torch.uint16, "f32": torch.float32}[request.dtype]
    if planes.dtype != dtype:
        planes = from_unit(planes, dtype)
    return planes.numpy().transpose(1, 2, 0).astype(_SAMPLES[request.dtype])


def _classes(matte: Matte) -> Values:
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

    def load(options: MatterOptions) -> Matter:
        return Matter.load(settings.model, options)

    try:
        return MatterEngine(load(settings.options), load)
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
