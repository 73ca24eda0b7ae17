"""Numbergen: random numbers from the operating system's secure randomness."""
