"""The refiner's layout, mathematics and promises."""

import numpy as np
import pytest
import torch
from torch import nn

from mesh_perception.refinement import Refiner
from mesh_perception.refinement.masking import draw_masked_tokens

from .reference import reference_refiner


def test_tokens_lie_person_by_person_in_smpl_order_with_everything_in_its_place():
    refiner = Refiner(width=8, heads=1, head_size=4, mlp=8)
    with torch.no_grad():
        for number, spread in enumerate((refiner.spread_features, refiner.spread_betas, refiner.spread_camera)):
            spread.weight.copy_(torch.arange(1.0, 25)[:, None] * 10**number)
            spread.bias.copy_(torch.arange(24.0) / 100)
    features = torch.arange(3 * 2048.0).reshape(1, 3, 2048)
    sixd = 7000 + torch.arange(3 * 24 * 6.0).reshape(1, 3, 24, 6)
    betas = 1 + torch.arange(3 * 10.0).reshape(1, 3, 10)
    camera = torch.tensor([[[0.9, 0, 0], [0.8, 0.1, 0.2], [0.7, -0.1, -0.2]]])
    tokens = refiner.tokens(features, sixd, betas, camera)
    assert tokens.shape == (1, 72, 2067) and refiner.token_size == 2067
    person, joint = 1, 4  # the second person's left knee: row 28
    row = tokens[0, 28]
    assert row[0] == 2048 * 5 + 0.04 and row[2047] == (2 * 2048 - 1) * 5 + 0.04
    assert row[2048:2054].tolist() == sixd[0, person, joint].tolist() == [7000 + 24 * 6 + 24 + i for i in range(6)]
    torch.testing.assert_close(row[2054:2064], betas[0, person] * 50 + 0.04)
    torch.testing.assert_close(row[2064:], camera[0, person] * 500 + 0.04)


@pytest.mark.parametrize('present', [[True, True, True], [True, False, True]])
def test_a_forward_pass_is_what_loops_in_float64_compute(make_refiner, make_inputs, present):
    refiner = make_refiner().double()
    inputs = [x.double() if x.is_floating_point() else x for x in make_inputs(1, torch.tensor([present]))]
    refined = refiner(*inputs)
    expected = reference_refiner(refiner.state_dict(), 2, *(x[0].numpy() for x in inputs))
    for found, wanted in zip(refined, expected, strict=True):
        np.testing.assert_allclose(found[0].detach().numpy(), wanted, rtol=1e-10, atol=1e-10)


def test_the_papers_size_and_a_training_that_starts_near_the_identity(make_inputs):
    torch.manual_seed(0)
    refiner = Refiner().eval()
    assert refiner.people * 24 == 72 and refiner.token_size == 2067
    assert sum(p.numel() for p in refiner.parameters()) == 13_682_389
    inputs = make_inputs(1, feature_size=2048)
    inputs = (inputs[0].relu() / 2, *inputs[1:])
    with torch.no_grad():
        refined = refiner(*inputs)
    for found, initial in zip(refined, inputs[1:4], strict=True):
        assert found.shape == initial.shape
        assert 0 < (found - initial).abs().max() < 0.05


def test_heads_of_zero_return_the_initial_parameters_exactly(make_refiner, make_inputs):
    refiner = make_refiner()
    for last in (refiner.pose_head, refiner.betas_head[-1], refiner.camera_head[-1]):
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
    inputs = make_inputs(2)
    for found, initial in zip(refiner(*inputs), inputs[1:4], strict=True):
        assert torch.equal(found, initial)


def test_what_the_heads_say_is_added_in_6d(make_refiner, make_inputs):
    refiner = make_refiner()
    nn.init.zeros_(refiner.pose_head.weight)
    refiner.pose_head.bias.data = torch.arange(6.0)
    inputs = make_inputs(2)
    torch.testing.assert_close(refiner(*inputs).sixd, inputs[1] + torch.arange(6.0))


def _changed_pads(inputs):
    return tuple(torch.where(inputs[4].reshape(2, 3, *(1,) * (x.dim() - 2)), x, x + 5) for x in inputs[:4])


@pytest.mark.parametrize('explicit', [False, True])
def test_what_stands_in_empty_places_matters_only_where_the_mask_is_off(make_refiner, make_inputs, explicit):
    present = torch.tensor([[True, False, False], [True, True, False]])
    inputs = make_inputs(2, present)
    for mask_absent in (True, False):
        refiner = make_refiner(mask_absent=mask_absent)
        results = []
        for arguments in (inputs[:4], _changed_pads(inputs)):
            results.append(refiner.with_attention(*arguments, present)[0] if explicit else refiner(*arguments, present))
        for one, other in zip(*results, strict=True):
            assert torch.equal(one[present], other[present]) == mask_absent


def test_a_group_padded_with_nobody_is_the_smaller_group(make_refiner, make_inputs):
    present = torch.tensor([[True, True, False]])
    inputs = make_inputs(1, present)
    alone = make_refiner(people=2)
    for padded, small in zip(
        make_refiner()(*inputs), alone(*(x[:, :2] for x in inputs)), strict=True
    ):  # the same weights, for nothing depends on N
        torch.testing.assert_close(padded[:, :2], small, rtol=1e-5, atol=1e-6)


def test_a_group_of_nobody_is_finite(make_refiner, make_inputs):
    refined = make_refiner()(*make_inputs(1, torch.zeros(1, 3, dtype=torch.bool)))
    assert all(value.isfinite().all() for value in refined)


def test_people_in_a_group_can_trade_places_unless_there_is_a_positional_embedding(make_refiner, make_inputs):
    inputs, order = make_inputs(2), [2, 0, 1]
    for positional in (False, True):
        refiner = make_refiner(positional=positional)
        straight, turned = refiner(*inputs), refiner(*(x[:, order] for x in inputs))
        same = [torch.allclose(s[:, order], t, atol=1e-5) for s, t in zip(straight, turned, strict=True)]
        assert all(same) != positional


def test_answering_for_targets_alone_gives_the_same_answers(make_refiner, make_inputs):
    refiner, inputs = make_refiner(), make_inputs(4)
    for some, all_of_them in zip(refiner(*inputs, answers=1), refiner(*inputs), strict=True):
        assert some.shape[:2] == (4, 1)
        torch.testing.assert_close(some, all_of_them[:, :1], rtol=1e-5, atol=1e-6)


def test_attention_sums_to_one_skips_empty_places_and_changes_nothing(make_refiner, make_inputs):
    present = torch.tensor([[True, True, True], [True, True, False]])
    inputs = make_inputs(2, present)
    refiner = make_refiner()
    refined, attention = refiner.with_attention(*inputs)
    assert attention.shape == (2, 2, 72, 72)
    torch.testing.assert_close(attention.sum(-1), torch.ones(2, 2, 72))
    assert (attention[1, :, :, 48:] == 0).all() and (attention[0] > 0).all()
    for one, other in zip(refined, refiner(*inputs), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-5)


def test_between_0_and_30_percent_of_the_present_tokens_are_masked_evenly():
    present = torch.ones(4000, 72, dtype=torch.bool)
    present[2000:, 24:] = False
    hidden = draw_masked_tokens(present, 0.3, torch.Generator().manual_seed(0))
    assert not (hidden & ~present).any()
    counts = hidden.sum(1)
    assert counts[:2000].min() == 0 and counts[:2000].max() == 21 and counts[2000:].max() == 7
    # floor(21.6 u) is 0..20 with probability 1 / 21.6 each, and 21 with what is left; standard error 0.14.
    expected = sum(range(21)) / 21.6 + 21 * (0.6 / 21.6)
    assert abs(counts[:2000].double().mean() - expected) < 0.6
    share = hidden[:2000].double().mean(0)  # no joint is spared: standard error 0.008
    assert (share - share.mean()).abs().max() < 0.03
    again = draw_masked_tokens(present, 0.3, torch.Generator().manual_seed(0))
    assert torch.equal(hidden, again)


def test_tokens_are_masked_whole_by_a_constant_and_in_training_alone(make_refiner, make_inputs):
    refiner, inputs = make_refiner(), make_inputs(5)
    seen = []
    refiner.embed.register_forward_pre_hook(lambda _, arguments: seen.append(arguments[0].detach()))
    assert torch.equal(refiner(*inputs).sixd, refiner(*inputs).sixd)
    assert torch.equal(seen[0], refiner.tokens(*inputs[:4]))
    refiner.train()
    first, again, other = (refiner(*inputs, generator=torch.Generator().manual_seed(s)).sixd for s in (3, 3, 4))
    assert torch.equal(first, again) and not torch.equal(first, other)
    changed = seen[2] != seen[0]
    rows = changed.any(-1)
    assert 0 < rows.sum() < 5 * 72 * 0.3 and (seen[2][rows] == 0.01).all() and not changed[~rows].any()
    assert torch.equal(make_refiner(masking=0.0).train()(*inputs).sixd, make_refiner()(*inputs).sixd)


@pytest.mark.parametrize('positional', [False, True])
def test_the_first_gradient_reaches_every_parameter(make_refiner, make_inputs, positional):
    refiner = make_refiner(loud=False, positional=positional).train()
    refined = refiner(*make_inputs(4), generator=torch.Generator().manual_seed(0))
    sum(value.square().sum() for value in refined).backward()
    for name, parameter in refiner.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().max() > 0, name


@pytest.mark.parametrize(('dtype', 'tolerance'), [(torch.bfloat16, 4e-2), (torch.float16, 5e-3)])
def test_half_precision_stays_near_float32_and_adds_in_float32(make_refiner, make_inputs, dtype, tolerance):
    inputs = make_inputs(2, torch.tensor([[True, True, True], [True, False, False]]))
    exact = make_refiner()(*inputs)
    for found, wanted, initial in zip(make_refiner().to(dtype)(*inputs), exact, inputs[1:4], strict=True):
        assert found.dtype == torch.float32
        # Of the largest change: what is added is what is rounded.
        assert (found - wanted)[inputs[4]].abs().max() < tolerance * (wanted - initial).abs().max()


@pytest.mark.parametrize('positional', [False, True])
def test_exports_for_any_number_of_groups(make_refiner, make_inputs, positional):
    refiner = make_refiner(positional=positional)
    groups = torch.export.Dim('groups', min=1, max=512)
    exported = torch.export.export(refiner, make_inputs(2), dynamic_shapes=({0: groups},) * 5, strict=False).module()
    for count in (1, 5):
        inputs = make_inputs(count, torch.tensor([[True, True, False]]).repeat(count, 1))
        for found, wanted in zip(exported(*inputs), refiner(*inputs), strict=True):
            torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-6)


def test_no_groups_give_empty_results(make_refiner, make_inputs):
    refined, attention = make_refiner().with_attention(*make_inputs(0))
    assert [tuple(value.shape) for value in refined] == [(0, 3, 24, 6), (0, 3, 10), (0, 3, 3)]
    assert attention.shape == (0, 2, 72, 72)
    assert make_refiner().train()(*make_inputs(0)).sixd.shape == (0, 3, 24, 6)


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        ({'feature_size': 8}, r'features: expected \(G, 3, 7\), got \(2, 3, 8\)'),
        ({'num_betas': 12}, r'betas: expected \(G, 3, 10\), got \(2, 3, 12\)'),
        ({'people': 4}, r'present: expected bool \(G, 3\), got bool \(2, 4\)'),
    ],
)
def test_shapes_that_do_not_fit_are_refused_by_name(make_refiner, make_inputs, options, message):
    with pytest.raises(ValueError, match=message):
        make_refiner()(*make_inputs(2, **options))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason='no CUDA device')
@pytest.mark.parametrize(('dtype', 'tolerance'), [(torch.float32, 1e-3), (torch.bfloat16, 4e-2), (torch.float16, 5e-3)])
def test_cuda_computes_the_same(make_refiner, make_inputs, dtype, tolerance):
    inputs = make_inputs(2, torch.tensor([[True, True, True], [True, False, False]]))
    exact = make_refiner()(*inputs)
    refined = make_refiner().to('cuda', dtype)(*(x.cuda() for x in inputs))
    for found, wanted, initial in zip(refined, exact, inputs[1:4], strict=True):
        assert (found.cpu() - wanted)[inputs[4]].abs().max() < tolerance * (wanted - initial).abs().max()
