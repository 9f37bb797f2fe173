"""How much memory tensors take at the highest, counted as they are made and let go."""

import weakref

from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class PeakMemory(TorchDispatchMode):
    """Count the bytes of the storages that operations make while it is active; `peak` is the most at one time."""

    def __init__(self):
        super().__init__()
        self.peak = self._held = 0
        self._known = set()

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        given = {_key(leaf) for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)}
        results = function(*args, **(kwargs or {}))
        for leaf in tree_leaves(results):
            if isinstance(leaf, Tensor) and _key(leaf) not in given | self._known:
                self._take(leaf)
        return results

    def _take(self, tensor):
        storage = tensor.untyped_storage()
        self._known.add(_key(tensor))
        self._held += storage.nbytes()
        self.peak = max(self.peak, self._held)
        weakref.finalize(storage, self._release, _key(tensor), storage.nbytes())

    def _release(self, key, nbytes):
        self._known.discard(key)
        self._held -= nbytes


def _key(tensor):
    return tensor.untyped_storage()._cdata
