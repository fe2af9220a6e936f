"""Speed and memory, beside plain implementations: `python -m benchmarks`."""

from locality.calm import wait_calmly

wait_calmly()  # every benchmark loads torch, none before this package
