"""Fixtures shared by all tests: the data folder, the real model, a server, GPU skipping."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from denizens.core import replace_surrogates
from denizens.models import use_passive_waiting
from denizens.tests.support.browser import chromium as chromium
from denizens.tests.support.browser import new_page as new_page
from denizens.tests.support.fake_openai_server import FakeOpenAIServer
from hypothesis import settings

if TYPE_CHECKING:
    from denizens.core import Model

# The same examples in every run, so that a change is judged by what it changes; to look for new
# ones set HYPOTHESIS_SEARCH=1.
settings.register_profile("steady", derandomize=True, deadline=None)
settings.register_profile("search", deadline=None)
settings.load_profile("search" if os.environ.get("HYPOTHESIS_SEARCH") else "steady")

# Before any test imports torch: spinning threads count as work, which the limits of tests measure.
use_passive_waiting()

SLOW_FILES = (
    "test_noninterference.py",
    "test_real_town.py",
    "test_docs_programs.py",
    "test_models_calibration.py",
    "test_benchmarks_tools.py",
    "test_models_operations.py",
    "test_benchmarks_temporal_facts.py",
    "test_models_schemas.py",
)
"""Files that take longest, in that order."""


@pytest.fixture(scope="session")
def data() -> Path:
    """The folder of test data: ``DENIZENS_DATA``, else ``../shared/data`` beside the
    repository. Absent: skip, or fail where CI promises it."""
    from denizens.benchmarks import data_folder

    folder = data_folder()
    if folder.is_dir():
        return folder
    reason = f"no test data at {folder}; set DENIZENS_DATA to the folder that holds it"
    if os.environ.get("CI", "").lower() in ("true", "1"):
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def smollm2() -> Model:
    """The packaged default model, loaded once for all tests marked ``real``."""
    from denizens.models import load_model

    model: Model = load_model("smollm2")
    return model


@pytest.fixture
def server() -> Iterator[FakeOpenAIServer]:
    """A fresh server of the OpenAI protocol, which answers well."""
    made = FakeOpenAIServer()
    yield made
    made.close()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Order the files, and skip ``gpu`` tests without CUDA; torch loads only when such a test
    was collected."""
    # The slowest files first, so that two processes end at about the same time.
    rank = {name: place for place, name in enumerate(SLOW_FILES)}
    items.sort(key=lambda item: rank.get(item.path.name, len(rank)))
    wanting = [item for item in items if item.get_closest_marker("gpu")]
    if not wanting:
        return
    import torch

    if not torch.cuda.is_available():
        for item in wanting:
            item.add_marker(pytest.mark.skip(reason="needs a CUDA device"))


@pytest.hookimpl(wrapper=True)
def pytest_report_to_serializable() -> Generator[None, Any, Any]:
    """A report goes from one test process to another as UTF-8, which half a character is not."""
    return _whole((yield))


def _whole(value: Any) -> Any:
    if isinstance(value, str):
        return replace_surrogates(value)
    if isinstance(value, dict):
        return {_whole(key): _whole(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_whole(one) for one in value)
    return value
