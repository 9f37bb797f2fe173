"""The peer's nonuniform transform of given numbers, run in its environment: peer_nufft.py GIVEN.npz MADE.npz.

DeepInverse's `RadioInterferometry` is torchkbnufft, with the settings that are its own by default.
"""

import sys

import numpy as np
import torch
import torchkbnufft  # type: ignore[import-not-found]

given = {name: torch.from_numpy(array) for name, array in np.load(sys.argv[1]).items()}
size, omega = tuple(given["x"].shape), given["points"].mT.contiguous()
forward = torchkbnufft.KbNufft(size)(given["x"][None, None], omega)
adjoint = torchkbnufft.KbNufftAdjoint(size)(given["y"][None, None], omega)
np.savez(sys.argv[2], forward=forward, adjoint=adjoint)
