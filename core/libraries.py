"""Versions of installed packages."""

from importlib.metadata import PackageNotFoundError, version

from .types import Json

RECORDED_LIBRARIES = ("denizens", "torch", "transformers", "sentence-transformers", "faiss-cpu")
"""Packages whose versions a run records and ``denizens doctor`` reports."""


def library_versions(*packages: str, missing: Json = None) -> dict[str, Json]:
    """The installed version of each package; ``missing`` for one that is not installed.

    >>> library_versions("no-such-package", missing="not installed")
    {'no-such-package': 'not installed'}
    """
    versions: dict[str, Json] = {}
    for package in packages:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            versions[package] = missing
    return versions
