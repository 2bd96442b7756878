"""Denizens: agents that live, on a model in your own process."""

__version__ = "0.1.0"
