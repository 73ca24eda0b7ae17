"""What a manifest comes to here: its providers' programs are asked, and nothing of it is started."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from provider_sdk.cli.check.subjects import Linked, Subject, subjects_of
from provider_sdk.cli.outline import Outline, Verdict, ask_outline, ask_settings
from provider_sdk.config import UNGIVEN
from provider_sdk.errors import InvalidArgument, NotFound, ProviderError, Unavailable, Unsupported
from provider_sdk.findings import Finding, Level, right, warning, wrong
from provider_sdk.lattice.addresses import OTHER_ADDRESS, cannot_listen, host_and_port
from provider_sdk.lattice.images import OWN_ARCHIVE, actor_file, is_official, local_path, source_program
from provider_sdk.lattice.manifest_text import WrongManifest
from provider_sdk.lattice.manifests import Generation, read_any_manifest
from provider_sdk.lattice.state import read_state
from provider_sdk.lattice.wadm import Manifest
from provider_sdk.lattice.wrpc.links import parts_of
from provider_sdk.lattice.wrpc.manifest import WrpcManifest
from provider_sdk.lattice.wrpc.secrets_file import BoxSecrets
from provider_sdk.lattice.wrpc.settings import SecretReference
from provider_sdk.lattice.wrpc.stand_in import stand_in_file
from provider_sdk.provider_toml import read_provider_toml
from provider_sdk.runnable import Runnable

AT_ONCE = 4
CHANGE = "change that line"
MEANT = "see whether you meant that"
_CARRIED = {"wasi:blobstore/container", "wasi:blobstore/types"}
"""Hosts make calls of wasi:blobstore/blobstore of those of its other interfaces, which some manifests name beside it."""


def look(path: Path, generation: Generation | None = None) -> list[Finding]:
    """All that is found in the manifest; NotFound where there is none."""
    try:
        manifest = read_any_manifest(path, generation)
    except WrongManifest as error:
        return [_read(wrong, line, CHANGE) for line in error.problems] + [_read(warning, line, MEANT) for line in error.warnings]
    except InvalidArgument as error:
        return [_read(wrong, error.message, CHANGE)]
    return list(dict.fromkeys(_findings(manifest)))


def _read(kind: Callable[[str, str, str], Finding], line: str, advice: str) -> Finding:
    """A line `FILE:LINE: …` of a reader."""
    place, _, message = line.partition(": ")
    return kind(place, message, advice)


def _findings(manifest: Manifest | WrpcManifest) -> Iterator[Finding]:
    yield _application(manifest)
    yield from (_read(warning, line, MEANT) for line in manifest.warnings)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for found in pool.map(lambda subject: list(_Look(subject, manifest).findings()), subjects_of(manifest)):
            yield from found
    yield from _callers(manifest)
    if isinstance(manifest, WrpcManifest):
        yield from _elsewhere(manifest)
        yield from _secrets(manifest)


def _application(manifest: Manifest | WrpcManifest) -> Finding:
    if isinstance(manifest, Manifest):
        parts = [*manifest.actors, *manifest.providers]
        generation, links = Generation.WASMBUS, sum(len(actor.links) for actor in manifest.actors)
    else:
        parts = [*manifest.workloads]
        generation, links = Generation.WRPC, sum(len(workload.links) for workload in manifest.workloads)
    return right(manifest.source, f"{manifest.name}, for {generation} hosts: {_count(len(parts), 'workload')}, {_count(links, 'link')}")


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


class _Look:
    """At one provider."""

    def __init__(self, subject: Subject, manifest: Manifest | WrpcManifest) -> None:
        self._subject = subject
        self._manifest = manifest

    def _place(self, line: int) -> str:
        return f"{self._manifest.source}:{line}"

    def findings(self) -> Iterator[Finding]:
        subject = self._subject
        place = self._place(subject.line)
        try:
            program = source_program(subject.image, self._manifest.base)
            outline = ask_outline(program) if program else None
        except ProviderError as error:
            reason = f"it does not start: {error.message}" if isinstance(error, Unavailable) else error.message
            yield from (wrong(place, f"{subject.name}: {line}", "see to that, or name another image") for line in reason.splitlines())
            return
        yield self._program(place, program)
        if not subject.links:
            yield warning(place, f"{subject.name}: nothing is linked to it", "link it, or leave it out")
        if program is None or outline is None:
            yield from self._addresses(of_unknown=True)
            return
        found = [*self._unserved(program, outline), *self._settings(program)]
        yield from found
        if not any(item.level is Level.WRONG for item in found):
            yield right(place, f"{subject.name}: takes its settings and {_count(len(subject.links), 'link')}")
        yield from self._addresses(of_unknown=False)

    def _program(self, place: str, program: Runnable | None) -> Finding:
        name, image = self._subject.name, self._subject.image
        if program is None:
            where = "an archive here" if local_path(image, self._manifest.base) else "an archive that is fetched at `provider dev up`"
            return right(place, f"{name}: {image}: {where}, not looked into")
        if program.note and is_official(image):
            return warning(place, f"{name}: {program.note.removesuffix(f': {OWN_ARCHIVE}')}", OWN_ARCHIVE)
        return right(place, f"{name}: {program.note or f'{image}: a source here'}")

    def _unserved(self, program: Runnable, outline: Outline) -> Iterator[Finding]:
        """What it is asked for and does not serve."""
        folder = program.sources[0]
        told = read_provider_toml(folder) if folder.is_dir() else None
        if isinstance(self._manifest, Manifest):
            served = {*outline.contracts, *(told.contracts if told else ())}
            if not served:  # it only calls, and nothing says for which contract
                return
        else:
            instances = {*outline.instances, *(told.interfaces if told else ())}
            served = {"{}:{}/{}".format(*parts_of(instance)) for instance in instances}
        for wanted, line in self._subject.wanted:
            if wanted not in served and not (wanted in _CARRIED and "wasi:blobstore/blobstore" in served):
                ours = f"it serves {', '.join(sorted(served))}" if served else "it serves nothing and only calls: its links stand on itself"
                yield wrong(self._place(line), f"{self._subject.name}: it does not serve {wanted}", ours)

    def _settings(self, program: Runnable) -> Iterator[Finding]:
        subject = self._subject
        if subject.fault:
            yield wrong(self._place(subject.line), f"{subject.name}: {subject.fault}", CHANGE)
        try:
            own, *links = ask_settings(program, subject.own.given, [link.side.given for link in subject.links])
        except Unavailable as error:
            yield warning(self._place(subject.line), f"{subject.name}: its settings are not looked at: {error.message}", "see to that")
            return
        yield from self._judged(own, None)
        for verdict, link in zip(links, subject.links, strict=True):
            yield from self._judged(verdict, link)

    def _judged(self, verdict: Verdict, link: Linked | None) -> Iterator[Finding]:
        partly = self._subject.own.partly or (link is not None and link.side.partly)
        faults = [fault for fault in verdict.faults if not (partly and fault.startswith(UNGIVEN))]
        yield from (wrong(*self._told(fault, link), CHANGE) for fault in faults)
        yield from (warning(*self._told(text, link), MEANT) for text in verdict.warnings)
        if isinstance(self._manifest, WrpcManifest):  # 0.x has no other place for a secret
            advice = "`secrets` beside `config` takes it, with a policy that says who keeps it"
            yield from (warning(*self._told(text, link), advice) for text in verdict.exposed)

    def _told(self, text: str, link: Linked | None) -> tuple[str, str]:
        """Place and message. What is said of the provider's own settings is the same for each link, and told once."""
        subject = self._subject
        if link is None or text.startswith("provider "):
            return self._place(_line(text, subject.own.lines) or subject.line), f"{subject.name}: {text}"
        line = _line(text, link.side.lines) or _line(text, subject.own.lines) or link.line
        return self._place(line), f"{subject.name}, link with {link.peer}: {text}"

    def _addresses(self, *, of_unknown: bool) -> Iterator[Finding]:
        """Where HTTP is listened; what is no address has been told by the provider, if it was asked."""
        for link in self._subject.links:
            place = self._place(link.line)
            if not link.address:
                continue
            if link.address in _running():
                yield right(place, f"{self._subject.name}: listens at {link.address} now, in the lattice that runs here")
            elif host_and_port(link.address) is None:
                if of_unknown:
                    yield wrong(place, f"{self._subject.name}: {link.address!r} is no address such as 127.0.0.1:8080", CHANGE)
            elif problem := cannot_listen(link.address):
                yield warning(place, f"{self._subject.name}: {link.address} cannot be used now: {problem}", OTHER_ADDRESS)
            else:
                yield right(place, f"{self._subject.name}: listens at {link.address}")


def _running() -> list[str]:
    """Where the lattice of this folder listens."""
    try:
        return read_state().addresses
    except NotFound:
        return []


def _line(text: str, lines: Mapping[str, int]) -> int:
    """Where the first name stands of which a provider's line speaks; 0 where it speaks of none."""
    known = {_folded(name): line for name, line in lines.items()}
    said = re.sub(r"^(provider configuration|provider secrets|link values|link secrets): ", "", text)
    return next((known[_folded(word)] for word in re.findall(r"[\w-]+", said) if _folded(word) in known), 0)


def _folded(name: str) -> str:
    return name.replace("_", "").replace("-", "").lower()


def _callers(manifest: Manifest | WrpcManifest) -> Iterator[Finding]:
    """Actors and components, as far as they are here."""
    if isinstance(manifest, Manifest):
        file, asked = actor_file, [(actor.name, actor.image, actor.line) for actor in manifest.actors]
    else:
        components = [workload for workload in manifest.workloads if not workload.provider]
        file, asked = stand_in_file, [(component.name, component.image, component.line) for component in components]
    for name, image, line in asked:
        place = f"{manifest.source}:{line}"
        try:
            file(image, manifest.base)
        except Unsupported as error:
            advice = f"for `provider dev up`: {error.message.removeprefix(f'{image}: ')}"
            yield warning(place, f"{name}: {image} is not run here, its links are checked", advice)
        except NotFound as error:
            yield wrong(place, f"{name}: {error.message}", "make it, or change its image")


def _elsewhere(manifest: WrpcManifest) -> Iterator[Finding]:
    for settings in manifest.settings():
        for config in settings.config:
            if config.properties is None:
                message = f"config {config.name}: it has no properties here, so it has to be in the lattice already: not looked at"
                yield warning(f"{manifest.source}:{config.line}", message, "for `provider dev up`, give its properties")


def _secrets(manifest: WrpcManifest) -> Iterator[Finding]:
    """Where the box would find each; that its policy is there the reader has made sure of."""
    find = BoxSecrets(manifest.base)
    for settings in manifest.settings():
        for secret in settings.secrets:
            place = f"{manifest.source}:{secret.line}"
            reference = SecretReference(secret.name, secret.key, field=secret.field, version=secret.version)
            try:
                yield right(place, f"secret {secret.name}: in {find.place(reference)}")
            except NotFound as error:
                yield warning(place, error.message, "`provider dev up` needs it in one of them; a real host asks the policy's backend")
            except InvalidArgument as error:
                yield wrong(place, error.message, "see docs/lattice-1x.md")
