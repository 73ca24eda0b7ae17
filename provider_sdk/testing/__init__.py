"""What the author of a provider imports in tests: a lattice on a real NATS server, providers in process or as processes, actors in Python.

    async with a_lattice() as lattice:
        provider = await lattice.in_process(GreeterProvider, contract="acme:greeter")
        target = await lattice.link(provider, {"greeting": "Hi"})
        assert await Greeter.at(target).greet("Ada") == "Hi, Ada!"

Faults: `lattice.server` can be killed, restarted, paused and put in lame duck mode; a process is killed with `lattice.kill(provider)`.
"""

from provider_sdk.lattice.manner import Manner
from provider_sdk.testing.lattice import Provided, TestLattice, a_lattice

__all__ = ["Manner", "Provided", "TestLattice", "a_lattice"]
