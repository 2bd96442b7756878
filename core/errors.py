"""The errors of the package, as one tree.

DenizensError
|- SettingError    a setting, scenario, persona or argument is missing, unknown or invalid
|  |- ArgumentError   an argument of a function has the wrong type; a TypeError too
|  `- CodeNotAllowed  a file names code outside of the package, which is not allowed to run
|- DataError       JSON values do not fit the type that they are read as; a ValueError too
|- ModelError
|  |- ModelNotFound   no model of that name or path
|  |- ModelCorrupt    a model file fails its checksum or does not load
|  |- NoSpace         there is not enough disk space for the model
|  `- ContextTooLong  a prompt does not fit the model's context even after trimming
|- MemoryFault     a memory or its file cannot be used
|- RunError
|  |- RunExists       the folder for a new run holds a run already
|  |- AsksFailed      the model failed to answer most asks of a run
|  |- RunCorrupt      a run file fails its checks
|  |- RunLocked       another process is writing the run
|  |- ApprovalRequired  a tool call waits for approval (in ``protocols.approvals``)
|  |- BudgetExceeded  a simulated day has used its token budget
|  `- ReplayDiverged  a replayed ask differs from the recorded one
|- WorldError
|  |- MapError        a map file is wrong
|  `- IllegalAction   an action that the world does not define
|- ToolError       a tool is declared wrongly, or violates its contract
`- PlannerError    a planner violates its contract

A message says what happened, to which file or agent, and what to do about it.
"""

from __future__ import annotations


class DenizensError(Exception):
    """Base class of the errors that this package raises."""

    def __str__(self) -> str:
        # A message may quote a lone surrogate, which cannot be printed.
        return super().__str__().encode("utf-16", "surrogatepass").decode("utf-16", "replace")


class SettingError(DenizensError):
    """A setting, scenario, persona or argument is missing, unknown or invalid."""


class ArgumentError(SettingError, TypeError):
    """An argument of a public function has the wrong type, is missing or unknown."""


class DataError(DenizensError, ValueError):
    """JSON values do not fit the type that they are read as."""


class CodeNotAllowed(SettingError):
    """A file names code outside of the package, which is not allowed to run."""


class ModelError(DenizensError):
    """A model cannot be loaded or used."""


class ModelNotFound(ModelError):
    """No model of that name or path."""


class ModelCorrupt(ModelError):
    """A model file fails its checksum or does not load."""


class NoSpace(ModelError):
    """There is not enough disk space for the model."""


class ContextTooLong(ModelError):
    """A prompt does not fit the model's context even after trimming."""


class MemoryFault(DenizensError):
    """A memory or its file cannot be used."""


class RunError(DenizensError):
    """A run's folder or file cannot be used."""


class RunExists(RunError):
    """The folder for a new run holds a run already."""


class AsksFailed(RunError):
    """The model failed to answer most asks of a run; committed steps are kept."""


class RunCorrupt(RunError):
    """A run file fails its checks."""


class RunLocked(RunError):
    """Another process is writing this store."""


class BudgetExceeded(RunError):
    """A simulated day has used its token budget."""


class ReplayDiverged(RunError):
    """A replayed ask differs from the recorded one."""


class WorldError(DenizensError):
    """A world cannot be built or stepped."""


class MapError(WorldError):
    """A map file is wrong."""


class IllegalAction(WorldError):
    """An action that the world does not define."""


class ToolError(DenizensError):
    """A tool is declared wrongly, or violates its contract."""


class PlannerError(DenizensError):
    """A planner violates its contract."""
