"""What a 1.x host says of itself: the answers to `host.ping` and `host.get` (packaging.md §5)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from provider_sdk.lattice.wrpc.host import WrpcLatticeHost


def describe(host: WrpcLatticeHost) -> dict[str, Any]:
    """The response to `host.ping`."""
    return {
        "id": host.host_id,
        "labels": dict(host.core.labels),
        "friendly_name": host.options.friendly_name,
        **_age(host),
        "ctl_host": host.url,
        "rpc_host": host.url,
        "lattice": host.core.lattice,
    }


def inventory(host: WrpcLatticeHost) -> dict[str, Any]:
    """The response to `host.get`, and a heartbeat."""
    return {
        "host_id": host.host_id,
        "friendly_name": host.options.friendly_name,
        "labels": dict(host.core.labels),
        **_age(host),
        "components": [
            {"id": item.id, "image_ref": item.image_ref, "name": item.id, "annotations": {}, "revision": 0, "max_instances": item.instances}
            for item in host.components
        ],
        "providers": [
            {
                "id": item.program.id,
                "image_ref": item.program.image_ref,
                "name": item.program.name,
                "revision": 0,
                "annotations": dict(item.program.annotations),
            }
            for item in host.providers
        ],
    }


def _age(host: WrpcLatticeHost) -> dict[str, Any]:
    seconds = int(host.uptime)
    return {"uptime_human": f"{seconds}s", "uptime_seconds": seconds, "version": host.version}
