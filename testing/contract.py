"""Errors of contract checks: each names the clause that was broken."""

from __future__ import annotations

import json
from dataclasses import dataclass

from ..core import DenizensError, Json


@dataclass(frozen=True, slots=True)
class Contract:
    """A contract under examination: ``check`` is the name of the check, ``error`` the type it
    raises, ``reference`` the page or file that states the contract."""

    check: str
    error: type[DenizensError]
    reference: str

    def require(self, holds: bool, clause: str, detail: str) -> None:
        """Raise ``error`` unless a clause holds."""
        if not holds:
            raise self.violation(clause, detail)

    def require_json(self, value: Json, clause: str, where: str = "") -> str:
        """The value as JSON text; raise ``error`` for one that JSON does not restore."""
        place = f"{where}: " if where else ""
        try:
            text = json.dumps(value, sort_keys=True, allow_nan=False)
        except (TypeError, ValueError) as error:
            raise self.violation(clause, f"{place}{error}") from error
        restored = json.loads(text) == value
        self.require(restored, clause, f"{place}reading it back gives something else")
        return text

    def violation(self, clause: str, detail: str) -> DenizensError:
        """The error of a broken clause."""
        return self.error(f"{self.check}: {clause}: {detail}; see {self.reference}")
