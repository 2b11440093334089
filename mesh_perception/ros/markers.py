"""People as visualization_msgs/MarkerArray: one TRIANGLE_LIST a person, written straight into serialised bytes."""

import numpy as np
from visualization_msgs.msg import Marker

from mesh_perception.ros.cdr import CdrWriter

NAMESPACE = 'people'


class MarkerEncoder:
    """Serialised MarkerArrays for a stream of images; people who left are deleted from the viewer."""

    def __init__(self, lifetime=1.0):
        """lifetime: seconds after which a viewer drops a marker by itself, should this node fall silent."""
        self._lifetime = divmod(round(lifetime * 1e9), 10**9)
        self._shown = set()

    def encode(self, header, track_ids, vertices, faces, colors):
        """One image's MarkerArray as bytes.

        header: the image's std_msgs/Header. track_ids: N integers, the markers' ids. vertices: (N, V, 3) m in the
        camera's frame. faces: (F, 3) indices. colors: (N, 4) RGBA in [0, 1].
        """
        # RViz reads 32 bits; a track id is a small count, so they are not missed.
        ids = [int(track) & 0x7FFFFFFF for track in track_ids]
        left = sorted(self._shown.difference(ids))
        writer = CdrWriter()
        writer.pack('I', len(left) + len(ids))
        for marker in left:
            self._marker(writer, header, marker, Marker.DELETE, np.zeros((0, 3)), (0.0, 0.0, 0.0, 0.0))
        corners = np.asarray(vertices, np.float64)[:, np.asarray(faces).reshape(-1)]  # (N, F * 3, 3)
        for marker, points, color in zip(ids, corners, colors, strict=True):
            self._marker(writer, header, marker, Marker.ADD, points, color)
        self._shown = set(ids)
        return writer.bytes()

    def _marker(self, writer, header, marker, action, points, color):
        """The fields of visualization_msgs/Marker in their order."""
        writer.header(header)
        writer.string(NAMESPACE)
        writer.pack('3i', marker, Marker.TRIANGLE_LIST, action)
        writer.pack('7d', 0, 0, 0, 0, 0, 0, 1)  # pose: position, orientation xyzw
        writer.pack('3d', 1, 1, 1)  # scale
        writer.pack('4f', *color)
        writer.pack('2I', *self._lifetime)
        writer.pack('?', False)  # frame_locked: the mesh belongs to its stamp
        writer.pack('I', len(points))
        writer.array(points, np.float64)
        writer.pack('I', 0)  # colors
        writer.string('')  # texture_resource
        writer.pack('2I', 0, 0)  # texture: stamp
        for text in ('', ''):  # frame_id, format
            writer.string(text)
        writer.pack('2I', 0, 0)  # texture data, uv_coordinates
        for text in ('', '', ''):  # text, mesh_resource, mesh_file.filename
            writer.string(text)
        writer.pack('I', 0)  # mesh_file.data
        writer.pack('?', False)  # mesh_use_embedded_materials
