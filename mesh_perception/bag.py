"""`mesh-perception bag`: the people of a rosbag2 recording, written beside it. The work is in `ros/bag.py`."""

from pathlib import Path


def register(subparsers):
    """Adds the command to the command line."""
    parser = subparsers.add_parser(
        'bag',
        help='people in a rosbag2 recording (SQLite or MCAP), without ROS running',
        description='Runs over every image of a rosbag2 recording, and writes a bag and people.json beside it.',
    )
    parser.add_argument('bag', type=Path, metavar='BAG', help='a folder with metadata.yaml, a .mcap or a .db3 file')
    parser.add_argument('--image', metavar='TOPIC', help='images, raw or compressed (default: the only ones there)')
    parser.add_argument(
        '--camera-info', metavar='TOPIC', help="their calibration (default: beside the images, or the bag's only one)"
    )
    parser.add_argument('--out', type=Path, metavar='FOLDER', help='where results go (default: <BAG>_people)')
    parser.add_argument('--models', default='embedded', help='a model set, or the path of one (default: embedded)')
    parser.add_argument('--body', help="an SMPL .pkl or .npz of your own instead of the set's body")
    parser.add_argument('--device', help='auto (the GPU where there is one), cpu, cuda or cuda:N (default: auto)')
    parser.add_argument('--no-markers', action='store_true', help='leave out what RViz draws, most of the size')
    parser.set_defaults(handler=run)


def run(arguments):
    """Runs the command. -> exit code. Raises ValueError, one line."""
    try:
        from mesh_perception.ros.bag import process
    except ModuleNotFoundError:
        raise
    except ImportError as error:  # the messages are not built
        raise ValueError(str(error)) from None
    return process(arguments)
