"""Operations of an HTTP service as tools, from its OpenAPI document (3.0 and 3.1).

The document defines the requests; each one is passed to ``send``, which checks addresses, adds
secrets and limits responses.
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

log = logging.getLogger(__name__)

_METHODS = ("get", "put", "post", "delete", "patch", "head", "options")
_SAFE_METHODS = ("get", "head", "options")
_RESERVED_HEADERS = ("accept", "content-type", "authorization", "host", "cookie")
_MAX_OPERATIONS = 1_000


@dataclass(frozen=True, slots=True)
class OperationRequest:
    """An HTTP request; ``body`` is JSON or empty."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: str = ""


SendRequest: TypeAlias = Callable[[OperationRequest], Json]
"""Sends a request and returns the response: a value, or a text, which is parsed as JSON if it is
JSON. Raises an exception for an error response, TimeoutError and ConnectionError included."""


@dataclass(frozen=True, slots=True)
class OperationParameter:
    """A parameter and its serialization: ``place`` is path, query or header; ``explode`` repeats
    the parameter for lists and objects, ``deep`` writes objects as ``name[key]``."""

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
    report: ProgressCallback,
) -> Json:
    """Build the request from an operation's arguments, send it and return the response. ``body``
    names the argument that is the body; "": all arguments that are no parameters, None: no body."""
    remaining = dict(arguments)
    headers = {"Accept": "application/json"}
    query: list[tuple[str, str]] = []
    for parameter in parameters:
        name = parameter.name
        if name not in remaining:
            continue
        value = remaining.pop(name)
        if parameter.place == "path":
            url = url.replace(f"{{{name}}}", _path_segment(name, value))
        elif parameter.place == "header":
            headers[name] = _header(name, value)
        else:
            query += _query_pairs(parameter, value)
    if query:
        url += f"?{urlencode(query, quote_via=quote)}"
    payload = ""
    if body is not None and remaining:
        payload = json.dumps(remaining[body] if body else remaining, ensure_ascii=False)
        headers["Content-Type"] = "application/json"
    response = send(OperationRequest(method, url, headers, payload))
    if isinstance(response, str):
        try:
            response = json.loads(response)
        except ValueError:
            return response
    return response


def _path_segment(name: str, value: Json) -> str:
    text = _joined_text(value)
    if text in ("", ".", ".."):
        raise ValueError(f"argument '{name}' stands in the path and cannot be '{text}'")
    return quote(text, safe="")


def _header(name: str, value: Json) -> str:
    text = _joined_text(value)
    if not text.isprintable() or not text.isascii():
        raise ValueError(f"argument '{name}' is a header: printable ASCII only")
    return text


def _query_pairs(parameter: OperationParameter, value: Json) -> list[tuple[str, str]]:
    if isinstance(value, list):
        texts = [_text(part) for part in value]
        return (
            [(parameter.name, part) for part in texts]
            if parameter.explode
            else [(parameter.name, ",".join(texts))]
        )
    if isinstance(value, dict):
        pairs = [(key, _text(part)) for key, part in value.items()]
        if parameter.deep:
            return [(f"{parameter.name}[{key}]", part) for key, part in pairs]
        return (
            pairs
            if parameter.explode
            else [(parameter.name, ",".join(f"{k},{v}" for k, v in pairs))]
        )
    return [(parameter.name, _text(value))]


def _joined_text(value: Json) -> str:
    return ",".join(map(_text, value)) if isinstance(value, list) else _text(value)


def _text(value: Json) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


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

    ``allow`` are the URLs below which requests may go; ``base`` replaces the servers named in the
    document. ``only`` lists the wanted operations by operationId (None: all, at most 1,000; an
    empty list: none). A tool is called ``namespace.operationId``; it reads for a safe HTTP method
    (GET, HEAD, OPTIONS), else it acts. Operations with files, cookies or forms are skipped with a
    warning. Raises ToolError for an invalid document or a URL that is not allowed.
    """
    wanted = None if only is None else frozenset(_texts(only, "only"))
    allow = _texts(allow, "allow")
    root = _read_document(document)
    tools: dict[str, AnyTool] = {}
    for path, method, operation in _wanted_operations(root, wanted):
        operation_id = operation.get("operationId")
        label = f"{method.upper()} {path}"
        try:
            _check_path(path)
            parameters, schema, body = _arguments(root, operation)
        except ValueError as error:
            log.warning("OpenAPI operation %s is left out: %s", label, error)
            continue
        server = _allowed_server(base or _server(operation), allow, label)
        name = unique_tool_name(namespace, operation_id or f"{method} {path}", tools)
        run = partial(send_operation, send, method.upper(), server + path, parameters, body)
        tools[name] = ExternalTool(
            name,
            operation.get("summary") or operation.get("description") or label,
            schema,
            effect="reads" if method in _SAFE_METHODS else "acts",
            run=run,
        )
    return tuple(tools.values())


def _texts(given: Collection[str], what: str) -> tuple[str, ...]:
    """A collection of texts as a tuple. Raises ToolError for a bare text, which would be read
    letter by letter, and for a non-text."""
    bare = isinstance(given, str) or not isinstance(given, Collection)
    if bare or not all(isinstance(text, str) and text for text in given):
        raise ToolError(f"OpenAPI tools: '{what}' is {given!r}; give a list of texts")
    return tuple(given)


def _wanted_operations(
    root: dict[str, Json], wanted: Collection[str] | None
) -> Iterator[tuple[str, str, dict[str, Json]]]:
    """The wanted operations (None: all). Raises ToolError for a name without an operation or with
    two, and for too many operations."""
    count: dict[Json, int] = dict.fromkeys(wanted or (), 0)
    for number, (path, method, operation) in enumerate(_operations(root)):
        operation_id = operation.get("operationId")
        if wanted is None:
            if number >= _MAX_OPERATIONS:
                raise ToolError(
                    f"the OpenAPI document has more than {_MAX_OPERATIONS} operations; name the "
                    "wanted ones in 'only'"
                )
        elif not isinstance(operation_id, str) or operation_id not in count:
            continue
        else:
            count[operation_id] += 1
            if count[operation_id] > 1:
                raise ToolError(
                    f"the OpenAPI document has two operations '{operation_id}'; rename one"
                )
        yield path, method, operation
    if missing := sorted(name for name, uses in count.items() if not uses):
        raise ToolError(f"the OpenAPI document has no operation {', '.join(missing)}")


def _check_path(path: str) -> None:
    """Raises ValueError for a path that could lead outside the allowed URLs."""
    plain = path.lower().replace("%2e", ".").replace("%5c", "\\")
    if ".." in plain or any(sign in plain for sign in "?#\\") or not plain.isprintable():
        raise ValueError("its path holds what no path may")


def _read_document(document: Json | Path | str) -> dict[str, Json]:
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
    """Path, method and operation, merged with the parameters and servers of its path."""
    paths = root.get("paths")
    for path, path_item in (paths if isinstance(paths, dict) else {}).items():
        item = _resolved(root, path_item)
        for method in _METHODS:
            operation = _resolved(root, item.get(method))
            if not operation or not str(path).startswith("/"):
                continue
            shared = _as_list(item.get("parameters"))
            servers = operation.get("servers") or item.get("servers") or root.get("servers")
            own = _as_list(operation.get("parameters"))
            yield str(path), method, operation | {"parameters": shared + own, "servers": servers}


def _resolved(root: Json, given: Json) -> dict[str, Json]:
    """An object of the document with references resolved; an empty one if there is none."""
    for _ in range(10):
        if not isinstance(given, dict):
            return {}
        if not isinstance(given.get("$ref"), str):
            return given
        reference = given["$ref"]
        given = resolve_pointer(root, reference, None) if reference.startswith("#") else None
    return {}


def _as_list(given: Json) -> list[Json]:
    return given if isinstance(given, list) else []


def _arguments(
    root: dict[str, Json], operation: dict[str, Json]
) -> tuple[tuple[OperationParameter, ...], Json, str | None]:
    """The parameters, the schema of all arguments, and the body as in ``send_operation``. Raises
    ValueError if a required parameter cannot be sent."""
    parameters: dict[str, OperationParameter] = {}
    properties: dict[str, Json] = {}
    required: list[str] = []
    for entry in operation["parameters"]:
        parameter = _resolved(root, entry)
        name, place = str(parameter.get("name", "")), parameter.get("in")
        if not name or (place == "header" and name.lower() in _RESERVED_HEADERS):
            continue
        if place not in ("path", "query", "header"):
            if parameter.get("required"):
                raise ValueError(f"it needs the {place} parameter '{name}'")
            continue
        content = parameter.get("content")
        schema = parameter.get("schema") if content is None else {}
        described = sanitize_part(schema, root)
        if text := clean_text(parameter.get("description"), 300):
            described["description"] = text
        # A later parameter of the same name is the operation's own.
        properties[name] = described
        deep = parameter.get("style") == "deepObject"
        parameters[name] = OperationParameter(
            name, place, parameter.get("explode") is not False, deep
        )
        if (place == "path" or parameter.get("required") is True) and name not in required:
            required.append(name)
    body = _body(root, operation, properties, required)
    schema = {"type": "object", "properties": properties, "required": required}
    return tuple(parameters.values()), {**schema, "additionalProperties": False}, body


def sanitize_part(schema: Json, root: Json) -> dict[str, Json]:
    """A sanitized schema of any type within a document."""
    wrapper = sanitize_schema({"type": "object", "properties": {"it": schema}}, root)
    sanitized: dict[str, Json] = wrapper.get("properties", {}).get("it", {})
    return sanitized


def _body(
    root: dict[str, Json],
    operation: dict[str, Json],
    properties: dict[str, Json],
    needed: list[str],
) -> str | None:
    request_body = _resolved(root, operation.get("requestBody"))
    content = request_body.get("content")
    if not isinstance(content, dict) or not content:
        return None
    kinds = [k for k in content if str(k).split(";")[0].strip().endswith(("/json", "+json"))]
    if not kinds:
        if request_body.get("required"):
            raise ValueError(f"its body is {', '.join(map(str, content))}, not JSON")
        return None
    schema = sanitize_part(_resolved(root, content[kinds[0]]).get("schema"), root)
    members = schema.get("properties", {})
    plain = schema.get("type") == "object" and "anyOf" not in schema and "allOf" not in schema
    if plain and members and not set(members) & set(properties):
        properties |= members
        if request_body.get("required"):
            needed += schema.get("required", [])
        return ""
    name = next(n for n in ("body", "request_body", "body_") if n not in properties)
    properties[name] = schema
    if request_body.get("required"):
        needed.append(name)
    return name


def _server(operation: dict[str, Json]) -> str:
    servers = _as_list(operation.get("servers"))
    first = servers[0] if servers and isinstance(servers[0], dict) else {}
    url = str(first.get("url", ""))
    variables = first.get("variables")
    for name, variable in (variables if isinstance(variables, dict) else {}).items():
        default = variable.get("default", "") if isinstance(variable, dict) else ""
        url = url.replace(f"{{{name}}}", str(default))
    return url


def _allowed_server(server: str, allow: Collection[str], label: str) -> str:
    """The server's URL without a trailing slash. Raises ToolError if it is not allowed."""
    origin = _origin(server)
    for url in allow:
        allowed = _origin(url)
        if origin is None or allowed is None:
            continue
        below = origin[1] == allowed[1] or origin[1].startswith(f"{allowed[1]}/")
        if origin[0] == allowed[0] and below:
            return server.rstrip("/")
    raise ToolError(
        f"{label} goes to '{server}', which is not below any of {', '.join(allow) or 'no URL'}; "
        "add it to allow, or give another base"
    )


def _origin(url: str) -> tuple[tuple[str, str, int], str] | None:
    """Origin (scheme, host, port) and path of a URL; None if it is no plain http(s) URL."""
    try:
        parts = urlsplit(url)
        port = parts.port or {"http": 80, "https": 443}[parts.scheme]
    except (ValueError, KeyError):
        return None
    plain = not (parts.username or parts.password or parts.query or parts.fragment)
    if not parts.hostname or not plain or ".." in parts.path or "\\" in url or "%" in url:
        return None
    return (parts.scheme, parts.hostname.lower(), port), parts.path.rstrip("/")
