"""What two runs of one configuration must have in common, epoch by epoch."""


def untimed_history(run):
    """What was measured in each epoch, without how long it took."""
    lines = run.read_history()
    timed = ("elapsed", "seconds")
    return [{name: each for name, each in line.items() if name not in timed} for line in lines]
