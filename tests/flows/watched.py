"""Userpool's WSGI application, unchanged, and a note of every secret that passes: what its own log must not hold.

The server processes of tests/flows/server.py run this one. Secrets go to the file that SECRETS_FILE names, one JSON
string a line, before the answer leaves: whoever has the answer can look them up in the log.
"""

import io
import json
import os
from collections.abc import Callable, Iterable
from threading import Lock
from typing import Any

from userpool.wsgi import application as userpool

# the models wait for the settings, which the line above reads
# isort: split
from federation.upstream import http
from tests.flows import hygiene

_known: set[str] = set()
_lock = Lock()


def note(values: Iterable[str]) -> None:
    """Write down the secrets that are new."""
    with _lock:
        new = {value for value in values if len(value) >= hygiene.SHORTEST} - _known
        _known.update(new)
        if new:
            with open(os.environ[hygiene.SECRETS_FILE], "a", encoding="utf-8") as file:
                file.writelines(json.dumps(value) + "\n" for value in new)


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    sent = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    environ["wsgi.input"] = io.BytesIO(sent)
    answered: list[tuple[str, str]] = []

    def start(status: str, headers: list[tuple[str, str]], *rest: Any) -> Any:
        answered.extend(headers)
        return start_response(status, headers, *rest)

    note(hygiene.of_exchange(environ, sent, [], b""))  # before it is handled: it may be logged then
    response = userpool(environ, start)
    try:
        body = b"".join(response)
    finally:
        if hasattr(response, "close"):
            response.close()
    note(hygiene.of_exchange({}, b"", answered, body))
    return [body]


_send = http.Exchange._send


def _noted(self: http.Exchange, method: str, url: str, headers: Any, form: Any, *rest: Any) -> Any:
    """What is said to an identity provider, and by it."""
    note([*hygiene.of_url(url), *hygiene.of_headers(headers.items()), *hygiene.of_fields((form or {}).items())])
    answer, location = _send(self, method, url, headers, form, *rest)
    note(hygiene.of_body(answer.content_type, answer.body))
    return answer, location


http.Exchange._send = _noted  # type: ignore[method-assign]
