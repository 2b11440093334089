"""`make view`: the footage as a camera, the node and rerun's viewer, each a process of its own.

python -m mesh_perception.ros.demo.view [--camera cam01] [--frames N] [--save FILE.rrd | --connect URL]
"""

import argparse
import sys

from mesh_perception.ros.demo.__main__ import environment, report_of, start, stop
from mesh_perception.ros.demo.footage import CAMERAS


def main():
    """Plays the footage again and again, or --frames of it, until interrupted. -> exit code"""
    parser = argparse.ArgumentParser(prog='make view', description=__doc__.splitlines()[0])
    parser.add_argument('--camera', default='cam01', choices=CAMERAS)
    parser.add_argument('--frames', type=int, default=0, help='end after so many (default: never)')
    parser.add_argument('--save', metavar='FILE.rrd', help="write a file instead of opening rerun's viewer")
    parser.add_argument('--connect', metavar='URL', help='show in a viewer that runs, rerun+http://HOST:9876/proxy')
    arguments = parser.parse_args()
    camera, values = arguments.camera, environment()
    chosen = {name: value for name in ('save', 'connect') if (value := getattr(arguments, name))}
    chosen['fixed_frame'] = 'world'  # the calibration's, told by the publisher
    running = [start('mesh_perception.ros.view', camera, chosen, values, None)]
    try:
        running.append(start('mesh_perception.ros.node', camera, {}, values, None))
        footage = {'camera': camera, 'frames': arguments.frames, 'loop': 'true'}
        running.append(start('mesh_perception.ros.demo.publisher', camera, footage, values))
        report_of(running[2], {'viewer': running[0], 'node': running[1]})
    except RuntimeError as error:
        print(f'view: {error}', file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    finally:
        for process in reversed(running):  # the viewer last: it shows all that was sent
            stop(process)
    return 0


if __name__ == '__main__':
    sys.exit(main())
