"""What `provider doctor` asks of packaging: the tools that freeze, the keys that sign, the registries that a manifest names."""

from __future__ import annotations

import importlib.util
import re
import shutil
import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

from provider_packaging.fetch import is_reference
from provider_packaging.keys import SUFFIX, Kind, default_stem, folders, key_files, read_key
from provider_packaging.oci.credentials import find
from provider_packaging.oci.reference import Reference
from provider_packaging.oci.registry import Access, Registry, is_loopback
from provider_sdk.errors import InvalidArgument, ProviderError, Unauthenticated
from provider_sdk.findings import Finding, right, warning, wrong
from provider_sdk.provider_toml import MANIFESTS

_IMAGE = re.compile(r"^\s*(?:-\s*)?(?:properties:\s*\{\s*)?image:\s*[\"']?([^\s\"',}]+)", re.MULTILINE)
_BRIEFLY = Access(attempts=1, connecting=3.0, waiting=3.0)
_READABLE_BY_OTHERS = 0o077


def checks(folder: Path) -> Iterable[Finding]:
    """See provider_sdk.findings."""
    yield from _tools()
    yield from _keys()
    yield from _registries([folder / name for name in MANIFESTS])


def _tools() -> Iterator[Finding]:
    if importlib.util.find_spec("PyInstaller") is None:
        yield warning("freezing", "PyInstaller is not installed", "pip install 'provider-sdk[package]'")
    elif sys.platform == "linux" and shutil.which("strip") is None:
        yield warning("freezing", "the program strip is not there, which takes symbols out", "on Debian: apt-get install binutils")
    else:
        yield right("freezing", "PyInstaller is there")


def _keys() -> Iterator[Finding]:
    places = folders()
    try:
        files = [path for place in places for path in key_files(place)]
    except ProviderError as error:
        yield wrong("keys", error.message, "make it yours, or name another folder by WASH_KEYS: a build would not start")
        return
    for place in places:
        if place.is_dir() and place.stat().st_mode & _READABLE_BY_OTHERS:
            yield warning("keys", f"{place} is open to others", f"chmod 700 {place}")
    good = 0
    for path in files:
        if path.stat().st_mode & _READABLE_BY_OTHERS:
            yield warning("keys", f"{path} may be read by others", f"chmod 600 {path}")
        try:
            read_key(path)
            good += 1
        except ProviderError as error:
            yield wrong("keys", error.message, "put the right file there, or move it away: a build would not start with it")
    if any(path.name == f"{default_stem()}_{Kind.ACCOUNT}{SUFFIX}" for path in files):
        yield right("keys", f"{good} in {' and '.join(sorted({str(path.parent) for path in files}))}")
    else:
        advice = f"the first build makes one; for a team: provider package keys generate account {default_stem()}"
        yield warning("keys", f"no account key {default_stem()}_{Kind.ACCOUNT}{SUFFIX} in {' or '.join(map(str, places))}", advice)


def _registries(manifests: Iterable[Path]) -> Iterator[Finding]:
    images: dict[str, str] = {}
    for path in manifests:
        with suppress(OSError, ValueError):
            images |= dict.fromkeys(_IMAGE.findall(path.read_text("utf-8")), path.name)
    seen = set()
    for image, manifest in images.items():
        if not is_reference(image):
            continue
        try:
            reference = Reference.parse(image)
        except InvalidArgument as error:
            yield wrong("registry", error.message, f"change the image in {manifest}")
            continue
        # Names under .example are nobody's (RFC 2606): the lattice in a box has the installed pack stand in.
        if reference.registry not in seen and not reference.registry.endswith(".example"):
            seen.add(reference.registry)
            yield _registry(reference)


def _registry(reference: Reference) -> Finding:
    subject = f"registry {reference.registry}"
    try:
        login = find(reference.registry, reference.repository)
        with Registry.of(reference, _BRIEFLY) as registry:
            asked = registry.accepts_login()
    except Unauthenticated as error:
        return wrong(subject, error.message, f"provider package login {reference.registry}")
    except ProviderError as error:
        if is_loopback(urlsplit(f"//{reference.registry}").hostname or ""):
            return warning(subject, error.message, "provider dev registry starts one here, when you want to push or fetch archives")
        return wrong(subject, error.message, "see whether it is up: without it archives are neither pushed nor fetched")
    if asked:
        return right(subject, f"{login.named if login else 'the login'} is accepted")
    return right(subject, "it answers, and asks for no login")
