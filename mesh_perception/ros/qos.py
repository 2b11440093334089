"""Quality of service that users may override: parameters qos_overrides.<topic>.<publisher or subscription>.<policy>."""

from copy import copy

from rclpy.event_handler import UnsupportedEventTypeError
from rclpy.exceptions import ParameterException
from rclpy.qos import QoSPolicyKind, QoSProfile
from rclpy.qos_overriding_options import QoSOverridingOptions

from mesh_perception.ros.parameters import ParameterError

_PREFIX = 'qos_overrides.'
_POLICIES = (QoSPolicyKind.HISTORY, QoSPolicyKind.DEPTH, QoSPolicyKind.RELIABILITY, QoSPolicyKind.DURABILITY)


def overridable(create, kind, topic, *arguments, fixed=(), **options):
    """create(kind, topic, ...) of a publisher or subscription with policies that may be overridden.

    fixed: policies for which no parameter is declared. It would keep its first value when the topic is made again, and
    so that of what is given here. Raises ParameterError, one line, for an override that cannot be used.
    """
    overrides = QoSOverridingOptions([policy for policy in _POLICIES if policy not in fixed])
    # rclpy writes overrides into the profile, which may serve other topics as well.
    arguments = [copy(a) if isinstance(a, QoSProfile) else a for a in arguments]
    try:
        return create(kind, topic, *arguments, qos_overriding_options=overrides, **options)
    except UnsupportedEventTypeError:
        raise
    except (RuntimeError, ParameterException, ValueError) as error:
        raise ParameterError(f'{_PREFIX[:-1]} of {topic}: {str(error).splitlines()[0]}') from None


def is_overridden(node, subscription, policy):
    """Whether the user has an override for a policy of a topic that is subscribed to, by its full name."""
    return f'{_PREFIX}{subscription}.subscription.{policy.name.lower()}' in node._parameter_overrides


def without_effect(node):
    """One line for each override that was given and that no topic of a node asked for."""
    given = [name for name in node._parameter_overrides if name.startswith(_PREFIX)]
    return [
        f'parameter {name!r} has no effect: the node has no such topic, or the policy cannot be overridden; expected '
        f'{_PREFIX}/TOPIC.publisher.POLICY or .subscription.POLICY'
        for name in given
        if not node.has_parameter(name)
    ]
