"""`mesh-perception run`: pictures, videos and folders to meshes, without ROS."""
import json
import sys
from contextlib import ExitStack
from pathlib import Path

from tqdm import tqdm

from mesh_perception.configuration import load_config
from mesh_perception.geometry.camera import Camera, CameraError
from mesh_perception.media import MediaError, VideoFile, expand, frame_count, read_frames, write_picture
from mesh_perception.pipeline import MeshPipeline
from mesh_perception.records import people_records
from mesh_perception.visualization.overlay import Overlay

FIELD_OF_VIEW = 55.0  # degrees across the longer side, where nothing is known of the camera


def register(subparsers):
    """Adds the command to the command line."""
    parser = subparsers.add_parser('run', help='meshes of the people in pictures, videos or folders, without ROS',
                                   description='Reconstructs the people in pictures, videos and folders of both.')
    parser.add_argument('inputs', nargs='+', metavar='IMAGE|VIDEO|FOLDER')
    parser.add_argument('--models', default='embedded', help='a model set, or the path of one (default: embedded)')
    parser.add_argument('--body', help="an SMPL .pkl or .npz of your own instead of the set's body")
    parser.add_argument('--device', help='auto, cpu, cuda or cuda:N')
    camera = parser.add_mutually_exclusive_group()
    camera.add_argument('--camera', metavar='fx,fy,cx,cy', help='intrinsics in pixels, without distortion')
    camera.add_argument('--camera-info', metavar='FILE.yaml', help="a calibration file as ROS's camera_calibration "
                        'writes it, distortion included')
    camera.add_argument('--fov', type=float, metavar='DEG', help='field of view across the longer side; without any '
                        f'of the three {FIELD_OF_VIEW:g} degrees are assumed, and all metres scale with the guess')
    parser.add_argument('--out', type=Path, metavar='DIR', help='where overlays go (default: out/run)')
    parser.add_argument('--json', type=Path, metavar='FILE', help='write the people of every frame here')
    parser.add_argument('--no-overlay', action='store_true', help='write no pictures and no videos')
    parser.set_defaults(handler=run)


def camera_for(arguments, width, height):
    """The Camera for a picture of this size. Raises CameraError."""
    if arguments.camera_info:
        camera = Camera.from_yaml(arguments.camera_info)
        if (camera.width, camera.height) != (width, height):
            raise CameraError(f'{arguments.camera_info}: calibrated for {camera.width}x{camera.height}, '
                              f'but the picture is {width}x{height}')
        return camera
    if arguments.camera:
        try:
            fx, fy, cx, cy = map(float, arguments.camera.split(','))
        except ValueError:
            raise CameraError(f'--camera {arguments.camera!r}: expected four numbers fx,fy,cx,cy') from None
        return Camera.from_intrinsics(width, height, fx, fy, cx, cy)
    return Camera.from_fov(width, height, arguments.fov or FIELD_OF_VIEW)


def run(arguments):
    """Runs the command; a bad file is named and the others still run. -> exit code."""
    config = load_config(arguments.models, {key: value for key, value in
                                            {'body': arguments.body, 'device': arguments.device}.items() if value})
    files = expand(arguments.inputs)
    out = None if arguments.no_overlay else _folder(arguments.out or Path('out/run'))
    if arguments.json:
        _write(arguments.json, '{}')  # before the work, not after it
    pipeline = MeshPipeline(config)
    if not (arguments.camera or arguments.camera_info or arguments.fov):
        print(f'No camera given: assuming a field of view of {FIELD_OF_VIEW:g} degrees; metres scale with this guess.',
              file=sys.stderr)
    records, failures = {}, 0
    for file in files:
        pipeline.reset()
        try:
            _one_file(file, arguments, pipeline, out, records)
        except (MediaError, CameraError) as error:
            print(f'mesh-perception: {error}', file=sys.stderr)
            failures += 1
    if arguments.json:
        _write(arguments.json, json.dumps(records))
    frames, people = len(records), sum(map(len, records.values()))
    print(f'{frames} {"frame" if frames == 1 else "frames"}, {people} people'
          + (f'; overlays in {out}' if out and frames else ''))
    return 1 if failures else 0


def _one_file(file, arguments, pipeline, out, records):
    camera = overlay = None
    with ExitStack() as stack:
        video = None
        for frame in tqdm(read_frames(file), total=frame_count(file), desc=file.name, unit='frame',
                          disable=not sys.stderr.isatty()):
            height, width = frame.image.shape[:2]
            if camera is None:
                camera = camera_for(arguments, width, height)
            people = pipeline(frame.image, camera, frame.stamp)
            records[frame.name] = people_records(people)
            if out is None:
                continue
            if overlay is None:
                overlay = stack.enter_context(Overlay(pipeline.body))
            picture = overlay.draw(frame.image, camera, people, pipeline.meshes(people))
            if not frame.video:
                write_picture(out / f'{file.stem}.png', picture)
                continue
            if video is None:
                video = stack.enter_context(VideoFile(out / f'{file.stem}.mp4', 30.0))
            video.write(picture)


def _folder(path):
    try:
        path.mkdir(parents=True, exist_ok=True)
        probe = path / '.writable'
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise MediaError(f'{path}: cannot be written: {error.strerror}') from None
    return path


def _write(path, text):
    try:
        path.write_text(text)
    except OSError as error:
        raise MediaError(f'{path}: cannot be written: {error.strerror}') from None
