"""How torch's threads wait for each other.

Keeping the libraries' own progress bars and warnings off the terminal.
"""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from threading import RLock
from typing import Any


def use_passive_waiting() -> None:
    """Let torch's threads sleep, not spin, where one waits for the other.

    On a machine with other work a spinning pair stalls for whole time slices: a decode step
    took up to fifty times longer. OpenMP reads this once, when torch is loaded.
    """
    if "torch" not in sys.modules:
        os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


# What is set here and in other places while a model loads is set for all threads, and must be
# set back in order.
LOAD_LOCK = RLock()


@contextmanager
def silence_libraries() -> Iterator[None]:
    """Within it transformers draws no bar and gives no advice; errors are raised as ever. One
    thread at a time."""
    with LOAD_LOCK:
        yield from _silence_libraries()


def _silence_libraries() -> Iterator[None]:
    from transformers import modeling_gguf_pytorch_utils
    from transformers import utils as transformers_utils

    # Untyped as released; Any says so once.
    gguf: Any = modeling_gguf_pytorch_utils
    logging: Any = transformers_utils.logging
    bar, gguf.tqdm = gguf.tqdm, partial(gguf.tqdm, disable=True)
    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        gguf.tqdm = bar
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()
