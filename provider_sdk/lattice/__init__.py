"""A lattice in a box for development: a NATS server process, a 0.x host emulator, wasm actors, manifests."""
