"""axe-core's verdict on a page: the rules of WCAG 2.2 A and AA, and axe's best practices.

https://www.w3.org/TR/WCAG22/, as far as a machine can judge it. What it cannot judge, people looked at.
"""

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

TAGS = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice")
_axe = Axe()


def violations(page: Page) -> list[str]:
    """Return what axe finds wrong, one line for each element: the rule, the element, the mend."""
    options = {"runOnly": {"type": "tag", "values": list(TAGS)}, "resultTypes": ["violations"]}
    found = _axe.run(page, options=options).response["violations"]
    return [
        f"{rule['id']}: {' '.join(node['target'])}: {node['failureSummary']}"
        for rule in found
        for node in rule["nodes"]
    ]
