"""Calls to identity providers, over real sockets: what is called, what is followed, what ends a call.

RFC 9110 15.4 (redirects), 9.2.2 (which requests may be repeated) and 10.1.5 (User-Agent), RFC 9112 9.3.1 (a connection
that is closed early), RFC 8259 (JSON); OWASP, Server-Side Request Forgery Prevention. W 7.2: https only, a User-Agent
that names the product.
"""

import ipaddress
import json
import ssl
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpcore
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from pytest_django import Settings

from federation.upstream import http, suspension
from federation.upstream.addresses import GuardedBackend
from federation.upstream.fetching import CAUSES, FetchFailed
from federation.upstream.http import Answer, Exchange, require_callable
from tests.fakes.server import Call, FakeServer, Handler, Reply

SECRET = {"client_secret": "s", "code": "c"}


@pytest.fixture
def fake(settings: Settings) -> Iterator[FakeServer]:
    """A provider on http, as in development."""
    settings.USERPOOL_UPSTREAM_ALLOW_PRIVATE = True
    with FakeServer() as running:
        running.routes["/good"] = lambda call: Reply({"good": True})
        yield running


@pytest.fixture
def exchange() -> Iterator[Exchange]:
    with Exchange() as calls:
        yield calls


def failure(call: Callable[[], Any]) -> FetchFailed:
    with pytest.raises(FetchFailed) as caught:
        call()
    return caught.value


def cause(call: Callable[[], Any]) -> str:
    return failure(call).cause


# --- which URLs


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://idp.example.test/x?y", "idp.example.test"),
        ("https://idp.example.test:443/", "idp.example.test"),
        ("https://idp.example.test:8443/", "idp.example.test:8443"),
        ("HTTPS://IDP.example.test", "idp.example.test"),
    ],
)
def test_an_https_url_is_called_at_any_port(url: str, host: str) -> None:
    assert require_callable(url) == host


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://idp.example.test/", "not_https"),
        ("http://127.0.0.1/", "not_https"),
        ("ftp://idp.example.test/", "not_a_url"),
        ("file:///etc/passwd", "not_a_url"),
        ("javascript:alert(1)", "not_a_url"),
        ("//idp.example.test/", "not_a_url"),
        ("/relative", "not_a_url"),
        ("", "not_a_url"),
        ("https://", "not_a_url"),
        ("https:///x", "not_a_url"),
        ("https://user:password@idp.example.test/", "not_a_url"),
        ("https://user@idp.example.test/", "not_a_url"),
        ("https://idp.example.test:port/", "not_a_url"),
        ("https://idp.example.test/\n", "not_a_url"),
        ("https://[::1/", "not_a_url"),
        ("https://x" + "y" * 70_000, "not_a_url"),
    ],
)
def test_nothing_else_is_called(url: str, expected: str, exchange: Exchange) -> None:
    assert cause(lambda: require_callable(url)) == expected
    assert cause(lambda: exchange.get(url)) == expected
    assert cause(lambda: exchange.post(url, SECRET)) == expected


def test_http_is_for_development(settings: Settings) -> None:
    settings.USERPOOL_UPSTREAM_ALLOW_PRIVATE = True
    assert require_callable("http://localhost:8000/x") == "localhost:8000"
    assert cause(lambda: require_callable("http://user:password@localhost/")) == "not_a_url"


def test_a_private_address_is_not_called(exchange: Exchange) -> None:
    with FakeServer() as inside:
        port = inside.base.rpartition(":")[2]
        assert cause(lambda: exchange.get(f"https://127.0.0.1:{port}/")) == "private_address"
        assert inside.calls == []


# --- what is sent


def test_a_call_says_who_calls_and_what_it_takes(fake: FakeServer, exchange: Exchange) -> None:
    answer = exchange.get(f"{fake.base}/good", {"Authorization": "Bearer t"})
    assert (answer.status, answer.content_type, answer.json()) == (200, "application/json", {"good": True})
    assert answer.host == fake.base.removeprefix("http://")
    sent = fake.calls[0]
    assert sent.method == "GET"
    assert sent.headers["user-agent"].startswith("Userpool/")
    assert sent.headers["accept"] == "application/json"
    assert sent.headers["accept-encoding"] == "identity"
    assert sent.headers["authorization"] == "Bearer t"


def test_a_form_is_posted_as_one(fake: FakeServer, exchange: Exchange) -> None:
    exchange.post(f"{fake.base}/good", {"code": "a b&c", "leer": ""})
    sent = fake.calls[0]
    assert (sent.method, sent.form) == ("POST", {"code": "a b&c", "leer": ""})
    assert sent.headers["content-type"] == "application/x-www-form-urlencoded"


def test_no_cookie_is_ever_sent_back(fake: FakeServer, exchange: Exchange) -> None:
    for path in ("/sets", "/good"):
        fake.routes[path] = lambda call: Reply({}, headers={"Set-Cookie": "session=1; Path=/"})
    for _ in range(2):
        exchange.get(f"{fake.base}/sets")
        exchange.post(f"{fake.base}/good", SECRET)
    assert [call.headers.get("cookie") for call in fake.calls] == [None] * 4


def test_the_proxies_of_the_environment_are_not_used(
    fake: FakeServer, exchange: Exchange, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A proxy would resolve the name by itself, and the check of the address would be worth nothing."""
    with FakeServer() as proxy:
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.base)
            monkeypatch.setenv(name.lower(), proxy.base)
        monkeypatch.delenv("NO_PROXY", raising=False)
        monkeypatch.delenv("no_proxy", raising=False)
        assert exchange.get(f"{fake.base}/good").status == 200
        assert proxy.calls == []


def test_the_passwords_of_netrc_are_not_sent(
    fake: FakeServer, exchange: Exchange, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login me password secret\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    exchange.get(f"{fake.base}/good")
    assert "authorization" not in fake.calls[0].headers


# --- redirects


def redirect_to(location: str | None, status: int = 302) -> Reply:
    return Reply(b"", status, {"Location": location} if location is not None else {})


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_what_anybody_may_read_is_followed_to_where_it_went(fake: FakeServer, exchange: Exchange, status: int) -> None:
    fake.routes["/moved"] = lambda call: redirect_to("/good", status)
    fake.routes["/far"] = lambda call: redirect_to(f"{fake.base}/moved", status)
    assert exchange.get(f"{fake.base}/far", follow=True).json() == {"good": True}
    assert [call.path for call in fake.calls] == ["/far", "/moved", "/good"]


def test_a_loop_of_redirects_ends(fake: FakeServer, exchange: Exchange) -> None:
    fake.routes["/loop"] = lambda call: redirect_to("/loop")
    assert cause(lambda: exchange.get(f"{fake.base}/loop", follow=True)) == "redirected"
    assert len(fake.calls) == http.MAX_HOPS


@pytest.mark.parametrize("location", [None, ""])
def test_a_redirect_to_nowhere_is_an_answer(fake: FakeServer, exchange: Exchange, location: str | None) -> None:
    fake.routes["/nowhere"] = lambda call: redirect_to(location)
    assert exchange.get(f"{fake.base}/nowhere", follow=True).status == 302


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_call_with_a_secret_is_not_redirected(fake: FakeServer, exchange: Exchange, status: int) -> None:
    fake.routes["/moved"] = lambda call: redirect_to("/good", status)
    assert cause(lambda: exchange.post(f"{fake.base}/moved", SECRET)) == "redirected"
    assert cause(lambda: exchange.get(f"{fake.base}/moved", {"Authorization": "Bearer t"})) == "redirected"
    assert [call.path for call in fake.calls] == ["/moved", "/moved"]


@pytest.mark.parametrize("location", ["ftp://127.0.0.1/", "javascript:alert(1)", "https://", "http://[::1/"])
def test_a_redirect_to_what_is_no_url_is_not_followed(fake: FakeServer, exchange: Exchange, location: str) -> None:
    fake.routes["/moved"] = lambda call: redirect_to(location)
    assert cause(lambda: exchange.get(f"{fake.base}/moved", follow=True)) in ("not_a_url", "protocol")
    assert {call.path for call in fake.calls} == {"/moved"}


# --- bounds


def test_an_answer_has_a_limit(fake: FakeServer, exchange: Exchange) -> None:
    fake.routes["/ten"] = lambda call: Reply(b"x" * 10)
    assert exchange.get(f"{fake.base}/ten", limit=10).body == b"x" * 10
    assert cause(lambda: exchange.get(f"{fake.base}/ten", limit=9)) == "too_large"


def test_an_answer_without_an_end_is_cut_off(fake: FakeServer, exchange: Exchange) -> None:
    def endless(handler: Handler) -> None:
        handler.send_response(200)
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        while True:  # until whoever asked hangs up
            handler.wfile.write(b"10000\r\n" + b"x" * 0x10000 + b"\r\n")
            handler.wfile.flush()

    fake.misbehave("/endless", endless)
    assert cause(lambda: exchange.get(f"{fake.base}/endless")) == "too_large"
    assert cause(lambda: exchange.post(f"{fake.base}/endless", SECRET)) == "too_large"


@pytest.mark.parametrize("coding", ["gzip", "br", "GZIP", "identity, gzip"])
def test_a_compressed_answer_is_refused(fake: FakeServer, exchange: Exchange, coding: str) -> None:
    """Nobody asked for it, and a small one may become a very large one."""
    fake.routes["/packed"] = lambda call: Reply(b"\x1f\x8b", headers={"Content-Encoding": coding})
    assert cause(lambda: exchange.get(f"{fake.base}/packed")) == "encoded"


def test_an_answer_that_says_that_it_is_not_compressed_is_taken(fake: FakeServer, exchange: Exchange) -> None:
    fake.routes["/plain"] = lambda call: Reply({"a": 1}, headers={"Content-Encoding": "identity"})
    assert exchange.get(f"{fake.base}/plain").json() == {"a": 1}


def dribble(handler: Handler, piece: bytes) -> None:
    """Send ``piece`` again and again, each well within any timeout of a single read."""
    while not handler.fake.released.wait(0.01):
        handler.wfile.write(piece)
        handler.wfile.flush()


def test_a_body_that_dribbles_is_ended_by_the_deadline(fake: FakeServer) -> None:
    def slow(handler: Handler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", "100000")
        handler.end_headers()
        dribble(handler, b"x")

    fake.misbehave("/slow", slow)
    with Exchange(total=0.3) as short:
        assert cause(lambda: short.get(f"{fake.base}/slow")) == "timeout"
        assert short.left == 0


def test_headers_that_dribble_are_ended_by_the_deadline(fake: FakeServer) -> None:
    def slow(handler: Handler) -> None:
        handler.wfile.write(b"HTTP/1.1 200 OK\r\n")
        dribble(handler, b"X-More: y\r\n")

    fake.misbehave("/slow", slow)
    with Exchange(total=0.3) as short:
        assert cause(lambda: short.get(f"{fake.base}/slow")) == "timeout"


def test_silence_is_ended_by_the_timeout_of_a_read(fake: FakeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "READ_TIMEOUT", 0.1)
    with fake.hanging("/silent"), Exchange(total=600) as patient:
        assert cause(lambda: patient.post(f"{fake.base}/silent", SECRET)) == "timeout"
        fake.wait_for_arrival()
    assert len(fake.calls) == 1, "nothing that may have arrived is sent again"


def test_a_timeout_is_not_tried_again(fake: FakeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "READ_TIMEOUT", 0.1)
    with fake.hanging("/silent"), Exchange(total=600) as patient:
        assert cause(lambda: patient.get(f"{fake.base}/silent")) == "timeout"
    assert len(fake.calls) == 1


def test_all_calls_of_a_sign_in_share_one_deadline(fake: FakeServer) -> None:
    with Exchange(total=0) as over:
        assert cause(lambda: over.get(f"{fake.base}/good")) == "timeout"
    assert fake.calls == []


# --- once more


def hang_up(handler: Handler) -> None:
    handler.close_connection = True


def test_a_get_whose_connection_is_closed_without_an_answer_is_repeated_once(
    fake: FakeServer, exchange: Exchange
) -> None:
    def first_only(handler: Handler) -> None:
        if len(handler.fake.calls) == 1:
            hang_up(handler)
        else:
            handler.reply(Reply({"good": True}))

    fake.misbehave("/flaky", first_only)
    assert exchange.get(f"{fake.base}/flaky").json() == {"good": True}
    assert len(fake.calls) == 2


def test_a_get_is_not_repeated_twice(fake: FakeServer, exchange: Exchange) -> None:
    fake.misbehave("/broken", hang_up)
    assert cause(lambda: exchange.get(f"{fake.base}/broken")) == "connection"
    assert len(fake.calls) == 2


def test_a_post_is_not_repeated(fake: FakeServer, exchange: Exchange) -> None:
    """The code may be spent: a second use revokes what the first one brought (RFC 6749 4.1.2)."""
    fake.misbehave("/broken", hang_up)
    assert cause(lambda: exchange.post(f"{fake.base}/broken", SECRET)) == "connection"
    assert len(fake.calls) == 1


def test_an_answer_that_is_cut_short_is_no_answer(fake: FakeServer, exchange: Exchange) -> None:
    def short(handler: Handler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", "100")
        handler.end_headers()
        handler.wfile.write(b'{"a": 1}')
        handler.close_connection = True

    fake.misbehave("/short", short)
    assert cause(lambda: exchange.get(f"{fake.base}/short")) == "connection"
    assert len(fake.calls) == 2


def test_what_is_no_http_is_said_to_be_none(fake: FakeServer, exchange: Exchange) -> None:
    def other_protocol(handler: Handler) -> None:
        handler.wfile.write(b"SSH-2.0-OpenSSH_9.2\r\n\r\n")
        handler.close_connection = True

    fake.misbehave("/ssh", other_protocol)
    assert cause(lambda: exchange.post(f"{fake.base}/ssh", SECRET)) == "protocol"


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_call_that_never_left_is_made_again(
    fake: FakeServer, exchange: Exchange, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    connect, tried = GuardedBackend.connect_tcp, []

    def refused_at_first(self: GuardedBackend, *arguments: Any, **options: Any) -> httpcore.NetworkStream:
        tried.append(1)
        if len(tried) == 1:
            raise httpcore.ConnectError("refused")
        return connect(self, *arguments, **options)

    monkeypatch.setattr(GuardedBackend, "connect_tcp", refused_at_first)
    url = f"{fake.base}/good"
    assert (exchange.get(url) if method == "GET" else exchange.post(url, SECRET)).status == 200
    assert (len(tried), len(fake.calls)) == (2, 1)


def test_where_nobody_listens_there_is_no_connection(settings: Settings, exchange: Exchange) -> None:
    settings.USERPOOL_UPSTREAM_ALLOW_PRIVATE = True
    with FakeServer() as gone:
        pass
    assert cause(lambda: exchange.get(f"{gone.base}/")) == "connection"


def test_an_error_answer_is_an_answer_and_is_not_asked_again(fake: FakeServer, exchange: Exchange) -> None:
    fake.routes["/error"] = lambda call: Reply({"error": "server_error"}, 503)
    answer = exchange.get(f"{fake.base}/error")
    assert (answer.status, answer.json()) == (503, {"error": "server_error"})
    assert len(fake.calls) == 1
    for _ in range(suspension.FAILURES):
        exchange.get(f"{fake.base}/error")
    assert exchange.get(f"{fake.base}/good").status == 200, "a host that answers is not left alone"


def test_a_host_that_fails_three_times_is_left_alone(fake: FakeServer, exchange: Exchange) -> None:
    fake.misbehave("/broken", hang_up)
    for _ in range(suspension.FAILURES):
        failure(lambda: exchange.post(f"{fake.base}/broken", SECRET))
    assert cause(lambda: exchange.get(f"{fake.base}/good")) == "suspended"
    assert len(fake.calls) == suspension.FAILURES


BAD_ANSWERS = {
    "encoded": Reply(b"", headers={"Content-Encoding": "gzip"}),
    "redirected": Reply(b"", 302, {"Location": "/good"}),
    "too_large": Reply(b"x" * (http.MAX_BODY + 1)),
}


@pytest.mark.parametrize("expected", BAD_ANSWERS)
def test_a_host_that_answers_badly_is_not_left_alone(fake: FakeServer, exchange: Exchange, expected: str) -> None:
    fake.misbehave("/bad", BAD_ANSWERS[expected])
    for _ in range(suspension.FAILURES + 1):
        assert cause(lambda: exchange.post(f"{fake.base}/bad", SECRET)) == expected
    assert exchange.get(f"{fake.base}/good").status == 200


# --- TLS


def certificate(folder: Path, *names: x509.GeneralName) -> tuple[ssl.SSLContext, Path]:
    """Return a server's TLS context with a self-signed certificate for ``names``, and the certificate's file."""
    private_key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "fake")])
    now = datetime.now(UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(private_key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(private_key, hashes.SHA256())
    )
    path = folder / "certificate.pem"
    path.write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    key_path = folder / "key.pem"
    plain = serialization.NoEncryption()
    key_path.write_bytes(
        private_key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path, key_path)
    return context, path


LOOPBACK = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))


@pytest.fixture
def serve_tls(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., FakeServer]]:
    """``serve_tls(trusted=True)``: a provider on https at an address that the deployment allows."""
    settings.USERPOOL_UPSTREAM_NETWORKS = ["127.0.0.1"]
    with ExitStack() as running:

        def serve(trusted: bool = True, name: x509.GeneralName = LOOPBACK) -> FakeServer:
            context, path = certificate(tmp_path, name)
            if trusted:
                monkeypatch.setenv("SSL_CERT_FILE", str(path))
            else:
                monkeypatch.delenv("SSL_CERT_FILE", raising=False)
            http._tls.cache_clear()
            served = running.enter_context(FakeServer(tls=context))
            served.routes["/good"] = lambda call: Reply({"good": True})
            return served

        yield serve
    http._tls.cache_clear()


def test_a_certificate_that_nobody_trusts_is_refused(serve_tls: Callable[..., FakeServer], exchange: Exchange) -> None:
    served = serve_tls(trusted=False)
    assert cause(lambda: exchange.get(f"{served.base}/good")) == "tls"
    assert cause(lambda: exchange.post(f"{served.base}/good", SECRET)) == "tls"
    assert served.calls == []


def test_a_handshake_that_failed_is_not_tried_again(
    serve_tls: Callable[..., FakeServer], exchange: Exchange, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect, tried = GuardedBackend.connect_tcp, []

    def counted(self: GuardedBackend, *arguments: Any, **options: Any) -> httpcore.NetworkStream:
        tried.append(1)
        return connect(self, *arguments, **options)

    monkeypatch.setattr(GuardedBackend, "connect_tcp", counted)
    served = serve_tls(trusted=False)
    assert cause(lambda: exchange.get(f"{served.base}/good")) == "tls"
    assert len(tried) == 1


def test_a_deployment_may_trust_a_certificate_of_its_own(
    serve_tls: Callable[..., FakeServer], exchange: Exchange
) -> None:
    assert exchange.get(f"{serve_tls().base}/good").json() == {"good": True}


def test_a_trusted_certificate_of_another_host_is_refused(
    serve_tls: Callable[..., FakeServer], exchange: Exchange
) -> None:
    served = serve_tls(name=x509.DNSName("other.example.test"))
    assert cause(lambda: exchange.get(f"{served.base}/good")) == "tls"
    assert served.calls == []


@pytest.mark.parametrize(
    ("location", "expected"),
    [
        ("https://10.0.0.1/", "private_address"),
        ("https://169.254.169.254/latest/meta-data/", "private_address"),
        ("https://[::1]/", "private_address"),
        ("//127.0.0.2/", "private_address"),
        ("http://127.0.0.1/", "not_https"),
        ("http://169.254.169.254/", "not_https"),
        ("https://user:password@127.0.0.1/", "not_a_url"),
        ("file:///etc/passwd", "not_a_url"),
    ],
)
def test_each_hop_is_checked_like_the_first(
    serve_tls: Callable[..., FakeServer], exchange: Exchange, location: str, expected: str
) -> None:
    served = serve_tls()
    served.routes["/moved"] = lambda call: redirect_to(location)
    assert cause(lambda: exchange.get(f"{served.base}/moved", follow=True)) == expected
    assert len(served.calls) == 1


# --- JSON


def answer(body: bytes) -> Answer:
    return Answer(200, "text/html", body, "idp.example.test")


@pytest.mark.parametrize("body", [b"{}", b' {"a": [1, {"b": null}]} \r\n', '{"a": "ü\\ud83d\\ude00"}'.encode()])
def test_a_json_object_is_read_whatever_its_content_type(body: bytes) -> None:
    assert answer(body).json() == json.loads(body)


@pytest.mark.parametrize(
    "body",
    [
        b"", b"[]", b"[{}]", b"null", b'"x"', b"7", b"true", b"<html></html>", b"{", b'{"a": 1} x', b"{'a': 1}",
        b'{"a": 1,}', b'{"a": NaN}', b'{"a": Infinity}', b'{"a": [-Infinity]}', b'{"a": "\xff"}', b'{"a": "\xc3"}',
        b'{"a": "\n"}', b'{"a": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", b'{"a":' * 50_000,
        b'{"a": 1' + b"0" * 5000 + b"}",
    ],
)  # fmt: skip
def test_anything_else_is_not_read(body: bytes) -> None:
    """RFC 8259: UTF-8, no NaN, no infinities; and what only exhausts the parser."""
    failed = failure(answer(body).json)
    assert (failed.cause, failed.host) == ("not_json", "idp.example.test")


def test_every_cause_has_words_and_a_status_stands_in_them() -> None:
    for word, words in CAUSES.items():
        assert FetchFailed(word, "idp.example.test").words == words
        assert words.endswith(".")
    assert FetchFailed("status", "idp.example.test", 503).words == "It answered with an error (503)."


def test_an_answer_does_not_show_its_body_and_a_call_not_its_headers() -> None:
    """Logs and tracebacks print them."""
    assert "s3cret" not in repr(Answer(200, "application/json", b"s3cret", "h"))
    assert "s3cret" not in repr(Call("GET", "/", {}, {}, {"authorization": "s3cret"}))
