"""What the author of a provider imports in tests: a lattice on a real NATS server, providers in process or as processes, actors in Python.

    async with a_lattice() as lattice:
        provider = await lattice.in_process(GreeterProvider, contract="acme:greeter")
        target = await lattice.link(provider, {"greeting": "Hi"})
        assert await Greeter.at(target).greet("Ada") == "Hi, Ada!"

    async with a_wrpc_lattice() as lattice:        # the same on a 1.x host
        provider = await lattice.in_process(GreeterProvider)
        ...

Faults: `lattice.server` can be killed, restarted, paused and put in lame duck mode; a process is killed with `lattice.kill(provider)`.
"""

from provider_sdk.hosts.wrpc.era import Era
from provider_sdk.lattice.manner import Manner
from provider_sdk.testing.lattice import Provided, TestLattice, a_lattice
from provider_sdk.testing.wrpc_lattice import WrpcProvided, WrpcTestLattice, a_wrpc_lattice

__all__ = ["Era", "Manner", "Provided", "TestLattice", "WrpcProvided", "WrpcTestLattice", "a_lattice", "a_wrpc_lattice"]
