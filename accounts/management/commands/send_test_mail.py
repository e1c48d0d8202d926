"""``manage.py send_test_mail ADDRESS``: whether mail can be sent, and if not, what to mend."""

from datetime import UTC, datetime
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.mail import EmailMessage
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.core.validators import validate_email

from accounts import mail, mail_transport, mail_words


class Command(BaseCommand):
    """Speaks to the mail server itself, past the outbox: what it answers is about the settings and nothing else."""

    help = "Sends one mail to ADDRESS and says what the mail server made of it. It tries once and queues nothing."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("address", metavar="ADDRESS", help="an address of yours")

    def handle(self, *args: Any, address: str, **options: Any) -> None:
        if not mail.enabled():
            raise CommandError(
                "Mail is off. Set EMAIL_URL, such as smtp+tls://user:password@smtp.example.com:587, and "
                "USERPOOL_MAIL_FROM."
            )
        try:
            validate_email(address)
        except ValidationError as error:
            raise CommandError(f"{address!r} is not an address such as ops@example.com.") from error
        self.stdout.write(f"{_where()}, as {settings.USERPOOL_MAIL_FROM}")
        text = f"Userpool at {settings.USERPOOL_ISSUER_BASE_URL} can send mail.\n"
        sent = f"[Userpool] Test mail of {datetime.now(UTC):%Y-%m-%d %H:%M} UTC"
        failure = mail_transport.deliver(EmailMessage(sent, text, settings.USERPOOL_MAIL_FROM, [address]))
        if failure is not None:
            raise CommandError(f"Not sent ({failure}). {mail_words.why(str(failure))}")
        self.stdout.write(f"Sent: it was taken for {address}. Whether it arrives, the mailbox shows.")


def _where() -> str:
    if not settings.EMAIL_BACKEND.endswith("SmtpBackend"):
        return f"To {settings.EMAIL_FILE_PATH or 'no server: EMAIL_URL is for development'}"
    how = "TLS" if settings.EMAIL_USE_SSL else "STARTTLS" if settings.EMAIL_USE_TLS else "no encryption"
    who = "with a user and a password" if settings.EMAIL_HOST_USER else "without signing in"
    return f"To {settings.EMAIL_HOST}, port {settings.EMAIL_PORT}, {how}, {who}"
