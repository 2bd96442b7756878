"""Simulations: steps, the journal of a run, scenarios, replay and fork.

build_simulation makes a Simulation of a Scenario; begin and resume do so in a run's folder;
Run reads a run; replay, fork and interview go back in one. Costs are in simulation.forecast.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
