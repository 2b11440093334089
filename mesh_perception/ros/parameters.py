"""The node's parameters: names, defaults, meanings and limits, in one table."""

import difflib
from dataclasses import dataclass

import yaml
from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor, SetParametersResult

from mesh_perception.joints import SMPL_JOINTS


class ParameterError(ValueError):
    """A parameter's value that cannot be used; the text names parameter, value and what was expected."""


@dataclass(frozen=True)
class _Parameter:
    name: str
    default: object
    description: str
    choices: tuple = ()
    limits: tuple = ()  # both ends belong to it
    read_only: bool = False  # set at the start only, by launch file, parameter file or -p


PARAMETERS = (
    _Parameter(
        'models', 'embedded', 'Model set: a name (see config/models) or the path of a YAML file.', read_only=True
    ),
    _Parameter(
        'body',
        '',
        "Body model: 'open', or the path of an SMPL .pkl or .npz; empty: the model set's own.",
        read_only=True,
    ),
    _Parameter(
        'overrides',
        [''],
        "Changes to the model set, each 'KEY=VALUE', e.g. "
        "'skeleton.network=blazepose_full' or 'tracking.detect_every=6'.",
        read_only=True,
    ),
    _Parameter(
        'device',
        'auto',
        'Where the networks run: auto (the GPU where there is one), cpu, cuda or cuda:N.',
        read_only=True,
    ),
    _Parameter('max_people', 20, 'People followed at most; also bounds the TF frames.', limits=(1, 20), read_only=True),
    _Parameter(
        'image_transport',
        'raw',
        'raw: sensor_msgs/Image on image; compressed: sensor_msgs/CompressedImage on image/compressed.',
        choices=('raw', 'compressed'),
        read_only=True,
    ),
    _Parameter(
        'image_reliability',
        'best_effort',
        'QoS of the image and camera_info subscriptions; reliable asks '
        'for lost images again and connects only to reliable publishers.',
        choices=('best_effort', 'reliable'),
        read_only=True,
    ),
    _Parameter('publish_markers', True, 'Meshes on ~/markers, for whoever listens.'),
    _Parameter(
        'marker_mesh',
        'light',
        'Faces of the markers: light (about 3000 triangles a person) or full.',
        choices=('light', 'full'),
    ),
    _Parameter(
        'marker_lifetime',
        1.0,
        'Seconds after which a viewer drops a marker that was not renewed.',
        limits=(0.1, 60.0),
        read_only=True,
    ),
    _Parameter('publish_overlay', True, 'The image with the meshes drawn over it on ~/overlay, for whoever listens.'),
    _Parameter(
        'publish_vertices', False, 'Fill SmplPerson.vertices on ~/people (about 160 kB a person for the open body).'
    ),
    _Parameter('publish_tf', True, 'One frame a joint on /tf.'),
    _Parameter('tf_prefix', 'smpl_', "TF frames are named <tf_prefix><person's id>_<joint>.", read_only=True),
    _Parameter(
        'tf_joints',
        list(SMPL_JOINTS),
        "Joints with a TF frame; the parent is the nearest ancestor among them, or the camera's frame.",
        read_only=True,
    ),
    _Parameter(
        'diagnostics_period', 1.0, 'Seconds between two messages on /diagnostics.', limits=(0.1, 60.0), read_only=True
    ),
    _Parameter(
        'autostart', True, 'Configure and activate at the start; false: wait for lifecycle transitions.', read_only=True
    ),
)
_BY_NAME = {p.name: p for p in PARAMETERS}


def declare(node):
    """Declares all on a node and watches later changes. Raises ParameterError for a value given at the start."""
    for parameter in PARAMETERS:
        try:
            value = node.declare_parameter(parameter.name, parameter.default, _descriptor(parameter)).value
        except Exception as error:  # rclpy's own, for a wrong type or a value out of range
            raise ParameterError(f'parameter {parameter.name}: {str(error).strip().splitlines()[0]}') from None
        check(parameter.name, value)
    node.add_on_set_parameters_callback(_on_set)


def check(name, value):
    """Raises ParameterError if the value of one of our parameters is not among those described."""
    parameter = _BY_NAME.get(name)
    if parameter is None:
        return
    if parameter.choices and value not in parameter.choices:
        raise ParameterError(f'parameter {name}: {value!r}; expected one of {", ".join(parameter.choices)}')
    if name == 'tf_joints':
        unknown = [joint for joint in value if joint and joint not in SMPL_JOINTS]
        if unknown:
            raise ParameterError(
                f'parameter tf_joints: unknown joint {unknown[0]!r}; expected names out of {", ".join(SMPL_JOINTS)}'
            )
    if name == 'overrides':
        parse_overrides(value)


def parse_overrides(entries):
    """['KEY=VALUE', ...] -> {KEY: value as YAML reads it}; empty entries are skipped. Raises ParameterError."""
    result = {}
    for entry in filter(None, entries):
        key, equals, value = entry.partition('=')
        try:
            result[key.strip()] = yaml.safe_load(value)
        except yaml.YAMLError:
            equals = ''
        if not equals or not key.strip():
            raise ParameterError(f"parameter overrides: {entry!r}; expected 'KEY=VALUE'")
    return result


def configuration_overrides(value):
    """What the parameters change in the model set; `value` maps a parameter's name to its value."""
    changes = parse_overrides(value('overrides'))
    if value('body'):
        changes['body'] = value('body')
    return {**changes, 'device': value('device'), 'tracking.max_people': value('max_people')}


def misspelt(given):
    """One line for each name in `given` (parameters set by the user) that is none of ours."""
    known = [*_BY_NAME, 'use_sim_time', 'start_type_description_service']
    lines = []
    for name in given:
        if name not in known and not name.startswith('qos_overrides.'):
            near = difflib.get_close_matches(name, known, 1)
            lines.append(f'unknown parameter {name!r} has no effect' + (f'; did you mean {near[0]!r}?' if near else ''))
    return lines


def _descriptor(parameter):
    descriptor = ParameterDescriptor(description=parameter.description, read_only=parameter.read_only)
    if parameter.choices:
        descriptor.additional_constraints = f'one of {", ".join(parameter.choices)}'
    if parameter.limits:
        low, high = parameter.limits
        if isinstance(parameter.default, float):
            descriptor.floating_point_range = [FloatingPointRange(from_value=low, to_value=high)]
        else:
            descriptor.integer_range = [IntegerRange(from_value=low, to_value=high, step=1)]
    return descriptor


def _on_set(parameters):
    try:
        for parameter in parameters:
            check(parameter.name, parameter.value)
    except ParameterError as error:
        return SetParametersResult(successful=False, reason=str(error))
    return SetParametersResult(successful=True)
