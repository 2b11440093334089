"""The pipeline without ROS on the same frames: a process that is told which one is next, and answers milliseconds.

Arguments: one JSON object {'size', 'compressed', 'frames', 'overrides'}. Each line of standard input is {'index',
'stamp'}; each line of standard output {'pipeline', 'decode', 'people'}.
"""

import json
import sys
import time

from mesh_perception.configuration import load_config
from mesh_perception.pipeline import MeshPipeline
from mesh_perception.ros.compressed import decode
from mesh_perception.ros.soak.footage import Footage


def main():
    """Until the end of standard input."""
    plan = json.loads(sys.argv[1])
    footage = Footage(*plan['size'], plan['frames'])
    messages = footage.messages(compressed=True) if plan['compressed'] else None
    pipeline = MeshPipeline(load_config('embedded', plan['overrides']))
    print(json.dumps('ready'), flush=True)
    for line in sys.stdin:
        asked = json.loads(line)
        image = footage.pictures[asked['index']]
        begin = time.perf_counter()
        if messages:
            image = decode(messages[asked['index']])
        decoded = time.perf_counter()
        people = pipeline(image, footage.camera, asked['stamp'])
        end = time.perf_counter()
        times = {'decode': 1e3 * (decoded - begin), 'pipeline': 1e3 * (end - decoded)}
        print(json.dumps({**times, 'people': len(people)}), flush=True)


if __name__ == '__main__':
    main()
