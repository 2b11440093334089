"""Who is who from frame to frame, and where to look next."""

from mesh_perception.tracking.tracker import State, Tracker

__all__ = ['State', 'Tracker']
