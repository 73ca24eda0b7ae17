"""provider.toml → frozen program → claims → archive, for this machine. The same source, lock file and keys give the same bytes."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from provider_packaging import epoch
from provider_packaging.archive import create
from provider_packaging.claims import Claims
from provider_packaging.freeze import Form, freeze
from provider_packaging.sbom import encoded, read_software
from provider_packaging.targets import TARGET, native_target
from provider_sdk.errors import InvalidArgument, NotFound, Unavailable
from provider_sdk.nkeys import KeyPair
from provider_sdk.provider_toml import FILE, ProviderToml

_ANSWERS_WITHIN = 60.0
_UNPACKERS_OWN = "[PYI-"


@dataclass(frozen=True, slots=True)
class Built:
    """What a build left in its output folder; `software` is the CycloneDX list of what is inside the program."""

    archive: Path
    software: Path
    program: Path


def source_time(folder: Path) -> int:
    """Seconds since 1970 that a build of `folder` is dated with: SOURCE_DATE_EPOCH, else its last commit's, else those of 1980-01-01."""
    given = epoch.told()
    if given is not None:
        return given
    command = ["git", "-C", str(folder), "log", "-1", "--format=%ct", "--", "."]
    try:
        asked = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return epoch.EARLIEST
    time = asked.stdout.strip()
    return int(time) if asked.returncode == 0 and time.isdecimal() else epoch.EARLIEST


def build_program(provider: ProviderToml, output: Path, *, form: Form = Form.ONEFILE) -> Path:
    """The frozen program for this machine: `output/NAME.TARGET.bin`, or as a folder `output/NAME.TARGET`."""
    name = f"{provider.name}.{native_target()}"
    path = output / (f"{name}.bin" if form is Form.ONEFILE else name)
    freeze(provider, path, form=form)
    return path


def ready_programs(provider: ProviderToml, folder: Path) -> dict[str, Path]:
    """Programs that were frozen on other machines, by target: the files `NAME.TARGET.bin` in a folder and below it.

    NotFound where there is none for this machine: it is asked for the schema of its settings, and seen to start.
    """
    found: dict[str, Path] = {}
    for path in sorted(folder.rglob(f"{provider.name}.*.bin")):
        target = path.name.removeprefix(f"{provider.name}.").removesuffix(".bin")
        if TARGET.fullmatch(target) and target in found:
            raise InvalidArgument(f"{path}: a second program for {target} beside {found[target]}")
        if TARGET.fullmatch(target):
            found[target] = path
    if native_target() not in found:
        raise NotFound(
            f"{folder}: no {provider.name}.{native_target()}.bin: the program for this machine is needed, to be asked for its settings"
        )
    return found


def pack(
    provider: ProviderToml, programs: Mapping[str, Path], output: Path, issuer: KeyPair, subject: str, *, compressed: bool = True
) -> Built:
    """Sign and pack frozen programs, given by target; the one for this machine is among them.

    `issuer` is the pair of an account, `subject` the provider's own public key (`V…`).
    """
    issued = source_time(provider.folder)
    program = programs[native_target()]
    _check_contracts(provider, program)
    output.mkdir(parents=True, exist_ok=True)
    claims = Claims(
        issuer=issuer.public,
        subject=subject,
        issued=issued,
        name=provider.name,
        capability=provider.contracts[0] if provider.contracts else None,
        vendor=provider.vendor,
        version=provider.version,
        revision=provider.revision,
        schema=_asked(program, "--schema"),
        hashes={},
    )
    archive = output / f"{provider.name}.par{'.gz' if compressed else ''}"
    create(archive, claims, programs, issuer, compressed=compressed)
    return Built(archive, write_software(program, output / f"{provider.name}.cdx.json"), program)


def write_software(program: Path, path: Path) -> Path:
    """The list of what is inside a program, as a file of its own."""
    document = read_software(program)
    if document is None:
        raise InvalidArgument(f"{program}: no list of the software is inside: it was not made by `provider package build`")
    path.write_bytes(encoded(document))
    return path


def _check_contracts(provider: ProviderToml, program: Path) -> None:
    """Links go by contracts and interfaces: one that the program does not serve is found here, and not by a host."""
    told = _asked(program, "--interface")["interfaces"]
    contracts, instances = ([item[key] for item in told if item[key]] for key in ("contract", "wit"))
    if unserved := provider.unserved(contracts, instances):
        said, served = ", ".join(unserved), ", ".join((*contracts, *instances))
        raise InvalidArgument(f"{provider.folder / FILE}: {said}: the program does not serve that, but {served}")


def _asked(program: Path, option: str) -> Any:
    """What the program itself tells, as JSON: that it starts is seen by this too."""
    command = [str(program.absolute()), option]
    try:
        asked = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, env={}, timeout=_ANSWERS_WITHIN, check=False)
        if asked.returncode == 0:
            return json.loads(asked.stdout)
        words = [line for line in asked.stderr.decode(errors="replace").strip().splitlines() if not line.startswith(_UNPACKERS_OWN)]
    except (OSError, ValueError, subprocess.TimeoutExpired) as error:
        words = [str(error)]
    raise Unavailable(f"the frozen program does not run ({' '.join(command)}): {words[-1] if words else 'no output'}")
