"""The standard contracts as interface declarations (wasmbus-0x.md §8): one module a contract, for whoever serves or calls it."""
