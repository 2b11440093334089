import struct
import zlib

import cv2
import numpy as np
import pytest

from mesh_perception.media import MediaError, VideoFile, expand, frame_count, read_frames, write_picture


def picture(value=0, size=(48, 64)):
    image = np.full((*size, 3), value, np.uint8)
    image[:, : size[1] // 2, 0] = 255  # the left half is red
    return image


def video(path, frames=12):
    with VideoFile(path, 25.0) as file:
        for i in range(frames):
            file.write(picture(10 * i))
    return path


def test_a_picture_comes_back_in_rgb(tmp_path):
    write_picture(tmp_path / 'a.png', picture(7))
    (frame,) = read_frames(tmp_path / 'a.png')
    assert np.array_equal(frame.image, picture(7)) and frame.name == str(tmp_path / 'a.png') and not frame.video


def test_a_video_comes_back_frame_by_frame_with_its_times(tmp_path):
    path = video(tmp_path / 'v.mp4')
    frames = list(read_frames(path))
    assert [f.name for f in frames] == [f'{path}#{i}' for i in range(12)] and frame_count(path) == 12
    assert [f.stamp for f in frames] == pytest.approx([i / 25 for i in range(12)])
    assert frames[0].image[24, 5, 0] > 200 > frames[0].image[24, 5, 2]


def test_folders_are_searched_in_order_for_pictures_and_videos(tmp_path):
    for name in ('b.png', 'a.jpg'):
        write_picture(tmp_path / name, picture())
    video(tmp_path / 'c.mp4')
    (tmp_path / 'notes.txt').write_text('no picture')
    assert [p.name for p in expand([tmp_path])] == ['a.jpg', 'b.png', 'c.mp4']


def test_missing_and_empty_places_are_refused_by_name(tmp_path):
    with pytest.raises(MediaError, match=r'none\.png: no such file or folder'):
        expand([tmp_path / 'none.png'])
    with pytest.raises(MediaError, match='no pictures or videos in this folder'):
        expand([tmp_path])


@pytest.mark.parametrize('name', ['a.png', 'a.txt', 'a.mp4'])
@pytest.mark.parametrize('content', [b'', b'hello', b'\x89PNG\r\n\x1a\n' + bytes(50)])
def test_what_cannot_be_decoded_is_refused_by_name(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(MediaError, match=name.replace('.', r'\.')):
        list(read_frames(tmp_path / name))


def test_a_picture_that_claims_to_be_huge_is_refused_by_name(tmp_path):
    def chunk(kind, data):
        return struct.pack('>I', len(data)) + kind + data + struct.pack('>I', zlib.crc32(kind + data))

    header = struct.pack('>IIBBBBB', 100_000, 100_000, 8, 2, 0, 0, 0)
    (tmp_path / 'bomb.png').write_bytes(
        b'\x89PNG\r\n\x1a\n' + chunk(b'IHDR', header) + chunk(b'IDAT', zlib.compress(b'0'))
    )
    with pytest.raises(MediaError, match=r'bomb\.png: not a picture that can be decoded'):
        list(read_frames(tmp_path / 'bomb.png'))


def test_a_truncated_video_gives_its_frames_and_then_says_where_it_broke_off(tmp_path):
    path = tmp_path / 'v.avi'
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*'MJPG'), 25.0, (64, 48))
    for i in range(60):
        writer.write(picture(i))
    writer.release()
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    frames = []
    with pytest.raises(MediaError, match='breaks off after'):
        for frame in read_frames(path):
            frames.append(frame)
    assert 10 < len(frames) < 60


def test_an_unwritable_picture_is_refused_by_name(tmp_path):
    with pytest.raises(MediaError, match='cannot be written'):
        write_picture(tmp_path / 'no' / 'such' / 'a.png', picture())


def test_a_picture_of_an_unknown_kind_is_refused_by_name(tmp_path):
    with pytest.raises(MediaError, match=r'a\.xyz: cannot be written'):
        write_picture(tmp_path / 'a.xyz', picture())


def test_a_video_has_frames_of_one_size(tmp_path):
    with VideoFile(tmp_path / 'v.mp4', 25.0) as file:
        file.write(picture())
        with pytest.raises(MediaError, match=r'64x48.*32x48'):
            file.write(picture(size=(48, 32)))
