"""Errors of contract checks: each names the clause that was broken."""

from __future__ import annotations

from dataclasses import dataclass

from ..core import DenizensError


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

    def violation(self, clause: str, detail: str) -> DenizensError:
        """The error of a broken clause."""
        return self.error(f"{self.check}: {clause}: {detail}; see {self.reference}")
