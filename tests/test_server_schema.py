"""Requests made up from the server's own OpenAPI document: none makes the server fail.

``DENIZENS_SCHEMA_CASES`` is the number of requests, 1,000 by default."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path
from typing import Any

from denizens.tests.support.hosted_app import hosted_app
from denizens.tests.support.running_app import running_app
from hypothesis import HealthCheck, Phase, Verbosity, settings

CASES = int(os.environ.get("DENIZENS_SCHEMA_CASES", "1000"))


def test_no_request_of_the_document_fails(tmp_path: Path) -> None:
    """Whatever fits the document, and much that does not, gets an answer below 500."""
    import schemathesis

    limits: dict[str, Any] = {"requests_per_minute": 0, "deadline": 20.0}
    with hosted_app(tmp_path, **limits) as app, running_app(app.app) as address:
        schema = schemathesis.openapi.from_dict(app.app.openapi())
        results: list[Any] = list(schema.get_all_operations())
        operations = [result.ok() for result in results]
        statuses: Counter[int] = Counter()
        failures: list[str] = []
        share = max(2, CASES // len(operations))
        for operation in operations:
            strategy = operation.as_strategy()

            @settings(
                max_examples=share,
                deadline=None,
                database=None,
                derandomize=True,
                phases=[Phase.generate],
                verbosity=Verbosity.quiet,
                suppress_health_check=list(HealthCheck),
            )
            def call(case: object) -> None:
                response = case.call(base_url=address, headers=app.bearer("shop"))  # type: ignore[attr-defined]
                statuses[response.status_code] += 1
                if response.status_code >= 500:
                    failures.append(f"{response.status_code} {case}")

            from hypothesis import given

            given(case=strategy)(call)()
    assert failures == []
    assert sum(statuses.values()) >= 0.5 * CASES
    assert statuses[200] > 0
