"""Simulations: the tick, the journal, scenarios, and going back in time."""

from .building import build, load_minds
from .checking import check_run
from .failures import Failure, Failures, failure_lines
from .journal import Journal
from .packing import AskRow
from .run import FILE, Run, begin, figures, open_store, resume
from .scenario import Scenario, built_in_scenarios, load_scenario, moment
from .simulation import Simulation, Tick
from .travel import Replay, fork, interview, replay
from .visiting import visit, wake

__all__ = [
    "FILE",
    "AskRow",
    "Failure",
    "Failures",
    "Journal",
    "Replay",
    "Run",
    "Scenario",
    "Simulation",
    "Tick",
    "begin",
    "build",
    "built_in_scenarios",
    "check_run",
    "failure_lines",
    "figures",
    "fork",
    "interview",
    "load_minds",
    "load_scenario",
    "moment",
    "open_store",
    "replay",
    "resume",
    "visit",
    "wake",
]
