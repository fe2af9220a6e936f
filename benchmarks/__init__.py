"""Speed and memory beside a plain implementation, in one run: `python -m benchmarks [NAME ...]`."""
