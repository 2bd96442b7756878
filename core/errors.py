"""Every error of the framework, as one tree.

DenizensError
|- SettingError    a setting, scenario, persona or argument is missing, unknown or out of range
|  |- ArgumentError   an argument of a function has the wrong type; a TypeError too
|  `- CodeNotAllowed  a run's file names code that is not the package's own
|- DataError       values are not those of the record that they are read as; a ValueError too
|- ModelError
|  |- ModelNotFound   no model of that name or path
|  |- ModelCorrupt    a model file does not hash or load
|  |- NoSpace         the disk cannot hold the model
|  `- ContextTooLong  a prompt does not fit even after trimming
|- MemoryFault     a memory file cannot be used
|- RunError
|  |- RunExists       a run is in the folder in which another should begin
|  |- AsksFailed      most of what a run asked of its model was not answered
|  |- RunCorrupt      a run file fails its checks
|  |- RunLocked       another process writes the run
|  |- Waiting         a call waits for a person to allow it
|  |- BudgetExceeded      a day of the run has cost as many tokens as it may
|  `- ReplayDiverged  a replayed ask differs from the recorded one
|- WorldError
|  |- MapError        a map file is wrong
|  `- IllegalAction   an action that no rule of the world knows
|- ToolError       a tool is declared wrongly, or breaks its contract
`- PlannerError    a planner breaks its contract

A message says what happened, to which file or agent, and what to do about it.
"""

from __future__ import annotations


class DenizensError(Exception):
    """Root of all errors raised on purpose by this package."""

    def __str__(self) -> str:
        # A message may quote half a character, which no terminal and no file takes.
        return super().__str__().encode("utf-16", "surrogatepass").decode("utf-16", "replace")


class SettingError(DenizensError):
    """A setting, scenario, persona or argument is missing, unknown or out of range."""


class ArgumentError(SettingError, TypeError):
    """An argument of a public function has the wrong type, is missing or unknown."""


class DataError(DenizensError, ValueError):
    """JSON values are not those of the record or type that they are read as."""


class CodeNotAllowed(SettingError):
    """A run's file names code that is not the package's own, and nobody allowed to run it."""


class ModelError(DenizensError):
    """A model cannot be had or cannot be used."""


class ModelNotFound(ModelError):
    """No model of that name or path."""


class ModelCorrupt(ModelError):
    """A model file does not hash or load."""


class NoSpace(ModelError):
    """The disk cannot hold the model."""


class ContextTooLong(ModelError):
    """A prompt does not fit the model's window even after trimming."""


class MemoryFault(DenizensError):
    """A memory file cannot be used."""


class RunError(DenizensError):
    """A run's folder or file cannot be used."""


class RunExists(RunError):
    """A run is in the folder in which another should begin."""


class AsksFailed(RunError):
    """Most of what a run asked of its model was not answered; committed steps are kept."""


class RunCorrupt(RunError):
    """A run file fails its checks."""


class RunLocked(RunError):
    """Another process is writing this store."""


class BudgetExceeded(RunError):
    """A simulated day has cost as many tokens as it may."""


class ReplayDiverged(RunError):
    """A replayed ask differs from the one on record."""


class WorldError(DenizensError):
    """A world cannot be built or stepped."""


class MapError(WorldError):
    """A map file is wrong."""


class IllegalAction(WorldError):
    """An action that no rule of the world knows."""


class ToolError(DenizensError):
    """A tool is declared wrongly, or breaks its contract."""


class PlannerError(DenizensError):
    """A planner breaks its contract."""
