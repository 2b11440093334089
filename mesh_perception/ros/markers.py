"""People as visualization_msgs/MarkerArray: mesh, skeleton and name of each, written straight into serialised bytes.

Each of the three has a namespace, which RViz switches on and off by itself; a marker's id is the person's track id.
"""

import numpy as np
from visualization_msgs.msg import Marker

from mesh_perception.joints import SMPL_JOINTS, SMPL_PARENTS
from mesh_perception.ros.cdr import CdrWriter
from mesh_perception.visualization.palette import track_colors

MESHES, SKELETONS, NAMES = NAMESPACES = ('meshes', 'skeletons', 'names')
MESH_OPACITY = 0.6  # the skeleton is inside
BONE_WIDTH = 0.03  # m
LETTER_HEIGHT = 0.2  # m
NAME_OFFSET = (0.0, -0.35, 0.0)  # m from the head joint: above it, as the image shows it

_KINDS = {MESHES: Marker.TRIANGLE_LIST, SKELETONS: Marker.LINE_LIST, NAMES: Marker.TEXT_VIEW_FACING}
_SCALES = {MESHES: (1.0, 1.0, 1.0), SKELETONS: (BONE_WIDTH, 0.0, 0.0), NAMES: (0.0, 0.0, LETTER_HEIGHT)}
_OPACITIES = {MESHES: MESH_OPACITY, SKELETONS: 1.0, NAMES: 1.0}
_BONES = [joint for bone in enumerate(SMPL_PARENTS) if bone[1] >= 0 for joint in bone]  # both ends of each in turn
_HEAD = SMPL_JOINTS.index('head')


class MarkerEncoder:
    """Serialised MarkerArrays for a stream of images; people who left are deleted from the viewer."""

    def __init__(self, lifetime=1.0):
        """lifetime: seconds after which a viewer drops a marker by itself, should this node fall silent."""
        self._lifetime = divmod(round(lifetime * 1e9), 10**9)
        self._shown = set()

    def encode(self, people, names, header, vertices, faces):
        """One image's MarkerArray as bytes: deletions, then mesh, skeleton and name of one person after the other.

        people: People with CPU tensors. names: N strings. header: the image's std_msgs/Header. vertices: (N, V, 3) m
        in the camera's frame. faces: (F, 3) indices. Colours are those of the overlay.
        """
        # RViz reads 32 bits; a track id is a small count, so they are not missed.
        ids = [track & 0x7FFFFFFF for track in people.track_ids.tolist()]
        left = sorted(self._shown.difference(ids))
        joints = people.joints.double().numpy()
        triangles = np.asarray(vertices, np.float64)[:, np.asarray(faces).reshape(-1)]  # (N, F * 3, 3)
        bones, places = joints[:, _BONES], joints[:, _HEAD] + NAME_OFFSET
        colors = (track_colors(people.track_ids) / 255).tolist()
        writer = CdrWriter()
        writer.pack('I', len(NAMESPACES) * (len(left) + len(ids)))
        for marker in left:
            for namespace in NAMESPACES:
                self._marker(writer, header, namespace, marker, Marker.DELETE)
        for i, (marker, name, color) in enumerate(zip(ids, names, colors, strict=True)):
            self._marker(writer, header, MESHES, marker, color=color, points=triangles[i])
            self._marker(writer, header, SKELETONS, marker, color=color, points=bones[i])
            self._marker(writer, header, NAMES, marker, color=color, position=places[i], text=name)
        self._shown = set(ids)
        return writer.bytes()

    def _marker(
        self,
        writer,
        header,
        namespace,
        marker,
        action=Marker.ADD,
        color=(0.0, 0.0, 0.0),
        position=(0.0, 0.0, 0.0),
        points=(),
        text='',
    ):
        """The fields of visualization_msgs/Marker in their order."""
        writer.header(header)
        writer.string(namespace)
        writer.pack('3i', marker, _KINDS[namespace], action)
        writer.pack('7d', *position, 0, 0, 0, 1)  # orientation xyzw
        writer.pack('3d', *_SCALES[namespace])
        writer.pack('4f', *color, _OPACITIES[namespace])
        writer.pack('2I', *self._lifetime)
        writer.pack('?', False)  # frame_locked: what is drawn belongs to its stamp
        writer.pack('I', len(points))
        writer.array(points, np.float64)
        writer.pack('I', 0)  # colors
        writer.string('')  # texture_resource
        writer.pack('2I', 0, 0)  # texture: stamp
        for nothing in ('', ''):  # frame_id, format
            writer.string(nothing)
        writer.pack('2I', 0, 0)  # texture data, uv_coordinates
        for content in (text, '', ''):  # text, mesh_resource, mesh_file.filename
            writer.string(content)
        writer.pack('I', 0)  # mesh_file.data
        writer.pack('?', False)  # mesh_use_embedded_materials
