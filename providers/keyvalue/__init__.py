"""Keyvalue: text, counters, lists and sets under keys, in memory, a file, Redis or PostgreSQL."""
