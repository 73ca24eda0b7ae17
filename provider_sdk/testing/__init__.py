"""What the author of a provider imports in tests: fixtures, fault injection, conformance suites."""
