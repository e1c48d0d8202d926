"""Comments and processing instructions: a signature does not cover them, and for some readers they end a text."""

from collections.abc import Callable, Iterator

from lxml import etree

from tests.fakes.saml import Message, find
from tests.security.saml.corpus import Case, Change, Values, assertion_of

HIDDEN = "CVE-2017-11427 and its kind: exclusive canonicalization leaves comments out, so the signature stays good"
NODES: dict[str, Callable[[], etree._Element]] = {
    "comment": lambda: etree.Comment("x"),
    "processing instruction": lambda: etree.ProcessingInstruction("x", "y"),
}
PLACES = {"NameID": ".//saml:NameID", "attribute": ".//saml:AttributeValue", "Issuer": ".//saml:Issuer"}
PLACES |= {"Audience": ".//saml:Audience", "DigestValue": ".//ds:DigestValue"}


def put(path: str, make: Callable[[], etree._Element]) -> Change:
    return lambda root: (root if path == "." else find(assertion_of(root), path)).append(make())


def _hidden() -> Iterator[Case]:
    for kind, make in NODES.items():
        for place, path in PLACES.items():
            signed = "after" if place == "DigestValue" else "before"
            change = put(path, make)
            yield Case(f"{kind} in {place}", "assertion", "comments", HIDDEN, {signed: change})
            inside = {"inside" if signed == "after" else signed: change}
            yield Case(f"{kind} in {place}", "encrypted", "comments", HIDDEN, inside)
        yield Case(f"{kind} in the response", "assertion", "comments", HIDDEN, {"before": put(".", make)})
        yield Case(f"{kind} in the response", "encrypted", "comments", HIDDEN, {"after": put(".", make)})


def comment_in_name_id(message: Message) -> Values:
    """Sign a longer name, and let a comment end it early for whoever reads only the first text."""

    def comment(root: etree._Element) -> None:
        found = find(root, ".//saml:NameID")
        found.text = "admin@example.test"
        found.append(etree.Comment("x"))
        found[0].tail = ".evil.example"

    return {"name_id": "admin@example.test.evil.example", "after": comment}


CASES = [
    *_hidden(),
    Case("comment that ends the NameID", "assertion", "comments", HIDDEN, comment_in_name_id),
]
