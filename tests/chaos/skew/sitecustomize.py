"""Loaded first by a worker whose clock is to be wrong: shifts `time.time` by CHAOS_SKEW_S seconds."""

import os
import time

_shift_s = float(os.environ.get("CHAOS_SKEW_S", "0"))
_time, _time_ns = time.time, time.time_ns
if _shift_s:
    time.time = lambda: _time() + _shift_s
    time.time_ns = lambda: _time_ns() + int(_shift_s * 1e9)
