"""Draws docs/stages.png: a frame of the sample clip, its trimap, its alpha, the cut-out over green.

Run it again when the shipped weights change: `python docs/stages.py`.
"""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import torch

from cli.video import VideoSource
from shm_engine import Matter, write_image
from shm_engine.compositing import as_unit, from_unit
from shm_engine.passes import PASSES, composite_over

ROOT = Path(__file__).resolve().parent.parent
FRAME = 24
GREEN = torch.tensor([0.0, 0.69, 0.25]).view(3, 1, 1)


def main() -> None:
    with VideoSource(ROOT / "samples" / "turn.mp4") as source:
        frame = next(islice(iter(source), FRAME, None))
    (matte,) = Matter.load().mattes([frame])
    pictures = [
        as_unit(frame.image),
        PASSES["trimap"].picture(matte),
        matte.alpha.expand(3, -1, -1),
        composite_over(GREEN).picture(matte),
    ]
    # Half the width around the person is enough.
    width = frame.image.shape[2]
    strip = torch.cat([p[:, :, width // 4 : -width // 4] for p in pictures], dim=2)
    write_image(ROOT / "docs" / "stages.png", from_unit(strip, torch.uint8))


if __name__ == "__main__":
    main()
