"""What of the OpenAI protocol a server turns out not to take."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable
from typing import Any

from .remote_faults import RequestRejected

log = logging.getLogger(__name__)

# Fields that an answer can do without, and whether leaving one out changes what comes: then it
# is told. A name that is a word of English counts only in quotes.
OPTIONAL_FIELDS = {
    "stream_options": False,
    "logprobs": False,
    "top_logprobs": False,
    "chat_template_kwargs": False,
    "reasoning_effort": False,
    "continue_final_message": False,
    "add_generation_prompt": False,
    "stop": False,  # applied here as well
    "seed": True,
    "top_k": True,
    "min_p": True,
    "top_p": True,
    "temperature": True,
    "repetition_penalty": True,
    "repeat_penalty": True,
}
# Told of a model that cannot reason, or cannot be kept from it.
REASONING_REFUSED = re.compile(
    r"support\w* (?:thinking|reasoning)\b|\b(?:thinking|reasoning) (?:is|cannot)\b", re.IGNORECASE
)
PAIRED_FIELDS = ({"logprobs", "top_logprobs"}, {"continue_final_message", "add_generation_prompt"})
JSON_FORMATS = ("json_schema", "json_object", "")
"""How JSON is asked for, the strictest first: bound to a schema, as any object, in words."""


class ServerDialect:
    """Remembers what one server refused, so that it is asked only once with it.

    ``format`` is the strictest of FORMATS that it takes."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._omitted: set[str] = set()
        self._renamed = False
        self.format = 0

    def adapt(self, fields: dict[str, Any]) -> dict[str, Any]:
        """A request's fields as this server takes them."""
        kept = {key: value for key, value in fields.items() if key not in self._omitted}
        if self._renamed and "max_tokens" in kept:
            kept["max_completion_tokens"] = kept.pop("max_tokens")
        return kept

    def learn_refusal(self, refused: RequestRejected, sent: dict[str, Any]) -> bool:
        """Whether a refusal names a field of what was sent that can be left out or renamed."""
        if not refused.is_adaptable:
            return False
        said = str(refused)
        if "max_tokens" in sent and "max_completion_tokens" in said:
            self._renamed = True
            return True
        named = {name for name in OPTIONAL_FIELDS if name in sent and _names_field(said, name)}
        if "reasoning_effort" in sent and REASONING_REFUSED.search(said):
            named.add("reasoning_effort")
        for pair in PAIRED_FIELDS:
            if named & pair:
                named |= pair & set(sent)
        self._warn(named - self._omitted)
        self._omitted |= named
        return bool(named)

    def learn_format(self, level: int, refused: RequestRejected | None) -> None:
        """JSON came by FORMATS[level] after a stricter one was refused: for good, unless the
        server said nothing of the format, for then it may be this one schema."""
        if refused is None or level <= self.format:
            return
        about = re.search(
            r"response_format|json_schema|json_object|json schema|requested parameters",
            str(refused),
        )
        if about or refused.status == 422:
            self.format = level
            log.warning(
                "%s takes no JSON schemas (%s); JSON is asked for %s and checked here",
                self._address,
                str(refused)[-160:],
                "as any object" if JSON_FORMATS[level] else "in words",
            )

    def _warn(self, names: Iterable[str]) -> None:
        for name in sorted(names):
            if OPTIONAL_FIELDS[name]:
                log.warning("%s takes no '%s'; it is left out from now on", self._address, name)


def _names_field(said: str, name: str) -> bool:
    if "_" in name or name == "logprobs":
        return name in said
    return re.search(rf"""["'`]{name}["'`]""", said) is not None
