"""Where a relative skeleton stands in the camera's frame."""

import torch

from mesh_perception.geometry.absolute import absolute_position


def place(relative, image_joints, confidence, camera):
    """Solves the root (N, 3) m that makes relative joints (N, 24, 3) project onto image joints (N, 24, 2) px.

    MeTRAbs' linear least squares over the joints inside the view, weighted by confidence (N, 24); Sec. 3.1.
    -> (root, the image joints' rays (N, 24, 2) as x/z and y/z, the weights used (N, 24)).
    """
    weights = confidence * inside_image(image_joints, camera)
    rays = camera.unproject(image_joints)
    return absolute_position(relative, rays, weights), rays, weights


def place_body(joints, skeletons, camera):
    """The root (N, 3) m at which a body's joints (N, 24, 3) m project onto what was seen of the same people.

    As `place`, at the distance that the skeleton network says where it has learnt to.
    """
    root, _, _ = place(joints - joints[:, :1], skeletons.image_joints, skeletons.confidence, camera)
    return root * skeletons.distance_scale[:, None]


def inside_image(pixels, camera):
    """Whether pixels (..., 2) are inside of the camera's image: (...), bool."""
    x, y = pixels.unbind(-1)
    return (x >= 0) & (x <= camera.width - 1) & (y >= 0) & (y <= camera.height - 1)


def on_rays(joints, rays, weights):
    """Absolute joints (N, J, 3) m drawn by weights (N, J) in [0, 1] onto their rays (N, J, 2), x/z and y/z.

    Seen joints lie on their rays, at the depth that the skeleton gives them (MeTRAbs' reconstruction).
    """
    depth = joints[..., 2:]
    return torch.lerp(joints, torch.cat([rays * depth, depth], -1), weights[..., None])
