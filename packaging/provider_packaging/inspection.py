"""What an archive is, in words or as JSON: the members of `wash par inspect`, and what it leaves out."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from provider_packaging.archive import Archive
from provider_packaging.claims import WORLD, check_signature
from provider_packaging.sbom import read_software
from provider_packaging.verify import moment, plain
from provider_sdk.errors import ProviderError, Unauthenticated

_NONE = "None"


def describe(archive: Archive, *, known: Mapping[str, str] | None = None, contents: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Everything about it. `known` maps the public keys of the key folders to their files; `contents`: the software in each program."""
    claims = archive.claims
    return {
        "name": claims.name,
        "issuer": claims.issuer,
        "service": claims.subject,
        "capability_contract_id": claims.capability,
        "vendor": claims.vendor,
        "version": claims.version or _NONE,
        "revision": _NONE if claims.revision is None else str(claims.revision),
        "targets": list(archive.programs),
        "schema": claims.schema,
        "compressed": archive.compressed,
        "issued": claims.issued,
        "expires": claims.expires,
        "not_before": claims.not_before,
        "id": claims.id,
        "programs": {
            name: {"size": size, "hash": archive.hashes[name], "as_claimed": archive.hashes[name] == claims.hashes[name]}
            for name, size in archive.sizes.items()
        },
        "signature": {"holds": _holds(archive.token), "issuer_key": (known or {}).get(claims.issuer)},
        "interface": WORLD in archive.sizes,
        "contents": dict(contents or {}),
    }


def in_words(found: dict[str, Any]) -> list[str]:
    """The lines that a person reads."""
    rows = [
        ("Account", found["issuer"]),
        ("Service", found["service"]),
        ("Capability contract", found["capability_contract_id"] or "none: hosts of 0.x do not start it"),
        ("Vendor", found["vendor"]),
        ("Version", found["version"]),
        ("Revision", found["revision"]),
        ("Issued", moment(found["issued"])),
        ("Valid from", "" if found["not_before"] is None else moment(found["not_before"])),
        ("Expires", "never" if found["expires"] is None else moment(found["expires"])),
        ("Form", "gzip of a tar" if found["compressed"] else "tar"),
        ("Schema", "" if found["schema"] is None else "yes: see --json"),
    ]
    lines = [f"{found['name']} - Capability Provider", *(f"  {name:20} {value}" for name, value in rows if value)]
    for name, program in found["programs"].items():
        lines.append(f"  {name:20} {program['size']:,} bytes  SHA-256 {program['hash']}")
    return [plain(line) for line in [*lines, *_chain(found), *_inside(found["contents"])]]


def _chain(found: dict[str, Any]) -> list[str]:
    signature = found["signature"]
    wrong = [name for name, program in found["programs"].items() if not program["as_claimed"]]
    key = signature["issuer_key"]
    return [
        "Signature chain",
        f"  programs < claims    {'WRONG for ' + ', '.join(wrong) if wrong else 'each has the hash that the claims say'}",
        f"  claims < issuer      {'signed by ' + found['issuer'] if signature['holds'] else 'WRONG: not signed by ' + found['issuer']}",
        f"  issuer               {'known: ' + key if key else 'not among the keys here'}",
    ]


def contents(archive: Archive) -> dict[str, dict[str, Any]]:
    """The CycloneDX lists that the programs carry, by target; programs that this project did not make carry none."""
    found = {}
    with TemporaryDirectory() as folder:
        for target in archive.programs:
            if archive.hashes[target] == archive.claims.hashes[target]:
                program = Path(folder, "program")
                archive.extract(target, program)
                if (software := _software(program)) is not None:
                    found[target] = software
    return found


def _software(program: Path) -> dict[str, Any] | None:
    try:
        return read_software(program)
    except ProviderError:
        return None


def _inside(found: Mapping[str, dict[str, Any]]) -> list[str]:
    lines = []
    for target, document in found.items():
        lines.append(f"Software in {target}")
        lines += [
            f"  {component['name']!s:32} {component.get('version', '')!s:18} {_licence(component)}"
            for component in document.get("components", [])
        ]
    return lines


def _licence(component: Mapping[str, Any]) -> str:
    given = component.get("licenses") or [{}]
    named = given[0].get("license", {})
    return str(given[0].get("expression") or named.get("id") or named.get("name") or "")


def _holds(token: str) -> bool:
    try:
        check_signature(token)
    except Unauthenticated:
        return False
    return True
