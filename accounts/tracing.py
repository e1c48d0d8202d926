"""The id of the request that this thread is serving, for logs, the audit trail and error pages."""

import uuid
from contextvars import ContextVar

_request_id: ContextVar[str] = ContextVar("request_id", default="")


def begin_request() -> str:
    """Give the current request an id (a UUID, as Cognito's x-amz-cognito-request-id) and return it."""
    value = str(uuid.uuid4())
    _request_id.set(value)
    return value


def current_request_id() -> str:
    """Return the id of the current request, or the empty string outside one."""
    return _request_id.get()
