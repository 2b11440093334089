"""The paper's tables hold together: averages are the means of what is printed, and the ablation ends in Table 1."""

import numpy as np
import pytest

from mesh_perception.evaluation import published
from mesh_perception.evaluation.published import ABLATION, AGORA, MUPOTS_ALL, MUPOTS_MATCHED, OURS, THREEDPW


@pytest.mark.parametrize('table', [THREEDPW, AGORA, MUPOTS_ALL, MUPOTS_MATCHED, ABLATION], ids=lambda t: t.title)
def test_every_row_has_a_figure_or_none_below_each_column(table):
    for name, *figures in table.rows:
        assert isinstance(name, str) and len(figures) == len(table.columns) - 1
        assert all(figure is None or 0 < figure < 300 for figure in figures)
    assert [name for name, *_ in table.rows].count(OURS) == (table is not ABLATION)


@pytest.mark.parametrize('table', [MUPOTS_ALL, MUPOTS_MATCHED], ids=lambda t: t.title)
def test_averages_over_mupots_sequences_are_their_means_as_far_as_the_paper_has_it_so(table):
    for name, *figures in table.rows:
        *sequences, average = figures
        if sequences[0] is not None:
            assert np.mean(sequences) == pytest.approx(average, abs=1.1 if name == 'ROMP' else 0.06)


def test_the_ablations_best_variant_is_the_methods_row():
    assert ABLATION.row('N = 3') == THREEDPW.row(OURS) == (66.0, 39.0, 76.3)
    assert len(THREEDPW.rows) == 15 and len(AGORA.rows) == 9 and len(MUPOTS_ALL.rows) == len(MUPOTS_MATCHED.rows) == 9


def test_agoras_normalised_errors_are_both_over_the_same_f1():
    for name, nmve, nmje, mve, mpjpe in AGORA.rows:
        if nmve is not None:
            assert nmve / mve == pytest.approx(nmje / mpjpe, abs=0.01), name


def test_an_unknown_method_is_named():
    with pytest.raises(ValueError, match=r"^Table 2: AGORA: no row 'BEV'$"):
        published.AGORA.row('BEV')
