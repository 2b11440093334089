"""The body with some of its vertices alone: quick to skin, and small to send to a viewer."""

from dataclasses import replace

import torch

from mesh_perception.body.model import BodyModel


def light_body(body: BodyModel) -> BodyModel:
    """The same body, id and joints with the vertices of its light mesh alone, numbered as `light_faces` does."""
    keep = body.light_vertices
    return replace(
        body,
        v_template=body.v_template[keep],
        shapedirs=body.shapedirs[keep],
        posedirs=body.posedirs[keep],
        regressor=body.regressor[:, keep],
        weights=body.weights[keep],
        faces=body.light_faces,
        light_vertices=torch.arange(len(keep), device=keep.device),
    )


def regressed_body(body: BodyModel) -> BodyModel:
    """The same body, id and joints with the vertices that its regressor looks at alone, and no faces: for P_ref, the
    regressor's joints, without the rest of the mesh."""
    used = (body.regressor != 0).any(0).nonzero()[:, 0]
    return light_body(replace(body, light_vertices=used, light_faces=body.light_faces[:0]))
