"""Multi-person 3D human meshes from one calibrated RGB camera, as a ROS 2 node and as a ROS-free library."""

import os
from pathlib import Path
from pkgutil import extend_path

# A source checkout finds the generated `mesh_perception.msg` wherever the build installed it; the folder at the end
# answers where nothing built it.
__path__ = [*extend_path(__path__, __name__), str(Path(__file__).parent / 'unbuilt')]
# Threads that wait without spinning: on a robot's few cores the camera's driver needs them meanwhile, and frames come
# several times as fast. Read when torch starts its threads; whoever sets it knows better.
os.environ.setdefault('OMP_WAIT_POLICY', 'PASSIVE')
__version__ = '0.1.0'
