"""The errors of the package: a message says what happened, where, and the remedy."""

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
