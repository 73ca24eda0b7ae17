"""wasmCloud 1.x hosts: wRPC over NATS (v1.0 to v1.9)."""
