"""One image after the other: taken, answered, published and counted, whatever is wrong with it."""

import math
import time
import traceback

import torch

from mesh_perception.ros.inputs import InputError, read_message
from mesh_perception.ros.process import one_line
from mesh_perception.ros.sharing import give_memory_back
from mesh_perception.ros.stamps import ClockWatch, nanoseconds


class Answering:
    """What an active node does with its images; for one thread at a time, but for `clock_jumped`."""

    def __init__(self, node, value, image_type, assembler, pipeline, outputs, diagnostics, problems):
        """node: for its clock and context. value: a function from a parameter's name to its present value."""
        self._node, self._value, self._image_type = node, value, image_type
        self._assembler, self._pipeline, self._outputs = assembler, pipeline, outputs
        self._diagnostics, self._problems = diagnostics, problems
        self._clock_watch = ClockWatch()
        self._clock_jumped = False
        self._restart()
        assembler.reset()

    def clock_jumped(self):
        """The node's clock went back: so will the stamps, be it by less than those of images overtaken on the way."""
        self._clock_jumped = True

    def __call__(self, serialized, received):
        """One image as it came, and when (time.monotonic). Whatever goes wrong with it, the next one is welcome."""
        try:
            self._answer(serialized, received)
        except InputError as error:
            self._diagnostics.count('refused', str(error), error.cause)
            self._problems.warn(f'image not used: {error}')
        except Exception as error:
            if not self._node.context.ok():  # the process is ending and nothing can be published any more
                return
            trace = None if isinstance(error, torch.OutOfMemoryError) else traceback.format_exc()
            self._diagnostics.count('failed', one_line(error))
            self._problems.warn(f'image not answered: {one_line(error)}', trace)
            if trace is None:
                give_memory_back()  # what was half done: the next image may have fewer people

    def _answer(self, serialized, received):
        begin = time.monotonic()
        frame = self._take(serialized)
        ready = time.monotonic()
        self._pipeline.smoothing = self._pipeline.config.tracking.smoothing and self._value('smoothing')
        people = self._pipeline(frame.image, frame.camera, frame.stamp)
        found = time.monotonic()
        for problem in self._outputs.publish(frame, people, self._pipeline):
            self._problems.warn(problem)
        end = time.monotonic()
        now = self._node.get_clock().now().nanoseconds
        age = self._clock_watch.age(nanoseconds(frame.header.stamp), now, self._value('use_sim_time'))
        if age.problem and age.new:
            self._problems.warn(age.problem)
        stages = {
            'take the image': 1e3 * (ready - begin),
            **self._pipeline.stopwatch.milliseconds,
            'pipeline': 1e3 * (found - ready),
            'publish': 1e3 * (end - found),
        }
        self._diagnostics.answered(len(people), end - received, age, stages)

    def _take(self, serialized):
        """The Frame of a serialised message; who was seen before is forgotten where time starts over."""
        if self._clock_jumped:
            self._clock_jumped = False
            self._problems.warn('the clock jumped back: everybody is forgotten, ids start anew')
            self._assembler.reset()
            self._restart()
        frame = self._assembler.assemble(read_message(serialized, self._image_type))
        if frame.restarted:
            self._problems.warn('the stamps jumped back: everybody is forgotten, ids start anew')
            self._restart()
        if frame.calibration_frame not in ('', frame.header.frame_id):
            self._problems.warn(
                f"the image's frame_id is {frame.header.frame_id!r}, camera_info's {frame.calibration_frame!r}: the "
                "image's is used",
                every=math.inf,
            )
        return frame

    def _restart(self):
        self._pipeline.reset()
        self._outputs.reset()
