"""`mesh-perception run`: pictures, videos and folders to meshes, without ROS.

What needs torch is imported where it is used: `--help` and mistakes in the arguments answer at once.
"""

import json
import sys
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryFile

from tqdm import tqdm

from mesh_perception.configuration import load_config
from mesh_perception.media import (
    PICTURES,
    VIDEOS,
    MediaError,
    VideoFile,
    expand,
    frame_count,
    read_frames,
    write_picture,
)

FIELD_OF_VIEW = 55.0  # degrees across the longer side, where nothing is known of the camera


def register(subparsers):
    """Adds the command to the command line."""
    parser = subparsers.add_parser(
        'run',
        help='meshes of the people in pictures, videos or folders, without ROS',
        description='Draws the meshes of the people in pictures, videos and folders of both over them.',
    )
    parser.add_argument('inputs', nargs='+', metavar='IMAGE|VIDEO|FOLDER')
    parser.add_argument('--models', default='embedded', help='a model set, or the path of one (default: embedded)')
    parser.add_argument('--body', help="an SMPL .pkl or .npz of your own instead of the set's body")
    parser.add_argument('--device', help='auto (the GPU where there is one), cpu, cuda or cuda:N (default: auto)')
    camera = parser.add_mutually_exclusive_group()
    camera.add_argument('--camera', metavar='fx,fy,cx,cy', help='intrinsics in pixels, without distortion')
    camera.add_argument(
        '--camera-info',
        metavar='FILE.yaml',
        help="a calibration file as ROS's camera_calibration writes it, distortion included",
    )
    camera.add_argument(
        '--fov',
        type=float,
        metavar='DEG',
        help='field of view across the longer side; without any '
        f'of the three {FIELD_OF_VIEW:g} degrees are assumed, and all metres scale with the guess',
    )
    parser.add_argument(
        '--out', type=Path, default=Path('out/run'), metavar='DIR', help='where overlays go (default: out/run)'
    )
    parser.add_argument('--json', type=Path, metavar='FILE', help='write the people of every frame here')
    parser.add_argument(
        '--attention',
        metavar='JOINT',
        help="draw, instead of meshes, what the refiner's attention links this joint of everybody to (left_elbow, ...)",
    )
    parser.add_argument('--no-overlay', action='store_true', help='write no pictures and no videos')
    parser.set_defaults(handler=run)


def run(arguments):
    """Runs the command; a bad input is named and the others still run. -> exit code."""
    config = load_config(
        arguments.models,
        {key: value for key, value in {'body': arguments.body, 'device': arguments.device}.items() if value},
    )
    failures = []
    files = list(dict.fromkeys(_files(arguments.inputs, failures)))
    if not files:
        return 1
    if arguments.json:
        _prepare_json(arguments.json)
    out = None if arguments.no_overlay else _folder(arguments.out)
    camera_of = _camera_source(arguments)

    from mesh_perception.pipeline import MeshPipeline
    from mesh_perception.visualization.attention import draw_attention, joint_number
    from mesh_perception.visualization.overlay import Overlay

    if arguments.attention is not None:
        joint_number(arguments.attention)
    pipeline = MeshPipeline(config, attention=arguments.attention is not None)
    if not (arguments.camera or arguments.camera_info or arguments.fov is not None):
        print(
            f'No camera given: assuming a field of view of {FIELD_OF_VIEW:g} degrees; metres scale with this guess.',
            file=sys.stderr,
        )
    records = {}
    try:
        with (
            Overlay(pipeline.body) as overlay,
            tqdm(total=sum(map(frame_count, files)), unit='frame', disable=not sys.stderr.isatty()) as bar,
        ):

            def draw(image, camera, people):
                if pipeline.attention:
                    return draw_attention(image, people, pipeline.last_attention, arguments.attention)
                return overlay.draw(image, camera, people, pipeline.meshes(people))

            for file, target in zip(files, overlay_paths(files, arguments.out), strict=True):
                bar.set_postfix_str(Path(file).name)
                pipeline.reset()
                try:
                    _one_file(file, target if out else None, camera_of, pipeline, draw, records, bar)
                except ValueError as error:
                    _complain(error, failures)
    finally:  # whoever interrupts a long video keeps what was found
        if arguments.json:
            _write(arguments.json, json.dumps(records))
    frames, most = len(records), max(map(len, records.values()), default=0)
    if frames:
        print(
            f'{frames} {"frame" if frames == 1 else "frames"}, '
            + (f'at most {most} {"person" if most == 1 else "people"} in one' if most else 'nobody found')
            + (f'; overlays in {out}' if out else '')
            + (f'; people in {arguments.json}' if arguments.json else '')
        )
    return 1 if failures else 0


def overlay_paths(files, folder):
    """Where each file's overlay goes: FOLDER/STEM.png or .mp4, numbered where two files would share one.

    Never a path of `files` themselves. -> list of Path, one a file
    """
    taken, targets = {Path(file).resolve() for file in files}, []
    for file in map(Path, files):
        suffix, number = '.mp4' if file.suffix.lower() in VIDEOS else '.png', 2
        target = folder / f'{file.stem}{suffix}'
        while target.resolve() in taken:
            target = folder / f'{file.stem}-{number}{suffix}'
            number += 1
        taken.add(target.resolve())
        targets.append(target)
    return targets


def _camera_source(arguments):
    """-> function from width and height to the Camera. Mistakes that no picture could mend raise CameraError here."""
    from mesh_perception.geometry.camera import Camera, CameraError

    if arguments.camera_info:
        camera = Camera.from_yaml(arguments.camera_info)

        def calibrated(width, height):
            if (camera.width, camera.height) != (width, height):
                raise CameraError(
                    f'{arguments.camera_info} is for pictures of {camera.width}x{camera.height}, '
                    f'this one is {width}x{height}'
                )
            return camera

        return calibrated

    if arguments.camera:
        try:
            fx, fy, cx, cy = map(float, arguments.camera.split(','))
        except ValueError:
            raise CameraError(f'--camera {arguments.camera!r}: expected four numbers fx,fy,cx,cy') from None

        def source(width, height):
            return Camera.from_intrinsics(width, height, fx, fy, cx, cy)
    else:
        degrees = FIELD_OF_VIEW if arguments.fov is None else arguments.fov

        def source(width, height):
            return Camera.from_fov(width, height, degrees)

    source(1, 1)
    return source


def _files(inputs, failures):
    for given in inputs:
        try:
            yield from expand([given])
        except (MediaError, OSError) as error:
            _complain(error, failures)


def _one_file(file, target, camera_of, pipeline, draw, records, bar):
    from mesh_perception.records import people_records

    camera = None
    with ExitStack() as stack:
        video = None
        for frame in read_frames(file):
            if camera is None:
                height, width = frame.image.shape[:2]
                try:
                    camera = camera_of(width, height)
                except ValueError as error:
                    raise MediaError(f'{file}: {error}') from None
            people = pipeline(frame.image, camera, frame.stamp)
            if target is not None:
                picture = draw(frame.image, camera, people)
                if frame.video:
                    video = video or stack.enter_context(VideoFile(target, frame.rate))
                    video.write(picture)
                else:
                    write_picture(target, picture)
            records[frame.name] = people_records(people)
            bar.update()


def _complain(error, failures):
    failures.append(error)
    tqdm.write(f'mesh-perception: {" ".join(str(error).split())}', file=sys.stderr)


def _folder(path):
    try:
        path.mkdir(parents=True, exist_ok=True)
        TemporaryFile(dir=path).close()
    except OSError as error:
        raise _unwritable(path, error) from None
    return path


def _prepare_json(path):
    """Says before the work, not after it, that the file cannot be written."""
    if path.suffix.lower() in PICTURES + VIDEOS:  # `--json` followed by an input
        raise MediaError(f'--json {path}: that is the name of a picture or a video, expected that of a JSON file')
    there = path.exists()
    try:
        path.open('a').close()  # what an earlier run left stays until there is something new
    except OSError as error:
        raise _unwritable(path, error) from None
    if not there:
        path.unlink()


def _write(path, text):
    try:
        path.write_text(text)
    except OSError as error:
        raise _unwritable(path, error) from None


def _unwritable(path, error):
    return MediaError(f'{path}: cannot be written: {error.strerror}')
