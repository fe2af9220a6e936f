"""A training and its continuation, in one of the processes that torchrun starts: -m tests.two_runs FOLDER."""

from __future__ import annotations

import sys

from locality.__main__ import main

SOME, ALL = 12, 24  # images


def typed(folder: str, images: int) -> list[str]:
    """The command: float32, so that rounding is small; a rate that does not depend on the length."""
    options = [f"--option={option}" for option in ("batch=6", "schedule=inverse_sqrt", "warmup=16", "bfloat16=false")]
    network = ["--network", "unet:channels=16-16,groups=8", "--out", folder, "--images", str(images)]
    return ["train", "digits", *network, *options, "--device", "cpu"]


def run(folder: str, images: int, *more: str) -> int:
    """Exit code of the command in this process."""
    sys.argv = ["locality", *typed(folder, images), *more]
    try:
        main()
    except SystemExit as end:
        return int(end.code or 0)
    return 0


if __name__ == "__main__":
    folder = sys.argv[1]
    sys.exit(run(folder, SOME) or run(folder, ALL, "--resume"))
