"""Archives that are signed again: with targets of builds made elsewhere, with other keys, or with other times."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from provider_packaging.archive import Archive, Member, Source, create, open_archive
from provider_packaging.claims import Claims, check_signature
from provider_sdk.errors import InvalidArgument, PreconditionFailed, Unauthenticated
from provider_sdk.nkeys import KeyPair


def insert(
    path: Path,
    programs: Mapping[str, Path | Source],
    issuer: KeyPair,
    subject: str | None = None,
    *,
    issued: int,
    output: Path | None = None,
    new_identity: bool = False,
) -> None:
    """Add the programs of these targets, or put them in the place of those that are there; the rest of the claims stays.

    The archive is written in its own place, or to `output`, compressed as it was. `subject` is the provider's public key, by default
    the one of the claims. Another issuer or subject than the claims have is refused unless `new_identity`, and so is an archive whose
    signature or hashes are wrong.
    """
    with open_archive(path) as archive:
        claims = replace(archive.claims, issued=issued, id="")
        _rewrite(archive, programs, claims, issuer, subject, output or path, new_identity=new_identity)


def sign_again(
    path: Path,
    issuer: KeyPair,
    subject: str | None = None,
    *,
    issued: int,
    expires: int | None = None,
    not_before: int | None = None,
    output: Path | None = None,
    new_identity: bool = False,
) -> None:
    """The same programs under a new signature, with these times; else as `insert`."""
    with open_archive(path) as archive:
        claims = replace(archive.claims, issued=issued, expires=expires, not_before=not_before, id="")
        _rewrite(archive, {}, claims, issuer, subject, output or path, new_identity=new_identity)


def _rewrite(
    archive: Archive,
    programs: Mapping[str, Path | Source],
    claims: Claims,
    issuer: KeyPair,
    subject: str | None,
    output: Path,
    *,
    new_identity: bool,
) -> None:
    _check_whole(archive)
    wanted = replace(claims, issuer=issuer.public, subject=subject or claims.subject)
    for what, old, new in (("issuer", claims.issuer, wanted.issuer), ("subject", claims.subject, wanted.subject)):
        if old != new and not new_identity:
            raise InvalidArgument(
                f"{archive.path}: its {what} is {old}: to sign it as {new}, which makes it another's, has to be asked for"
            )
    kept: dict[str, Path | Source] = {name: Member(archive, name) for name in archive.sizes}
    create(output, wanted, kept | dict(programs), issuer, compressed=archive.compressed)


def _check_whole(archive: Archive) -> None:
    """A new signature must not vouch for what the old one does not."""
    try:
        check_signature(archive.token)
    except Unauthenticated as error:
        raise Unauthenticated(f"{archive.path}: {error.message}") from None
    for line in archive.mismatches:
        raise PreconditionFailed(f"{archive.path}: {line}")
