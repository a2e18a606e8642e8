"""The invented city of the generated trips: its zones, and the frequency of trips between them."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

SEED = 20210131
"""Seed of every generator of the sample."""

_BOROUGHS = ("Northbank", "Millgate", "Harbourside", "Eastmoor", "Saltmarsh")
_CENTRES_MILES = np.array([[0.0, 6.0], [1.5, 0.5], [4.5, -3.0], [8.0, 2.0], [-5.0, -8.0]])
_SPREAD_MILES = np.array([1.9, 1.6, 2.3, 2.9, 2.4])
_SHARE_OF_PICKUPS = np.array([0.27, 0.33, 0.22, 0.16, 0.02])

ZONES = 265
_UNKNOWN_ZONES = 2
"""The last two location ids mean an unknown place."""

_REACH_MILES = 2.8
"""Drop-offs become less likely by a factor e over this distance."""


class City(NamedTuple):
    """The locations of zones, and the frequency of trips between them.

    Parameters
    ----------
    borough
        Index of each zone's borough; shape (265,).
    miles
        Straight-line distance between zones; shape (265, 265).
    up_to
        Cumulative share of trips up to each pair of zones, in row order; shape (265 * 265,).
    """

    borough: NDArray[np.int64]
    miles: NDArray[np.float64]
    up_to: NDArray[np.float64]


@cache
def city() -> City:
    """Build the generated city, which is the same for every month."""
    generator = np.random.Generator(np.random.PCG64(SEED))
    borough = np.arange(ZONES) % len(_BOROUGHS)
    offsets = generator.standard_normal((ZONES, 2)) * _SPREAD_MILES[borough, None]
    places = np.round(_CENTRES_MILES[borough] + offsets, 3)
    apart = places[:, None, :] - places[None, :, :]
    miles = np.sqrt(apart[..., 0] ** 2 + apart[..., 1] ** 2)

    popularity = 1.0 / (1.0 + generator.permutation(ZONES)) ** 1.25
    popularity[-_UNKNOWN_ZONES:] = popularity.min()
    pickups = popularity * _SHARE_OF_PICKUPS[borough]
    dropoffs = np.sqrt(popularity)
    weights = pickups[:, None] * dropoffs[None, :] * np.exp(-miles / _REACH_MILES)
    up_to = np.cumsum(weights.ravel())
    return City(borough, miles, up_to / up_to[-1])


def sample_zones() -> dict[str, dict[str, str]]:
    """Return invented zone names, in the form of `fetch_zones`."""
    borough = city().borough
    count = dict.fromkeys(_BOROUGHS, 0)
    zones = {}
    for position in range(ZONES - _UNKNOWN_ZONES):
        name = _BOROUGHS[borough[position]]
        count[name] += 1
        zones[str(position + 1)] = {"borough": name, "zone": f"{name} {count[name]}"}
    for unknown in range(ZONES - _UNKNOWN_ZONES, ZONES):
        zones[str(unknown + 1)] = {"borough": "Unknown", "zone": "Unknown"}
    return zones
