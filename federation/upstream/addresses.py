"""Which addresses this server calls, and the connections to them: server-side request forgery ends here.

A name is resolved once, each address is checked, and the connection goes to the very address that was checked, so that
a name which answers differently a moment later (DNS rebinding) gains nothing. TLS still proves the name. Every wait is
bounded by one deadline for the whole exchange, however slowly the other side dribbles.

OWASP, Server-Side Request Forgery Prevention; RFC 6890 and its registries, as ipaddress knows them.
"""

import ipaddress
import socket
import ssl
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as TooLate
from typing import Any

import httpcore
from django.conf import settings

from federation.upstream.fetching import FetchFailed

MAX_TRIED = 3
NAT64 = ipaddress.ip_network("64:ff9b::/96")
# the system's resolver has no timeout of ours; whoever waits for it here waits no longer than the deadline
_resolvers = ThreadPoolExecutor(max_workers=8, thread_name_prefix="resolve")

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def permitted(address: Address) -> bool:
    """Whether a provider may live at ``address``: a public one, or one that the deployment names.

    An IPv6 address that stands for an IPv4 address is judged by that. The tunnels of old (6to4, Teredo) lead nowhere
    that a provider would be, and Python's versions disagree on whether they are public.
    """
    if settings.USERPOOL_UPSTREAM_ALLOW_PRIVATE:
        return not address.is_multicast
    if any(address in ipaddress.ip_network(network, strict=False) for network in settings.USERPOOL_UPSTREAM_NETWORKS):
        return True
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return permitted(address.ipv4_mapped)
        if address in NAT64:
            return permitted(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
        if address.sixtofour is not None or address.teredo is not None or address.is_site_local:
            return False
    return address.is_global and not (address.is_multicast or address.is_reserved or address.is_unspecified)


def resolve(host: str, port: int, deadline: float) -> list[Address]:
    """Return the permitted addresses of ``host``; raise FetchFailed when there is none, or no answer in time."""
    try:
        literal = ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        pass
    else:
        if not permitted(literal):
            raise FetchFailed("private_address", host)
        return [literal]
    pending = _resolvers.submit(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM)
    try:
        answers = pending.result(max(0.0, deadline - time.monotonic()))
    except TooLate:
        pending.cancel()
        raise FetchFailed("timeout", host) from None
    except (OSError, UnicodeError) as error:
        raise FetchFailed("name_unknown", host) from error
    found = list(dict.fromkeys(ipaddress.ip_address(str(answer[4][0]).partition("%")[0]) for answer in answers))
    allowed = [address for address in found if permitted(address)]
    if not allowed:
        raise FetchFailed("private_address", host)
    return allowed[:MAX_TRIED]


class BoundedStream(httpcore.NetworkStream):
    """A stream whose every read and write ends by the deadline."""

    def __init__(self, stream: httpcore.NetworkStream, deadline: float) -> None:
        self._stream, self._deadline = stream, deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, _left(self._deadline, timeout, httpcore.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, _left(self._deadline, timeout, httpcore.WriteTimeout))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        left = _left(self._deadline, timeout, httpcore.ConnectTimeout)
        return BoundedStream(self._stream.start_tls(ssl_context, server_hostname, left), self._deadline)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


def _left(deadline: float, timeout: float | None, too_late: type[Exception]) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise too_late("the deadline of the exchange has passed")
    return left if timeout is None else min(left, timeout)


class GuardedBackend(httpcore.NetworkBackend):
    """Connects to permitted addresses only. httpcore asks it for every connection, so nothing goes past it."""

    def __init__(self, deadline: float) -> None:
        self._deadline = deadline
        self._backend = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        failure: Exception = httpcore.ConnectError("no address")
        for address in resolve(host, port, self._deadline):
            left = _left(self._deadline, timeout, httpcore.ConnectTimeout)
            try:
                stream = self._backend.connect_tcp(str(address), port, left, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
            else:
                return BoundedStream(stream, self._deadline)
        raise failure
