"""`mesh-perception run` on real pictures, videos and folders, and on what users give it by mistake."""

import json
import os
import subprocess
import sys
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
import pytest

from mesh_perception.cli import main
from mesh_perception.media import VideoFile, frame_count, read_frames, read_picture, write_picture
from mesh_perception.ros.demo.footage import demo_footage
from mesh_perception.run import overlay_paths

LENGTHS = {
    'box': (4,),
    'joints': (24, 3),
    'joints_2d': (24, 2),
    'joint_confidence': (24,),
    'pose': (72,),
    'betas': (10,),
    'translation': (3,),
}
SIZE = (544, 960)  # width and height, half of the footage's
RATE = 12.5


@pytest.fixture(scope='module')
def pictures():
    """Four frames of the footage, half as large."""
    path, _ = demo_footage('cam01')
    return [cv2.resize(frame.image, SIZE, interpolation=cv2.INTER_AREA) for frame in islice(read_frames(path), 4)]


@pytest.fixture(scope='module')
def place(tmp_path_factory, pictures):
    """two.png, two.mp4 and folder/two.jpg: two people; black.png: nobody."""
    place = tmp_path_factory.mktemp('inputs')
    (place / 'folder').mkdir()
    write_picture(place / 'two.png', pictures[0])
    write_picture(place / 'folder' / 'two.jpg', pictures[3])
    write_picture(place / 'black.png', np.zeros((96, 128, 3), np.uint8))
    with VideoFile(place / 'two.mp4', RATE) as video:
        for picture in pictures:
            video.write(picture)
    return place


@pytest.fixture(scope='module')
def answers(place):
    """One run over a picture, a video and a folder, from inside their folder. -> (exit code, the JSON's content)"""
    before = os.getcwd()
    os.chdir(place)
    try:
        code = main(
            [
                'run',
                './two.png',
                'two.mp4',
                'folder',
                'black.png',
                '--out',
                'out',
                '--json',
                'people.json',
                '--device',
                'cpu',
                '--fov',
                '60',
            ]
        )
    finally:
        os.chdir(before)
    return code, json.loads((place / 'people.json').read_text())


def run_command(*arguments, **environment):
    """A real process; -> (exit code, lines on stdout, lines on stderr)."""
    done = subprocess.run(
        [sys.executable, '-m', 'mesh_perception.cli', 'run', *map(str, arguments)],
        text=True,
        capture_output=True,
        env={**os.environ, **environment},
        timeout=120,
    )
    return done.returncode, done.stdout.splitlines(), done.stderr.splitlines()


def test_every_input_is_answered_under_its_name_as_given(answers):
    code, people = answers
    assert code == 0
    assert list(people) == ['./two.png', *(f'two.mp4#{i}' for i in range(4)), 'folder/two.jpg', 'black.png']


def test_people_have_exactly_the_keys_and_lengths_of_the_contract(answers):
    for name, people in answers[1].items():
        for person in people:
            assert list(person) == [
                'track_id',
                'score',
                'box',
                'joints',
                'joints_2d',
                'joint_confidence',
                'pose',
                'betas',
                'translation',
            ], name
            assert isinstance(person['track_id'], int) and 0 < person['score'] <= 1
            for key, shape in LENGTHS.items():
                values = np.array(person[key])
                assert values.shape == shape and values.dtype == np.float64 and np.isfinite(values).all(), (name, key)


def test_the_two_actors_are_found_and_keep_their_ids_through_a_video(answers):
    people = answers[1]
    assert all(len(people[name]) >= 2 for name in people if name != 'black.png')
    near = [
        {p['track_id'] for p in sorted(people[f'two.mp4#{i}'], key=lambda p: p['translation'][2])[:2]} for i in range(4)
    ]
    assert near == [near[0]] * 4


def test_a_picture_with_nobody_is_a_normal_case(answers, place):
    assert answers[1]['black.png'] == []
    assert not read_picture(place / 'out' / 'black.png').any()


def test_overlays_show_people_and_do_not_overwrite_one_another(answers, place, pictures):
    assert sorted(p.name for p in (place / 'out').iterdir()) == ['black.png', 'two-2.png', 'two.mp4', 'two.png']
    for name, original in (('two.png', pictures[0]), ('two-2.png', pictures[3])):
        picture = read_picture(place / 'out' / name)
        changed = (np.abs(picture.astype(int) - original).max(-1) > 40).mean()
        assert picture.shape == original.shape and 0.02 < changed < 0.5


def test_an_overlay_video_keeps_the_frame_rate_and_length(answers, place):
    path = place / 'out' / 'two.mp4'
    frames = list(read_frames(path))
    assert len(frames) == frame_count(path) == 4 and frames[0].rate == pytest.approx(RATE)
    assert frames[0].image.shape == (SIZE[1], SIZE[0], 3)


def test_no_overlay_writes_no_pictures(place, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(['run', str(place / 'black.png'), '--no-overlay', '--device', 'cpu']) == 0
    output = capsys.readouterr()
    assert list(tmp_path.iterdir()) == [] and output.out == '1 frame, nobody found\n'
    assert 'assuming a field of view of 55 degrees' in output.err


def test_overlay_names_are_numbered_and_never_an_inputs():
    out = Path('out')
    assert overlay_paths(['a/x.png', Path('b/x.jpg'), 'x.mp4', 'c/x.mov', 'y.png'], out) == [
        out / name for name in ('x.png', 'x-2.png', 'x.mp4', 'x-2.mp4', 'y.png')
    ]
    assert overlay_paths(['out/x.png', 'out/x-2.png'], out) == [out / 'x-3.png', out / 'x-2-2.png']


def test_bad_inputs_are_named_in_a_line_each_and_the_others_are_processed(place, tmp_path, pictures):
    (tmp_path / 'empty.png').write_bytes(b'')
    (tmp_path / 'text.jpg').write_text('not a picture')
    (tmp_path / 'broken.png').write_bytes(b'\x89PNG\r\n\x1a\n' + bytes(50))
    (tmp_path / 'none').mkdir()
    (tmp_path / 'cut.mp4').write_bytes((place / 'two.mp4').read_bytes()[:5000])
    motion_jpeg = cv2.VideoWriter_fourcc(*'MJPG')
    for name, count in (('short.avi', 12), ('zero.avi', 0)):
        writer = cv2.VideoWriter(str(tmp_path / name), motion_jpeg, 10.0, (128, 96))
        for index in range(count):
            writer.write(np.random.default_rng(index).integers(0, 255, (96, 128, 3), np.uint8))
        writer.release()
    data = (tmp_path / 'short.avi').read_bytes()
    (tmp_path / 'short.avi').write_bytes(data[: len(data) * 6 // 10])
    bad = {
        'missing.png': 'no such file or folder',
        'none': 'no pictures or videos in this folder',
        'empty.png': 'not a picture',
        'text.jpg': 'not a picture',
        'broken.png': 'not a picture',
        'cut.mp4': 'not a video',
        'short.avi': 'breaks off after',
        'zero.avi': 'a video without frames',
    }
    code, out, err = run_command(
        *(tmp_path / name for name in bad),
        place / 'two.png',
        '--device',
        'cpu',
        '--fov',
        60,
        '--json',
        tmp_path / 'people.json',
        '--out',
        tmp_path / 'out',
    )
    assert code == 1
    # Beside ours: OpenCV's libpng says what its version finds wrong, and a machine without EGL how it draws.
    err = [line for line in err if not line.startswith(('libpng ', 'meshes are painted coarsely'))]
    assert len(err) == len(bad), err
    for line, (name, reason) in zip(err, bad.items(), strict=True):
        assert line.startswith(f'mesh-perception: {tmp_path / name}: ') and reason in line
    people = json.loads((tmp_path / 'people.json').read_text())
    assert len(people[str(place / 'two.png')]) >= 2  # the good one
    before_the_end = [name for name in people if 'short.avi' in name]
    assert 0 < len(before_the_end) < 12  # and what could be read of the truncated one
    assert len(out) == 1 and out[0].startswith(f'{1 + len(before_the_end)} frames, ')


def calibration(path, size):
    path.write_text(f"""image_width: {size[0]}
image_height: {size[1]}
camera_matrix: {{rows: 3, cols: 3, data: [900, 0, 271.5, 0, 900, 479.5, 0, 0, 1]}}
distortion_model: plumb_bob
distortion_coefficients: {{rows: 1, cols: 5, data: [-0.05, 0.02, 0, 0, 0]}}
""")
    return str(path)


def test_a_calibration_of_another_size_is_refused_for_the_pictures_it_does_not_fit(place, tmp_path, capsys):
    camera = calibration(tmp_path / 'camera.yaml', SIZE)
    assert (
        main(
            [
                'run',
                str(place / 'black.png'),
                str(place / 'two.png'),
                '--camera-info',
                camera,
                '--no-overlay',
                '--device',
                'cpu',
                '--json',
                str(tmp_path / 'people.json'),
            ]
        )
        == 1
    )
    people = json.loads((tmp_path / 'people.json').read_text())
    assert list(people) == [str(place / 'two.png')] and len(people[str(place / 'two.png')]) >= 2
    assert capsys.readouterr().err == (
        f'mesh-perception: {place / "black.png"}: {camera} is for pictures of 544x960, this one is 128x96\n'
    )


@pytest.mark.parametrize(
    'arguments, said',
    [
        (['--camera', '900,900,271'], "--camera '900,900,271': expected four numbers fx,fy,cx,cy"),
        (['--camera', '900,900,271,x'], 'expected four numbers fx,fy,cx,cy'),
        (['--camera', '0,900,271,479'], 'focal lengths 0 and 900'),
        (['--camera', '900,nan,271,479'], 'finite numbers'),
        (['--fov', '0'], 'more than 0 and less than 180'),
        (['--camera-info', 'none.yaml'], 'none.yaml'),
        (['--models', 'papre'], "unknown model set 'papre'"),
        (['--models', 'mine.yaml'], "unknown key 'skeleton.netwrok'"),
        (['--device', 'gpu'], "unknown device 'gpu'"),
        (['--body', 'none.pkl'], 'none.pkl'),
        (['--out', 'file/below'], 'file/below: cannot be written: Not a directory'),
        (['--json', 'file/below.json'], 'file/below.json: cannot be written: Not a directory'),
        (['--json', 'other.png'], '--json other.png: that is the name of a picture'),
    ],
)
def test_a_mistake_in_the_arguments_is_said_in_one_line_before_the_work(
    place, tmp_path, monkeypatch, capsys, arguments, said
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'file').write_text('')
    (tmp_path / 'mine.yaml').write_text('skeleton: {netwrok: blazepose_full}')
    assert main(['run', str(place / 'two.png'), *arguments]) == 1
    output = capsys.readouterr()
    assert said in output.err and output.err.startswith('mesh-perception: ') and output.err.count('\n') == 1
    assert output.out == ''


def test_people_of_an_earlier_run_outlive_a_mistake_in_the_next(place, tmp_path, capsys):
    people, fresh = tmp_path / 'people.json', tmp_path / 'fresh.json'
    people.write_text('{"earlier": []}')
    for file in (people, fresh):
        arguments = ['--no-overlay', '--json', str(file), '--fov', '200']
        assert main(['run', str(place / 'two.png'), *arguments]) == 1
    assert people.read_text() == '{"earlier": []}' and not fresh.exists()


def test_missing_weights_are_named_with_the_command_that_gets_them(place, tmp_path):
    code, out, err = run_command(
        place / 'two.png', '--no-overlay', '--fov', 60, MESH_PERCEPTION_CACHE=str(tmp_path / 'cache')
    )
    assert (code, out) == (1, []) and len(err) == 1
    assert 'is missing' in err[0] and err[0].endswith('run `mesh-perception weights fetch`')
