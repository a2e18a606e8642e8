"""Make the checkout's `benchmarks` package importable, which is not installed with baton."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))
