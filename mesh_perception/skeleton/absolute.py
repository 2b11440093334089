"""Where a relative skeleton stands in the camera's frame."""

from mesh_perception.geometry.absolute import absolute_position


def place(relative, image_joints, confidence, camera):
    """Solves the root (N, 3) m that makes relative joints (N, 24, 3) project onto image joints (N, 24, 2) px.

    MeTRAbs' linear least squares over the joints inside the view, weighted by confidence (N, 24); Sec. 3.1.
    -> (root, the image joints' rays (N, 24, 2) as x/z and y/z, the weights used (N, 24)).
    """
    size = image_joints.new_tensor((camera.width - 1, camera.height - 1))
    inside = ((image_joints >= 0) & (image_joints <= size)).all(-1)
    weights = confidence * inside
    rays = camera.unproject(image_joints)
    return absolute_position(relative, rays, weights), rays, weights
