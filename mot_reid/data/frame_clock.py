"""Which frame of a file a decoded picture is, and when: by the file's time stamps, so that a lost frame is a gap."""

from __future__ import annotations

from collections import deque
from statistics import median

_GAP = 1.5
_KNOWN = 5
_MOSTLY = 0.9
_JUMP_SECONDS = 3600.0
_ROUNDING = 0.1


class FrameClock:
    """Gives each picture of a file its number and its time.

    A decoder leaves damaged frames out without a word, and a recorder may have dropped some: the next picture then
    comes later than one interval. Where the intervals are regular otherwise, such a gap is counted in frames. Where
    they are not (variable frame rate, as in screen recordings), pictures are counted one by one.

    Args:
        frame_rate: frames per second as announced by the file.

    Attributes:
        number: of the last picture, from 1; 0 before the first.
        lost: frames that are missing between pictures.
    """

    def __init__(self, frame_rate: float) -> None:
        self.number = 0
        self.lost = 0
        self._rate = frame_rate
        self._start: float | None = None
        self._stamp = 0.0
        self._seconds = -1.0
        self._damaged = False
        self._intervals: deque[float] = deque(maxlen=60)
        self._regular, self._all = 0, 0

    def place(self, stamp: float, *, failures: int = 0) -> float | None:
        """Counts a picture; returns its time in seconds, or None for one that comes too late to be in order.

        Args:
            stamp: time stamp in seconds; the same for every picture where the file has none.
            failures: times that the decoder failed since the last picture.
        """
        self._damaged = self._damaged or failures > 0
        if self._start is None:
            steps = 1 + (max(failures, round(stamp * self._rate)) if failures else 0)
            self._start = 0.0 if failures else stamp
        elif self._damaged and stamp < self._stamp and self._stamp - stamp < 1:
            return None
        else:
            steps = self._steps(stamp - self._stamp, failures)
        self.lost += steps - 1
        self.number += steps
        self._stamp = stamp
        self._seconds = self._rounded(stamp - self._start)
        return self._seconds

    def count(self, seconds: float) -> float:
        """Counts a picture of a camera or stream, where nothing is known of those that are missing.

        Args:
            seconds: since the first picture.
        """
        self.number += 1
        self._seconds = self._rounded(seconds) if seconds <= self._seconds else seconds
        return self._seconds

    def _steps(self, interval: float, failures: int) -> int:
        """Returns how many frames later a picture is than the one before."""
        if not 0 < interval < _JUMP_SECONDS:
            return 1 + failures
        usual = median(self._intervals) if len(self._intervals) >= _KNOWN else 1 / self._rate
        self._intervals.append(interval)
        steady = self._all < _KNOWN or self._regular >= _MOSTLY * self._all
        self._all += 1
        if interval < _GAP * usual:
            self._regular += 1
            return 1
        return round(interval / usual) if steady else 1 + failures

    def _rounded(self, seconds: float) -> float:
        """Returns the time by the frame rate, or by the stamp where that says otherwise; times grow.

        Stamps are rounded in some formats (to a millisecond in .mkv), so those that agree are not taken literally.
        """
        regular = (self.number - 1) / self._rate
        if abs(seconds - regular) * self._rate < _ROUNDING:
            seconds = regular
        return seconds if seconds > self._seconds else max(self._seconds + 1e-3, regular)
