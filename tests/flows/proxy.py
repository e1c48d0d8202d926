"""examples/haproxy.cfg under a real HAProxy, with the addresses of this machine in it and nothing else changed."""

import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread

import httpx

from tests.composefile import ROOT
from tests.flows.compose import WEB_ADDRESSES
from tests.needs import haproxy
from tests.services import free_port, running


class Names(Thread):
    """A DNS server (RFC 1035) that knows the addresses of ``web`` and nothing else."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.addresses = list(WEB_ADDRESSES)
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.port: int = self.socket.getsockname()[1]

    def run(self) -> None:
        while True:
            asked, whom = self.socket.recvfrom(4096)
            if not asked:
                return
            end = asked.index(b"\0", 12) + 5
            question, is_a = asked[12:end], asked[end - 4 : end - 2] == b"\0\1"
            known = self.addresses if is_a and question.startswith(b"\3web\0") else []
            head = asked[:2] + b"\x81\x80\0\1" + len(known).to_bytes(2, "big") + b"\0\0\0\0"
            answers = b"".join(b"\xc0\x0c\0\1\0\1\0\0\0\1\0\4" + socket.inet_aton(each) for each in known)
            self.socket.sendto(head + question + answers, whom)

    def stop(self) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as caller:
            caller.sendto(b"", ("127.0.0.1", self.port))
        self.join(5)
        self.socket.close()


@contextmanager
def haproxy_running(
    folder: Path, port: int, web_port: int, secure_port: int = 0, **environment: str
) -> Iterator[Names]:
    """Run it on ``port``; yield the server of names that it asks. Its log is ``haproxy.log`` in ``folder``."""
    alive, names = free_port(), Names()
    text = (ROOT / "examples/haproxy.cfg").read_text(encoding="utf-8")
    for there, here in (
        ("bind :8080", f"bind 127.0.0.1:{port}"),
        ("bind :8443", f"bind 127.0.0.1:{secure_port or free_port()}"),
        ("bind 127.0.0.1:8404", f"bind 127.0.0.1:{alive}"),
        ("nameserver docker 127.0.0.11:53", f"nameserver docker 127.0.0.1:{names.port}"),
        ("web:8000", f"web:{web_port}"),
    ):
        assert text.count(there) == 1, there
        text = text.replace(there, here)
    file = folder / "haproxy.cfg"
    file.write_text(text, encoding="utf-8")

    def answers() -> None:
        try:
            assert httpx.get(f"http://127.0.0.1:{alive}/healthz").status_code == 200
        except httpx.TransportError as error:
            raise ConnectionError from error

    # -W -db is how the image starts it; empty values are what Compose gives where nothing is set
    command = [haproxy(), "-W", "-db", "-f", str(file)]
    given = {"PATH": "/usr/sbin:/usr/bin:/bin", "PROXY_CERTIFICATE": "", "PROXY_BEHIND": ""} | environment
    names.start()
    try:
        with running(command, folder / "haproxy.log", answers, signal.SIGTERM, env=given):
            yield names
    finally:
        names.stop()
