"""What the node did lately, as diagnostic_msgs/DiagnosticArray."""

import threading
import time
from collections import deque

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue

# Frames the latencies are taken over.
WINDOW = 100


class Diagnostics:
    """Counts from both of the node's threads; `message` closes a period and starts the next."""

    def __init__(self, name, hardware_id=''):
        """name: the node's. hardware_id: see DiagnosticStatus."""
        self._name, self._hardware_id = name, hardware_id
        self._lock = threading.Lock()
        self._totals = {'received': 0, 'answered': 0, 'dropped': 0, 'refused': 0, 'failed': 0}
        self._before = dict(self._totals)
        self._since = time.monotonic()
        self._latencies, self._ages = deque(maxlen=WINDOW), deque(maxlen=WINDOW)
        self._stages, self._people, self._problem = {}, 0, ''

    def count(self, what, problem=None):
        """One frame more that was 'received', 'dropped', 'refused' or 'failed', and the problem in words."""
        with self._lock:
            self._totals[what] += 1
            self._problem = problem or self._problem

    def answered(self, people, latency, age, stages):
        """One frame more that was answered: with how many people, after how many seconds since it was received and
        since its stamp, and {stage: milliseconds}."""
        with self._lock:
            self._totals['answered'] += 1
            self._people, self._stages = people, dict(stages)
            self._latencies.append(1e3 * latency)
            self._ages.append(1e3 * age)

    def message(self, stamp, state):
        """The DiagnosticArray of the period since the last call. state: the lifecycle state's label."""
        with self._lock:
            now = time.monotonic()
            period = max(now - self._since, 1e-6)
            recent = {key: total - self._before[key] for key, total in self._totals.items()}
            self._before, self._since = dict(self._totals), now
            level, text = self._judge(state, recent)
            values = {
                'state': state,
                'images received per second': f'{recent["received"] / period:.1f}',
                'images answered per second': f'{recent["answered"] / period:.1f}',
                'people': self._people,
            }
            values |= {f'images {key} in total': total for key, total in self._totals.items()}
            for title, times in (('latency', self._latencies), ('age of the image when answered', self._ages)):
                if times:
                    median, slow = np.percentile(times, [50, 95])
                    values |= {f'{title}, median, ms': f'{median:.1f}', f'{title}, 95 %, ms': f'{slow:.1f}'}
            values |= {f'{stage}, ms': f'{spent:.1f}' for stage, spent in self._stages.items()}
            values['last problem'] = self._problem
        status = DiagnosticStatus(
            level=level,
            name=f'{self._name}: people',
            message=text,
            hardware_id=self._hardware_id,
            values=[KeyValue(key=key, value=str(value)) for key, value in values.items()],
        )
        message = DiagnosticArray(status=[status])
        message.header.stamp = stamp
        return message

    def _judge(self, state, recent):
        """ERROR: images fail inside. WARN: images are missing or refused. OK otherwise, also while inactive."""
        if recent['failed']:
            return DiagnosticStatus.ERROR, self._problem
        if state != 'active':
            return DiagnosticStatus.OK, state
        if recent['refused']:
            return DiagnosticStatus.WARN, self._problem
        if not recent['received'] and not recent['answered']:
            return DiagnosticStatus.WARN, 'no images'
        return DiagnosticStatus.OK, f'{self._people} people'
