"""Which tenant a request is for, and what it may say of itself.

Design D2.8 and D3; RFC 3986 3.2.2 (hosts ignore case and may end in a dot), RFC 7239 and the warning of its
section 8.1 (anybody can write a Forwarded header). Settings of the run: issuer id.example.test, console
console.example.test, prefix domains under auth.example.test.
"""

from collections.abc import Callable

import pytest
from django.http import HttpRequest
from django.test import Client, RequestFactory, override_settings
from django.urls import get_script_prefix, set_script_prefix

from accounts.middleware import client_address
from accounts.models import UserPool, UserPoolDomain
from tests import factories

pytestmark = pytest.mark.django_db
JWKS = "/.well-known/jwks.json"


def kids(host: str, path: str) -> list[str] | int:
    """Return the key ids that are published there, or the status when it is not 200."""
    response = Client(headers={"host": host}).get(path)
    return [key["kid"] for key in response.json()["keys"]] if response.status_code == 200 else response.status_code


@pytest.fixture
def custom(pool: UserPool) -> UserPoolDomain:
    return UserPoolDomain.objects.create(user_pool=pool, domain="login.customer.test", is_custom=True)


@pytest.mark.parametrize(
    "host",
    [
        "demo.auth.example.test",
        "demo.auth.example.test:443",
        "demo.auth.example.test:8443",
        "DEMO.Auth.Example.TEST",
        "demo.auth.example.test.",
        "demo.auth.example.test.:443",
        "login.customer.test",
        "Login.Customer.Test:443",
    ],
)
def test_a_pool_answers_on_its_domains(host: str, pool: UserPool, custom: UserPoolDomain) -> None:
    assert kids(host, JWKS) == [key.kid for key in pool.signing_keys.order_by("-token_use")]


@pytest.mark.parametrize("host", ["id.example.test", "ID.Example.Test:443", "id.example.test."])
def test_the_issuer_host_mounts_every_pool_under_its_id(host: str, pool: UserPool) -> None:
    other = factories.make_pool()
    mine, theirs = kids(host, f"/{pool.pk}{JWKS}"), kids(host, f"/{other.pk}{JWKS}")
    assert isinstance(mine, list)
    assert isinstance(theirs, list)
    assert not set(mine) & set(theirs)


@pytest.mark.parametrize(
    "host",
    [
        "example.test",
        "auth.example.test",
        ".auth.example.test",
        "nobody.auth.example.test",
        "x.demo.auth.example.test",
        "demo.auth.example.test.evil.test",
        "demoauth.example.test",
        "demo",
        "login.customer.test.evil.test",
        "evil.test",
        "evil.test:443",
        "127.0.0.1",
        "[::1]",
        "[::1]:8000",
        "[2001:db8::1]",
        "demo.auth.example.test@evil.test",
        "demo.auth.example.test, evil.test",
        "demo.auth.example.test:https",
        "demo.auth.example.test/",
        "demo_auth.example.test",
        "[demo.auth.example.test]",
        "a" * 300 + ".auth.example.test",
        "%64emo.auth.example.test",
        "demo.auth.example.test\t",
        "",
    ],
)
@pytest.mark.parametrize("path", [JWKS, "/oauth2/token", "/admin/", "/{pool}" + JWKS])
def test_a_host_that_nobody_owns_is_a_plain_404(host: str, path: str, pool: UserPool, custom: UserPoolDomain) -> None:
    response = Client().get(path.format(pool=pool.pk), HTTP_HOST=host)
    assert response.status_code == 404
    assert response["Content-Type"] == "text/plain; charset=utf-8"
    assert pool.name not in response.content.decode()


@override_settings(USERPOOL_DOMAIN_SUFFIX="")
def test_without_a_suffix_a_prefix_is_no_host(pool: UserPool) -> None:
    assert [kids(host, JWKS) for host in ("demo.auth.example.test", "demo", "demo.")] == [404, 404, 404]
    assert pool.base_url == pool.issuer


@override_settings(USERPOOL_ISSUER_BASE_URL="http://localhost:8000", USERPOOL_CONSOLE_HOST="localhost")
@pytest.mark.parametrize("host", ["localhost:8000", "127.0.0.1:8000", "[::1]:8000", "[::1]", "LOCALHOST"])
def test_the_names_of_this_machine_are_one_host(host: str, pool: UserPool) -> None:
    assert isinstance(kids(host, f"/{pool.pk}{JWKS}"), list)
    assert Client(headers={"host": host}).get("/admin/").status_code == 302


@pytest.mark.parametrize(
    "path",
    [
        "/eu-west-1_Demo0000" + JWKS,
        "/eu-west-1_demo00001" + JWKS,
        "/EU-WEST-1_Demo00001" + JWKS,
        "/eu-west-1_Demo00001",
        "/eu-west-1_Demo00001%00" + JWKS,
        "/eu-west-1_Demo00001%2F.well-known",
        "/x/eu-west-1_Demo00001" + JWKS,
        "/_" + JWKS,
        "/" + "a_" * 400 + JWKS,
        "/%FF_%FE" + JWKS,
        JWKS,
        "/oauth2/token",
        "/login",
        "/",
        "/admin/",
    ],
)
def test_the_issuer_host_serves_nothing_but_pools(path: str, pool: UserPool) -> None:
    assert kids("id.example.test", path) == 404


def test_an_unknown_path_of_a_pool_is_a_404_on_its_own_page(pool: UserPool) -> None:
    response = Client(headers={"host": "id.example.test"}).get(f"/{pool.pk}/oauth2/nothing")
    assert response.status_code == 404
    assert "There is nothing here" in response.content.decode()


def test_a_pool_under_a_path_links_below_that_path_and_the_prefix_is_gone_afterwards(
    pool: UserPool, app_client: object
) -> None:
    set_script_prefix("/")
    browser = Client(headers={"host": "id.example.test"})
    query = f"response_type=code&client_id=1exampleclient23456789abcd&redirect_uri={factories.CALLBACK}"
    response = browser.get(f"/{pool.pk}/oauth2/authorize?{query}")
    assert response["Location"].startswith(f"/{pool.pk}/login?")
    page = browser.get(response["Location"])
    assert f'action="/{pool.pk}/login?' in page.content.decode()
    assert get_script_prefix() == "/"
    assert browser.get(f"/{pool.pk}/nothing").status_code == 404
    assert get_script_prefix() == "/"
    by_host = Client(headers={"host": "demo.auth.example.test"}).get(f"/oauth2/authorize?{query}")
    assert by_host["Location"].startswith("/login?")


def test_a_pool_is_not_mounted_under_its_own_domain_or_another_pool(pool: UserPool) -> None:
    other = factories.make_pool("other")
    assert kids("demo.auth.example.test", f"/{pool.pk}{JWKS}") == 404
    assert kids("demo.auth.example.test", f"/{other.pk}{JWKS}") == 404
    assert kids("id.example.test", f"/{pool.pk}/{other.pk}{JWKS}") == 404


@pytest.mark.parametrize("path", ["/admin/", "/admin/login/", "/admin"])
def test_the_console_is_on_its_own_host_only(path: str, pool: UserPool, custom: UserPoolDomain) -> None:
    def status(host: str, path: str) -> int:
        return Client(headers={"host": host}).get(path).status_code

    assert status("console.example.test", "/admin/") == 302
    assert status("console.example.test", "/admin/login/") == 200
    for host in ("demo.auth.example.test", "login.customer.test", "id.example.test"):
        assert status(host, path) == 404
    assert status("id.example.test", f"/{pool.pk}{path}") == 404


@pytest.mark.parametrize("path", [JWKS, "/login", "/oauth2/token"])
def test_no_pool_shares_the_origin_of_a_console_that_has_a_host_of_its_own(path: str, pool: UserPool) -> None:
    response = Client(headers={"host": "console.example.test"}).get(f"/{pool.pk}{path}")
    assert response.status_code == 404


@override_settings(USERPOOL_CONSOLE_HOST="id.example.test")
def test_a_console_on_the_issuer_host_shares_it(pool: UserPool) -> None:
    assert isinstance(kids("id.example.test", f"/{pool.pk}{JWKS}"), list)
    assert Client(headers={"host": "id.example.test"}).get("/admin/").status_code == 302


@pytest.mark.parametrize(
    "headers",
    [
        {"X-Forwarded-Host": "other.auth.example.test"},
        {"X-Forwarded-Host": "console.example.test"},
        {"Forwarded": "host=other.auth.example.test;proto=http"},
        {"X-Host": "other.auth.example.test"},
        {"X-Forwarded-Server": "other.auth.example.test"},
        {"X-Original-URL": "/admin/"},
        {"X-Rewrite-URL": "/admin/"},
        {"X-Forwarded-Prefix": "/eu-west-1_Other"},
        {"X-Script-Name": "/evil"},
        {"X-Forwarded-Proto": "http"},
        {"X-Forwarded-Port": "1234"},
    ],
    ids=lambda headers: next(iter(headers)),
)
def test_the_tenant_is_never_taken_from_a_forwarding_header(headers: dict[str, str], pool: UserPool) -> None:
    factories.make_pool("other")
    browser = Client(headers={"host": "demo.auth.example.test", **headers})
    document = browser.get("/.well-known/openid-configuration").json()
    assert document["issuer"] == "https://id.example.test/eu-west-1_Demo00001"
    assert document["token_endpoint"] == "https://demo.auth.example.test/oauth2/token"


def asked_from(address: str, forwarded: str | None) -> HttpRequest:
    headers = {} if forwarded is None else {"x-forwarded-for": forwarded}
    return RequestFactory().get("/", REMOTE_ADDR=address, headers=headers)


PROXIES = ["10.0.0.0/8", "2001:db8::/32"]


@pytest.mark.parametrize(
    ("proxies", "peer", "forwarded", "expected"),
    [
        ([], "10.0.0.1", "203.0.113.9", "10.0.0.1"),  # nobody is trusted
        (PROXIES, "198.51.100.7", "203.0.113.9", "198.51.100.7"),  # not a proxy of ours
        (PROXIES, "10.0.0.1", None, "10.0.0.1"),
        (PROXIES, "10.0.0.1", "", "10.0.0.1"),
        (PROXIES, "10.0.0.1", "203.0.113.9", "203.0.113.9"),
        (PROXIES, "10.0.0.1", "192.0.2.66, 203.0.113.9", "203.0.113.9"),  # the left part is the client's to write
        (PROXIES, "10.0.0.1", "203.0.113.9, 10.0.0.2, 10.0.0.3", "203.0.113.9"),
        (PROXIES, "10.0.0.1", "10.9.9.9, 10.0.0.2", "10.9.9.9"),  # all are ours: the farthest
        (PROXIES, "10.0.0.1", "unknown", "10.0.0.1"),
        (PROXIES, "10.0.0.1", "203.0.113.9, <script>", "10.0.0.1"),
        (PROXIES, "10.0.0.1", "203.0.113.9:1234", "10.0.0.1"),  # not an address
        (PROXIES, "10.0.0.1", "evil, 10.0.0.2", "10.0.0.2"),
        (PROXIES, "2001:db8::1", "2001:4860::8", "2001:4860::8"),
        (["10.0.0.1"], "10.0.0.1", "203.0.113.9", "203.0.113.9"),
        (PROXIES, "", "203.0.113.9", ""),  # a Unix socket has no address
        (PROXIES, "not an address", "203.0.113.9", "not an address"),
    ],
)
def test_the_address_of_the_client_is_believed_only_from_a_trusted_proxy(
    proxies: list[str], peer: str, forwarded: str | None, expected: str
) -> None:
    with override_settings(USERPOOL_TRUSTED_PROXIES=proxies):
        assert client_address(asked_from(peer, forwarded)) == expected


@pytest.mark.parametrize(
    ("host", "path", "status"),
    [
        ("demo.auth.example.test", JWKS, 200),
        ("demo.auth.example.test", "/nothing", 404),
        ("evil.test", "/", 404),
        ("console.example.test", "/admin/", 302),
    ],
)
def test_every_answer_has_an_id_of_its_own_and_never_one_from_the_request(
    host: str, path: str, status: int, pool: UserPool
) -> None:
    browser = Client(headers={"host": host, "x-amz-cognito-request-id": "mine", "x-request-id": "mine"})
    first, second = browser.get(path), browser.get(path)
    ids = {response["x-amz-cognito-request-id"] for response in (first, second)}
    assert (first.status_code, len(ids)) == (status, 2)
    assert "mine" not in ids
    assert first["X-Content-Type-Options"] == "nosniff"
    assert first["Strict-Transport-Security"] == "max-age=31536000 ; includeSubDomains"


def test_a_pools_browser_gets_no_cookie_of_the_console(at: Callable[[UserPool], Client], pool: UserPool) -> None:
    browser = at(pool)
    browser.get(JWKS)
    browser.get("/nothing")
    assert not browser.cookies
