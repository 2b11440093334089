"""Several cameras in one process: a node for each in the camera's namespace, and one copy of the networks for all.

    mesh_cameras front rear --ros-args --params-file FILE -r image:=image_raw

Each node has its own tracker, topics (front/image, front/mesh_perception/people, ...), services and parameters; nodes
take turns with the networks, so that each gets the same number of images answered while all have some.
"""

import sys

from mesh_perception.ros.starting import quiet_start

if __name__ == '__main__':
    quiet_start()  # the imports below take seconds

import rclpy
from rclpy.exceptions import InvalidNamespaceException
from rclpy.utilities import remove_ros_args

from mesh_perception.ros.node import MeshPerceptionNode
from mesh_perception.ros.parameters import ParameterError
from mesh_perception.ros.process import run
from mesh_perception.ros.sharing import SharedModels


def make_nodes(cameras, nodes):
    """Appends a node for each camera's namespace to a list; relative ones lie in the process's own (`-r __ns:=/robot`).

    Raises ParameterError for a namespace that cannot be one, or comes twice.
    """
    probe = rclpy.create_node('mesh_cameras', enable_rosout=False, start_parameter_services=False)
    base = probe.get_namespace().rstrip('/')
    probe.destroy_node()
    shared = SharedModels()
    namespaces = [camera if camera.startswith('/') else f'{base}/{camera}' for camera in cameras]
    for namespace in namespaces:
        if namespaces.count(namespace) > 1:
            raise ParameterError(f'camera {namespace!r} comes twice; expected different namespaces')
        # The process's own __ns would be put in place of `namespace`, these arguments come first.
        arguments = ['--ros-args', '-r', f'__ns:={namespace}']
        try:
            nodes.append(MeshPerceptionNode(shared, namespace=namespace, cli_args=arguments))
        except (InvalidNamespaceException, RuntimeError) as error:
            raise ParameterError(
                f'camera {namespace!r} is no namespace; expected something like front or /robot/front'
            ) from error


def main(args=None):
    """The nodes until SIGINT or SIGTERM; 0, or 1 where none could start, or 2 for wrong arguments."""
    args = sys.argv if args is None else args
    cameras = remove_ros_args(args)[1:]
    if not cameras or any(camera.startswith('-') for camera in cameras):
        print('usage: mesh_cameras CAMERA [CAMERA ...] [--ros-args ...]; CAMERA is its namespace', file=sys.stderr)
        return 2
    return run('mesh_cameras', lambda nodes: make_nodes(cameras, nodes), args)


if __name__ == '__main__':
    sys.exit(main())
