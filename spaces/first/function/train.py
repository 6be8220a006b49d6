"""The objective: trains with one configuration, and says what came of it. Put yours in its place.

Here a line is fitted to noisy points by stochastic gradient descent.
"""

import json
import random

POINTS = [(x / 50, 3 * x / 50 - 1 + random.Random(x).gauss(0, 0.1)) for x in range(100)]


def train(rate, momentum, batch_size, trial):
    """Train up to `trial.stop` epochs; called with the names in [space], and the trial."""
    state = {"slope": 0.0, "offset": 0.0, "slope_speed": 0.0, "offset_speed": 0.0}
    if trial.previous:  # the folder of this trial's newest checkpoint: go on from there
        state = json.loads((trial.previous / "state.json").read_text())

    for epoch in range(trial.start, trial.stop):
        points = random.Random(f"{trial.seed} {epoch}").sample(POINTS, len(POINTS))
        for first in range(0, len(points), batch_size):
            step(state, points[first : first + batch_size], rate, momentum)
        trial.report(epoch + 1, loss=loss(state))  # a point of the learning curve
        if trial.should_save(epoch + 1):  # at the end, and now and then before
            with trial.checkpoint(epoch + 1) as folder:
                (folder / "state.json").write_text(json.dumps(state))

    return {"loss": loss(state)}  # as many metrics as you like


def step(state, batch, rate, momentum):
    """Follow the gradient of the squared error of some points."""
    errors = [(state["slope"] * x + state["offset"] - y, x) for x, y in batch]
    gradients = {
        "slope": sum(2 * error * x for error, x in errors) / len(batch),
        "offset": sum(2 * error for error, _ in errors) / len(batch),
    }
    for name, gradient in gradients.items():
        speed = momentum * state[f"{name}_speed"] - rate * gradient
        state[f"{name}_speed"] = speed
        state[name] += speed


def loss(state):
    """Return the mean squared error of all points."""
    errors = [state["slope"] * x + state["offset"] - y for x, y in POINTS]
    return sum(error * error for error in errors) / len(errors)
