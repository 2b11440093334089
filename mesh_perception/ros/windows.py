"""Rates over some seconds and percentiles over some frames, for diagnostics."""

from collections import defaultdict, deque


class Rates:
    """Counts a second, from totals that are looked at now and then."""

    def __init__(self, seconds):
        """seconds: how far back a rate reaches, where there is as much."""
        self._seconds = seconds
        self._looks = deque()

    def clear(self):
        """Starts over."""
        self._looks.clear()

    def add(self, now, totals):
        """Looks at totals {name: count} at a time, s. -> {name: a second} and 'span', the seconds looked back; 0 for
        everything at the first look."""
        while len(self._looks) > 1 and now - self._looks[1][0] >= self._seconds:
            self._looks.popleft()
        since, before = self._looks[0] if self._looks else (now, totals)
        self._looks.append((now, dict(totals)))
        span = now - since
        rates = defaultdict(float, span=span)
        if span > 0:
            rates.update({name: (total - before.get(name, 0)) / span for name, total in totals.items()})
        return rates


class Percentiles:
    """Median and 95th percentile of named times over the last frames."""

    def __init__(self, frames):
        self._frames = frames
        self._times = {}

    def clear(self):
        """Forgets all, names too."""
        self._times = {}

    def add(self, times):
        """One frame's {name: ms}; names may differ from frame to frame."""
        for name, spent in times.items():
            self._times.setdefault(name, deque(maxlen=self._frames)).append(spent)

    def values(self):
        """{'<name>, median, ms' and '<name>, 95 %, ms': text}, names in the order in which they first came."""
        result = {}
        for name, times in self._times.items():
            ordered = sorted(times)
            for title, share in (('median', 0.5), ('95 %', 0.95)):
                result[f'{name}, {title}, ms'] = f'{_quantile(ordered, share):.1f}'
        return result


def _quantile(ordered, share):
    """Between the two nearest of rising numbers; faster than numpy's on so few."""
    place = share * (len(ordered) - 1)
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (place - low) * (ordered[high] - ordered[low])
