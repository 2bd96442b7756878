"""The ``denizens`` command, thin over the package."""


def main() -> None:
    """Entry point of the console script."""
    from .app import main as run

    run()
