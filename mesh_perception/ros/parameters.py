"""The node's parameters: declared with descriptors, checked all or nothing, refused in one line that says why."""

import difflib

import yaml
from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor, SetParametersResult

from mesh_perception.joints import SMPL_JOINTS
from mesh_perception.ros.parameter_table import BY_NAME, CONFIGURE, LIVE, PARAMETERS, START

# Declared by rclpy itself.
_RCLPYS = ('use_sim_time', 'start_type_description_service')
_KINDS = {
    bool: 'true or false',
    int: 'a whole number',
    float: 'a number with a decimal point',
    str: 'text',
    list: 'a list of texts',
}
_RULES = {
    START: 'read when the node starts',
    CONFIGURE: 'read when the node is configured: may be set while it is unconfigured',
    LIVE: 'may be set at any time',
}


class ParameterError(ValueError):
    """A parameter's value that cannot be used; the text names parameter, value and what was expected."""


def declare(node, configured):
    """Declares all on a node and watches later changes. Raises ParameterError for a value given at the start.

    configured: a function without arguments, whether parameters that are read at configure are in use. Returns a
    function from a list of rclpy Parameters to the reason why they cannot be set, '' if they can.
    """
    for entry in PARAMETERS:
        if entry.name in node._parameter_overrides:  # here: rclpy's own refusals name no value
            check(entry.name, node._parameter_overrides[entry.name].value)
        node.declare_parameter(entry.name, entry.default, _descriptor(entry))

    def reason(parameters):
        for parameter in parameters:
            if not node.has_parameter(parameter.name):
                return f'unknown parameter {parameter.name!r}{_hint(parameter.name)}'
        return _reason(node, parameters, configured())

    def on_set(parameters):
        # rclpy calls this for declarations of its own, too (qos_overrides).
        text = _reason(node, [p for p in parameters if node.has_parameter(p.name)], configured())
        return SetParametersResult(successful=not text, reason=text)

    node.add_on_set_parameters_callback(on_set)
    return reason


def check(name, value):
    """Raises ParameterError if the value of one of our parameters is not among those described."""
    entry = BY_NAME[name]
    if not _fits(entry, value):
        raise ParameterError(f'parameter {name}: {value!r}; expected {expected(entry)}')
    if name == 'tf_joints':
        unknown = [joint for joint in value if joint and joint not in SMPL_JOINTS]
        if unknown:
            raise ParameterError(
                f'parameter tf_joints: unknown joint {unknown[0]!r}; expected names out of {", ".join(SMPL_JOINTS)}'
            )
    if name == 'overrides':
        parse_overrides(value)


def expected(entry):
    """What values a parameter takes, in words."""
    if entry.choices:
        return f'one of {", ".join(entry.choices)}'
    kind = _KINDS[type(entry.default)]
    return f'{kind} from {entry.limits[0]} to {entry.limits[1]}' if entry.limits else kind


def parse_overrides(entries):
    """['KEY=VALUE', ...] -> {KEY: value as YAML reads it}; empty entries are skipped. Raises ParameterError."""
    result = {}
    for entry in filter(None, entries):
        key, equals, value = entry.partition('=')
        try:
            result[key.strip()] = yaml.safe_load(value)
        except (yaml.YAMLError, ValueError):  # ValueError: a date that is none
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
    unknown = [name for name in given if not _known(name)]
    return [f'unknown parameter {name!r} has no effect{_hint(name)}' for name in unknown]


def _known(name):
    return name in BY_NAME or name in _RCLPYS or name.startswith('qos_overrides.')


def _hint(name):
    near = difflib.get_close_matches(name, [*BY_NAME, *_RCLPYS], 1)
    return f'; did you mean {near[0]!r}?' if near else ''


def _reason(node, parameters, configured):
    """Why these cannot be set, all together; '' if they can."""
    for parameter in parameters:
        name, value = parameter.name, parameter.value
        now = node.get_parameter(name).value
        entry = BY_NAME.get(name)
        if entry is None:
            if type(value) is not type(now):
                return f'parameter {name}: {value!r}; expected {_KINDS.get(type(now), type(now).__name__)}'
            continue
        try:
            check(name, value)
        except ParameterError as error:
            return str(error)
        if entry.when == START:
            return (
                f'parameter {name}: read-only, it stays {now!r}; expected in the launch file, parameter file or as '
                '-p when the node starts'
            )
        if entry.when == CONFIGURE and configured and value != now:
            return f'parameter {name}: in use, it stays {now!r}; expected while unconfigured: cleanup first'
    return ''


def _fits(entry, value):
    """Whether a value has the type of a parameter, is among its choices and within its limits."""
    kind = type(entry.default)
    if entry.takes_bool and isinstance(value, bool):
        return True
    if kind is list:
        return isinstance(value, (list, tuple)) and all(isinstance(item, str) for item in value)
    if type(value) is not kind or (entry.choices and value not in entry.choices):
        return False
    return not entry.limits or entry.limits[0] <= value <= entry.limits[1]


def _descriptor(entry):
    rules = [_RULES[entry.when]]
    if entry.choices:
        rules.insert(0, expected(entry))
    descriptor = ParameterDescriptor(
        description=entry.description,
        read_only=entry.when == START,
        dynamic_typing=entry.takes_bool,
        additional_constraints='; '.join(rules),
    )
    if entry.limits and isinstance(entry.default, float):
        descriptor.floating_point_range = [FloatingPointRange(from_value=entry.limits[0], to_value=entry.limits[1])]
    elif entry.limits:
        descriptor.integer_range = [IntegerRange(from_value=entry.limits[0], to_value=entry.limits[1], step=1)]
    return descriptor
