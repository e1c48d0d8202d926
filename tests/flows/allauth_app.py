"""A Django site with django-allauth's Amazon Cognito provider, told nothing but the pool's domain and its client.

A program of its own (see apps.py), because its settings are not Userpool's. Its requests go through Django's test
client; what it asks of Userpool goes over the wire.
"""

import json
import sys
from typing import Any

import django
from django.conf import settings
from django.core.management import call_command
from django.test import Client
from django.urls import include, path

urlpatterns: list[Any] = []


def configure(domain: str, client_id: str, secret: str, pkce: bool) -> None:
    provider = {"APPS": [{"client_id": client_id, "secret": secret, "key": ""}], "DOMAIN": domain}
    apps = ["auth", "contenttypes", "sessions", "messages"]
    settings.configure(
        SECRET_KEY="tests only, " + "k" * 50,
        ROOT_URLCONF="__main__",
        ALLOWED_HOSTS=["localhost"],
        DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
        INSTALLED_APPS=[
            *(f"django.contrib.{app}" for app in apps),
            "allauth",
            "allauth.account",
            "allauth.socialaccount",
            "allauth.socialaccount.providers.amazon_cognito",
        ],
        MIDDLEWARE=[
            "django.contrib.sessions.middleware.SessionMiddleware",
            "django.contrib.auth.middleware.AuthenticationMiddleware",
            "django.contrib.messages.middleware.MessageMiddleware",
            "allauth.account.middleware.AccountMiddleware",
        ],
        TEMPLATES=[
            {
                "BACKEND": "django.template.backends.django.DjangoTemplates",
                "APP_DIRS": True,
                "OPTIONS": {"context_processors": ["django.template.context_processors.request"]},
            }
        ],
        AUTHENTICATION_BACKENDS=["allauth.account.auth_backends.AuthenticationBackend"],
        SOCIALACCOUNT_PROVIDERS={"amazon_cognito": provider | {"OAUTH_PKCE_ENABLED": pkce}},
        SOCIALACCOUNT_STORE_TOKENS=True,
        SOCIALACCOUNT_LOGIN_ON_GET=True,
        LOGIN_REDIRECT_URL="/welcome/",
        USE_TZ=True,
    )
    django.setup()
    urlpatterns.append(path("accounts/", include("allauth.urls")))  # which reads the settings
    call_command("migrate", verbosity=0)


def main(options: dict[str, Any]) -> None:
    configure(options["domain"], options["clientId"], options["secret"], options["pkce"])
    from allauth.account.models import EmailAddress
    from allauth.socialaccount.models import SocialAccount

    site = Client(headers={"host": "localhost:3000"})
    link = site.get("/accounts/amazon-cognito/login/")["Location"]
    print(json.dumps({"open": link, "until": options["callback"]}), flush=True)
    arrived = site.get(sys.stdin.readline().strip())
    account = SocialAccount.objects.select_related("user").get()
    email = EmailAddress.objects.get()
    done = {
        "landed": arrived.get("Location", arrived.content.decode()),
        "uid": account.uid,
        "username": account.user.username,
        "names": [account.user.first_name, account.user.last_name],
        "email": [email.email, email.verified],
        "signedIn": site.session["_auth_user_id"] == str(account.user.pk),
        "picture": account.get_avatar_url(),
        "profile": account.get_profile_url(),
        "extra": account.extra_data,
    }
    print(json.dumps({"done": done}), flush=True)


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
