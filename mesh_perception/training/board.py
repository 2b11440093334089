"""Curves for TensorBoard, where it is installed. Written at once and by nobody else: torch's writer has a thread of its
own, which on a full disk ends in a traceback."""

import time
from pathlib import Path


class Board:
    """One file of events in `folder`. Curves drawn earlier are cut behind `step`. Raises ImportError without
    tensorboard, and OSError where nothing can be written."""

    def __init__(self, folder: Path, step: int):
        from tensorboard.compat.proto.event_pb2 import Event, SessionLog
        from tensorboard.compat.proto.summary_pb2 import Summary
        from tensorboard.summary.writer.record_writer import RecordWriter

        self.Event, self.Summary = Event, Summary
        folder.mkdir(parents=True, exist_ok=True)
        self.file = (folder / f'events.out.tfevents.{time.time_ns()}').open('wb', buffering=0)
        self.records = RecordWriter(self.file)
        self._write(file_version='brain.Event:2')
        self._write(step=step + 1, session_log=SessionLog(status=SessionLog.START))

    def plot(self, step: int, curves: dict[str, float]):
        """A point on each curve."""
        points = [self.Summary.Value(tag=name, simple_value=value) for name, value in curves.items()]
        self._write(step=step, summary=self.Summary(value=points))

    def close(self):
        """Nothing more comes."""
        self.file.close()

    def _write(self, **event):
        self.records.write(self.Event(wall_time=time.time(), **event).SerializeToString())
