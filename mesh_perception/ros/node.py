"""The ROS 2 node: images and camera_info in, people out. A lifecycle node that starts itself unless told otherwise.

Two threads. The executor's takes messages and answers services; it only leaves the newest image in a mailbox, still
serialised. The worker's takes it from there, and runs the pipeline and everything published about it (rclpy's
publishers may be used from any thread), so that a slow frame never delays the services or the diagnostics.
"""

import sys
import time
import traceback

from mesh_perception.ros.starting import quiet_start

if __name__ == '__main__':
    quiet_start()  # the imports below take seconds

import torch
from diagnostic_msgs.msg import DiagnosticArray
from rcl_interfaces.msg import SetParametersResult
from rclpy.clock import Clock, ClockType, JumpThreshold
from rclpy.duration import Duration
from rclpy.lifecycle import LifecycleNode, TransitionCallbackReturn
from sensor_msgs.msg import CompressedImage, Image
from std_srvs.srv import SetBool

from mesh_perception.configuration import load_config
from mesh_perception.ros import parameters
from mesh_perception.ros.answering import Answering
from mesh_perception.ros.camera_topics import CameraTopics
from mesh_perception.ros.diagnostics import Diagnostics
from mesh_perception.ros.inputs import FrameAssembler, is_rectified
from mesh_perception.ros.outputs import Outputs
from mesh_perception.ros.problems import Problems
from mesh_perception.ros.process import one_line, run
from mesh_perception.ros.qos import without_effect
from mesh_perception.ros.sharing import SharedModels, give_memory_back
from mesh_perception.ros.worker import Worker

# Seconds between two reminders of the same reason why images do not come.
REMIND_EVERY = 30.0
# Failures that one line says everything about; a trace is for the others.
_EXPECTED = (ValueError, OSError, torch.OutOfMemoryError)


class MeshPerceptionNode(LifecycleNode):
    """configure reads the parameters and loads, activate works, deactivate gives the models' memory back, cleanup all.

    ~/enable (std_srvs/SetBool) is the quick switch: without its subscriptions the node works on nothing, but is ready.
    """

    def __init__(self, shared=None, **options):
        """shared: SharedModels of a process with several nodes. options: rclpy.node.Node's.

        Raises ParameterError for a parameter that cannot be used.
        """
        super().__init__('mesh_perception', **options)
        self._refusal = parameters.declare(self, lambda: self._config is not None)
        for line in parameters.misspelt(self._parameter_overrides):
            self.get_logger().warning(line)
        self._alone, self._shared = shared is None, shared or SharedModels()
        self._state, self._enabled = 'unconfigured', True
        self._config = self._pipeline = self._outputs = self._assembler = self._worker = None
        self._topics = self._answering = None
        self._problems = Problems(self.get_logger())
        self._diagnostics = Diagnostics(self.get_fully_qualified_name(), self._value)
        self._diagnostics_publisher = self.create_publisher(DiagnosticArray, '/diagnostics', 10)
        # By a clock that always runs: with use_sim_time and no /clock yet, diagnostics are what people look at.
        self.create_timer(
            self._value('diagnostics_period'), self._report, clock=Clock(clock_type=ClockType.STEADY_TIME)
        )
        self.create_service(SetBool, '~/enable', self._on_enable)
        back = JumpThreshold(min_forward=None, min_backward=Duration(nanoseconds=-1), on_clock_change=False)
        self._jumps = self.get_clock().create_jump_callback(back, post_callback=self._on_time_jump)

    def start(self):
        """Configures and activates if `autostart` says so; False if that failed."""
        if not self._value('autostart'):
            return True
        return all(
            step() == TransitionCallbackReturn.SUCCESS for step in (self.trigger_configure, self.trigger_activate)
        )

    def on_configure(self, state):
        """Loads the models; FAILURE with one line where a weight file, body, device or key is missing."""
        try:
            config = load_config(self._value('models'), parameters.configuration_overrides(self._value))
            self._load(config)
            self._outputs = Outputs(self, self._value)
        except Exception as error:
            return self._failed('configure', error)
        self._config = config
        self._image_type = CompressedImage if self._value('image_transport') == 'compressed' else Image
        rectified = is_rectified(self._value('image_is_rectified'), self.resolve_topic_name('image'))
        self._assembler = FrameAssembler(self._image_type is CompressedImage, rectified)
        self._state = 'inactive'
        return TransitionCallbackReturn.SUCCESS

    def on_activate(self, state):
        """Subscribes and starts to answer images; loads again what deactivate gave back."""
        try:
            if self._pipeline is None:
                self._load(self._config)
            if self._enabled:
                self._subscribe()
            super().on_activate(state)
            self._outputs.set_body(self._pipeline.body)
            self._answering = Answering(
                self,
                self._value,
                self._image_type,
                self._assembler,
                self._pipeline,
                self._outputs,
                self._diagnostics,
                self._problems,
            )
            self._worker = Worker(self._answering, self._outputs.close)
        except Exception as error:
            return self._failed('activate', error)
        for line in without_effect(self) if self._alone else ():  # else they may be for other cameras
            self._problems.warn(line)
        self._state = 'active'
        return TransitionCallbackReturn.SUCCESS

    def on_deactivate(self, state):
        """Unsubscribes, waits for the frame in hand, and gives the models' memory back."""
        self._stop()
        self._state = 'inactive'
        return super().on_deactivate(state)

    def on_cleanup(self, state):
        """Forgets everything that configure made."""
        self._release()
        return TransitionCallbackReturn.SUCCESS

    def on_shutdown(self, state):
        """Stops and forgets everything, from any state."""
        self._release()
        self._state = 'finalized'
        return TransitionCallbackReturn.SUCCESS

    def on_error(self, state):
        """After a transition that broke: everything is forgotten, and configure may be tried again."""
        self._release()
        return TransitionCallbackReturn.SUCCESS

    def close(self):
        """Ends the worker and the node; for the end of the process, when no transition can be asked for any more."""
        self._release()
        self.destroy_node()

    def set_parameters_atomically(self, parameter_list):
        """rclpy's, all or nothing; a refusal names parameter, value and what is expected."""
        reason = self._refusal(parameter_list)
        if reason:
            return SetParametersResult(successful=False, reason=reason)
        return super().set_parameters_atomically(parameter_list)

    def _value(self, name):
        return self.get_parameter(name).value

    def _on_image(self, serialized):
        self._diagnostics.count('received')
        if self._worker.put((serialized, time.monotonic())):
            self._diagnostics.count('replaced')

    def _on_enable(self, request, response):
        """~/enable: an active node without subscriptions works on nothing, and goes on at once when it is told to."""
        self._enabled = request.data
        if self._state == 'active' and request.data != (self._topics is not None):
            if request.data:
                self._worker.wake()
                self._subscribe()
            else:
                self._unsubscribe()
                self._worker.rest()
                self._outputs.leave()
        response.success, response.message = True, self._condition()
        return response

    def _on_time_jump(self, jump):
        if self._answering is not None:
            self._answering.clock_jumped()

    def _report(self):
        hint = '' if self._topics is None else self._topics.reason(self._value('image_timeout'))
        if hint:
            self._problems.warn(hint, every=REMIND_EVERY)
        people = self.resolve_topic_name('~/people')
        if self._state == 'active' and self.count_publishers(people) > 1:
            self._problems.warn(
                f'{people} has another publisher: two nodes of one name? Give one a namespace', every=REMIND_EVERY
            )
        now = self.get_clock().now().to_msg()
        self._diagnostics_publisher.publish(self._diagnostics.message(now, self._condition(), hint))

    def _condition(self):
        return 'disabled' if self._state == 'active' and not self._enabled else self._state

    def _load(self, config):
        self.get_logger().info(f'loading the model set {config.name}')
        self._pipeline = self._shared.pipeline(config)
        self._diagnostics.configured(config.name, self._pipeline.body.id, self._pipeline.device)

    def _subscribe(self):
        reliability = self._value('image_reliability')
        self._topics = CameraTopics(
            self, self._image_type, reliability, self._on_image, self._assembler.set_camera_info
        )
        image, info = self._topics.silence.image.name, self._topics.silence.camera_info.name
        self.get_logger().info(f'waiting for {image} and {info}')

    def _unsubscribe(self):
        if self._topics is not None:
            self._topics.destroy()
            self._topics = None

    def _failed(self, what, error):
        """FAILURE of a transition, with one line."""
        self._stop()
        if self._config is None:
            self._release()
        self._diagnostics.not_configured(f'cannot {what}: {one_line(error)}')
        self.get_logger().error(f'cannot {what}: {one_line(error)}')
        if not isinstance(error, _EXPECTED):
            self.get_logger().error(traceback.format_exc())
        return TransitionCallbackReturn.FAILURE

    def _stop(self):
        """Back to what a configured node keeps while it is inactive."""
        self._unsubscribe()
        if self._worker is not None:
            self._worker.close()
        self._pipeline = self._worker = self._answering = None
        give_memory_back()

    def _release(self):
        """Back to what an unconfigured node has."""
        self._stop()
        if self._outputs is not None:
            self._outputs.destroy()
        self._config = self._outputs = self._assembler = None
        self._diagnostics.released()
        self._state = 'unconfigured'


def main(args=None):
    """The node until SIGINT or SIGTERM; 0, or 1 where it could not start."""
    return run('mesh_perception', lambda nodes: nodes.append(MeshPerceptionNode()), args)


if __name__ == '__main__':
    sys.exit(main())
