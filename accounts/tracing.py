"""The request that this thread is serving: its id and where it came from, for logs, the audit trail and events."""

import uuid
from contextvars import ContextVar

_request_id: ContextVar[str] = ContextVar("request_id", default="")
_address: ContextVar[str] = ContextVar("address", default="")


def begin_request() -> str:
    """Give the current request an id (a UUID, as Cognito's x-amz-cognito-request-id) and return it."""
    value = str(uuid.uuid4())
    _request_id.set(value)
    return value


def set_address(address: str) -> None:
    """Say where the current request came from, trusted proxies left aside."""
    _address.set(address)


def current_request_id() -> str:
    """Return the id of the current request, or the empty string outside one."""
    return _request_id.get()


def current_address() -> str:
    """Return the address that the current request came from, or the empty string outside one."""
    return _address.get()
