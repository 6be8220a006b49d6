"""Train a small convolutional network on scikit-learn's handwritten digits.

A training that was stopped and resumed is that which was not stopped, bit by bit.
"""

import argparse
import random
from pathlib import Path

import numpy as np
import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.optim.lr_scheduler import CosineAnnealingLR
from torch.utils.data import DataLoader, Dataset, TensorDataset

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")


def parse(words: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--lr", type=float, default=1e-3)
    parser.add_argument("--optimizer", choices=["adam", "sgd"], default="adam")
    parser.add_argument("--momentum", type=float, default=0.9)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--channels", type=int, default=16)
    parser.add_argument("--dropout", type=float, default=0.2)
    parser.add_argument("--epochs", type=int, default=27)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=0)
    parser.add_argument("--checkpoints", type=Path, default=Path("checkpoints"))
    parser.add_argument("--resume", type=Path)
    return parser.parse_args(words)


def seed_all(seed: int, epoch: int) -> None:
    """Have all that an epoch draws follow from these two; epoch 0 draws the first weights.

    Data loaders draw their order, and the seeds of their workers, from PyTorch's generator.
    """
    mixed = int(np.random.SeedSequence([seed, epoch]).generate_state(1)[0])
    random.seed(mixed)
    np.random.seed(mixed)
    torch.manual_seed(mixed)


class Varied(Dataset):
    """Images that are moved by a pixel at most, and get noise, anew each time."""

    def __init__(self, images: Tensor, labels: Tensor) -> None:
        self.images, self.labels = images, labels

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        moved = torch.roll(self.images[index], random.randint(-1, 1), dims=-1)
        noise = np.random.normal(0.0, 0.05, moved.shape).astype(np.float32)
        return moved + torch.from_numpy(noise), self.labels[index]


def load_data(args: argparse.Namespace) -> tuple[DataLoader, DataLoader]:
    """Return the data to train on, and each fourth image to score with."""
    images, labels = map(torch.from_numpy, load_digits(return_X_y=True))
    images = (images / 16).float().reshape(-1, 1, 8, 8)
    held_out = torch.arange(len(images)) % 4 == 0
    varied = Varied(images[~held_out], labels[~held_out])
    plain = TensorDataset(images[held_out], labels[held_out])
    loader = DataLoader(varied, args.batch_size, shuffle=True, num_workers=args.workers)
    return loader, DataLoader(plain, batch_size=512)


def build(args: argparse.Namespace) -> dict:
    """Make what is trained, and what trains it."""
    model = nn.Sequential(
        nn.Conv2d(1, args.channels, kernel_size=3, padding=1),
        nn.BatchNorm2d(args.channels),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Dropout(args.dropout),
        nn.Linear(16 * args.channels, 10),
    ).to(DEVICE)
    if args.optimizer == "sgd":
        optimizer = torch.optim.SGD(model.parameters(), lr=args.lr, momentum=args.momentum)
    else:
        optimizer = torch.optim.Adam(model.parameters(), lr=args.lr)
    scheduler = CosineAnnealingLR(optimizer, T_max=args.epochs)
    return {"model": model, "optimizer": optimizer, "scheduler": scheduler}


def save(path: Path, epoch: int, parts: dict) -> None:
    """Write a checkpoint, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    states = {name: part.state_dict() for name, part in parts.items()}
    torch.save({"epoch": epoch, **states}, partial)
    partial.replace(path)


def load(path: Path, parts: dict) -> int:
    """Read a checkpoint; return how many epochs it has had."""
    saved = torch.load(path, map_location=DEVICE, weights_only=True)
    for name, part in parts.items():
        part.load_state_dict(saved[name])
    return saved["epoch"]


def train_epoch(model: nn.Module, optimizer: torch.optim.Optimizer, loader: DataLoader) -> float:
    """Train for an epoch; return the mean loss."""
    model.train()
    total = 0.0
    for images, labels in loader:
        loss = nn.functional.cross_entropy(model(images.to(DEVICE)), labels.to(DEVICE))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total += loss.item() * len(images)
    return total / len(loader.dataset)


@torch.no_grad()
def score(model: nn.Module, loader: DataLoader) -> float:
    """Return the share of images that are recognised."""
    model.eval()
    right = sum((model(x.to(DEVICE)).argmax(1) == y.to(DEVICE)).sum().item() for x, y in loader)
    return right / len(loader.dataset)


def train(args: argparse.Namespace) -> None:
    """Train from the beginning, or from a checkpoint."""
    seed_all(args.seed, 0)
    loader, held_out = load_data(args)
    parts = build(args)
    model, optimizer, scheduler = parts.values()
    first = load(args.resume, parts) if args.resume else 0
    for epoch in range(first, args.epochs):
        seed_all(args.seed, epoch + 1)
        loss = train_epoch(model, optimizer, loader)
        scheduler.step()
        accuracy = score(model, held_out)
        print(f"epoch {epoch + 1}: loss {loss:.4f}, accuracy {accuracy:.4f}")
        save(args.checkpoints / "last.pt", epoch + 1, parts)
    print(f"accuracy {score(model, held_out):.4f}")


if __name__ == "__main__":
    train(parse())
