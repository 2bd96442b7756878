"""``python -m denizens.cli``: the same command."""

from . import main

main()
