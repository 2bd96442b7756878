"""The ``denizens`` command, thin over the package."""


def main() -> None:
    """Entry point of the console script."""
    from .application import main as run

    run()
