"""Findings as a person or a program reads them."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict

from provider_sdk.findings import Finding, Level

_MARKS = {Level.OK: "ok      ", Level.WARNING: "warning ", Level.WRONG: "WRONG   "}


def tell(findings: Iterable[Finding], as_json: bool) -> int:
    """Print them; the exit code: 1 where something is wrong."""
    found = list(findings)
    bad = sum(finding.level is Level.WRONG for finding in found)
    if as_json:
        print(json.dumps({"ok": not bad, "findings": [asdict(finding) for finding in found]}, indent=2, ensure_ascii=False))
        return 1 if bad else 0
    for finding in found:
        print(f"{_MARKS[finding.level]}{finding.subject}: {finding.message}")
        if finding.advice:
            print(f"        → {finding.advice}")
    print(f"\n{_summary(bad, sum(finding.level is Level.WARNING for finding in found))}")
    return 1 if bad else 0


def _summary(bad: int, warnings: int) -> str:
    said = [f"{count} {what}" for count, what in ((bad, "wrong"), (warnings, "warnings" if warnings > 1 else "warning")) if count]
    return ", ".join(said) or "nothing is wrong"
