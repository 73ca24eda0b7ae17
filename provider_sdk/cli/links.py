"""`provider dev link`: links put and deleted by hand, on lattices of either generation."""

from __future__ import annotations

from typing import Annotated

import typer

from provider_sdk.cli.entered import ElsewhereOption, LatticeOption, UrlOption, do_attached
from provider_sdk.errors import InvalidArgument
from provider_sdk.lattice.attached import Attached
from provider_sdk.lattice.manifests import Generation
from provider_sdk.lattice.wrpc.attached import WrpcAttached

link = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Put and delete links.")

InterfacesOption = Annotated[
    str, typer.Option("--interfaces", help="NAMESPACE:PACKAGE/NAME,NAME, such as wasi:keyvalue/store; for a new link, on 1.x.")
]
LinkNameOption = Annotated[str, typer.Option("--name", help="The link's name, on 1.x.")]
ContractOption = Annotated[str, typer.Option(help="Default: the provider's own; on 0.x.")]


@link.command("put")
def link_put(
    source: Annotated[str, typer.Argument(help="Name or key of the actor, or of the side that calls.")],
    target: Annotated[str, typer.Argument(help="Name or key of the provider, or of the side that is called.")],
    values: Annotated[list[str] | None, typer.Argument(help="KEY=VALUE … for the provider")] = None,
    contract: ContractOption = "",
    interfaces: InterfacesOption = "",
    name: LinkNameOption = "default",
    nats_url: UrlOption = "",
    lattice: LatticeOption = "default",
    generation: ElsewhereOption = Generation.WASMBUS,
) -> None:
    """Put a link, or change its values."""
    from provider_sdk.cli import wrpc_report

    given = dict(_pair(item) for item in values or [])

    async def work(attached: Attached | WrpcAttached) -> None:
        if isinstance(attached, WrpcAttached):
            await wrpc_report.put_link(attached, source, target, given, interfaces, name)
            return
        caller, asked = await attached.look_up(source), await attached.look_up(target)
        body = {
            "actor_id": caller.key,
            "provider_id": asked.key,
            "contract_id": contract or asked.contract,
            "link_name": asked.link_name,
            "values": given,
        }
        await attached.control("linkdefs.put", body)

    do_attached(work, nats_url, lattice, generation)


@link.command("del")
def link_del(
    source: Annotated[str, typer.Argument(help="Name or key of the actor, or of the side that calls.")],
    target: Annotated[str, typer.Argument(help="Name or key of the provider, or of the side that is called.")],
    contract: ContractOption = "",
    name: LinkNameOption = "default",
    nats_url: UrlOption = "",
    lattice: LatticeOption = "default",
    generation: ElsewhereOption = Generation.WASMBUS,
) -> None:
    """Delete a link."""
    from provider_sdk.cli import wrpc_report

    async def work(attached: Attached | WrpcAttached) -> None:
        if isinstance(attached, WrpcAttached):
            await wrpc_report.delete_link(attached, source, target, name)
            return
        caller, asked = await attached.look_up(source), await attached.look_up(target)
        body = {"actor_id": caller.key, "contract_id": contract or asked.contract, "link_name": asked.link_name}
        await attached.control("linkdefs.del", body)

    do_attached(work, nats_url, lattice, generation)


def _pair(text: str) -> tuple[str, str]:
    key, separator, value = text.partition("=")
    if not separator:
        raise InvalidArgument(f"{text!r} is not KEY=VALUE")
    return key, value
