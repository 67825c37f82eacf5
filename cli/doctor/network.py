"""The network: where it computes, whether its weights load, and what it makes of a picture whose
alpha is known; knows no movie."""

from __future__ import annotations

import shutil
import statistics
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cli.doctor import sample
from cli.doctor.findings import Finding, Mark, look
from cli.jobs.performing import load_matter
from shm_engine.errors import MattingError
from shm_engine.options import MatterOptions

if TYPE_CHECKING:
    from shm_engine.matter import Matter

# Alpha is 1 inside somebody and 0 outside: the difference of the two means, and how much of it a
# network that works must find in a drawing.
_LEAST_CONTRAST = 0.5

# How often one picture is timed, and its size: larger than the network's own.
_TIMES, _TIMED_SIZE = 5, (720, 1280)

_DRIVER = Path("/proc/driver/nvidia/version")


class Network:
    """The network as a user gets it without any option; `matter` is there once `findings` has
    loaded it, unless it cannot be."""

    def __init__(self) -> None:
        self.matter: Matter | None = None

    def findings(self) -> Iterator[Finding]:
        """Device, backend, weights, and one picture."""
        yield look("device", _device)
        yield look("backend", _backend)
        weights = look("weights", _weights)
        yield weights
        if weights.mark is Mark.BROKEN:
            yield Finding(name="network", mark=Mark.NOTE, words="not tried without weights")
        else:
            yield look("network", self._network)

    def _network(self) -> Finding:
        matter = load_matter(None, MatterOptions())
        contrast = _contrast(matter)
        # Not "less than": what is no number is wrong too.
        if not contrast >= _LEAST_CONTRAST:
            raise MattingError(
                "it does not see the person in a drawing, so its mattes would be wrong here; try "
                "--device cpu --backend eager, and report it"
            )
        milliseconds, (height, width) = _timing(matter)
        self.matter = matter
        return Finding(
            name="network",
            words=f"finds a drawn person; {milliseconds:.0f} ms a frame at {width} x {height}",
            facts={"milliseconds": round(milliseconds, 1), "width": width, "height": height},
        )


def _device() -> Finding:
    import torch

    from shm_engine.matter import choose_device

    chosen = choose_device("auto").type
    here = list(_accelerators())
    words = f"{chosen}, chosen by auto"
    if here:
        words += f"; here: {', '.join(accelerator['words'] for accelerator in here)}"
    facts = {"chosen": chosen, "accelerators": here}
    if chosen == "cpu" and (_DRIVER.exists() or shutil.which("nvidia-smi")):
        words += (
            f"; an NVIDIA driver is here, but PyTorch {torch.__version__} cannot use it: install "
            "a PyTorch with CUDA, or a newer driver"
        )
        return Finding(name="device", mark=Mark.NOTE, words=words, facts=facts)
    return Finding(name="device", words=words, facts=facts)


def _accelerators() -> Iterator[dict[str, Any]]:
    import torch

    if torch.cuda.is_available():
        for number in range(torch.cuda.device_count()):
            card = torch.cuda.get_device_properties(number)
            memory = f"{card.total_memory / 2**30:.1f} GiB"
            yield {
                "device": f"cuda:{number}",
                "memory_bytes": card.total_memory,
                "words": f"cuda:{number} ({card.name}, {memory})",
            }
    if torch.backends.mps.is_available():
        yield {"device": "mps", "memory_bytes": None, "words": "mps (Apple's GPU)"}


def _backend() -> Finding:
    from shm_engine.backends import choose_backend
    from shm_engine.matter import choose_device, choose_precision

    device = choose_device("auto")
    backend = choose_backend("auto", device)
    precision = str(choose_precision(device)).removeprefix("torch.")
    return Finding(
        name="backend",
        words=f"{backend}, chosen by auto, in {precision}",
        facts={"backend": backend, "precision": precision},
    )


def _weights() -> Finding:
    from shm_engine.checkpoint import load_checkpoint, shipped_weights

    checkpoint = load_checkpoint()
    return Finding(
        name="weights",
        words=f"{shipped_weights().name}, undamaged, digest {checkpoint.digest[:8]}",
        facts={"architecture": checkpoint.architecture, "digest": checkpoint.digest},
    )


def _contrast(matter: Matter) -> float:
    """Mean alpha inside the drawn person less that outside; NaN if the network gives such."""
    from shm_engine.types import Frame

    image, alpha = sample.drawing(0, sample.HEIGHT, sample.WIDTH)
    (draft,) = matter.drafts([Frame(image=image)])
    inside = (draft.alpha * alpha).sum() / alpha.sum()
    outside = (draft.alpha * (1 - alpha)).sum() / (1 - alpha).sum()
    return float(inside - outside)


def _timing(matter: Matter) -> tuple[float, tuple[int, int]]:
    """Milliseconds for a frame, without the first, and (height, width) of what was computed."""
    from shm_engine.types import Frame

    image, _ = sample.drawing(0, *_TIMED_SIZE)
    taken = []
    for _ in range(1 + _TIMES):
        started = time.perf_counter()
        (draft,) = matter.drafts([Frame(image=image)])
        taken.append(1e3 * (time.perf_counter() - started))
    height, width = draft.alpha.shape[1:]
    return statistics.median(taken[1:]), (height, width)
