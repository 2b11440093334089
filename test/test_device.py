"""The stages on a device whose memory the host cannot read: torch's `meta` device, which every machine has.

Whatever asks the device for a value waits until it has finished all its work, and whatever hands it a Python number or
list is an upload: neither may happen between the picture's upload and the copy back.
"""

import pytest
import torch
from torch.overrides import TorchFunctionMode

from mesh_perception.body import load_body, skin, skin_joints
from mesh_perception.configuration import load_config
from mesh_perception.geometry.camera import Camera
from mesh_perception.geometry.crops import crop
from mesh_perception.inverse_kinematics import initial_parameters
from mesh_perception.inverse_kinematics.twist_shape import parameters_from_twists
from mesh_perception.parts import make_body, make_refiner, make_skeleton, make_twist_shape
from mesh_perception.refinement.refine import finish, refine
from mesh_perception.skeleton.absolute import place
from mesh_perception.skeleton.blazepose import BlazePose
from mesh_perception.skeleton.landmark_joints import load_joint_mapping, skeletons_from_landmarks
from mesh_perception.types import Regions

META = torch.device('meta')
FORBIDDEN = {torch.tensor, torch.as_tensor, torch.from_numpy, torch.Tensor.new_tensor} | {
    # These make the host wait; on meta they raise, except for the decompositions.
    *(torch.Tensor.item, torch.Tensor.tolist, torch.Tensor.__bool__, torch.Tensor.nonzero, torch.equal),
    *(torch.linalg.svd, torch.linalg.eigh, torch.linalg.inv, torch.linalg.solve, torch.linalg.cholesky),
}


class Watch(TorchFunctionMode):
    """Collects calls that copy or wait."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def __torch_function__(self, function, types, args=(), kwargs=None):
        if function in FORBIDDEN:
            self.seen.append(function.__name__)
        if function is torch.Tensor.__getitem__:
            index = args[1] if isinstance(args[1], tuple) else (args[1],)
            # Lists are uploaded, and how much a mask selects only the device knows.
            self.seen += [
                f'index {i}'
                for i in index
                if isinstance(i, list) or (isinstance(i, torch.Tensor) and i.dtype == torch.bool)
            ]
        return function(*args, **(kwargs or {}))


@pytest.mark.parametrize(
    'lens',
    [
        ((), 'none'),
        ((-0.1, 0.02, 0.001, -0.001, 0.0), 'plumb_bob'),
        ((0.3, 0.1, 0.001, -0.001, 0.01, 0.5, 0.1, 0.02), 'rational_polynomial'),
        ((-0.01, 0.002, 0.0, 0.0), 'equidistant'),
    ],
    ids=lambda lens: lens[1],
)
def test_from_picture_to_mesh_nothing_is_uploaded_and_nothing_waited_for(lens):
    camera = Camera.from_intrinsics(640, 480, 600, 610, 330, 250, *lens)
    body, network = load_body('open').to(META), BlazePose('blazepose_full', device=META)
    mapping = load_joint_mapping('blazepose_full').to(META)
    picture = torch.zeros(480, 640, 3, dtype=torch.uint8, device=META)
    regions = Regions(torch.zeros(3, 2, device=META), torch.ones(3, device=META), torch.zeros(3, device=META))
    # The first time constants are uploaded and kept.
    for _ in range(2):
        with torch.inference_mode(), Watch() as watch:
            skeletons = skeletons_from_landmarks(network(crop(picture, camera, regions), camera), camera, mapping)
            people = initial_parameters(body, skeletons)
            joints = skin_joints(body, people.rotations, people.betas, people.translation)
            root, _, _ = place(joints - joints[:, :1], skeletons.image_joints, skeletons.confidence, camera)
            camera.project(joints + root[:, None])
            mesh = skin(body, people.rotations, people.betas, people.translation)
    assert mesh.vertices.device == META and len(mesh.vertices) == 3
    assert watch.seen == []


def test_nor_in_the_papers_networks():
    config, camera = load_config('paper'), Camera.from_fov(640, 480, 60)
    body = make_body(config, META, random=True)
    skeleton, features = make_skeleton(config, META, random=True)
    twist_shape = make_twist_shape(config, features, body, META, random=True)
    refiner = make_refiner(config, features, body, META, random=True)
    picture = torch.zeros(480, 640, 3, dtype=torch.uint8, device=META)
    regions = Regions(torch.zeros(3, 2, device=META), torch.ones(3, device=META), torch.zeros(3, device=META))
    for _ in range(2):
        with torch.inference_mode(), Watch() as watch:
            skeletons = skeleton(crop(picture, camera, regions), camera).skeletons
            people = parameters_from_twists(body, skeletons, *twist_shape(skeletons.features))
            final = finish(body, refine(refiner, body, skeletons.features, people), skeletons, camera)
    assert len(final.joints) == 3
    assert watch.seen == []
