"""One request of an operation's arguments, and the reading of its answer.

Operations of an HTTP service as tools, read from its OpenAPI document (3.0 and 3.1).

The document says what can be asked; who asks is another's part: each call is handed to a
``send`` as one request, so that whatever checks addresses, keeps secrets and bounds answers
does it here too.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import quote, urlencode, urlsplit

from ...core import Json, ToolError, check_arguments, read_settings, read_text_file, resolve_pointer
from ..declaration import AnyTool, ProgressCallback
from .external_tool import ExternalTool, import_optional, unique_tool_name
from .schema_sanitizer import clean_text, sanitize_schema


@dataclass(frozen=True, slots=True)
class OperationRequest:
    """One request to be sent; ``body`` is JSON, or empty."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: str = ""


SendRequest: TypeAlias = Callable[[OperationRequest], Json]
"""Sends a request and gives back the answer: a value, or its text (which is read as JSON where
it is JSON). Raises for an answer that is an error, TimeoutError and ConnectionError included."""


@dataclass(frozen=True, slots=True)
class OperationParameter:
    """A parameter and how it is written: ``place`` is path, query or header; lists and objects
    are spread over several when ``explode``, objects in brackets when ``deep``."""

    name: str
    place: str
    explode: bool
    deep: bool


def send_operation(
    send: SendRequest,
    method: str,
    url: str,
    parameters: tuple[OperationParameter, ...],
    body: str | None,
    arguments: dict[str, Json],
    tell: ProgressCallback,
) -> Json:
    """Make the request of an operation's arguments, have it sent, read the answer. ``body`` is
    the argument that is the body: "" for all that are no parameters, None for none."""
    left = dict(arguments)
    headers = {"Accept": "application/json"}
    query: list[tuple[str, str]] = []
    for one in parameters:
        if one.name not in left:
            continue
        value = left.pop(one.name)
        if one.place == "path":
            url = url.replace(f"{{{one.name}}}", _segment(one.name, value))
        elif one.place == "header":
            headers[one.name] = _header(one.name, value)
        else:
            query += _queried(one, value)
    if query:
        url += f"?{urlencode(query, quote_via=quote)}"
    payload = ""
    if body is not None and left:
        payload = json.dumps(left[body] if body else left, ensure_ascii=False)
        headers["Content-Type"] = "application/json"
    answer = send(OperationRequest(method, url, headers, payload))
    if isinstance(answer, str):
        try:
            answer = json.loads(answer)
        except ValueError:
            return answer
    return answer


def _segment(name: str, value: Json) -> str:
    text = ",".join(map(_text, value)) if isinstance(value, list) else _text(value)
    if text in ("", ".", ".."):
        raise ValueError(f"argument '{name}' stands in the path and cannot be '{text}'")
    return quote(text, safe="")


def _header(name: str, value: Json) -> str:
    text = ",".join(map(_text, value)) if isinstance(value, list) else _text(value)
    if not text.isprintable() or not text.isascii():
        raise ValueError(f"argument '{name}' is a header: printable ASCII only")
    return text


def _queried(one: OperationParameter, value: Json) -> list[tuple[str, str]]:
    if isinstance(value, list):
        texts = [_text(part) for part in value]
        return (
            [(one.name, part) for part in texts] if one.explode else [(one.name, ",".join(texts))]
        )
    if isinstance(value, dict):
        pairs = [(key, _text(part)) for key, part in value.items()]
        if one.deep:
            return [(f"{one.name}[{key}]", part) for key, part in pairs]
        return pairs if one.explode else [(one.name, ",".join(f"{k},{v}" for k, v in pairs))]
    return [(one.name, _text(value))]


def _text(value: Json) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


log = logging.getLogger(__name__)

_METHODS = ("get", "put", "post", "delete", "patch", "head", "options")
_READING = ("get", "head", "options")
_NOT_OURS = ("accept", "content-type", "authorization", "host", "cookie")
_MOST = 1_000


@check_arguments
def tools_from_openapi(
    document: Json | Path | str,
    *,
    send: SendRequest,
    allow: Collection[str],
    namespace: str = "",
    base: str = "",
    only: Collection[str] | None = None,
) -> tuple[AnyTool, ...]:
    """A tool for each operation of a document (a value, or a .json, .yaml or .toml file).

    ``allow`` are the URLs below which requests may go, whatever the document says of its
    servers; ``base`` is used instead of those. ``only`` names the wanted operations by their
    operationId: no name, no tool (None: every operation, at most 1,000). A tool is called
    ``namespace.operationId``; it reads where HTTP says that its method does, else it acts. What
    cannot be put into words (files, cookies, forms) is left out with a warning. Raises
    ToolError for what is no such document, or may not be asked.
    """
    wanted = None if only is None else frozenset(_names(only, "only"))
    allow = _names(allow, "allow")
    root = _read(document)
    found: dict[str, AnyTool] = {}
    for path, method, operation in _chosen(root, wanted):
        given = operation.get("operationId")
        label = f"{method.upper()} {path}"
        try:
            _check_path(path)
            parameters, schema, body = _arguments(root, operation)
        except ValueError as error:
            log.warning("OpenAPI operation %s is left out: %s", label, error)
            continue
        server = _allowed(base or _server(operation), allow, label)
        name = unique_tool_name(namespace, given or f"{method} {path}", found)
        run = partial(send_operation, send, method.upper(), server + path, parameters, body)
        found[name] = ExternalTool(
            name,
            operation.get("summary") or operation.get("description") or label,
            schema,
            effect="reads" if method in _READING else "acts",
            run=run,
        )
    return tuple(found.values())


def _names(given: Collection[str], what: str) -> tuple[str, ...]:
    """A collection of texts. Raises ToolError for one bare text, which would be read letter by
    letter, and for what is no text."""
    bare = isinstance(given, str) or not isinstance(given, Collection)
    if bare or not all(isinstance(one, str) and one for one in given):
        raise ToolError(f"OpenAPI tools: '{what}' is {given!r}; give a list of texts")
    return tuple(given)


def _chosen(
    root: dict[str, Json], wanted: Collection[str] | None
) -> Iterator[tuple[str, str, dict[str, Json]]]:
    """The operations of these names; all of them for None. Raises ToolError for names that no
    operation has or that two have, and for too many operations."""
    count: dict[Json, int] = dict.fromkeys(wanted or (), 0)
    for number, (path, method, operation) in enumerate(_operations(root)):
        given = operation.get("operationId")
        if wanted is None:
            if number >= _MOST:
                raise ToolError(
                    f"the OpenAPI document has more than {_MOST} operations; name the wanted "
                    "ones in 'only'"
                )
        elif not isinstance(given, str) or given not in count:
            continue
        else:
            count[given] += 1
            if count[given] > 1:
                raise ToolError(f"the OpenAPI document has two operations '{given}'; rename one")
        yield path, method, operation
    if missing := sorted(name for name, found in count.items() if not found):
        raise ToolError(f"the OpenAPI document has no operation {', '.join(missing)}")


def _check_path(path: str) -> None:
    """Raises ValueError for a path that could lead out of what is allowed."""
    plain = path.lower().replace("%2e", ".").replace("%5c", "\\")
    if ".." in plain or any(one in plain for one in "?#\\") or not plain.isprintable():
        raise ValueError("its path holds what no path may")


def _read(document: Json | Path | str) -> dict[str, Json]:
    root: Json = document
    if isinstance(document, Path | str):
        file = Path(document)
        if file.suffix in (".yaml", ".yml"):
            yaml: Any = import_optional("yaml")
            text = read_text_file(file, error=ToolError)
            try:
                root = yaml.safe_load(text)
            except (ValueError, RecursionError, yaml.YAMLError) as error:
                raise ToolError(f"{file}: cannot be read as YAML ({error})") from error
        else:
            root = read_settings(file)
    version = root.get("openapi") if isinstance(root, dict) else None
    if not isinstance(version, str) or not version.startswith("3."):
        raise ToolError(
            "this is no OpenAPI 3 document (its 'openapi' is "
            f"{version!r}); convert a Swagger 2.0 document first"
        )
    return dict(root)


def _operations(root: dict[str, Json]) -> Iterator[tuple[str, str, dict[str, Json]]]:
    """Path, method and operation, with what its path says for all operations put in."""
    paths = root.get("paths")
    for path, given in (paths if isinstance(paths, dict) else {}).items():
        item = _followed(root, given)
        for method in _METHODS:
            operation = _followed(root, item.get(method))
            if not operation or not str(path).startswith("/"):
                continue
            shared = _listed(item.get("parameters"))
            servers = operation.get("servers") or item.get("servers") or root.get("servers")
            own = _listed(operation.get("parameters"))
            yield str(path), method, operation | {"parameters": shared + own, "servers": servers}


def _followed(root: Json, given: Json) -> dict[str, Json]:
    """A part of the document, references followed; nothing where there is no such part."""
    for _ in range(10):
        if not isinstance(given, dict):
            return {}
        if not isinstance(given.get("$ref"), str):
            return given
        reference = given["$ref"]
        given = resolve_pointer(root, reference, None) if reference.startswith("#") else None
    return {}


def _listed(given: Json) -> list[Json]:
    return given if isinstance(given, list) else []


def _arguments(
    root: dict[str, Json], operation: dict[str, Json]
) -> tuple[tuple[OperationParameter, ...], Json, str | None]:
    """The parameters, the schema of all arguments, and which of them is the body: its name,
    "" for all that are no parameters, None for no body. Raises ValueError."""
    parameters: dict[str, OperationParameter] = {}
    properties: dict[str, Json] = {}
    needed: list[str] = []
    for given in operation["parameters"]:
        one = _followed(root, given)
        name, place = str(one.get("name", "")), one.get("in")
        if not name or (place == "header" and name.lower() in _NOT_OURS):
            continue
        if place not in ("path", "query", "header"):
            if one.get("required"):
                raise ValueError(f"it needs the {place} parameter '{name}'")
            continue
        content = one.get("content")
        schema = one.get("schema") if content is None else {}
        described = sanitize_part(schema, root)
        if text := clean_text(one.get("description"), 300):
            described["description"] = text
        # A later one of the same name is the operation's own.
        properties[name] = described
        deep = one.get("style") == "deepObject"
        parameters[name] = OperationParameter(name, place, one.get("explode") is not False, deep)
        if (place == "path" or one.get("required") is True) and name not in needed:
            needed.append(name)
    body = _body(root, operation, properties, needed)
    schema = {"type": "object", "properties": properties, "required": needed}
    return tuple(parameters.values()), {**schema, "additionalProperties": False}, body


def sanitize_part(schema: Json, root: Json) -> dict[str, Json]:
    """A schema of any type, tamed, in a document."""
    inside = sanitize_schema({"type": "object", "properties": {"it": schema}}, root)
    found: dict[str, Json] = inside.get("properties", {}).get("it", {})
    return found


def _body(
    root: dict[str, Json],
    operation: dict[str, Json],
    properties: dict[str, Json],
    needed: list[str],
) -> str | None:
    given = _followed(root, operation.get("requestBody"))
    content = given.get("content")
    if not isinstance(content, dict) or not content:
        return None
    kinds = [k for k in content if str(k).split(";")[0].strip().endswith(("/json", "+json"))]
    if not kinds:
        if given.get("required"):
            raise ValueError(f"its body is {', '.join(map(str, content))}, not JSON")
        return None
    schema = sanitize_part(_followed(root, content[kinds[0]]).get("schema"), root)
    members = schema.get("properties", {})
    plain = schema.get("type") == "object" and "anyOf" not in schema and "allOf" not in schema
    if plain and members and not set(members) & set(properties):
        properties |= members
        if given.get("required"):
            needed += schema.get("required", [])
        return ""
    name = next(n for n in ("body", "request_body", "body_") if n not in properties)
    properties[name] = schema
    if given.get("required"):
        needed.append(name)
    return name


def _server(operation: dict[str, Json]) -> str:
    servers = _listed(operation.get("servers"))
    first = servers[0] if servers and isinstance(servers[0], dict) else {}
    url = str(first.get("url", ""))
    variables = first.get("variables")
    for name, variable in (variables if isinstance(variables, dict) else {}).items():
        default = variable.get("default", "") if isinstance(variable, dict) else ""
        url = url.replace(f"{{{name}}}", str(default))
    return url


def _allowed(server: str, allow: Collection[str], label: str) -> str:
    """The server without its last slash. Raises ToolError where nothing allows it."""
    found = _origin(server)
    for one in allow:
        known = _origin(one)
        if found is None or known is None:
            continue
        below = found[1] == known[1] or found[1].startswith(f"{known[1]}/")
        if found[0] == known[0] and below:
            return server.rstrip("/")
    raise ToolError(
        f"{label} goes to '{server}', which is not below any of {', '.join(allow) or 'no URL'}; "
        "add it to allow, or give another base"
    )


def _origin(url: str) -> tuple[tuple[str, str, int], str] | None:
    """Scheme, host and port, and the path; None for what is no plain http(s) URL."""
    try:
        parts = urlsplit(url)
        port = parts.port or {"http": 80, "https": 443}[parts.scheme]
    except (ValueError, KeyError):
        return None
    plain = not (parts.username or parts.password or parts.query or parts.fragment)
    if not parts.hostname or not plain or ".." in parts.path or "\\" in url or "%" in url:
        return None
    return (parts.scheme, parts.hostname.lower(), port), parts.path.rstrip("/")
