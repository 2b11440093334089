"""Why images do not come, in one line, from what the middleware says of a camera's two topics."""

from collections import deque
from dataclasses import dataclass, field

from mesh_perception.ros.dds import LARGE_IMAGES, profile_variable

# Seconds that losses are taken over.
WINDOW = 5.0
# Lost images in that time, and their share of all, from which there is something to say.
LOST, LOST_SHARE = 5, 0.2
# Bytes of an image from which its size is the likely reason: one UDP datagram.
LARGE = 65_000


@dataclass
class Topic:
    """One subscription, as its events tell it."""

    name: str
    publishers: int = 0  # matched
    last: float | None = None  # when something came, s
    misfit: str = ''  # what is wrong with a publisher whose QoS does not fit
    others: list = field(default_factory=list)  # topics of the same type that somebody publishes, if nobody does this


class Silence:
    """What came and what did not; times are seconds of a clock that always runs."""

    def __init__(self, image, camera_info, now):
        """image, camera_info: names of the topics. now: when the waiting began."""
        self.image, self.camera_info = Topic(image), Topic(camera_info)
        self._since = now
        self._size = 0
        self._came = deque()  # (when, images that came, images lost on the way)

    def image_came(self, now, size):
        """An image of so many bytes came."""
        self.image.last, self._size = now, size
        self._came.append((now, 1, 0))

    def camera_info_came(self, now, size):
        """A camera_info came, for images of so many bytes; 0 where it does not tell."""
        self.camera_info.last = now
        self._size = size or self._size

    def images_lost(self, now, count):
        """The middleware noticed that so many images did not arrive."""
        self._came.append((now, 0, count))

    def matched(self, topic, publishers, now):
        """So many publishers are connected to a topic now."""
        if publishers and not topic.publishers:
            self._since = now  # patience starts anew
        topic.publishers = publishers

    def reason(self, now, patience):
        """One line on what is wrong; '' where nothing is, or not yet for `patience` seconds."""
        while self._came and now - self._came[0][0] > WINDOW:
            self._came.popleft()
        image, info = self.image, self.camera_info
        for topic in (image, info):
            if topic.misfit and not topic.publishers:
                return topic.misfit
        waited = now - max(self._since, image.last or 0)
        if waited > patience:
            return self._silent(image, info, waited, now)
        if image.last is not None and info.last is None and now - self._since > patience:
            return self._missing(info) or f'{info.name} is silent, its publisher is there'
        came, lost = (sum(entry[i] for entry in self._came) for i in (1, 2))
        if lost >= LOST and lost >= LOST_SHARE * (came + lost):
            return (
                f'{lost} of {came + lost} images were lost on the way from the publisher of {image.name}: '
                f'{self._remedy()}'
            )
        return ''

    def _silent(self, image, info, waited, now):
        if not image.publishers:
            return self._missing(image)
        there = f'{image.name} has {image.publishers} publisher(s), but nothing came for {waited:.0f} s'
        lost = sum(entry[2] for entry in self._came)
        if lost:
            return f'{there}, {lost} images were lost on the way: {self._remedy()}'
        if info.last is not None and now - info.last < waited:
            return f'{there}, while {info.name} comes: {self._remedy()}'
        return f'{there}: is the camera running?'

    def _missing(self, topic):
        if topic.publishers:
            return ''
        others = f'; there is {", ".join(topic.others)}: remap it' if topic.others else ''
        return f'nobody publishes {topic.name}{others}'

    def _remedy(self):
        if self._size and self._size < LARGE:
            return 'is the network or this machine overloaded?'
        return (
            f'use the shipped Fast DDS profile {LARGE_IMAGES} in both processes ({profile_variable()}), or '
            'image_reliability:=reliable, or image_transport:=compressed'
        )
