"""What the node did lately, as diagnostic_msgs/DiagnosticArray, with levels that an operator can act on.

ERROR: images fail inside, or the node cannot be configured. WARN: it is active, but images do not come, are refused,
are answered too slowly or too late, or stamps and clock do not fit. STALE: active, and nothing has come so far. OK: all
else, also while the node is not active on purpose. Dropping alone is no fault: the newest image wins.
"""

import threading
import time
from collections import Counter
from datetime import datetime, timezone

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue

from mesh_perception.ros.memory import memory_values
from mesh_perception.ros.windows import Percentiles, Rates

# Answered images that latencies are taken over.
WINDOW = 100
# Seconds that rates are taken over.
RATE_WINDOW = 5.0

_COUNTED = {
    'received': 'images received in total',
    'answered': 'images answered in total',
    'replaced': 'images dropped, replaced by a newer one, in total',
    'refused': 'images refused in total',
    'failed': 'images failed in total',
}


class Diagnostics:
    """Counts from both of the node's threads; `message` closes a period and starts the next."""

    def __init__(self, name, value, now=time.monotonic):
        """name: the node's. value: a function from the name of a parameter to its value. now: a clock that always
        runs, in seconds."""
        self._name, self._value, self._now = name, value, now
        self._lock = threading.Lock()
        self._totals, self._reasons, self._period = Counter(), Counter(), Counter()
        self._rates = Rates(RATE_WINDOW)
        self._times = Percentiles(WINDOW)
        self._people, self._since, self._last_image, self._last_result = 0, now(), None, None
        self._ages, self._last_ages, self._clock_problem = [], [], ''  # ages: s, and whether that was too old
        self._problem = self._problem_time = self._configure_problem = ''
        self._facts, self._device = {}, None

    def count(self, what, problem='', cause=''):
        """One image more that was 'received', 'replaced' (by a newer one before its turn), 'refused' or 'failed', with
        the problem in words and, for a refused one, its cause in one or two."""
        with self._lock:
            self._totals[what] += 1
            self._period[what] += 1
            if what == 'received':
                self._last_image = self._now()
            if cause:
                self._reasons[cause] += 1
            if problem:
                self._note(problem)

    def answered(self, people, latency, age, stages):
        """One image more that was answered: with how many people, after how many seconds since it was received, the
        stamps.Age of the result, and {stage: milliseconds}."""
        with self._lock:
            self._totals['answered'] += 1
            self._period['answered'] += 1
            self._people, self._clock_problem, self._last_result = people, age.problem, self._now()
            times = {'latency': 1e3 * latency, **stages}
            if age.seconds is not None:
                times['age of the result'] = 1e3 * age.seconds
                limit = self._value('max_age')
                self._ages.append((age.seconds, bool(limit) and age.seconds > limit))
            self._times.add(times)
            if age.problem and age.new:
                self._note(age.problem)

    def configured(self, model_set, body, device):
        """What runs from now on: names of model set and body, and the torch device."""
        with self._lock:
            self._facts, self._device = {'model set': model_set, 'body': body, 'device': str(device)}, device
            self._configure_problem = ''
            self._times.clear()

    def not_configured(self, problem):
        """The node could not be configured or activated, in one line, which stands until it is."""
        with self._lock:
            self._configure_problem = problem
            self._note(problem)

    def released(self):
        """Nothing is loaded any more."""
        with self._lock:
            self._facts, self._device, self._configure_problem = {}, None, ''

    def message(self, stamp, state, hint=''):
        """The DiagnosticArray of the period since the last call. state: 'active', or another word for what the node
        does. hint: why an active node gets no images, or fewer than were published."""
        with self._lock:
            now = self._now()
            if state == 'active':
                self._configure_problem = ''
            else:
                self._since, self._last_image, self._last_result = now, None, None
                self._ages, self._last_ages, self._clock_problem = [], [], ''
                self._rates.clear()
            if self._period['answered']:  # slow results are not fresh again because a period has none
                self._ages, self._last_ages = [], self._ages
            rates = self._rates.add(now, self._totals)
            level, text = self._judge(state, now, rates, hint)
            values = {'state': state, **self._facts}
            values |= {
                f'images {what} per second': f'{rates[what]:.1f}' for what in ('received', 'answered', 'replaced')
            }
            values['people'] = self._people
            values |= {title: self._totals[what] for what, title in _COUNTED.items()}
            values |= {f'images refused in total: {cause}': n for cause, n in sorted(self._reasons.items())}
            values |= self._times.values()
            values['results older than max_age lately'] = sum(old for _, old in self._last_ages)
            values['clock'] = self._clock_problem or ('fits the stamps' if self._last_ages else 'not compared yet')
            values |= memory_values(self._device)
            values |= {'last problem': self._problem, 'time of the last problem': self._problem_time}
            self._period.clear()
        status = DiagnosticStatus(
            level=level,
            name=f'{self._name}: people',
            message=text,
            hardware_id=values.get('device', ''),
            values=[KeyValue(key=key, value=str(value)) for key, value in values.items()],
        )
        message = DiagnosticArray(status=[status])
        message.header.stamp = stamp
        return message

    def _note(self, problem):
        self._problem = problem
        self._problem_time = datetime.now(timezone.utc).isoformat(timespec='seconds')

    def _judge(self, state, now, rates, hint):
        """(level, one line): the worst of what there is to say."""
        period = self._period
        if period['failed']:
            return DiagnosticStatus.ERROR, f'{period["failed"]} images failed lately: {self._problem}'
        if state != 'active':
            if self._configure_problem:
                return DiagnosticStatus.ERROR, self._configure_problem
            return DiagnosticStatus.OK, state
        silence = now - (self._since if self._last_image is None else self._last_image)
        if silence > self._value('image_timeout'):
            return DiagnosticStatus.WARN, f'no images for {silence:.0f} s' + (f': {hint}' if hint else '')
        if self._last_image is None:
            return DiagnosticStatus.STALE, 'waiting for the first image'
        if period['refused']:
            return DiagnosticStatus.WARN, f'{period["refused"]} images refused lately: {self._problem}'
        silence = now - (self._since if self._last_result is None else self._last_result)
        if silence > self._value('image_timeout'):
            return DiagnosticStatus.WARN, f'images come, but no result for {silence:.0f} s'
        if self._last_result is None:
            return DiagnosticStatus.STALE, 'waiting for the first result'
        if hint:
            return DiagnosticStatus.WARN, hint
        if self._clock_problem:
            return DiagnosticStatus.WARN, self._clock_problem
        old = [seconds for seconds, too_old in self._last_ages if too_old]
        if old:
            return DiagnosticStatus.WARN, (
                f'{len(old)} of {len(self._last_ages)} results older than {self._value("max_age"):g} s, '
                f'the oldest {max(old):.2f} s'
            )
        slowest = self._value('min_rate')
        if rates['span'] >= RATE_WINDOW / 2 and rates['replaced'] and rates['answered'] < slowest:
            return DiagnosticStatus.WARN, (
                f'{rates["answered"]:.1f} of {rates["received"]:.1f} images a second answered; '
                f'expected {slowest:g} or more'
            )
        return DiagnosticStatus.OK, f'{self._people} people'
