"""The load generator: prepared requests over a few keep-alive connections, and a check of every answer.

It does as little as it can, on a core of its own, so that the server is never kept waiting and the generator is never
what is measured. One thread; while it reads the answer on one connection, the others have a request under way.
"""

import socket
from collections.abc import Sequence
from dataclasses import dataclass, field

TIMEOUT = 30.0
CONNECTIONS = 4


@dataclass(slots=True)
class Outcome:
    """How a run went: answers, and the first few that were not what they should be."""

    answers: int = 0
    failures: int = 0
    examples: list[str] = field(default_factory=list)

    def failed(self, answer: bytes) -> None:
        self.failures += 1
        if len(self.examples) < 3:
            self.examples.append(answer[:600].decode("latin-1"))


class Connection:
    """A keep-alive connection. Answers are whole: head and body, chunks joined as they stand."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.send = self._socket.sendall

    def receive(self) -> bytes:
        """Return the next answer; raise ConnectionError when the server closes in the middle of it."""
        data = self._more(b"")
        while (end := data.find(b"\r\n\r\n")) < 0:
            data = self._more(data)
        head = data[:end].lower()
        at = head.find(b"\r\ncontent-length:")
        if at >= 0:
            whole = end + 4 + int(head[at + 17 :].split(b"\r\n", 1)[0])
            while len(data) < whole:
                data = self._more(data)
        elif b"\r\ntransfer-encoding: chunked" in head:
            while not data.endswith(b"0\r\n\r\n"):
                data = self._more(data)
        return data

    def _more(self, data: bytes) -> bytes:
        part = self._socket.recv(65536)
        if not part:
            raise ConnectionError("the server closed the connection")
        return data + part

    def close(self) -> None:
        self._socket.close()


def exchange(port: int, request: bytes) -> bytes:
    """Send one request on a connection of its own and return the answer."""
    connection = Connection(port)
    try:
        connection.send(request)
        return connection.receive()
    finally:
        connection.close()


def drive(port: int, requests: Sequence[bytes], expected: bytes) -> Outcome:
    """Send every request once. An answer is right when its status is 2xx or 3xx and it contains ``expected``."""
    outcome = Outcome()
    connections = [Connection(port) for _ in range(min(CONNECTIONS, len(requests)))]
    count = len(connections)
    try:
        for connection, request in zip(connections, requests, strict=False):
            connection.send(request)
        for number in range(len(requests)):
            connection = connections[number % count]
            answer = connection.receive()
            if number + count < len(requests):
                connection.send(requests[number + count])
            outcome.answers += 1
            if answer[9:10] not in (b"2", b"3") or expected not in answer:
                outcome.failed(answer)
    except (ConnectionError, TimeoutError) as error:
        outcome.failures += len(requests) - outcome.answers
        outcome.examples.append(f"{type(error).__name__}: {error}")
    finally:
        for connection in connections:
            connection.close()
    return outcome
