"""The relation-aware refiner f^Ref: a Transformer over the joints of up to N people (Sec. 3.3, Eq. 5).

Depth, heads and the layers around the blocks are those of the authors' demo (github.com/JunukCha/MultiPerson); the key
mask for absent people is ours, the masking of tokens in training is METRO's, which the paper names.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mesh_perception.refinement.masking import MASKED_VALUE, draw_masked_tokens

JOINTS = 24
_OUTLIER = 5.0  # standard deviations, beyond which normalised features are cut off


class Refined(NamedTuple):
    """Refined parameters of the first A people of each group, initial ones plus what the network adds (Eq. 5)."""

    sixd: Tensor  # (G, A, 24, 6), not orthonormal: geometry.rotations.sixd_to_matrix makes rotations of them
    betas: Tensor  # (G, A, B)
    camera: Tensor  # (G, A, 3)


class Refiner(nn.Module):
    """f^Ref for groups of `people`; one class for the paper's width and for the embedded set's.

    Args: feature_size: channels C of a person's pooled features (the paper's ResNet-50: 2048); num_betas: B; people: N;
    width: of a token inside; depth, heads, head_size, mlp: of the Transformer; masking: the largest share of tokens
    hidden in training (0: none); positional: adds a learned embedding of each place (the ablation of Table 4);
    mask_absent: False lets people attend to the zeros in empty places, as the authors' demo does; relative_roots: the
    last three features are the root relative to the target's, m, which `refine` appends; normalise: the others have
    scales of their own, which training measures and `refine` takes off; dropout: of features in training.

    A token is [features C | 6D rotation 6 | betas B | camera 3], 2067 in the paper. What belongs to a whole person is
    spread over the joints by a learned scale and offset per joint (Linear(1, 24)), which is also what tells joints
    apart: no position is added. Nothing tells people apart, so their order within a group does not matter.

    Training starts near the identity: the last layer of each head is Xavier with gain 0.01 (as HMR's regressor), its
    bias zero, and tokens are merged by their mean; not zero, so that the first step already reaches every parameter.
    """

    def __init__(
        self,
        feature_size: int = 2048,
        num_betas: int = 10,
        people: int = 3,
        width: int = 1024,
        depth: int = 2,
        heads: int = 4,
        head_size: int = 64,
        mlp: int = 2048,
        masking: float = 0.3,
        positional: bool = False,
        mask_absent: bool = True,
        relative_roots: bool = False,
        normalise: bool = False,
        dropout: float = 0.0,
    ):
        super().__init__()
        self.feature_size, self.num_betas, self.people = feature_size, num_betas, people
        self.masking, self.mask_absent, self.relative_roots = masking, mask_absent, relative_roots
        own = feature_size - 3 * relative_roots
        self.normalise = nn.BatchNorm1d(own, affine=False) if normalise else None
        self.dropout = nn.Dropout(dropout)
        self.token_size = feature_size + 6 + num_betas + 3
        self.spread_features = nn.Linear(1, JOINTS)
        self.spread_betas = nn.Linear(1, JOINTS)
        self.spread_camera = nn.Linear(1, JOINTS)
        self.embed = nn.Linear(self.token_size, width)
        self.position = nn.Parameter(torch.randn(people * JOINTS, width) * 0.02) if positional else None
        self.blocks = nn.ModuleList(Block(width, heads, head_size, mlp) for _ in range(depth))
        self.pose_head = nn.Linear(width, 6)
        self.betas_head = nn.Sequential(nn.Linear(width, width // 2), nn.Linear(width // 2, num_betas))
        self.camera_head = nn.Sequential(nn.Linear(width, width // 2), nn.Linear(width // 2, 3))
        self.merge_betas = nn.Linear(JOINTS, 1)
        self.merge_camera = nn.Linear(JOINTS, 1)
        for last in (self.pose_head, self.betas_head[-1], self.camera_head[-1]):
            nn.init.xavier_uniform_(last.weight, gain=0.01)
            nn.init.zeros_(last.bias)
        for merge in (self.merge_betas, self.merge_camera):
            nn.init.constant_(merge.weight, 1 / JOINTS)
            nn.init.zeros_(merge.bias)

    def forward(
        self,
        features: Tensor,
        sixd: Tensor,
        betas: Tensor,
        camera: Tensor,
        present: Tensor,
        generator: torch.Generator | None = None,
        answers: int | None = None,
    ) -> Refined:
        """Refines G groups at once.

        Args: features (G, N, C); sixd (G, N, 24, 6), columns first and second of the rotations; betas (G, N, B);
        camera (G, N, 3); present (G, N) bool, False for empty places; generator: draws the masking in training;
        answers: how many people of each group to answer for, from the first (default: all), which spares the rest of
        the last block. The network works in its own dtype; results have that of the initial parameters, to which they
        are added. Raises ValueError for shapes that do not fit.
        """
        return self._run(features, sixd, betas, camera, present, generator, answers, explicit=False)[0]

    def with_attention(self, features, sixd, betas, camera, present, answers=None) -> tuple[Refined, Tensor]:
        """`forward`, and the last block's attention (G, heads, A * 24, N * 24): each row sums to one.

        Tokens count person by person in SMPL's order; average over dimension 1 for one map.
        """
        return self._run(features, sixd, betas, camera, present, None, answers, explicit=True)

    def scaled(self, features: Tensor) -> Tensor:
        """People's features (M, C), without relative roots, at the scale that the network takes them at."""
        if self.normalise is not None and len(features):
            features = self.normalise(features.to(self.embed.weight.dtype)).clamp(-_OUTLIER, _OUTLIER)
        return self.dropout(features)

    def tokens(self, features: Tensor, sixd: Tensor, betas: Tensor, camera: Tensor) -> Tensor:
        """The input array (G, N * 24, C + 6 + B + 3), person by person in SMPL's order, in the network's dtype."""
        for name, value, shape in (
            ('features', features, (self.people, self.feature_size)),
            ('sixd', sixd, (self.people, JOINTS, 6)),
            ('betas', betas, (self.people, self.num_betas)),
            ('camera', camera, (self.people, 3)),
        ):
            if value.shape[1:] != shape:
                raise ValueError(f'{name}: expected (G, {", ".join(map(str, shape))}), got {tuple(value.shape)}')
        features, sixd, betas, camera = (x.to(self.embed.weight.dtype) for x in (features, sixd, betas, camera))
        parts = (
            self.spread_features(features[..., None]).mT,
            sixd,
            self.spread_betas(betas[..., None]).mT,
            self.spread_camera(camera[..., None]).mT,
        )
        return torch.cat(parts, -1).flatten(1, 2)

    def _run(self, features, sixd, betas, camera, present, generator, answers, explicit):
        if present.shape[1:] != (self.people,) or present.dtype != torch.bool:
            raise ValueError(
                f'present: expected bool (G, {self.people}), got {str(present.dtype)[6:]} {tuple(present.shape)}'
            )
        answers = self.people if answers is None else answers
        tokens = self.tokens(features, sixd, betas, camera)
        if self.training and self.masking:
            hidden = draw_masked_tokens(present.repeat_interleave(JOINTS, 1), self.masking, generator)
            tokens = torch.where(hidden[..., None], MASKED_VALUE, tokens)
        x = self.embed(tokens)
        if self.position is not None:
            x = x + self.position
        keys = None
        if self.mask_absent:
            # A group of nobody attends to everybody, for a softmax over nothing is NaN.
            keys = (present | ~present.any(1, keepdim=True)).repeat_interleave(JOINTS, 1)[:, None, None]
        attention = None
        for block in self.blocks:
            last = block is self.blocks[-1]
            x, attention = block(x, keys, answers * JOINTS if last else None, explicit and last)
        x = x.unflatten(1, (answers, JOINTS))
        sixd, betas, camera = (initial[:, :answers] for initial in (sixd, betas, camera))
        refined = Refined(
            sixd + self.pose_head(x).to(sixd.dtype),
            betas + self.merge_betas(self.betas_head(x).mT)[..., 0].to(betas.dtype),
            camera + self.merge_camera(self.camera_head(x).mT)[..., 0].to(camera.dtype),
        )
        return refined, attention


class Block(nn.Module):
    """Attention and a perceptron, each with a LayerNorm before and a shortcut around it; no dropout."""

    def __init__(self, width: int, heads: int, head_size: int, mlp: int):
        super().__init__()
        self.heads = heads
        self.attention_norm = nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * heads * head_size, bias=False)
        self.project = nn.Linear(heads * head_size, width)
        self.mlp_norm = nn.LayerNorm(width)
        self.mlp = nn.Sequential(nn.Linear(width, mlp), nn.GELU(), nn.Linear(mlp, width))

    def forward(self, x: Tensor, keys: Tensor | None, count: int | None, explicit: bool):
        """x (G, T, width); keys (G, 1, 1, T) bool, which tokens may be attended to, None for all; count: how many
        tokens to answer for, from the first, None for all; explicit: whether to return the attention
        (G, heads, count, T) too."""
        q, k, v = self.qkv(self.attention_norm(x)).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        if count is not None:
            x, q = x[:, :count], q[:, :, :count]
        attention = None
        if explicit:
            scores = q @ k.mT * q.shape[-1] ** -0.5
            scores = scores if keys is None else scores.masked_fill(~keys, -torch.inf)
            attention = scores.softmax(-1)
            mixed = attention @ v
        else:
            mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=keys)
        x = x + self.project(mixed.transpose(1, 2).flatten(2))
        return x + self.mlp(self.mlp_norm(x)), attention
