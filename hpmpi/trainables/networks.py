"""Networks in numpy whose weights are one vector: what is averaged, summed, sent and saved is w.

Layers of ReLU and a softmax over the classes. Two hidden layers are McMahan et al.'s 2NN
(arXiv 1602.05629, section 3); without any, it is a softmax regression.
"""

from itertools import pairwise
from typing import NamedTuple

import numpy as np

from hpmpi.data.sheets import Array


class Network(NamedTuple):
    """The units of each layer, from the features to the classes."""

    units: tuple[int, ...]

    @property
    def size(self) -> int:
        """How many weights there are, biases among them."""
        return sum((before + 1) * after for before, after in pairwise(self.units))

    def initial(self, draw: np.random.Generator) -> Array:
        """Draw weights as He et al. do (arXiv 1502.01852); biases are 0."""
        w = np.zeros(self.size)
        for matrix, _ in self.layers(w):
            matrix[:] = draw.normal(0.0, np.sqrt(2 / len(matrix)), matrix.shape)
        return w

    def layers(self, w: Array) -> list[tuple[Array, Array]]:
        """Look at the vector as the matrix (before, after) and the biases of each layer."""
        layers, begin = [], 0
        for before, after in pairwise(self.units):
            end = begin + before * after
            layers.append((w[begin:end].reshape(before, after), w[end : end + after]))
            begin = end + after
        return layers

    def classes(self, w: Array, x: Array) -> Array:
        """Predict the class of each row."""
        *_, scores = self._forward(w, x)
        return np.asarray(scores.argmax(axis=1))

    def differentiate(self, w: Array, x: Array, y: Array, into: Array) -> None:
        """Write the gradient of the cross-entropy, summed over the rows: 0 where there are none.

        It goes `into` an array that is there: to have a new one for each batch takes longest.
        """
        *inputs, scores = self._forward(w, x)
        above = np.exp(scores - scores.max(axis=1, keepdims=True))
        above /= above.sum(axis=1, keepdims=True)
        above[np.arange(len(y)), y] -= 1
        layers, gradients = self.layers(w), self.layers(into)
        for place in reversed(range(len(layers))):
            of_matrix, of_biases = gradients[place]
            of_matrix[:] = inputs[place].T @ above  # which also takes a sparse matrix
            of_biases[:] = above.sum(axis=0)
            if place:
                above = (above @ layers[place][0].T) * (inputs[place] > 0)

    def _forward(self, w: Array, x: Array) -> list[Array]:
        """Return the inputs of each layer, and the scores of the classes."""
        *hidden, (matrix, biases) = self.layers(w)
        inputs = [x]
        for inner, shifts in hidden:
            inputs.append(np.maximum(inputs[-1] @ inner + shifts, 0.0))
        return [*inputs, inputs[-1] @ matrix + biases]
