"""Why a call to an identity provider came to nothing: one exception, with a word for each cause."""

# word: what an operator reads. The words of the app's error are the caller's (W 3.8).
CAUSES = {
    "timeout": "It did not answer in time.",
    "connection": "The connection could not be made, or it broke.",
    "tls": "Its certificate is not valid for this host, or is not trusted.",
    "name_unknown": "Its host name cannot be resolved.",
    "private_address": "Its host is on a private network, which this server does not call.",
    "not_https": "The address is not https.",
    "not_a_url": "The address is not a URL.",
    "redirected": "It answered with a redirect where none may be followed, or with too many.",
    "too_large": "The answer is too large.",
    "encoded": "The answer is compressed, though that was not asked for.",
    "not_json": "The answer is not a JSON object.",
    "protocol": "The answer is not HTTP.",
    "suspended": "It failed several times in a row and is not asked again for a moment.",
    "status": "It answered with an error.",
    "unusable": "What it says of itself cannot be used.",
}


class FetchFailed(Exception):
    """A call that came to nothing. ``cause`` is one of CAUSES, ``host`` whom it was for, ``status`` what it said."""

    def __init__(self, cause: str, host: str = "", status: int = 0) -> None:
        self.cause, self.host, self.status = cause, host, status
        super().__init__(f"{host}: {cause}" + (f" {status}" if status else ""))

    @property
    def words(self) -> str:
        """What happened, in words for an operator."""
        words = CAUSES[self.cause]
        return f"{words[:-1]} ({self.status})." if self.status else words


class BadDocument(FetchFailed):
    """A document that was read and cannot be used; the message says why, in words for an operator."""

    def __init__(self, message: str) -> None:
        super().__init__("unusable")
        self.message = message

    def __str__(self) -> str:
        return self.message

    @property
    def words(self) -> str:
        return self.message
