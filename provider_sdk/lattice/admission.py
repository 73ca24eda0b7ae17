"""A host's checks of an invocation for one of its actors (wasmbus-0x.md §4.6), in the words of the manner."""

from __future__ import annotations

import time

from provider_sdk.errors import InvalidArgument, PermissionDenied, Unauthenticated
from provider_sdk.hosts.wasmbus.actor_claims import ActorClaims
from provider_sdk.hosts.wasmbus.claims import Claims, decode_claims, entity_url, invocation_hash, verify_signature
from provider_sdk.hosts.wasmbus.envelope import Invocation
from provider_sdk.lattice.core import HostCore
from provider_sdk.lattice.manner import Manner
from provider_sdk.nkeys import Prefix, decode_public


def admit(core: HostCore, invocation: Invocation, actor: ActorClaims) -> None:
    """PermissionDenied with the text that the caller gets, where the invocation is not to be carried out."""
    try:
        claims = decode_claims(invocation.encoded_claims)
    except Unauthenticated as error:
        reason = str(error)
    else:
        reason = (
            _host_id(core.manner, invocation)
            or _token(claims)
            or _issuer(core, claims)
            or _contents(invocation, claims)
            or _rights(core, invocation, actor)
        )
    if reason and core.manner is Manner.OTP:
        raise PermissionDenied(f"Anti-forgery check failed: {reason}")
    if reason:
        raise PermissionDenied(reason[0].lower() + reason[1:])


def _host_id(manner: Manner, invocation: Invocation) -> str:
    """OTP lets anything of 56 characters pass, and anything that begins with N; the Rust host wants a server's key."""
    host_id = invocation.host_id
    if manner is Manner.OTP:
        valid = host_id.startswith("N") or len(host_id) == 56
    else:
        try:
            valid = decode_public(host_id)[0] is Prefix.SERVER
        except InvalidArgument:
            valid = False
    return "" if valid else f"Invalid host ID on invocation: '{host_id}'"


def _token(claims: Claims) -> str:
    now = time.time()
    if claims.expires is not None and claims.expires < now:
        return "Invocation claims token expired"
    if claims.not_before is not None and now < claims.not_before:
        return "Attempt to use invocation before claims token allows"
    return "" if verify_signature(claims.issuer, claims.signed, claims.signature) else "Invocation claims signature invalid"


def _issuer(core: HostCore, claims: Claims) -> str:
    if claims.issuer == core.cluster.public:
        return ""
    if core.manner is Manner.OTP:
        return "Issuer of this invocation is not in list of cluster issuers"
    return "Issuer of this invocation is not among the list of valid issuers"


def _contents(invocation: Invocation, claims: Claims) -> str:
    """The hash of what came inline only: hosts do not hash chunked arguments again."""
    origin_url = entity_url(invocation.origin)
    target_url = f"{entity_url(invocation.target)}/{invocation.operation}"
    for which, actual, claimed in (("target", target_url, claims.target_url), ("origin", origin_url, claims.origin_url)):
        if actual != claimed:
            return f"Invocation claims and invocation {which} URL do not match"
    digest = invocation_hash(origin_url, target_url, invocation.operation, invocation.msg) if invocation.msg else claims.hash
    return "" if digest == claims.hash else f"Invocation hash does not match signed claims hash ({claims.hash} / {digest})"


def _rights(core: HostCore, invocation: Invocation, actor: ActorClaims) -> str:
    contract = invocation.origin.contract_id
    if core.checks_capabilities and contract and invocation.origin.link_name and contract not in actor.capabilities:
        return f"Invocation source does not have the required capability claim {contract}"
    origin = invocation.origin.public_key
    if core.manner is Manner.RUST and origin != core.host_id and origin not in core.claims:
        return "Failed to look up claims for origin"
    return ""
