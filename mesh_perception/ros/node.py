"""The ROS 2 node: images and camera_info in, people out. A lifecycle node that starts itself unless told otherwise.

Two threads. The executor's takes messages and answers services; it only leaves the newest image in a mailbox, still
serialised. The worker's takes it from there, and runs the pipeline and everything published about it (rclpy's
publishers may be used from any thread), so that a slow frame never delays the services or the diagnostics.
"""

import re
import signal
import sys
import threading
import time
import traceback

import rclpy
from rcl_interfaces.msg import SetParametersResult
from rclpy.clock import Clock, ClockType
from rclpy.executors import ExternalShutdownException
from rclpy.lifecycle import LifecycleNode, TransitionCallbackReturn
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rclpy.serialization import deserialize_message
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from mesh_perception.configuration import load_config
from mesh_perception.pipeline import MeshPipeline
from mesh_perception.ros import parameters
from mesh_perception.ros.diagnostics import Diagnostics
from mesh_perception.ros.inputs import FrameAssembler, InputError
from mesh_perception.ros.mailbox import Mailbox
from mesh_perception.ros.outputs import Outputs

# Seconds between two warnings of the same kind.
WARN_EVERY = 5.0
# Different problems remembered for that.
PROBLEMS = 100


class MeshPerceptionNode(LifecycleNode):
    """configure loads, activate works, deactivate stops and forgets everybody, cleanup releases."""

    def __init__(self, **options):
        """options: rclpy.node.Node's. Raises ParameterError for a parameter that cannot be used."""
        super().__init__('mesh_perception', **options)
        self._refusal = parameters.declare(self, lambda: self._pipeline is not None)
        for line in parameters.misspelt(self._parameter_overrides):
            self.get_logger().warning(line)
        self._outputs = Outputs(self, self._value)
        self._diagnostics = Diagnostics(self.get_fully_qualified_name())
        # By a clock that always runs: with use_sim_time and no /clock yet, diagnostics are what people look at.
        self.create_timer(
            self._value('diagnostics_period'), self._report, clock=Clock(clock_type=ClockType.STEADY_TIME)
        )
        self._subscriptions_active = []
        self._pipeline = self._worker = self._mailbox = self._assembler = None
        self._working = threading.Lock()  # held by the worker while a frame is in hand
        self._active = False
        self._complained = {}  # problem -> when it was logged

    def start(self):
        """Configures and activates if `autostart` says so; False if that failed."""
        if not self._value('autostart'):
            return True
        return all(
            step() == TransitionCallbackReturn.SUCCESS for step in (self.trigger_configure, self.trigger_activate)
        )

    def on_configure(self, state):
        """Loads the pipeline; FAILURE with one line where a weight file, body, device or key is missing."""
        try:
            config = load_config(self._value('models'), parameters.configuration_overrides(self._value))
            self.get_logger().info(f'loading the model set {config.name}')
            self._pipeline = MeshPipeline(config)
        except Exception as error:
            self.get_logger().error(f'cannot configure: {_one_line(error)}')
            if not isinstance(error, (ValueError, OSError)):
                self.get_logger().error(traceback.format_exc())
            return TransitionCallbackReturn.FAILURE
        compressed = self._value('image_transport') == 'compressed'
        self._image_type = CompressedImage if compressed else Image
        self._assembler = FrameAssembler(compressed)
        self._mailbox = Mailbox()
        self._worker = threading.Thread(target=self._work, args=(self._mailbox,), name='pipeline', daemon=True)
        self._worker.start()
        return TransitionCallbackReturn.SUCCESS

    def on_activate(self, state):
        """Subscribes and starts to answer images."""
        super().on_activate(state)
        self._outputs.set_body(self._pipeline.body)
        self._restart()
        qos = QoSProfile(depth=1, reliability=ReliabilityPolicy[self._value('image_reliability').upper()])
        topic = self.resolve_topic_name('image')
        if self._image_type is CompressedImage:  # image_transport's way: remap the name, then add the transport
            topic = f'{topic}/compressed'
        self._active = True
        self._subscriptions_active = [
            self.create_subscription(CameraInfo, 'camera_info', self._assembler.set_camera_info, qos),
            self.create_subscription(self._image_type, topic, self._on_image, qos, raw=True),
        ]
        self.get_logger().info(f'waiting for {topic} and {self.resolve_topic_name("camera_info")}')
        return TransitionCallbackReturn.SUCCESS

    def on_deactivate(self, state):
        """Unsubscribes, and waits for the frame in hand."""
        self._pause()
        return super().on_deactivate(state)

    def on_cleanup(self, state):
        """Releases the pipeline."""
        self._release()
        return TransitionCallbackReturn.SUCCESS

    def on_shutdown(self, state):
        """Stops and releases, from any state."""
        self._pause()
        self._release()
        return TransitionCallbackReturn.SUCCESS

    def on_error(self, state):
        """After a failed transition: released, and ready to be configured again."""
        return self.on_shutdown(state)

    def close(self):
        """Ends the worker and the node; for the end of the process, when no transition can be asked for any more."""
        self._pause()
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
        if self._mailbox.put((serialized, time.monotonic())):
            self._diagnostics.count('dropped')

    def _work(self, mailbox):
        """The worker thread, from configure to cleanup: drawing contexts belong to the thread that made them."""
        while (item := mailbox.take()) is not None:
            with self._working:
                if self._active:
                    self._answer(*item)
        self._outputs.close()

    def _answer(self, serialized, received):
        """One image; whatever goes wrong with it, the next one is welcome."""
        try:
            begin = time.monotonic()
            frame = self._assembler.assemble(deserialize_message(serialized, self._image_type))
            if frame.restarted:
                self._complain('the stamps jumped back: everybody is forgotten, ids start anew')
                self._restart()
            ready = time.monotonic()
            people = self._pipeline(frame.image, frame.camera, frame.stamp)
            found = time.monotonic()
            if not self._outputs.publish(frame, people, self._pipeline):
                self._complain("an image without frame_id or with the last one's stamp: its TF is left out")
            end = time.monotonic()
            age = self.get_clock().now().nanoseconds * 1e-9 - frame.stamp
            self._diagnostics.answered(
                len(people),
                end - received,
                age,
                {
                    'take the image': 1e3 * (ready - begin),
                    **self._pipeline.stopwatch.milliseconds,
                    'pipeline': 1e3 * (found - ready),
                    'publish': 1e3 * (end - found),
                },
            )
        except InputError as error:
            self._diagnostics.count('refused', str(error))
            self._complain(f'image not used: {error}')
        except Exception as error:
            if self.context.ok():  # else the process is ending and nothing can be published any more
                self._diagnostics.count('failed', _one_line(error))
                self._complain(f'image not answered: {_one_line(error)}', traceback.format_exc())

    def _complain(self, text, trace=None):
        """Logs a problem at most every few seconds, one with a trace once; numbers make no difference.

        (rclpy's own throttle goes by the line of code, and would hide one problem behind another.)
        """
        key = re.sub(r'\d+', '', text)
        now, last = time.monotonic(), self._complained.get(key)
        if last is not None and (trace or now - last < WARN_EVERY):
            return
        if len(self._complained) > PROBLEMS:
            self._complained.clear()
        self._complained[key] = now
        if trace:
            self.get_logger().error(f'{text}\n{trace}')
        else:
            self.get_logger().warning(text)

    def _report(self):
        state = 'active' if self._active else 'inactive' if self._pipeline else 'unconfigured'
        self._outputs.publish_diagnostics(self._diagnostics.message(self.get_clock().now().to_msg(), state))

    def _restart(self):
        """Whatever comes next has nothing to do with what was seen before."""
        self._pipeline.reset()
        self._outputs.reset()

    def _pause(self):
        self._active = False
        for subscription in self._subscriptions_active:
            self.destroy_subscription(subscription)
        self._subscriptions_active = []
        if self._mailbox is not None:
            self._mailbox.clear()
            with self._working:
                self._assembler.reset()

    def _release(self):
        if self._worker is not None:
            self._mailbox.close()
            self._worker.join()
        self._pipeline = self._worker = self._mailbox = None


def _one_line(error):
    return ' '.join(str(error).split()) or type(error).__name__


def main(args=None):
    """The node until SIGINT or SIGTERM; 0, or 1 where it could not start."""
    try:
        rclpy.init(args=args)
    except RuntimeError as error:  # rclpy's own, for arguments after --ros-args and files named there
        print(f'mesh_perception: {_one_line(error)}', file=sys.stderr)
        return 1
    node = None
    try:
        node = MeshPerceptionNode()
        if not node.start():
            return 1
        rclpy.spin(node)
    except parameters.ParameterError as error:
        rclpy.logging.get_logger('mesh_perception').fatal(str(error))
        return 1
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # a second Ctrl-C would break into the teardown
        if node is not None:
            node.close()
        rclpy.try_shutdown()
    return 0


if __name__ == '__main__':
    sys.exit(main())
