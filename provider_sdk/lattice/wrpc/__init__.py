"""The host side of wasmCloud 1.x, emulated: providers as processes, named configuration, secrets, links, components in Python."""
