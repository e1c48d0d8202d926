"""Which addresses are called, and how a host name becomes one of them.

RFC 6890 and the IANA IPv4 and IPv6 Special-Purpose Address Registries that it set up ("Globally Reachable"), row by
row; RFC 4291 2.5.5.2 (IPv4-mapped), RFC 3056 (6to4), RFC 4380 (Teredo), RFC 6052 and RFC 8215 (NAT64), RFC 3879
(site-local). OWASP, Server-Side Request Forgery Prevention: resolve, check every address, connect to what was checked.
"""

import ipaddress
import socket
import time
from collections.abc import Callable
from threading import Event
from typing import Any

import httpcore
import pytest
from pytest_django import Settings

from federation.upstream import addresses
from federation.upstream.addresses import GuardedBackend, permitted, resolve
from federation.upstream.fetching import FetchFailed

PUBLIC = [
    "1.1.1.1", "8.8.8.8", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "172.15.255.255",
    "172.32.0.0", "192.167.255.255", "192.169.0.0", "198.17.255.255", "198.20.0.0", "223.255.255.255",
    "2001:4860:4860::8888", "2606:4700:4700::1111", "2a00:1450:4001:81b::200e",
]  # fmt: skip
NOT_PUBLIC = [
    # RFC 1122 3.2.1.3 "this network"; RFC 1918; RFC 6598 shared; loopback; RFC 3927 link-local, and its cloud metadata
    "0.0.0.0", "0.1.2.3", "10.0.0.0", "10.255.255.255", "100.64.0.0", "100.127.255.255", "127.0.0.1",  # noqa: S104
    "127.255.255.254", "169.254.0.1", "169.254.169.254", "172.16.0.0", "172.31.255.255", "192.168.0.0",
    "192.168.255.255",
    # RFC 6890 IETF protocol assignments; RFC 5737 documentation; RFC 2544 benchmarks
    "192.0.0.1", "192.0.0.170", "192.0.2.1", "198.51.100.1", "203.0.113.1", "198.18.0.0", "198.19.255.255",
    # RFC 1112 multicast and reserved, RFC 919 broadcast
    "224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255",
    # unspecified, loopback, RFC 4193 unique local, RFC 4291 link-local and multicast, RFC 3879 site-local
    "::", "::1", "fc00::1", "fd12:3456:789a::1", "fd00:ec2::254", "fe80::1", "fe80::1%eth0", "ff02::1", "ff0e::1",
    "fec0::1",
    # RFC 6666 discard, RFC 3849 documentation, RFC 5180 benchmarks, RFC 4843 ORCHID, RFC 8215 local-use NAT64
    "100::1", "2001:db8::1", "2001:2::1", "2001:10::1", "64:ff9b:1::808:808", "64:ff9b:1::a00:1",
    # a private IPv4 address in IPv6 clothes: mapped, compatible, 6to4, NAT64, Teredo (its client 192.168.0.1)
    "::ffff:10.0.0.1", "::ffff:127.0.0.1", "::ffff:169.254.169.254", "::127.0.0.1", "::10.0.0.1",
    "2002:a00:1::", "2002:7f00:1::1", "2002:a9fe:a9fe::1", "64:ff9b::10.0.0.1", "64:ff9b::127.0.0.1",
    "64:ff9b::169.254.169.254", "2001:0:4136:e378:8000:63bf:3f57:fffe",
]  # fmt: skip


def cause(call: Callable[[], Any]) -> str:
    with pytest.raises(FetchFailed) as caught:
        call()
    return caught.value.cause


def soon() -> float:
    return time.monotonic() + 60


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """A name server: host to addresses, or to what it raises or calls."""
    known: dict[str, Any] = {}

    def getaddrinfo(host: str, port: int, **_: Any) -> list[Any]:
        found = known.get(host, [])
        if callable(found):
            found = found()
        if not found:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return [
            (socket.AF_INET6 if ":" in one else socket.AF_INET, socket.SOCK_STREAM, 6, "",
             (one, port, 0, 0) if ":" in one else (one, port))
            for one in found
        ]  # fmt: skip

    monkeypatch.setattr(addresses.socket, "getaddrinfo", getaddrinfo)
    return known


# --- permitted


@pytest.mark.parametrize("address", PUBLIC)
def test_a_public_address_is_called(address: str) -> None:
    assert permitted(ipaddress.ip_address(address))


@pytest.mark.parametrize("address", NOT_PUBLIC)
def test_an_address_that_is_not_public_is_not_called(address: str) -> None:
    assert not permitted(ipaddress.ip_address(address))


@pytest.mark.parametrize("address", ["64:ff9b::8.8.8.8", "::ffff:8.8.8.8"])
def test_a_public_ipv4_address_behind_a_translator_is_called(address: str) -> None:
    """RFC 6052 2.1: with NAT64 a host that has IPv6 only reaches every IPv4 provider by such an address."""
    assert permitted(ipaddress.ip_address(address))


@pytest.mark.parametrize("address", ["2002:808:808::1", "2001:0:808:808::1"])
def test_the_tunnels_of_old_are_not_called(address: str) -> None:
    """6to4 (RFC 7526) and Teredo: no provider lives there, whatever IPv4 address they carry."""
    assert not permitted(ipaddress.ip_address(address))


@pytest.mark.parametrize(
    ("networks", "address", "expected"),
    [
        (["10.1.0.0/16"], "10.1.2.3", True),
        (["10.1.0.0/16"], "10.2.0.1", False),
        (["10.1.2.3"], "10.1.2.3", True),
        (["10.1.2.3/8"], "10.9.9.9", True),  # host bits are let pass
        (["fd00::/8"], "fd12::1", True),
        (["fd00::/8"], "fe80::1", False),
        (["10.0.0.0/8", "127.0.0.1"], "127.0.0.1", True),
        (["10.0.0.0/8"], "169.254.169.254", False),
        (["10.0.0.0/8"], "8.8.8.8", True),  # beside what is public
        (["10.0.0.0/8"], "2001:4860:4860::8888", True),
    ],
)
def test_a_deployment_names_networks_of_its_own(
    settings: Settings, networks: list[str], address: str, expected: bool
) -> None:
    settings.USERPOOL_UPSTREAM_NETWORKS = networks
    assert permitted(ipaddress.ip_address(address)) is expected


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", "10.0.0.1", "192.168.1.1", "fd00::1", "8.8.8.8"])
def test_in_development_private_addresses_are_called(settings: Settings, address: str) -> None:
    settings.USERPOOL_UPSTREAM_ALLOW_PRIVATE = True
    assert permitted(ipaddress.ip_address(address))


@pytest.mark.parametrize("address", ["224.0.0.1", "ff02::1"])
def test_nobody_lives_at_a_multicast_address(settings: Settings, address: str) -> None:
    settings.USERPOOL_UPSTREAM_ALLOW_PRIVATE = True
    assert not permitted(ipaddress.ip_address(address))


# --- resolve


def test_a_name_is_its_addresses_in_order_and_each_once(names: dict[str, Any]) -> None:
    names["idp.test"] = ["2606:4700::1111", "1.1.1.1", "1.1.1.1", "8.8.8.8"]
    assert [str(one) for one in resolve("idp.test", 443, soon())] == ["2606:4700::1111", "1.1.1.1", "8.8.8.8"]


def test_of_several_addresses_only_the_public_ones_are_tried(names: dict[str, Any]) -> None:
    names["mixed.test"] = ["10.0.0.1", "1.1.1.1", "::1", "169.254.169.254", "2606:4700::1111"]
    assert [str(one) for one in resolve("mixed.test", 443, soon())] == ["1.1.1.1", "2606:4700::1111"]


def test_a_name_with_private_addresses_only_is_refused(names: dict[str, Any]) -> None:
    names["inside.test"] = ["10.0.0.1", "fd00::1"]
    assert cause(lambda: resolve("inside.test", 443, soon())) == "private_address"


def test_at_most_so_many_addresses_are_tried(names: dict[str, Any]) -> None:
    names["many.test"] = [f"1.1.1.{number}" for number in range(1, 100)]
    assert len(resolve("many.test", 443, soon())) == addresses.MAX_TRIED


def test_a_name_that_nobody_knows_is_said_to_be_unknown(names: dict[str, Any]) -> None:
    assert cause(lambda: resolve("nowhere.test", 443, soon())) == "name_unknown"


def test_a_name_that_cannot_be_encoded_is_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    """Python's idna codec raises UnicodeError for an empty label or one of more than 63 characters."""
    assert cause(lambda: resolve("x" * 64 + ".test", 443, soon())) == "name_unknown"
    assert cause(lambda: resolve("a..test", 443, soon())) == "name_unknown"


@pytest.mark.parametrize("address", ["fe80::1%eth0", "fe80::1%2", "::1%lo"])
def test_a_scope_does_not_hide_a_local_address(names: dict[str, Any], address: str) -> None:
    """RFC 4007 11: getaddrinfo may answer with a zone index."""
    names["local.test"] = [address]
    assert cause(lambda: resolve("local.test", 443, soon())) == "private_address"
    assert cause(lambda: resolve(address, 443, soon())) == "private_address"


def test_a_scope_is_not_part_of_a_public_address(names: dict[str, Any]) -> None:
    names["idp.test"] = ["2606:4700::1111%eth0", "2606:4700::1111"]
    assert [str(one) for one in resolve("idp.test", 443, soon())] == ["2606:4700::1111"]


@pytest.mark.parametrize("literal", ["127.0.0.1", "::1", "[::1]", "10.0.0.1", "0.1.2.3", "::ffff:127.0.0.1"])
def test_a_literal_private_address_is_refused_without_asking_anybody(names: dict[str, Any], literal: str) -> None:
    names[literal] = names[literal.strip("[]")] = ["1.1.1.1"]
    assert cause(lambda: resolve(literal, 443, soon())) == "private_address"


def test_a_literal_public_address_is_itself(names: dict[str, Any]) -> None:
    assert resolve("[2606:4700::1111]", 443, soon()) == [ipaddress.ip_address("2606:4700::1111")]
    assert resolve("1.1.1.1", 443, soon()) == [ipaddress.ip_address("1.1.1.1")]


@pytest.mark.parametrize("spelling", ["127.1", "0x7f000001", "2130706433", "0177.0.0.1", "127.0.0.1.", "0"])
def test_other_spellings_of_loopback_are_no_way_in(spelling: str) -> None:
    """inet_aton(3) takes them all, and so does a resolver; what it makes of them is what is checked."""
    assert cause(lambda: resolve(spelling, 443, soon())) in ("private_address", "name_unknown")


def test_a_resolver_that_never_answers_is_left_at_the_deadline(names: dict[str, Any]) -> None:
    released = Event()

    def hang() -> list[str]:
        released.wait(60)
        return ["1.1.1.1"]

    names["slow.test"] = hang
    try:
        # more of them than there are threads to wait in: who finds none is told the same
        causes = [cause(lambda: resolve("slow.test", 443, time.monotonic() + 0.02)) for _ in range(10)]
        assert causes == ["timeout"] * 10
        assert cause(lambda: resolve("slow.test", 443, time.monotonic() - 1)) == "timeout"
    finally:
        released.set()


# --- the connection goes where the check was


class Recorder:
    """Stands for httpcore's own backend: it notes where a connection would have gone."""

    def __init__(self, *failing: str) -> None:
        self.went: list[tuple[str, int]] = []
        self.failing = failing

    def connect_tcp(self, host: str, port: int, *_: Any) -> httpcore.NetworkStream:
        self.went.append((host, port))
        if host in self.failing:
            raise httpcore.ConnectError("refused")
        return httpcore.NetworkStream()


def connect(host: str, recorder: Recorder) -> list[str]:
    backend = GuardedBackend(soon())
    backend._backend = recorder  # type: ignore[assignment]
    backend.connect_tcp(host, 443)
    return [address for address, _ in recorder.went]


def test_the_connection_goes_to_the_address_that_was_checked(names: dict[str, Any]) -> None:
    """DNS rebinding: the name answers differently at the second look, and there is none."""
    answers = iter([["1.1.1.1"], ["127.0.0.1"]])
    names["rebind.test"] = lambda: next(answers)
    assert connect("rebind.test", Recorder()) == ["1.1.1.1"]


def test_the_next_address_is_tried_when_one_does_not_answer(names: dict[str, Any]) -> None:
    names["idp.test"] = ["2606:4700::1111", "10.0.0.1", "1.1.1.1"]
    assert connect("idp.test", Recorder("2606:4700::1111")) == ["2606:4700::1111", "1.1.1.1"]


def test_when_none_answers_the_last_failure_is_told(names: dict[str, Any]) -> None:
    names["idp.test"] = ["1.1.1.1", "8.8.8.8"]
    recorder = Recorder("1.1.1.1", "8.8.8.8")
    with pytest.raises(httpcore.ConnectError):
        connect("idp.test", recorder)
    assert len(recorder.went) == 2


def test_nobody_connects_to_a_private_address(names: dict[str, Any]) -> None:
    names["inside.test"] = ["10.0.0.1"]
    recorder = Recorder()
    assert cause(lambda: connect("inside.test", recorder)) == "private_address"
    assert recorder.went == []
