"""A process of one or several nodes, from the command line to its end."""

import sys
import threading
import traceback

import rclpy
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor

from mesh_perception.ros.parameters import ParameterError
from mesh_perception.ros.shared_memory import remove_dead_segments
from mesh_perception.ros.starting import ignore_signals, imported

# Seconds after which a thread notices that another one broke; a signal is noticed at once.
LOOK_UP = 1.0


class Executor(SingleThreadedExecutor):
    """rclpy's; a signal may break off the making of one without a trace (rclpy's __del__ expects it to be whole)."""

    _sigint_gc = None


def run(name, make_nodes, args=None):
    """Makes nodes, starts them and runs them until SIGINT or SIGTERM, each in a thread of its own where there are more.

    name: for messages before there is a node. make_nodes: a function that takes a list and puts MeshPerceptionNodes
    there; raises ParameterError. Returns the exit code: 0, or 1 where nothing could start.
    """
    nodes, executors, threads, broken, end = [], [], [], [], threading.Event()
    try:
        imported()
        remove_dead_segments()
        try:
            rclpy.init(args=args)
        except RuntimeError as error:  # rclpy's own, for arguments after --ros-args and files named there
            print(f'{name}: {one_line(error)}', file=sys.stderr)
            return 1
        make_nodes(nodes)
        if not any([node.start() for node in nodes]):
            return 1
        for node in nodes:
            executors.append(Executor())
            executors[-1].add_node(node)

        def spin(executor):
            try:
                while rclpy.ok() and not end.is_set():
                    executor.spin_once(LOOK_UP if threads else None)
            except ExternalShutdownException:
                pass
            except Exception:
                if not rclpy.ok():  # a callback was on its way when a signal closed what it needs
                    return
                # A node that breaks ends all of them, as it would alone.
                traceback.print_exc()
                broken.append(executor)
                end.set()

        threads += [threading.Thread(target=spin, args=(executor,), daemon=True) for executor in executors[1:]]
        for thread in threads:
            thread.start()
        spin(executors[0])
    except ParameterError as error:
        rclpy.logging.get_logger(name).fatal(str(error))
        return 1
    except KeyboardInterrupt:
        pass
    finally:
        ignore_signals()
        end.set()
        for thread in threads:
            thread.join()
        for executor in executors:  # not before its thread has ended: rclpy would crash now and then
            executor.shutdown()
        for node in nodes:
            node.close()
        rclpy.try_shutdown()  # after the nodes: it would take their parts away
    return 1 if broken else 0


def one_line(error):
    """An exception's text in one line; its type where it has none."""
    return ' '.join(str(error).split()) or type(error).__name__
