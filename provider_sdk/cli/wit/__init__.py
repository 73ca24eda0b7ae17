"""`provider wit`: interface classes as WIT packages, and WIT packages as interface classes."""
