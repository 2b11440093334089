"""Diagnostics say in one word what a robot's operator needs to know, and in values what a developer does."""

import threading
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip('diagnostic_msgs', reason='needs the ROS 2 message packages')
import torch
from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticStatus

from mesh_perception.ros.diagnostics import RATE_WINDOW, WINDOW, Diagnostics
from mesh_perception.ros.memory import resident_bytes
from mesh_perception.ros.parameter_table import BY_NAME
from mesh_perception.ros.stamps import Age
from mesh_perception.ros.windows import Percentiles, Rates

OK, WARN, ERROR, STALE = (
    DiagnosticStatus.OK,
    DiagnosticStatus.WARN,
    DiagnosticStatus.ERROR,
    DiagnosticStatus.STALE,
)
FRESH = Age(0.05)


class Bench:
    """Diagnostics with a clock of ours and parameters to change."""

    def __init__(self):
        self.time = 100.0
        self.values = {name: entry.default for name, entry in BY_NAME.items()}
        self.diagnostics = Diagnostics('/robot/mesh_perception', self.values.__getitem__, lambda: self.time)

    def received(self, count=1, what=None, **more):
        for _ in range(count):
            self.diagnostics.count('received')
            if what:
                self.diagnostics.count(what, **more)

    def answered(self, people=2, latency=0.02, age=FRESH, **stages):
        self.diagnostics.count('received')
        self.diagnostics.answered(people, latency, age, stages)

    def report(self, state='active', wait=1.0, hint=''):
        self.time += wait
        self.message = self.diagnostics.message(Time(sec=1), state, hint)
        (status,) = self.message.status
        return status.level, status.message, {v.key: v.value for v in status.values}


@pytest.fixture
def bench():
    return Bench()


def test_names_follow_the_convention(bench):
    bench.diagnostics.configured('embedded', 'open-1', torch.device('cpu'))
    values = bench.report()[2]
    status = bench.message.status[0]
    assert status.name == '/robot/mesh_perception: people' and status.hardware_id == 'cpu'
    assert bench.message.header.stamp == Time(sec=1)
    assert (values['model set'], values['body'], values['device']) == ('embedded', 'open-1', 'cpu')
    assert len({v.key for v in status.values}) == len(status.values)
    assert all(v.key and isinstance(v.value, str) for v in status.values)
    bench.diagnostics.released()
    assert 'model set' not in bench.report('unconfigured')[2] and bench.message.status[0].hardware_id == ''


@pytest.mark.parametrize('state', ['unconfigured', 'inactive', 'disabled'])
def test_a_node_that_rests_on_purpose_is_ok(bench, state):
    assert bench.report(state, wait=1000.0)[:2] == (OK, state)


def test_before_the_first_image_it_is_stale_and_then_it_warns(bench):
    bench.report('inactive', wait=50.0)
    assert bench.report(wait=1.0)[:2] == (STALE, 'waiting for the first image')
    level, text, _ = bench.report(wait=5.0, hint='nobody publishes image')
    assert level == WARN and text == 'no images for 6 s: nobody publishes image'
    bench.answered()
    assert bench.report()[:2] == (OK, '2 people')


def test_images_that_come_but_not_all_are_a_warning(bench):
    bench.answered()
    assert bench.report(hint='70 of 100 images were lost')[:2] == (WARN, '70 of 100 images were lost')
    assert bench.report()[:2] == (OK, '2 people')


def test_images_that_stop_coming_are_a_warning_after_image_timeout(bench):
    bench.values['image_timeout'] = 10.0
    bench.answered()
    assert bench.report(wait=9.0)[0] == OK
    assert bench.report(wait=2.0)[:2] == (WARN, 'no images for 11 s')
    bench.report('disabled')
    assert bench.report(wait=1.0)[0] == STALE, 'nothing was to come meanwhile'


def test_images_that_come_without_a_result_are_stale_and_then_a_warning(bench):
    """The first one builds kernels; later a pipeline may hang."""
    bench.report('inactive')
    bench.received()
    assert bench.report()[:2] == (STALE, 'waiting for the first result')
    bench.answered()
    assert bench.report()[0] == OK
    for _ in range(4):
        bench.received(what='replaced')
        last = bench.report()
    assert last[:2] == (WARN, 'images come, but no result for 5 s')


def test_refused_images_are_counted_by_cause_and_warned_of_while_they_come(bench):
    bench.received(2, 'refused', problem='no camera_info yet', cause='no camera_info')
    bench.received(1, 'refused', problem='odd width', cause='bad image')
    level, text, values = bench.report()
    assert level == WARN and text == '3 images refused lately: odd width'
    assert values['images refused in total: no camera_info'] == '2' and values['images refused in total'] == '3'
    assert values['last problem'] == 'odd width' and values['time of the last problem'].startswith('20')
    bench.answered()
    level, _, values = bench.report()
    assert level == OK and values['last problem'] == 'odd width', 'the last problem stays to be read'


def test_failed_images_are_an_error(bench):
    bench.answered()
    bench.received(1, 'refused', problem='odd width', cause='bad image')
    bench.received(1, 'failed', problem='out of memory')
    assert bench.report()[:2] == (ERROR, '1 images failed lately: out of memory')
    bench.answered()
    assert bench.report()[0] == OK


def test_a_node_that_cannot_be_configured_is_an_error_until_it_can(bench):
    bench.diagnostics.not_configured('cannot configure: no weights')
    for _ in range(2):
        assert bench.report('unconfigured')[:2] == (ERROR, 'cannot configure: no weights')
    bench.diagnostics.configured('embedded', 'open', torch.device('cpu'))
    level, _, values = bench.report('inactive')
    assert level == OK and values['last problem'] == 'cannot configure: no weights'
    bench.diagnostics.not_configured('cannot activate: out of memory')
    assert bench.report('inactive')[0] == ERROR
    bench.diagnostics.released()
    assert bench.report('unconfigured')[0] == OK


def test_old_results_are_a_warning_with_their_age(bench):
    bench.answered(age=Age(0.4))
    assert bench.report()[0] == OK
    bench.answered(age=Age(0.4))
    bench.answered(age=Age(0.7))
    level, text, values = bench.report()
    assert level == WARN and text == '1 of 2 results older than 0.5 s, the oldest 0.70 s'
    assert values['results older than max_age lately'] == '1'
    assert bench.report(wait=0.2)[:2] == (level, text), 'a period without results makes none of them fresh'
    bench.answered(age=Age(0.4))
    assert bench.report()[0] == OK
    bench.values['max_age'] = 0.3
    bench.answered(age=Age(0.4))
    assert bench.report()[0] == WARN
    bench.values['max_age'] = 0.0
    bench.answered(age=Age(3.0))
    assert bench.report()[0] == OK, '0 is never'


def test_an_age_that_cannot_be_known_is_not_old(bench):
    bench.answered(age=Age(None))
    level, _, values = bench.report()
    assert level == OK and 'age of the result, median, ms' not in values
    assert values['clock'] == 'not compared yet'


def test_a_clock_that_does_not_fit_is_a_warning(bench):
    bench.answered(age=Age(None, 'wrong clock: 3 s ahead', True))
    level, text, values = bench.report()
    assert (level, text) == (WARN, 'wrong clock: 3 s ahead')
    assert values['clock'] == values['last problem'] == 'wrong clock: 3 s ahead'
    bench.answered()
    assert bench.report()[2]['clock'] == 'fits the stamps'


def test_what_was_wrong_before_a_rest_is_not_wrong_after_it(bench):
    bench.answered(age=Age(3.0))
    bench.answered(age=Age(None, 'wrong clock: 3 s ahead', True))
    assert bench.report()[0] == WARN
    bench.report('inactive')
    level, text, values = bench.report()
    assert (level, text) == (STALE, 'waiting for the first image')
    assert values['results older than max_age lately'] == '0' and values['clock'] == 'not compared yet'
    bench.received()
    assert bench.report()[0] == STALE


def test_dropping_is_no_fault_while_enough_is_answered(bench):
    for _ in range(8):
        bench.received(28, 'replaced')
        bench.answered()
        bench.answered()
        level, _, values = bench.report()
        assert level == OK
    assert values['images received per second'] == '30.0' and values['images answered per second'] == '2.0'
    assert values['images replaced per second'] == '28.0'
    assert values['images dropped, replaced by a newer one, in total'] == '224'


def test_answering_less_than_min_rate_and_dropping_is_a_warning(bench):
    bench.values['min_rate'] = 5.0
    for _ in range(8):
        bench.received(28, 'replaced')
        bench.answered()
        bench.answered()
        level, text, _ = bench.report()
    assert level == WARN and text == '2.0 of 30.0 images a second answered; expected 5 or more'
    for _ in range(8):
        bench.answered()
        level, _, _ = bench.report()
    assert level == OK, 'a slow camera is no slow node'


def test_rates_are_of_the_last_seconds_whatever_the_period():
    rates, totals = Rates(RATE_WINDOW), {'received': 0}
    assert rates.add(0.0, totals)['received'] == 0
    for step in range(1, 200):
        totals['received'] += 3 if step < 100 else 1
        found = rates.add(0.1 * step, totals)
    assert found['received'] == pytest.approx(10) and found['span'] == pytest.approx(RATE_WINDOW, abs=0.11)


def test_latencies_a_stage_over_the_last_frames(bench):
    generator = np.random.default_rng(0)
    times = generator.gamma(2.0, 10.0, 3 * WINDOW)
    for spent in times:
        bench.answered(latency=spent / 1e3, age=Age(2e-3 * spent), detect=2 * spent, publish=1.25)
    values = bench.report()[2]
    median, slow = np.percentile(times[-WINDOW:], [50, 95])
    assert float(values['latency, median, ms']) == pytest.approx(median, abs=0.06)
    assert float(values['latency, 95 %, ms']) == pytest.approx(slow, abs=0.06)
    assert float(values['detect, 95 %, ms']) == pytest.approx(2 * slow, abs=0.06)
    assert float(values['age of the result, 95 %, ms']) == pytest.approx(2 * slow, abs=0.06)
    assert values['publish, median, ms'] == '1.2'


@pytest.mark.parametrize('count', [1, 2, 3, 20, 99])
def test_percentiles_are_numpys(count):
    percentiles, times = Percentiles(1000), np.random.default_rng(count).random(count) * 100
    for spent in times:
        percentiles.add({'x': spent})
    expected = np.percentile(times, [50, 95])
    assert [float(v) for v in percentiles.values().values()] == pytest.approx(expected, abs=0.051)


def test_memory_is_the_processs(bench):
    if resident_bytes() is None:
        pytest.skip('no /proc')
    told = Path('/proc/self/status').read_text().split('VmRSS:')[1].split()[0]
    assert resident_bytes() == pytest.approx(1024 * float(told), rel=0.05)
    assert float(bench.report()[2]['resident memory, MiB']) == pytest.approx(float(told) / 1024, rel=0.05)


@pytest.mark.gpu
def test_gpu_memory_is_torchs(bench):
    if not torch.cuda.is_available():
        pytest.skip('no CUDA device')
    bench.diagnostics.configured('embedded', 'open', torch.device('cuda', 0))
    before = float(bench.report()[2]['GPU memory allocated, MiB'])
    block = torch.zeros(64 * 2**20, dtype=torch.uint8, device='cuda:0')
    values = bench.report()[2]
    assert float(values['GPU memory allocated, MiB']) == before + 64 and len(block)
    assert float(values['GPU memory reserved, MiB']) >= before + 64


def test_both_threads_may_count(bench):
    def work():
        for _ in range(2000):
            bench.received(1, 'replaced')
            bench.answered()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for _ in range(20):
        bench.report(wait=0.01)
    for thread in threads:
        thread.join()
    values = bench.report()[2]
    assert values['images received in total'] == '16000' and values['images answered in total'] == '8000'
