"""Endurance and latency of the real node, measured from outside over DDS: `make soak` and `make latency`."""
