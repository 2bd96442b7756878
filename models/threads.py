"""How torch's threads wait for each other."""

from __future__ import annotations

import os
import sys


def use_passive_waiting() -> None:
    """Let torch's threads sleep, not spin, where one waits for the other.

    On a machine with other work a spinning pair stalls for whole time slices: a decode step
    took up to fifty times longer. OpenMP reads this once, when torch is loaded.
    """
    if "torch" not in sys.modules:
        os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
