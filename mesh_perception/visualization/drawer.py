"""The best way of drawing meshes that this machine has."""

import logging

from mesh_perception.visualization.egl import RendererUnavailable
from mesh_perception.visualization.painter import Painter
from mesh_perception.visualization.renderer import Renderer

_log = logging.getLogger(__name__)
_told = False


def open_drawer(width, height):
    """A Renderer, or a Painter where EGL is missing (which is logged once). Close it after use."""
    global _told
    try:
        return Renderer(width, height)
    except RendererUnavailable as error:
        if not _told:
            _told = True
            _log.warning('meshes are painted coarsely on the CPU: %s', error)
        return Painter(width, height)
