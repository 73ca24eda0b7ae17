"""A component in Python: it stands in for a WebAssembly component in a 1.x lattice in a box. Greets two, by asking the greeter for each."""

from greeter import Greeter
from provider_sdk import Interface
from provider_sdk.lattice import Component


class Pair(Greeter):
    def __init__(self, greeter: Greeter) -> None:
        self.greeter = greeter

    async def greet(self, name: str) -> str:
        return f"{await self.greeter.greet(name)} {await self.greeter.greet('whoever is with you')}"


def component(me: Component) -> tuple[Interface, ...]:
    return (Pair(Greeter.at(me)),)
