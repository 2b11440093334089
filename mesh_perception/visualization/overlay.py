"""What was found, drawn over the image it was found in."""

import numpy as np

from mesh_perception.visualization.drawer import open_drawer
from mesh_perception.visualization.lens import bend_vertices
from mesh_perception.visualization.marks import draw_boxes, draw_label, draw_skeletons
from mesh_perception.visualization.painter import Painter
from mesh_perception.visualization.palette import track_colors
from mesh_perception.visualization.views import compose, side_view, top_view

OPACITY = 0.75


class Overlay:
    """Draws people over images, and beside them from above and from the side.

    Args: body: BodyModel whose meshes are drawn; mesh, skeleton, box, label: what to draw; opacity of meshes.
    Drawing meshes needs OpenGL, whose state belongs to the thread of the first drawing: use and close it there.
    """

    def __init__(self, body, mesh=True, skeleton=False, box=False, label=True, opacity=OPACITY):
        self._faces = body.faces.cpu().numpy()
        self._light_vertices = body.light_vertices.cpu().numpy()
        self._light_faces = body.light_faces.cpu().numpy()
        self.mesh, self.skeleton, self.box, self.label, self.opacity = mesh, skeleton, box, label, opacity
        self._drawer = None

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.close()

    def close(self):
        """Gives graphics memory back; the overlay may be used again."""
        if self._drawer is not None:
            self._drawer.close()
            self._drawer = None

    def draw(self, image, camera, people, vertices, names=None):
        """People over their image, lens distortion included.

        Args: image (H, W, 3) uint8 RGB; camera: Camera of that size; people: People on the CPU; vertices (N, V, 3) m,
        camera frame; names: what the labels call the people (default: '#' and the track id). Returns a new
        (H, W, 3) uint8 RGB. Raises ValueError where sizes do not fit.
        """
        image = np.asarray(image)
        if image.shape != (camera.height, camera.width, 3) or image.dtype != np.uint8:
            raise ValueError(
                f'image: expected uint8 {(camera.height, camera.width, 3)} as the camera says, '
                f'got {image.dtype} {image.shape}'
            )
        vertices = _as_vertices(people, vertices)
        if self.mesh and len(people):
            picture = self._meshes(bend_vertices(vertices, camera), camera.k, people, image, self.opacity)
        else:
            picture = image.copy()
        far_to_near = np.argsort(-_distances(people))
        ids, boxes = people.track_ids.numpy()[far_to_near], people.boxes.numpy()[far_to_near]
        if self.box:
            draw_boxes(picture, boxes, ids)
        if self.skeleton:
            draw_skeletons(
                picture, people.joints_2d.numpy()[far_to_near], people.joint_confidence.numpy()[far_to_near], ids
            )
        if self.label:
            names = [f'#{i}' for i in people.track_ids.tolist()] if names is None else names
            _labels(picture, boxes, ids, [names[i] for i in far_to_near], _distances(people)[far_to_near])
        return picture

    def panel(self, image, camera, people, vertices, reach=None):
        """The overlay with the scene from above and from the side in a column to its right (the paper's Fig. 1).

        Args as `draw`; reach: metres that the views show (see `views`). Returns (H, W + H // 2, 3) uint8 RGB.
        """
        picture = self.draw(image, camera, people, vertices)
        top, side = self.views(camera, people, vertices, picture.shape[0] // 2, reach)
        return compose(picture, top, side)

    def views(self, camera, people, vertices, size, reach=None):
        """The scene from above and from the side: two (size, size, 3) uint8 RGB. Meshes, or skeletons without them."""
        vertices = _as_vertices(people, vertices)
        draw_meshes = self._meshes if self.mesh and len(people) else None
        return tuple(
            view(camera, people, vertices, size, draw_meshes, reach, self.label) for view in (top_view, side_view)
        )

    def _meshes(self, vertices, k, people, background, opacity=1.0, **options):
        height, width = background.shape[:2]
        if self._drawer is None:
            self._drawer = open_drawer(width, height)
        self._drawer.resize(width, height)
        faces = self._faces
        if isinstance(self._drawer, Painter):
            vertices, faces = vertices[:, self._light_vertices], self._light_faces
        return self._drawer.render(
            vertices, faces, k, track_colors(people.track_ids), background, two_sided=False, opacity=opacity, **options
        )


def draw_overlay(image, camera, people, vertices, body, **switches):
    """One overlay; for many frames keep an Overlay. Arguments as Overlay.draw and Overlay."""
    with Overlay(body, **switches) as overlay:
        return overlay.draw(image, camera, people, vertices)


def _as_vertices(people, vertices):
    vertices = np.asarray(vertices, dtype=np.float32)
    if vertices.ndim != 3 or len(vertices) != len(people) or vertices.shape[2] != 3:
        raise ValueError(f'vertices: expected ({len(people)}, V, 3) for {len(people)} people, got {vertices.shape}')
    return vertices


def _distances(people):
    """Metres from the camera to each pelvis, (N,)."""
    return np.linalg.norm(people.joints[:, 0].numpy(), axis=-1)


def _labels(picture, boxes, ids, names, distances):
    """'#3 2.4 m' above each box that is in view."""
    size = np.array([picture.shape[1], picture.shape[0]])
    for box, name, distance, color in zip(boxes, names, distances, track_colors(ids).tolist(), strict=True):
        if np.isfinite(box).all() and (box[2:] > 0).all() and (box[:2] < size).all():
            text = f'{name} {distance:.1f} m' if np.isfinite(distance) else name
            draw_label(picture, text, box[:2], color)
