"""The objective: trains with one configuration, and says what came of it. Put yours in its place.

Here a small network learns scikit-learn's handwritten digits, a quarter of which is held out.
"""

import torch
from sklearn.datasets import load_digits
from torch import nn

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")


def train(lr, width, dropout, optimizer, trial):
    """Train up to `trial.stop` epochs; called with the names in [space], and the trial."""
    torch.manual_seed(trial.seed)
    images, labels = load_digits(return_X_y=True)
    x = torch.tensor(images / 16, dtype=torch.float32, device=DEVICE)
    y = torch.tensor(labels, device=DEVICE)
    held_out = torch.arange(len(y), device=DEVICE) % 4 == 0

    model = nn.Sequential(
        nn.Linear(64, width), nn.ReLU(), nn.Dropout(dropout), nn.Linear(width, 10)
    ).to(DEVICE)
    kind = torch.optim.Adam if optimizer == "adam" else torch.optim.SGD
    steps = kind(model.parameters(), lr=lr)
    if trial.previous:  # the folder of this trial's newest checkpoint: go on from there
        saved = torch.load(trial.previous / "last.pt", map_location=DEVICE, weights_only=True)
        model.load_state_dict(saved["model"])
        steps.load_state_dict(saved["steps"])

    for epoch in range(trial.start, trial.stop):
        one_epoch(model, steps, x[~held_out], y[~held_out])
        accuracy = score(model, x[held_out], y[held_out])
        trial.report(epoch + 1, accuracy=accuracy)  # a point of the learning curve
        if trial.should_save(epoch + 1):  # at the end, and now and then before
            with trial.checkpoint(epoch + 1) as folder:
                states = {"model": model.state_dict(), "steps": steps.state_dict()}
                torch.save(states, folder / "last.pt")

    return {"accuracy": score(model, x[held_out], y[held_out])}  # as many metrics as you like


def one_epoch(model, steps, x, y):
    """Pass over the data once, in batches."""
    model.train()
    for batch in torch.randperm(len(y), device=DEVICE).split(64):
        loss = nn.functional.cross_entropy(model(x[batch]), y[batch])
        steps.zero_grad()
        loss.backward()
        steps.step()


@torch.no_grad()
def score(model, x, y):
    """Return the share of digits that are recognised."""
    model.eval()
    return (model(x).argmax(1) == y).float().mean().item()
