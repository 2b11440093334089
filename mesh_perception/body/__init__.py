"""The body: an SMPL-family file becomes checked arrays, and one linear blend skinning serves all of them."""

from mesh_perception.body.model import BodyModel, load_body
from mesh_perception.body.reader import BodyFileError
from mesh_perception.body.skinning import regress_joints, rest_joints, skin, skin_joints

__all__ = ['BodyFileError', 'BodyModel', 'load_body', 'regress_joints', 'rest_joints', 'skin', 'skin_joints']
