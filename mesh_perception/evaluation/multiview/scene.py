"""One scene of the benchmark, measured: four cameras, everybody in the reference, the models and their baseline."""

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from mesh_perception.configuration import NONE, RefinementConfig, TwistShapeConfig
from mesh_perception.evaluation.multiview import footage
from mesh_perception.evaluation.multiview.figures import Figures, figures
from mesh_perception.evaluation.multiview.followed import Followed, WatchedPipeline, follow_once
from mesh_perception.evaluation.multiview.pairs import Pair, pair_up
from mesh_perception.evaluation.multiview.reference import Reference, build_references, held_out_error


@dataclass
class SceneResult:
    """Everything that the report needs of a scene."""

    scene: str
    references: dict[str, Reference]  # by camera
    floor: dict  # of reference.held_out_error
    followed: dict[str, Followed]  # by camera
    pairs: list[Pair]  # camera by camera, person by person
    figures: list[Figures]  # of the pairs
    baseline: list[Figures]  # of the same without trained heads; the same list where there are none


def untrained(config):
    """The same model set without a learned correction of landmarks, with twists from hints and betas from bone lengths,
    not refined; None where it is that."""
    skeleton = replace(config.skeleton, head=NONE)
    plain = replace(config, skeleton=skeleton, twist_shape=TwistShapeConfig(NONE), refinement=RefinementConfig())
    return None if _trained_parts(plain) == _trained_parts(config) else plain


def _trained_parts(config):
    return config.skeleton.head, config.twist_shape.kind, config.refinement.kind


def measure(scene, cameras, pipeline, baseline, folder) -> SceneResult:
    """Runs a scene's cameras (names) through WatchedPipelines; `baseline`: one, or None where it is the same.

    What was found is kept under `folder`. Raises MediaError, WeightsError and OSError.
    """
    folder = Path(folder)
    references = build_references(scene, folder / 'keypoints')
    references = {camera: references[camera] for camera in cameras}
    floor = held_out_error(scene, folder / 'keypoints', references)
    followed = _follow_all(scene, cameras, pipeline, folder / 'people')
    pairs = _pairs(references, followed)
    measured = [figures(pair) for pair in pairs]
    plain = measured
    if baseline is not None:
        others = _follow_all(scene, cameras, baseline, folder / 'baseline')
        plain = [figures(pair) for pair in _pairs(references, others)]
    return SceneResult(scene, references, floor, followed, pairs, measured, plain)


def _follow_all(scene, cameras, pipeline, folder):
    rig, found = footage.cameras(scene), {}
    for name in cameras:
        path = folder / f'{scene}_{name}.safetensors'
        images = partial(footage.frames, scene, name)
        found[name] = follow_once(pipeline, images, rig[name][0], footage.RATE, path, f'{scene} {name}')
    return found


def _pairs(references, followed):
    pairs = []
    for name, reference in references.items():
        pairs += pair_up(reference, followed[name], footage.cameras(reference.scene)[name][0])
    return pairs


def make_pipelines(config):
    """(the model set's WatchedPipeline, its baseline's or None)."""
    plain = untrained(config)
    return WatchedPipeline(config), plain and WatchedPipeline(plain)
