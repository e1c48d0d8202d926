"""Structured logs: one JSON object a line. Callers log ids and kids; never codes, tokens, secrets or attributes."""

import json
import logging
from datetime import UTC, datetime

from accounts.tracing import current_request_id

_STANDARD = set(vars(logging.makeLogRecord({}))) | {
    "message",
    "asctime",
    "taskName",
    "request",
    "status_code",
}


class JsonFormatter(logging.Formatter):
    """A record as JSON: time, level, logger, message, request_id, what ``extra`` carried, and the traceback."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            "request_id": current_request_id(),
        }
        line |= {key: value for key, value in vars(record).items() if key not in _STANDARD}
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)
