"""Write small data with columns of Kedro's spaceflights into the folder `data`: python make_data.py."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

FOLDER = Path("data")
COMPANIES, SHUTTLES = 80, 600


def main() -> None:
    """Write the three files; they are the same each time."""
    random = np.random.default_rng(0)
    FOLDER.mkdir(exist_ok=True)
    ratings = random.integers(0, 101, COMPANIES)
    companies = {
        "id": range(COMPANIES),
        "company_rating": [f"{rating}%" if rating > 5 else None for rating in ratings],
        "iata_approved": random.choice(["t", "f"], COMPANIES),
    }
    passengers = random.integers(1, 9, SHUTTLES)
    prices = 1000 + 300 * passengers + random.normal(0, 80, SHUTTLES)
    shuttles = {
        "id": range(SHUTTLES),
        "engines": (passengers // 2 + 1).astype(float),
        "passenger_capacity": passengers,
        "crew": (passengers // 3).astype(float),
        "d_check_complete": random.choice(["t", "f"], SHUTTLES),
        "moon_clearance_complete": random.choice(["t", "f"], SHUTTLES),
        "price": [f"${price:,.1f}" for price in prices],
        "company_id": random.integers(0, COMPANIES, SHUTTLES),
    }
    reviews = {
        "shuttle_id": range(SHUTTLES),
        "review_scores_rating": random.integers(60, 101, SHUTTLES).astype(float),
    }
    tables: dict[str, dict[str, Any]] = {"companies": companies, "shuttles": shuttles, "reviews": reviews}
    for name, columns in tables.items():
        pd.DataFrame(columns).to_csv(FOLDER / f"{name}.csv", index=False)


if __name__ == "__main__":
    main()
