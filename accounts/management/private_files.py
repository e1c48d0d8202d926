"""Writing a file that nobody else could read at any moment, even where there was one before."""

import os
from collections.abc import Iterable
from pathlib import Path


def write_private(path: Path, pieces: Iterable[str]) -> None:
    """Write ``pieces`` to ``path`` (mode 0600), whole or not at all; raise OSError."""
    part = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as file:
            for piece in pieces:
                file.write(piece)
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
