"""The refiner again in float64 numpy, written from Sec. 3.3 with loops over people, joints and heads."""

from math import erf, sqrt

import numpy as np


def reference_refiner(state, heads, features, sixd, betas, camera, present):
    """One group: features (N, C), sixd (N, 24, 6), betas (N, B), camera (N, 3), present (N,) -> the three, refined."""
    w = {name: value.double().numpy() for name, value in state.items()}

    def linear(name, x):
        return w[f'{name}.weight'] @ x + w.get(f'{name}.bias', 0)

    tokens, seen = [], []
    for person in range(len(features)):
        for joint in range(24):

            def spread(name, values, joint=joint):
                return [v * w[f'{name}.weight'][joint, 0] + w[f'{name}.bias'][joint] for v in values]

            token = spread('spread_features', features[person])
            token += list(sixd[person, joint])
            token += spread('spread_betas', betas[person])
            token += spread('spread_camera', camera[person])
            tokens.append(linear('embed', np.array(token)))
            seen.append(bool(present[person]))

    depth = 1 + max(int(name.split('.')[1]) for name in w if name.startswith('blocks.'))
    for block in (f'blocks.{i}' for i in range(depth)):
        normed = [_layer_norm(t, w, f'{block}.attention_norm') for t in tokens]
        packed = [linear(f'{block}.qkv', t) for t in normed]
        inner = len(packed[0]) // 3
        size = inner // heads
        mixed = [np.zeros(inner) for _ in tokens]
        for head in range(heads):
            part = slice(head * size, (head + 1) * size)
            queries = [p[:inner][part] for p in packed]
            keys = [p[inner : 2 * inner][part] for p in packed]
            values = [p[2 * inner :][part] for p in packed]
            for i, query in enumerate(queries):
                weights = np.array(
                    [np.exp(query @ k / sqrt(size)) if s else 0 for k, s in zip(keys, seen, strict=True)]
                )
                weights /= weights.sum()
                mixed[i][part] = sum(weight * value for weight, value in zip(weights, values, strict=True))
        tokens = [t + linear(f'{block}.project', m) for t, m in zip(tokens, mixed, strict=True)]
        for i, token in enumerate(tokens):
            hidden = linear(f'{block}.mlp.0', _layer_norm(token, w, f'{block}.mlp_norm'))
            hidden = np.array([0.5 * h * (1 + erf(h / sqrt(2))) for h in hidden])
            tokens[i] = token + linear(f'{block}.mlp.2', hidden)

    sixd, betas, camera = sixd.copy(), betas.copy(), camera.copy()
    for person in range(len(features)):
        mine = tokens[24 * person : 24 * person + 24]
        for joint in range(24):
            sixd[person, joint] += linear('pose_head', mine[joint])
        for values, name in ((betas, 'betas'), (camera, 'camera')):
            each = np.array([linear(f'{name}_head.1', linear(f'{name}_head.0', token)) for token in mine])
            values[person] += linear(f'merge_{name}', each)[0]
    return sixd, betas, camera


def _layer_norm(x, w, name):
    x = (x - x.mean()) / sqrt(x.var() + 1e-5)
    return x * w[f'{name}.weight'] + w[f'{name}.bias']


def reference_groups(roots, size):
    """For each person, who is in their group, target first, then by distance: lists, by looking at every pair."""
    groups = []
    for target in range(len(roots)):
        others = [n for n in range(len(roots)) if n != target]
        others.sort(key=lambda n: (float(((roots[n] - roots[target]) ** 2).sum()), *roots[n]))
        groups.append([target, *others[: size - 1]])
    return groups
