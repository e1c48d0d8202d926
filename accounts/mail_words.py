"""Why mail was not taken, in words for an operator: what it means and what to do.

A failure is told as the outbox keeps it: the exception's class, and the server's code (accounts/mail_transport.py). The
codes are those of RFC 5321 4.2.3 and RFC 4954 6.
"""

WAITS = "The mail is tried again."
SETTINGS = "Compare EMAIL_URL with what the mail provider asks for."
WORDS = {
    "gaierror": "The host name in EMAIL_URL cannot be resolved. Check the name, and this machine's DNS.",
    "ConnectionRefusedError": "Nothing listens at the host and port in EMAIL_URL, or a firewall refuses. Check both; "
    "many hosters block port 25, and 587 (smtp+tls://) or 465 (smtp+ssl://) works.",
    "TimeoutError": "The server did not answer in time (EMAIL_TIMEOUT, and two minutes for all of it). A firewall may "
    "swallow the port, or the port wants TLS from the first byte (smtp+ssl://) and waits for it.",
    "ConnectionResetError": "The server broke the connection. Check the port and whether it wants TLS.",
    "BrokenPipeError": "The server broke the connection. Check the port and whether it wants TLS.",
    "OSError": "The network cannot reach the host in EMAIL_URL.",
    "SMTPServerDisconnected": "The server hung up. Check the port and whether it wants TLS; the server's own log "
    "says more.",
    "SSLCertVerificationError": "The server's certificate is not trusted, has expired, or is for another host name. "
    "Use the name that the certificate has; for a certificate authority of your own, set SSL_CERT_FILE to its file.",
    "SSLError": "TLS could not be agreed on. smtp+ssl:// is for a port that speaks TLS from the first byte (465), "
    "smtp+tls:// for one that begins in clear (587).",
    "SSLZeroReturnError": "The server ended TLS in the middle. Its own log says more.",
    "SSLEOFError": "The server ended TLS in the middle. Its own log says more.",
    "SMTPNotSupportedError": "The server does not offer what EMAIL_URL asks for: STARTTLS (smtp+tls://), or signing in "
    "with a user and a password. Some offer the second only over TLS.",
    "SMTPAuthenticationError": "The server does not accept the user and password in EMAIL_URL. Many providers want an "
    "app password, or a user of their mail service's own. In the URL, write %40 for an @ in the user.",
    "SMTPConnectError": f"The server turned the connection away. It may be busy, or not accept this machine. {WAITS}",
    "SMTPHeloError": "The server refused the greeting of this machine (EHLO). Its own log says why.",
    "SMTPSenderRefused": f"The server does not take mail from USERPOOL_MAIL_FROM. It may want a user and a password, "
    f"or an address of that user's. {SETTINGS}",
    "SMTPRecipientsRefused": "The server does not take mail for the recipient.",
    "SMTPDataError": "The server refused the message itself.",
    "Expired": "What the mail said was over before it could be sent.",
    "Unreadable": "The text cannot be opened: its key is not in USERPOOL_ENCRYPTION_KEYS. Add the key to the end of "
    "the list.",
}
CODES = {
    421: f"It is closing, or limits how much this machine may send. {WAITS}",
    450: f"The mailbox is busy, or the server makes unknown senders wait (greylisting). {WAITS}",
    451: f"The server has a fault of its own, or makes unknown senders wait (greylisting). {WAITS}",
    452: f"The server, or the mailbox, is full. {WAITS}",
    530: f"It wants a user and a password, or STARTTLS first. {SETTINGS}",
    535: SETTINGS,
    550: "There is no such mailbox, or this machine may not send there (relaying, a block list, SPF).",
    551: "The mailbox is elsewhere.",
    552: "The mailbox is full, or the message too large.",
    553: "The server does not like the address.",
    554: "The server refuses mail of this machine, or this message. Its own log says why.",
}


def why(failure: str) -> str:
    """Return what ``failure`` means and what to do; empty for none."""
    name, _, code = failure.partition(" ")
    if not name:
        return ""
    words = WORDS.get(name, "Something failed while the mail was sent. The log has it.")
    told = CODES.get(int(code), WAITS if code.startswith("4") else "") if code.isascii() and code.isdecimal() else ""
    return f"{words} {told}".strip()
