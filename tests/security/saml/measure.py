"""What each hostile response costs: ``python -m tests.security.saml.measure [part of a name]``.

Prints processor time and memory of reading and refusing it, and of the redacted copy that operators see; the most
expensive last. Memory is what Python allocated at the peak, and by how much the process grew beyond what it ever had:
libxml2 and libxmlsec1 allocate beside Python.
"""

import os
import resource
import sys
import time
import tracemalloc
from contextlib import suppress

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
django.setup()

from federation.errors import SamlFailed  # noqa: E402 - the models come first
from federation.upstream.saml import redaction, response  # noqa: E402
from federation.upstream.saml.client import PoolSaml2Client  # noqa: E402
from tests.fakes import saml_pool  # noqa: E402
from tests.security.saml import catalogue  # noqa: E402
from tests.security.saml.corpus import FORMS, honest, hostile  # noqa: E402

TIMES = 3
LIMIT_MS, LIMIT_MB = 100, 50


def refuse(client: PoolSaml2Client, text: str) -> None:
    with suppress(SamlFailed):
        response.read(client, text, saml_pool.expected())
    with suppress(ValueError, TypeError):
        redaction.of_message(text, client.crypto.decrypted)


def grown() -> float:
    """Return the most memory that the process ever had, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def measured(text: str) -> tuple[float, float, float]:
    """Return milliseconds, megabytes of Python, megabytes of growth."""
    times = []
    before = grown()
    for _ in range(TIMES):
        client = saml_pool.client()
        begun = time.process_time()
        refuse(client, text)
        times.append((time.process_time() - begun) * 1000)
    growth = grown() - before
    client = saml_pool.client()
    tracemalloc.start()
    refuse(client, text)
    peak = tracemalloc.get_traced_memory()[1] / 1024**2
    tracemalloc.stop()
    return min(times), peak, growth


def main() -> None:
    part = sys.argv[1] if len(sys.argv) > 1 else ""
    for form in FORMS:  # schemas are compiled and keys parsed once in a process
        refuse(saml_pool.client(), honest(form).encoded())
    made = {name: hostile(case) for name, case in catalogue.ALL.items() if part in name}
    made |= {f"honest ({form})": honest(form).encoded() for form in FORMS}
    found = sorted((*measured(text), name) for name, text in made.items())
    for ms, peak, growth, name in found:
        print(f"{ms:8.1f} ms {peak:7.1f} MB {growth:+7.1f} MB  {name}")
    over = [name for ms, peak, growth, name in found if ms > LIMIT_MS or max(peak, growth) > LIMIT_MB]
    print(f"{len(found)} cases; above {LIMIT_MS} ms or {LIMIT_MB} MB: {', '.join(over) or 'none'}")


if __name__ == "__main__":
    main()
