"""Multi-person 3D human meshes from one calibrated RGB camera, as a ROS 2 node and as a ROS-free library."""

import os
from pathlib import Path
from pkgutil import extend_path

# A source checkout finds the generated `mesh_perception.msg` wherever the build installed it; the folder at the end
# answers where nothing built it.
__path__ = [*extend_path(__path__, __name__), str(Path(__file__).parent / 'unbuilt')]
# torch's threads by default spin for long while they wait: on a robot's few cores, where the camera's driver and others
# want to run meanwhile, frames then come several times as late. Never spinning is slow as well; this is between.
# Read when torch starts; whoever sets a policy knows better.
if 'OMP_WAIT_POLICY' not in os.environ:
    os.environ.setdefault('GOMP_SPINCOUNT', '20000')
__version__ = '0.1.0'
