"""Diagnostics say in one word what a robot's operator needs to know."""

import pytest

pytest.importorskip('diagnostic_msgs', reason='needs the ROS 2 message packages')
from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticStatus

from mesh_perception.ros.diagnostics import Diagnostics


def report(diagnostics, state='active'):
    status = diagnostics.message(Time(sec=1), state).status[0]
    return status.level, status.message, {v.key: v.value for v in status.values}


def test_levels():
    diagnostics = Diagnostics('/mesh_perception')
    assert report(diagnostics, 'unconfigured')[:2] == (DiagnosticStatus.OK, 'unconfigured')
    assert report(diagnostics)[:2] == (DiagnosticStatus.WARN, 'no images')
    diagnostics.count('received')
    diagnostics.count('refused', 'no camera_info yet')
    assert report(diagnostics)[:2] == (DiagnosticStatus.WARN, 'no camera_info yet')
    diagnostics.count('received')
    diagnostics.count('failed', 'broken')
    assert report(diagnostics)[:2] == (DiagnosticStatus.ERROR, 'broken')
    diagnostics.count('received')
    diagnostics.answered(3, 0.02, 0.03, {'detect': 7.0})
    assert report(diagnostics)[:2] == (DiagnosticStatus.OK, '3 people')


def test_values():
    diagnostics = Diagnostics('/mesh_perception')
    for _ in range(4):
        diagnostics.count('received')
    diagnostics.count('dropped')
    for latency in (0.01, 0.02, 0.03):
        diagnostics.answered(2, latency, 0.05, {'detect': 7.0, 'publish': 1.25})
    values = report(diagnostics)[2]
    assert values['images received in total'] == '4' and values['images dropped in total'] == '1'
    assert values['images answered in total'] == '3' and values['people'] == '2'
    assert values['latency, median, ms'] == '20.0' and values['age of the image when answered, median, ms'] == '50.0'
    assert values['detect, ms'] == '7.0' and values['state'] == 'active'
    assert float(report(diagnostics)[2]['images answered per second']) == 0
