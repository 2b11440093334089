"""Image to `Detections`: who is there, and where."""

from mesh_perception.detection.detector import Detector

__all__ = ['Detector']
