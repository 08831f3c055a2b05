"""Print how many cases have passed, of how many there are, for each Dag and Airflow.

``make test-endpoints`` runs it: each case that passes is a line of ``build/endpoints.jsonl``.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from tests.system.endpoints.cases import BY_USERS, FORMS, KILLS, THEIRS_BEFORE, THEIRS_IN_PLACE, TWO, Case, cases

RESULTS = Path(__file__).parents[3] / "build" / "endpoints.jsonl"
GROUPS = {
    "killed before, in, after Create": KILLS,
    "FAILED": ("the endpoint FAILED",),
    "nothing": ("nothing",),
    "predict failed": ("predict failed",),
    "create skipped": ("create skipped",),
    "marked, cleared": BY_USERS,
    "theirs before": THEIRS_BEFORE,
    "theirs in its place": THEIRS_IN_PLACE,
    "two at once": (TWO,),
}


def passed() -> dict[str, set[Case]]:
    """Return the cases that have passed, by version of Airflow."""
    found: dict[str, set[Case]] = defaultdict(set)
    for line in RESULTS.read_text().splitlines():
        result = json.loads(line)
        found[result.pop("airflow")].add(Case(**result))
    return found


def rows() -> Iterator[list[str]]:
    """Yield the table's rows."""
    yield ["form", "Airflow", *GROUPS]
    yield ["---", "---", *["--:"] * len(GROUPS)]
    versions = sorted(passed().items(), key=lambda item: [int(part) for part in item[0].split(".")], reverse=True)
    for form in FORMS:
        for version, done in versions:
            there = [
                [case for case in cases() if case.form == form and case.event in group] for group in GROUPS.values()
            ]
            counts = [(sum(case in done for case in some), len(some)) for some in there]
            if any(count for count, _ in counts):
                yield [form, version, *(f"{count}/{whole}" if whole else "–" for count, whole in counts)]


if __name__ == "__main__":
    for row in rows():
        print("|", " | ".join(row), "|")
