"""What a host says of itself: the answers to `ping.hosts` and `get.H.inv` (wasmbus-0x.md §3.5, packaging.md §5)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from provider_sdk.lattice.actors import RunningActor
from provider_sdk.lattice.manner import Manner
from provider_sdk.lattice.providers import RunningProvider

if TYPE_CHECKING:
    from provider_sdk.lattice.host import Host

VERSIONS = {Manner.RUST: "0.82.0", Manner.OTP: "0.63.2"}


def describe(host: Host) -> dict[str, Any]:
    """The answer to `ping.hosts`."""
    core, uptime = host.core, int(host.uptime)
    issuer = core.cluster.public
    return {
        "id": core.host_id,
        "lattice": core.lattice,
        "lattice_prefix": core.lattice,
        "issuer": issuer,
        "cluster_issuers": issuer,
        "friendly_name": host.options.friendly_name,
        "labels": dict(core.labels),
        "ctl_host": host.url,
        "rpc_host": host.url,
        "js_domain": None,
        "uptime_human": f"{uptime}s",
        "uptime_seconds": uptime,
        "version": VERSIONS[core.manner],
    }


def inventory(host: Host) -> dict[str, Any]:
    """The answer to `get.H.inv`."""
    return {
        "host_id": host.host_id,
        "issuer": host.core.cluster.public,
        "friendly_name": host.options.friendly_name,
        "labels": dict(host.core.labels),
        "actors": [_actor(actor, host.core.manner) for actor in host.actors],
        "providers": [_provider(provider) for provider in host.providers],
    }


def _actor(actor: RunningActor, manner: Manner) -> dict[str, Any]:
    limit = "max_instances" if manner is Manner.RUST else "max_concurrent"
    instance: dict[str, Any] = {
        "annotations": {},
        "image_ref": actor.image_ref,
        "instance_id": actor.instance_id,
        "revision": actor.claims.revision,
        limit: actor.instances,
    }
    return {"id": actor.id, "image_ref": actor.image_ref, "name": actor.name, "instances": [instance]}


def _provider(provider: RunningProvider) -> dict[str, Any]:
    program = provider.program
    return {
        "id": program.key,
        "image_ref": program.image_ref,
        "contract_id": program.contract,
        "link_name": program.link_name,
        "name": program.name,
        "revision": program.revision,
        "annotations": {},
    }
