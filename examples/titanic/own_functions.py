"""Functions that the model holds: its identity changes with them."""

import numpy as np
from numpy.typing import NDArray


def log_fare(fare: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the logarithm of one plus the fare."""
    return np.log1p(fare)


def back(logarithm: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the fare of a logarithm."""
    return np.expm1(logarithm)
