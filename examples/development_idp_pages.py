"""The pages of the development IdP, which need no script but the one that sends a message on by itself.

They look like the sample app's: the same style sheet, with an accent of their own.
"""

from html import escape
from pathlib import Path
from urllib.parse import urlencode

from examples.development_idp_saml import PEOPLE, Form, Person, Session

HERE = Path(__file__).resolve().parent
ICON = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><rect width="32" height="32" rx="8" fill="#4a4fb5"/>'
    '<path d="M9 24V9h8v15M17 14h6v10M12 13h2M12 17h2M20 18h0" fill="none" stroke="#fff" stroke-width="2.5" '
    'stroke-linecap="round" stroke-linejoin="round"/></svg>'
)
FILES = {
    "/style.css": ((HERE / "sample_app.css").read_text(encoding="utf-8"), "text/css; charset=utf-8"),
    "/submit.js": (
        (HERE.parent / "static" / "hosted" / "submit.js").read_text(encoding="utf-8"),
        "text/javascript; charset=utf-8",
    ),
    "/icon.svg": (ICON, "image/svg+xml"),
}
PAGE = """<!doctype html>
<html lang="en" class="partner">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{title} · Partner</title>
<link rel="icon" href="/icon.svg" type="image/svg+xml">
<link rel="stylesheet" href="/style.css">{script}
</head>
<body>
<header class="bar">
<a class="brand" href="/"><img class="mark" src="/icon.svg" width="32" height="32" alt="">Partner</a>
</header>
<main><div class="hero">{body}</div></main>
</body>
</html>"""
SCRIPT = '\n<script src="/submit.js" defer></script>'


def page(title: str, body: str, script: str = "") -> str:
    return PAGE.format(title=escape(title), body=body, script=script)


def home(session: Session | None, apps: list[str]) -> str:
    links = "".join(
        f'<li><a class="choice" href="/app?{escape(urlencode({"name": name}))}">'
        f"<span>{escape(name)}<small>Sign-in begins here, at the identity provider</small></span></a></li>"
        for name in apps
    )
    told = ""
    if session is not None:
        attributes = "".join(
            f"<div><dt>{escape(name)}</dt><dd>{escape(', '.join(values))}</dd></div>"
            for name, values in session.person.attributes.items()
        )
        told = f"""<section class="card"><h2>What apps are told of you</h2>
<p class="note">The attributes of a SAML assertion, which is signed.</p><dl>{attributes}</dl></section>
<form method="post" action="/sign-out"><p class="ways"><button class="quiet">Sign out everywhere</button></p></form>"""
    body = f"""<h1>{f"Hello, {escape(session.person.name)}" if session else "The apps of Partner"}</h1>
<p class="lead">Partner is another company. It signs its own people in, and tells apps who they are by SAML 2.0.</p>
<section><h2>Apps</h2><ul class="choices">{links}</ul></section>{told}
<p class="note">For development only: nobody is asked for a password here.</p>"""
    return page("Home", body)


def chooser(token: str) -> str:
    """Return the sign-in page, for the request that is kept under ``token``."""
    people = "".join(f"<li>{_button(person)}</li>" for person in PEOPLE.values())
    body = f"""<h1>Who are you?</h1>
<p class="lead">An app wants to know. Choose one of the people who work at Partner.</p>
<form method="post" action="/sign-in">
<input type="hidden" name="asked" value="{escape(token)}">
<ul class="choices">{people}</ul>
</form>
<p class="note">For development only: nobody is asked for a password here.</p>"""
    return page("Sign in", body)


def _button(person: Person) -> str:
    return (
        f'<button class="choice" name="person" value="{escape(person.username)}">'
        f'<span class="avatar" aria-hidden="true">{escape(person.name[:1])}</span>'
        f"<span>{escape(person.name)}<small>{escape(person.mail)}</small></span></button>"
    )


def forward(form: Form, title: str) -> str:
    """Return a page that posts a message to the service provider by itself, or by its button without scripts."""
    fields = "".join(
        f'<input type="hidden" name="{escape(name)}" value="{escape(value)}">' for name, value in form.fields.items()
    )
    body = f"""<h1>{escape(title)}</h1>
<p class="lead">If nothing happens in a moment, choose Continue.</p>
<form method="post" action="{escape(form.url)}">{fields}
<p class="ways"><button class="button">Continue</button></p></form>"""
    return page(title, body, SCRIPT)


def signed_out(elsewhere: bool | None) -> str:
    """Return what became of a sign-out; ``elsewhere`` is what the service provider said, None when it was not asked."""
    confirmed = "<li>At the user pool as well: its signed answer says so</li>" if elsewhere else ""
    failed = '<p class="lead" role="alert">The user pool answered that you are not signed out there.</p>'
    body = f"""<h1>You are signed out</h1>
<ul class="checks"><li>At Partner</li>{confirmed}</ul>{failed if elsewhere is False else ""}
<p class="ways"><a class="button" href="/">Home</a></p>"""
    return page("Signed out", body)


def refused(reason: str) -> str:
    body = f"""<h1>This cannot go on</h1>
<p class="lead" role="alert">{escape(reason)}</p>
<p class="ways"><a class="button" href="/">Home</a></p>"""
    return page("Refused", body)
