import torch

from mesh_perception.body import load_body, regress_joints, skin
from mesh_perception.body.light import light_body, regressed_body
from mesh_perception.geometry.rotations import axis_angle_to_matrix


def test_the_light_body_has_the_full_bodys_vertices_where_its_light_mesh_does():
    body = load_body('open')
    light = light_body(body)
    generator = torch.Generator().manual_seed(0)
    rotations = axis_angle_to_matrix(torch.randn(3, 24, 3, generator=generator) * 0.4)
    betas, translation = torch.randn(3, 10, generator=generator), torch.randn(3, 3, generator=generator)
    full, small = (skin(b, rotations, betas, translation) for b in (body, light))
    assert torch.allclose(small.vertices, full.vertices[:, body.light_vertices], atol=1e-6)
    assert torch.equal(small.joints, full.joints)
    assert int(light.faces.max()) == len(light.v_template) - 1 and len(light.faces) < len(body.faces) / 5


def test_the_regressed_body_s_few_vertices_give_the_joints_of_the_whole_mesh():
    body = load_body('open')
    small = regressed_body(body)
    generator = torch.Generator().manual_seed(0)
    rotations = axis_angle_to_matrix(torch.randn(3, 24, 3, generator=generator) * 0.4)
    betas, translation = torch.randn(3, 10, generator=generator), torch.randn(3, 3, generator=generator)
    meshes = [skin(b, rotations, betas, translation) for b in (body, small)]
    full, few = (regress_joints(b, mesh.vertices) for b, mesh in zip((body, small), meshes, strict=True))
    assert torch.allclose(few, full, atol=1e-5) and torch.equal(meshes[0].joints, meshes[1].joints)
    assert len(small.v_template) < len(body.v_template) / 20 and len(small.faces) == 0
