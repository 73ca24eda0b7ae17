"""References to artifacts in registries, read as wasmCloud hosts read them (packaging.md §2.3).

Hosts lower-case a whole reference before they use it. To them, one without a registry is of Docker Hub, and one without a tag is `latest`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from provider_sdk.errors import InvalidArgument

DOCKER_HUB = "docker.io"
LATEST = "latest"
SCHEME = "oci://"

_HOST = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*)(:[0-9]{1,5})?")
_PART = re.compile(r"[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*")
_TAG = re.compile(r"\w[\w.-]{0,127}", re.ASCII)
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128}")
_LONGEST_REPOSITORY = 255


def checked_digest(text: str) -> str:
    """A digest in lower case; InvalidArgument says what one looks like."""
    if not _DIGEST.fullmatch(text.lower()):
        raise InvalidArgument(f"{text[:160]!r} is not a digest: sha256: and 64 hexadecimal digits")
    return text.lower()


@dataclass(frozen=True, slots=True)
class Reference:
    """`registry/repository:tag@digest`; tag and digest may be empty, and where both are there the digest decides."""

    registry: str
    repository: str
    tag: str = ""
    digest: str = ""

    @classmethod
    def parse(cls, text: str) -> Reference:
        """Read `[oci://]REGISTRY/REPOSITORY[:TAG][@DIGEST]`; InvalidArgument names the text and what is wrong in it."""
        rest = text.strip()
        if rest[: len(SCHEME)].lower() == SCHEME:
            rest = rest[len(SCHEME) :]
        if "://" in rest:
            raise _wrong(text, "a reference has no scheme but oci://; whether TLS is spoken is decided by the options")
        rest, _, digest = rest.partition("@")
        if digest or text.endswith("@"):
            digest = checked_digest(digest)
        name, tag = _split_tag(rest)
        registry, repository = _split_registry(name.lower(), text)
        if not all(_PART.fullmatch(part) for part in repository.split("/")) or len(repository) > _LONGEST_REPOSITORY:
            raise _wrong(
                text, f"{repository[:300]!r} is not a repository: words of a-z and 0-9, parted by /, and inside by one of . _ __ -"
            )
        if tag is not None:
            _check_tag(tag, text)
        return cls(registry, repository, tag or "", digest)

    @property
    def version(self) -> str:
        """What the registry is asked for: the digest, or the tag, or `latest`."""
        return self.digest or self.tag or LATEST

    @property
    def name(self) -> str:
        """Registry and repository."""
        return f"{self.registry}/{self.repository}"

    def pinned(self, digest: str) -> Reference:
        """The same with that digest: what always gives the same bytes."""
        return replace(self, digest=digest)

    def for_push(self, *, allow_latest: bool = False) -> Reference:
        """Itself, where hosts that are left at their defaults will start it; InvalidArgument with the reason where not."""
        if self.digest:
            raise InvalidArgument(f"{self}: a push makes a tag, and the digest follows from the contents: leave @{self.digest[:14]}… out")
        if self.tag in {"", LATEST} and not allow_latest:
            untagged = f"no tag means {LATEST!r}, and " if not self.tag else ""
            raise InvalidArgument(f"{self}: {untagged}hosts refuse {LATEST!r} unless they are told otherwise: give a version as the tag")
        return replace(self, tag=self.tag or LATEST)

    def __str__(self) -> str:
        return self.name + (f":{self.tag}" if self.tag else "") + (f"@{self.digest}" if self.digest else "")


def _split_tag(rest: str) -> tuple[str, str | None]:
    """A colon before the last slash is a port's."""
    head, colon, tail = rest.rpartition(":")
    return (head, tail) if colon and "/" not in tail and "/" in head + tail and not _is_port(head, tail) else (rest, None)


def _is_port(head: str, tail: str) -> bool:
    return "/" not in head and tail.isdigit()


def _split_registry(name: str, text: str) -> tuple[str, str]:
    first, slash, rest = name.partition("/")
    if not slash or not rest:
        raise _wrong(text, "it names no repository in a registry: REGISTRY/REPOSITORY:TAG, such as ghcr.io/acme/kv:0.1.0")
    if first != "localhost" and not re.search(r"[.:]", first):
        return DOCKER_HUB, name
    if not _is_host(first):
        raise _wrong(text, f"{first[:100]!r} is not a host, or a host and a port")
    return DOCKER_HUB if first == f"index.{DOCKER_HUB}" else first, rest


def _is_host(text: str) -> bool:
    try:
        return bool(_HOST.fullmatch(text)) and urlsplit(f"//{text}").port != 0
    except ValueError:
        return False


def _check_tag(tag: str, text: str) -> None:
    if not _TAG.fullmatch(tag):
        raise _wrong(text, f"{tag[:140]!r} is not a tag: at most 128 of a-z 0-9 _ . -, and neither . nor - at the start")
    if tag != tag.lower():
        raise _wrong(text, f"hosts lower-case references, so the tag {tag!r} would not be found: write {tag.lower()!r}")


def _wrong(text: str, reason: str) -> InvalidArgument:
    return InvalidArgument(f"{text[:400]!r}: {reason}")
