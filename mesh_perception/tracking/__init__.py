"""Who is who from frame to frame, and where to look next."""

from mesh_perception.tracking.tracker import Tracker
from mesh_perception.tracking.tracks import State

__all__ = ['State', 'Tracker']
