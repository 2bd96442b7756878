"""Simulations: the tick, the journal, scenarios, and going back in time."""

from .building import build_simulation, load_scenario_model
from .checking import check_run
from .failures import Failure, FailureMonitor, failure_lines
from .journal import Journal
from .packing import AskRow
from .run import RUN_FILE, Run, begin, open_store, resume, run_stats
from .scenario import Scenario, built_in_scenarios, load_scenario, parse_scenario_time
from .simulation import Simulation, Tick
from .travel import Replay, fork, interview, replay
from .visiting import agent_from_run, agent_from_scenario

__all__ = [
    "RUN_FILE",
    "AskRow",
    "Failure",
    "FailureMonitor",
    "Journal",
    "Replay",
    "Run",
    "Scenario",
    "Simulation",
    "Tick",
    "begin",
    "build_simulation",
    "built_in_scenarios",
    "check_run",
    "failure_lines",
    "run_stats",
    "fork",
    "interview",
    "load_scenario_model",
    "load_scenario",
    "parse_scenario_time",
    "open_store",
    "replay",
    "resume",
    "agent_from_run",
    "agent_from_scenario",
]
