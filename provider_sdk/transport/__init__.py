"""The message bus: what the SDK needs of one (base.py), and NATS as one (nats.py)."""
