"""People and bodies as this package's messages; pictures as sensor_msgs/Image bytes."""

import array

import numpy as np

from mesh_perception.geometry.rotations import matrix_to_axis_angle
from mesh_perception.joints import SMPL_JOINTS
from mesh_perception.msg import BodyModel, SmplPeople, SmplPerson
from mesh_perception.ros.cdr import CdrWriter


def people_message(people, names, header, camera, body_id, model_set, vertices=None):
    """A SmplPeople message of one image.

    people: People with CPU tensors, N >= 0. names: N strings. header: the image's std_msgs/Header. camera: the Camera
    used. vertices: (N, V, 3) float32 numpy, or None to leave them out.
    """
    message = SmplPeople(
        header=header,
        body_model=body_id,
        model_set=model_set,
        width=camera.width,
        height=camera.height,
        k=np.ascontiguousarray(camera.k, np.float64).reshape(9),
    )
    pose = matrix_to_axis_angle(people.rotations)
    message.people = [
        _person(*row)
        for row in zip(
            names,
            people.states.tolist(),
            people.scores.tolist(),
            _rows(people.boxes),
            _rows(pose),
            _rows(people.betas),
            _rows(people.translation),
            _rows(people.joints),
            _rows(people.joints_2d),
            _rows(people.joint_confidence),
            _rows(people.joint_sigma),
            _rows(people.velocity),
            [None] * len(people) if vertices is None else vertices,
            strict=True,
        )
    ]
    return message


def body_message(body):
    """The BodyModel message of a body: what a listener needs to make meshes and names of the people's numbers."""
    return BodyModel(
        id=body.id,
        licence=body.licence,
        faces=_array('I', body.faces.cpu().numpy().astype(np.uint32)),
        joint_names=list(SMPL_JOINTS),
        parents=np.array(body.parents, np.int32),
        rest_joints=_numbers(body.joint_template).reshape(-1),
    )


def image_bytes(image, header):
    """(H, W, 3) uint8 RGB as a serialised sensor_msgs/Image of encoding rgb8."""
    height, width, _ = image.shape
    writer = CdrWriter()
    writer.header(header)
    writer.pack('2I', height, width)
    writer.string('rgb8')
    writer.pack('B', 0)  # is_bigendian
    writer.pack('2I', width * 3, height * width * 3)  # step, size of data
    writer.array(image, np.uint8)
    return writer.bytes()


def _person(
    name, state, score, box, pose, betas, translation, joints, joints_2d, confidence, sigma, velocity, vertices
):
    return SmplPerson(
        id=name,
        state=state,
        score=score,
        box=box,
        pose=pose,
        betas=_array('f', betas),
        translation=translation,
        joints=joints,
        joints_2d=joints_2d,
        joint_confidence=confidence,
        joint_sigma=sigma,
        velocity=velocity,
        vertices=_array('f', vertices),
    )


def _numbers(tensor):
    return np.ascontiguousarray(tensor.cpu().numpy(), np.float32)


def _rows(tensor):
    """(N, ...) as N flat float32 arrays."""
    values = _numbers(tensor)
    return values.reshape(len(values), int(np.prod(values.shape[1:])))


def _array(kind, values):
    """An array.array, which rclpy takes as it is, where anything else is checked number by number."""
    result = array.array(kind)
    if values is not None:
        result.frombytes(np.ascontiguousarray(values).tobytes())
    return result
