"""The figures that the paper prints in its Tables 1 to 4, as printed, to stand beside measured ones.

None: the paper prints a dash. References' numbers are left out of the names.
"""

from dataclasses import dataclass

OURS = 'Ours'  # the paper's own row


@dataclass(frozen=True)
class PublishedTable:
    """One table, or one half of it."""

    title: str
    columns: tuple  # the first is the method's
    rows: tuple  # of (method, *figures)

    def row(self, method: str) -> tuple:
        """One method's figures, without its name. Raises ValueError for a method that is not in the table."""
        for name, *figures in self.rows:
            if name == method:
                return tuple(figures)
        raise ValueError(f'{self.title}: no row {method!r}')


def _rows(text):
    """Rows of (method, *figures) of lines 'METHOD | FIGURE ...'; a dash is None."""
    lines = [line.split(' | ') for line in text.strip().splitlines()]
    return tuple((name, *(None if figure == '-' else float(figure) for figure in rest.split())) for name, rest in lines)


# Lower is better, mm.
THREEDPW = PublishedTable(
    'Table 1: 3DPW',
    ('Method', 'MPJPE', 'PA-MPJPE', 'PVE'),
    (
        ('HMR', 130.0, 76.7, None),
        ('temporal HMR', 116.5, 72.6, 139.3),
        ('BMP', 104.1, 63.8, 119.3),
        ('SPIN', 96.6, 59.2, 116.4),
        ('VIBE', 93.5, 56.5, 116.4),
        ('ROMP (Resnet-50)', 89.3, 53.5, 105.6),
        ('ROMP (HRNet-32)', 85.5, 53.3, 103.1),
        ('PARE (Resnet-50)', 82.9, 52.3, 99.7),
        ('PARE (HRNet-50)', 82.0, 50.9, 97.9),
        ('3DCrowdNet', 82.8, 52.2, 100.2),
        ('HybrIK', 80.0, 48.8, 94.5),
        ('METRO', 77.1, 47.9, 88.2),
        ('MeshLeTemp', 74.8, 46.8, 86.5),
        ('Mesh Graphormer', 74.7, 45.6, 87.7),
        (OURS, 66.0, 39.0, 76.3),
    ),
)

# Lower is better, mm; NMVE and NMJE over all people, MVE and MPJPE over the matched; on the hidden test set.
AGORA = PublishedTable(
    'Table 2: AGORA',
    ('Method', 'NMVE', 'NMJE', 'MVE', 'MPJPE'),
    (
        ('ROMP', 227.3, 236.6, 161.4, 168.0),
        ('HMR', 217.0, 226.0, 173.6, 180.5),
        ('SPIN', 216.3, 223.1, 168.7, 175.1),
        ('PyMAF', 200.2, 207.4, 168.2, 174.2),
        ('EFT', 196.3, 203.6, 159.0, 165.4),
        ('HybrIK', None, 188.5, None, 156.1),
        ('PARE', 167.7, 174.0, 140.9, 146.2),
        ('SPEC', 126.8, 133.7, 106.5, 112.3),
        (OURS, 104.5, 110.4, 86.7, 91.6),
    ),
)

# Higher is better, percent at 150 mm. Much of SPEC's rows repeats ROMP's, and ROMP's averages are not the means of
# theirs; that is how they are printed.
_MUPOTS_COLUMNS = ('Method', *(f'S{n}' for n in range(1, 21)), 'Avg')
MUPOTS_ALL = PublishedTable(
    'Table 3: MuPoTS-3D, 3DPCK over all true people',
    _MUPOTS_COLUMNS,
    _rows("""
Jiang et al. | - - - - - - - - - - - - - - - - - - - - 69.1
ROMP | 89.8 73.1 67.2 68.4 78.9 41.0 68.7 68.2 70.1 85.4 69.2 63.2 66.5 60.9 78.1 77.4 75.1 80.7 74.0 61.1 71.9
SPEC | 87.2 69.4 69.0 71.5 78.5 63.8 69.1 66.2 71.5 85.7 69.2 63.2 66.5 60.9 78.1 77.4 75.1 80.7 74.0 61.1 71.9
BMP | - - - - - - - - - - - - - - - - - - - - 73.8
PARE | 87.7 65.4 66.4 67.7 81.9 62.5 64.9 69.9 73.8 88.5 80.1 79.2 74.5 62.9 81.6 84.5 89.6 83.7 73.7 66.5 75.3
Moon et al. | 94.4 77.5 79.0 81.9 85.3 72.8 81.9 75.7 90.2 90.4 79.2 79.9 75.1 72.7 81.1 89.9 89.6 81.8 81.7 76.2 81.8
Metrabs | 94.0 82.6 88.4 86.5 87.3 76.2 85.9 66.9 85.8 92.9 81.8 89.9 77.6 68.5 85.6 92.3 89.3 85.1 78.2 71.6 83.3
Cheng et al. | 93.4 91.3 84.7 83.3 89.1 85.2 95.4 92.1 89.5 93.1 85.4 85.7 89.9 90.1 88.8 93.7 92.2 87.9 89.7 91.9 89.6
Ours | 97.3 84.7 91.1 89.9 92.9 89.8 92.2 87.1 89.1 94.0 88.6 92.9 84.6 80.4 94.3 96.7 98.8 91.5 86.1 76.7 89.9
"""),
)
MUPOTS_MATCHED = PublishedTable(
    'Table 3: MuPoTS-3D, 3DPCK over matched true people',
    _MUPOTS_COLUMNS,
    _rows("""
Jiang et al. | - - - - - - - - - - - - - - - - - - - - 72.2
ROMP | 92.1 81.9 69.8 69.1 85.9 43.2 69.3 70.7 70.1 85.4 69.2 63.2 68.0 63.6 78.1 77.6 75.4 80.7 74.5 72.9 74.0
SPEC | 88.1 78.5 69.6 71.6 81.0 63.8 69.1 77.4 71.5 85.7 69.2 63.2 68.0 63.6 78.1 77.6 75.4 80.7 74.5 72.9 74.0
BMP | - - - - - - - - - - - - - - - - - - - - 75.3
PARE | 88.8 77.1 66.7 67.7 83.2 62.5 64.9 77.9 73.8 88.5 80.1 79.2 76.4 65.8 81.6 85.4 89.6 83.7 74.2 82.5 77.5
Moon et al. | 94.4 78.6 79.0 82.1 86.6 72.8 81.9 75.8 90.2 90.4 79.4 79.9 75.3 81.0 81.0 90.7 89.6 83.1 81.7 77.3 82.5
Metrabs | 94.0 86.5 89.0 87.1 91.1 77.4 90.2 75.7 85.8 92.9 86.0 90.7 83.8 82.0 85.6 94.3 89.8 89.6 86.5 91.7 87.5
Cheng et al. | - - - - - - - - - - - - - - - - - - - - 89.6
Ours | 97.6 94.1 90.7 89.6 95.2 88.7 94.2 88.4 89.2 93.7 89.1 93.2 86.6 90.5 94.4 97.4 98.5 91.9 86.1 84.8 91.7
"""),
)

# Lower is better, mm: what each part of the method gives on 3DPW; N is the refiner's number of people.
ABLATION = PublishedTable(
    'Table 4: ablations on 3DPW',
    ('Variant', 'MPJPE', 'PA-MPJPE', 'MVE'),
    (
        ('w/o IK, w/o refiner', 71.8, 42.5, None),
        ('w/o refiner', 67.3, 39.3, 77.5),
        ('with positional embedding', 68.3, 39.4, 78.3),
        ('w/o masking input patch', 67.1, 39.0, 76.6),
        ('N = 1', 66.9, 39.4, 77.0),
        ('N = 2', 66.7, 39.3, 76.7),
        ('N = 3', 66.0, 39.0, 76.3),
        ('N = 4', 66.6, 39.4, 77.2),
    ),
)
