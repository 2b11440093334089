"""Milliseconds a stage and peak memory of one skeleton network on one device: what `mesh-perception benchmark` shows.

The stages are the pipeline's own, run on real footage. A crowd is the footage's two actors, repeated with small shifts:
what the stages do does not depend on who stands where.
"""

import resource
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import torch

from mesh_perception.configuration import load_config
from mesh_perception.crowd import ACTORS, crowd_of, find_scene
from mesh_perception.media import read_frames
from mesh_perception.pipeline import MeshPipeline
from mesh_perception.ros.demo.footage import demo_footage
from mesh_perception.stopwatch import Stopwatch
from mesh_perception.visualization.overlay import Overlay

_WARM_UP = 3  # frames


@dataclass(frozen=True)
class Plan:
    """How much to measure."""

    sizes: tuple = ((640, 480), (1088, 1920))
    people: tuple = (1, 2, 6, 20)
    movenet_sizes: tuple = (256, 384, 512)
    frames: int = 48  # of the footage, end to end
    seconds: float = 0.8  # to spend on a case at least, within the repetitions
    repetitions: tuple = (3, 20)

    def steps(self):
        """How often `measure` reports progress."""
        return len(self.sizes) * len(self.people) + len(self.movenet_sizes) + 2


QUICK = Plan(people=(1, 2), movenet_sizes=(384,), frames=12, seconds=0.2, repetitions=(2, 5))


def measure(network, device, plan, step=lambda: None):
    """All rows of one skeleton network on one device, as a dict of plain values. Calls `step` after each part.

    Raises ValueError where weights or footage are missing.
    """
    # End to end comes first: its memory is a user's, before larger crowds leave theirs behind.
    whole = []
    for size in plan.movenet_sizes:
        whole.append(_end_to_end(network, device, size, plan.frames))
        step()
    pipeline = _pipeline(network, device)
    result = {
        'network': network,
        'device': str(pipeline.device),
        'threads': torch.get_num_threads(),
        'detect_every': pipeline.config.tracking.detect_every,
        'end_to_end': whole,
        'rows': [],
    }
    for size in plan.sizes:
        scene = find_scene(pipeline, *size)
        for count in plan.people:
            result['rows'] += _rows(pipeline, scene, count, plan)
            step()
    result['alone'] = _network_alone(pipeline, network, plan)
    step()
    result['copies'] = _copies(pipeline) if pipeline.device.type == 'cuda' else None
    step()
    return result


def _pipeline(network, device, **overrides):
    pipeline = MeshPipeline(load_config('embedded', {'skeleton.network': network, 'device': device, **overrides}))
    pipeline.stopwatch = Stopwatch(synchronize=pipeline.device.type == 'cuda')
    return pipeline


@torch.inference_mode()
def _rows(pipeline, scene, count, plan):
    """The rows of a crowd of `count`, followed in a video and new in a single image."""
    _forget_peak()
    pipeline.reset()
    picture = torch.from_numpy(scene.image).to(pipeline.device)
    detect = _repeat(pipeline, plan, lambda: pipeline.detect(picture))['all']
    rows, last = [], {}
    for mode in ('video', 'single image'):
        pipeline.reset()
        detections = None
        if mode == 'video':
            pipeline.tracker.following = crowd_of(scene.tracks, count)
        else:
            detections = crowd_of(scene.detections, count)

        def look(detections=detections):
            last['seen'] = pipeline.look(torch.from_numpy(scene.image), scene.camera, detections)

        times = _repeat(pipeline, plan, look)
        stages = {name: times[name] for name in ('crop', 'skeleton', 'inverse kinematics', 'other')}
        found = detect / pipeline.config.tracking.detect_every if mode == 'video' else detect
        rows.append(
            {
                'mode': mode,
                'width': scene.camera.width,
                'height': scene.camera.height,
                'people': count,
                'milliseconds': {'detect': found, **stages, 'frame': found + times['all']},
            }
        )
    pipeline.reset()
    people = last['seen'].people
    people.track_ids, people.states = torch.arange(count), torch.ones(count, dtype=torch.uint8)
    outputs = _outputs(pipeline, scene, people, plan)
    for row in rows:
        row['milliseconds'] |= outputs
        row['peak_memory_mb'] = peak_memory()
        if pipeline.device.type == 'cuda':
            row['peak_gpu_memory_mb'] = torch.cuda.max_memory_allocated(pipeline.device) / 1e6
    return rows


def _outputs(pipeline, scene, people, plan):
    """Milliseconds of what is made of People: the mesh, messages (absent where ROS is), the overlay."""
    vertices = pipeline.meshes(people)
    times = {'mesh': _repeat(pipeline, plan, lambda: pipeline.meshes(people))['all']}
    send = _messages(pipeline, scene.camera, people)
    for name, action in send.items():
        times[name] = _repeat(pipeline, plan, action)['all']
    with Overlay(pipeline.body) as overlay:
        times['overlay'] = _repeat(pipeline, plan, lambda: overlay.draw(scene.image, scene.camera, people, vertices))[
            'all'
        ]
    return times


def _messages(pipeline, camera, people):
    """{'messages': People to a serialised SmplPeople without vertices, 'markers': and light meshes as markers}.

    Empty where ROS or the messages are missing.
    """
    try:
        from rclpy.serialization import serialize_message
        from std_msgs.msg import Header

        from mesh_perception.ros.markers import MarkerEncoder
        from mesh_perception.ros.messages import people_message
    except ImportError:
        return {}
    header, names = Header(frame_id='camera'), [f'p{i:04}' for i in range(len(people))]
    faces, encoder = pipeline.light_body.faces.cpu().numpy(), MarkerEncoder()

    def send():
        return serialize_message(people_message(people, names, header, camera, pipeline.body.id, pipeline.config.name))

    def send_markers():
        send()
        return encoder.encode(people, names, header, pipeline.meshes(people, light=True), faces)

    return {'messages': send, 'markers': send_markers}


def _repeat(pipeline, plan, action):
    """Medians in ms over repetitions after a warm-up: 'all', the pipeline's stages as its stopwatch names them, and
    'other', what is left."""
    watch, runs = pipeline.stopwatch, []
    for run in range(plan.repetitions[1] + 1):
        watch.milliseconds = {}
        begin = watch._now()
        action()
        spent = 1e3 * (watch._now() - begin)
        if run:
            runs.append({**watch.milliseconds, 'all': spent, 'other': spent - sum(watch.milliseconds.values())})
        if len(runs) >= plan.repetitions[0] and sum(r['all'] for r in runs) > 1e3 * plan.seconds:
            break
    return {name: median(r[name] for r in runs) for name in runs[0]}


def _end_to_end(network, device, movenet_size, frames):
    """The pipeline on the footage, frame after frame, without decoding, mesh and overlay; two people at most."""
    _forget_peak()
    pipeline = _pipeline(network, device, **{'detection.movenet_size': movenet_size, 'tracking.max_people': ACTORS})
    path, camera = demo_footage('cam01')
    times, counts, detections = [], [], 0
    for index, frame in enumerate(read_frames(path)):
        begin = time.perf_counter()
        people = pipeline(frame.image, camera, frame.stamp)
        spent = time.perf_counter() - begin
        if index >= _WARM_UP:
            times.append(spent)
            counts.append(len(people))
            detections += 'detect' in pipeline.stopwatch.milliseconds
        if len(times) == frames:
            break
    return {
        'movenet_size': movenet_size,
        'width': camera.width,
        'height': camera.height,
        'frames': len(times),
        'frames_with_both': sum(count == ACTORS for count in counts),
        'detections': detections,
        'frames_per_second': len(times) / sum(times),
        'milliseconds_median': 1e3 * median(times),
        'peak_memory_mb': peak_memory(),
    }


def _network_alone(pipeline, network, plan):
    """The skeleton network on one crop, and its original runtime (CPU) where that is installed, by turns."""
    from mesh_perception.weights.networks import NETWORKS
    from mesh_perception.weights.store import path_of

    images = torch.rand(1, 3, 256, 256, device=pipeline.device)
    module = pipeline.skeleton.blazepose.network
    row = {'ours_ms': _repeat(pipeline, plan, lambda: module(images))['all'], 'original_ms': None, 'original': None}
    if pipeline.device.type != 'cpu':
        return row
    try:
        from ai_edge_litert.interpreter import Interpreter
    except ImportError:
        return row
    original = Interpreter(str(path_of(NETWORKS[network].files[0])), num_threads=torch.get_num_threads())
    original.allocate_tensors()
    original.set_tensor(original.get_input_details()[0]['index'], images.permute(0, 2, 3, 1).contiguous().numpy())
    pairs = [
        (_repeat(pipeline, plan, lambda: module(images))['all'], _repeat(pipeline, plan, original.invoke)['all'])
        for _ in range(3)
    ]
    return {
        'ours_ms': median(p[0] for p in pairs),
        'original_ms': median(p[1] for p in pairs),
        'original': 'ai-edge-litert, its segmentation included',
    }


def _copies(pipeline):
    """How often the pipeline copies to the GPU and back in a frame in which it follows, by torch's profiler."""
    from torch.profiler import ProfilerActivity, profile

    path, camera = demo_footage('cam01')
    pipeline.reset()
    counts = []
    for index, frame in enumerate(read_frames(path)):
        with profile(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA]) as profiler:
            pipeline(frame.image, camera, frame.stamp)
        names = [event.name for event in profiler.events()]
        if 'detect' not in pipeline.stopwatch.milliseconds:
            counts.append([sum(name.startswith(f'Memcpy {way}') for name in names) for way in ('HtoD', 'DtoH')])
        if index == _WARM_UP + 5:
            break
    return {'to_device': median(c[0] for c in counts), 'to_host': median(c[1] for c in counts)} if counts else None


def _forget_peak():
    """Starts the peaks anew; where Linux lets no process do so, peak_memory is that since the start."""
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
    try:
        Path('/proc/self/clear_refs').write_text('5')
    except OSError:
        pass


def peak_memory():
    """Peak resident memory of this process in MB (10^6 bytes), since `_forget_peak` where the system can tell."""
    try:
        for line in Path('/proc/self/status').read_text().splitlines():
            if line.startswith('VmHWM:'):
                return int(line.split()[1]) * 1024 / 1e6
    except OSError:
        pass
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
