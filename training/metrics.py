"""Error measures of mattes, as the field computes them; pure functions on float arrays in [0, 1].

Predicted and true alpha are [H, W] of one size. Scales are not applied: tables multiply by 1000.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Alpha = NDArray[np.float32]


def mad(predicted_alpha: Alpha, true_alpha: Alpha) -> float:
    """Mean absolute difference over the whole picture."""
    return float(np.abs(predicted_alpha - true_alpha).mean(dtype=np.float64))


def mse(predicted_alpha: Alpha, true_alpha: Alpha) -> float:
    """Mean squared error over the whole picture."""
    return float(np.square(predicted_alpha - true_alpha).mean(dtype=np.float64))


def iou(predicted_alpha: Alpha, true_alpha: Alpha, threshold: float = 0.5) -> float:
    """Intersection over union of the people, alpha above `threshold`; 1 if neither shows anyone."""
    predicted_person, true_person = predicted_alpha > threshold, true_alpha > threshold
    union = int(np.count_nonzero(predicted_person | true_person))
    if union == 0:
        return 1.0
    return int(np.count_nonzero(predicted_person & true_person)) / union
