"""The moving average of the weights, and the running statistics that several processes share."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
import torch.distributed
from torch import Tensor, nn
from torch.func import functional_call


class EMA:
    """The exponential moving average of a module's weights, kept next to the module.

    ``average += (1 - d) (weights - average)`` after each optimiser step, with d = min(decay, (1 + n) / (10 + n)) at the
    n-th update from 0, so that the start is forgotten quickly. The running statistics of batch norm are averaged like
    weights, since those of the present weights do not suit the averaged ones (measured: experiments/LOG.md); counters
    are copied. All work is in a few fused kernels, on the module's device.
    """

    def __init__(self, module: nn.Module, *, decay: float = 0.999) -> None:
        """Starts the average at the module's present weights.

        Args:
            module: its parameters and persistent buffers are followed by name.
            decay: the limit of d, in [0, 1).

        Raises:
            ValueError: decay out of range.
        """
        if not 0 <= decay < 1:
            raise ValueError(f"ema.decay: got {decay}; expected 0 to below 1")
        self.decay, self.updates = decay, 0
        self._average = {name: value.detach().clone() for name, value in module.state_dict().items()}
        self._averaged = [name for name, value in self._average.items() if value.is_floating_point()]
        self._copied = [name for name, value in self._average.items() if not value.is_floating_point()]
        self._owner, self._places = module, _places(module)

    @torch.no_grad()
    def update(self, module: nn.Module) -> None:
        """Moves the average towards the module's weights; to be called after each optimiser step."""
        if module is not self._owner:
            self._owner, self._places = module, _places(module)
        current = {name: tensors[key] for name, (tensors, key) in self._places.items()}
        self._follow(current)
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
        torch._foreach_lerp_(
            [self._average[name] for name in self._averaged], [current[name] for name in self._averaged], 1.0 - decay
        )
        if self._copied:
            torch._foreach_copy_(
                [self._average[name] for name in self._copied], [current[name] for name in self._copied]
            )
        self.updates += 1

    def _follow(self, current: dict[str, Tensor]) -> None:
        """Moves the average to the devices of the module's tensors, where it is not there yet."""
        for name, average in self._average.items():
            if average.device != current[name].device:
                self._average[name] = average.to(current[name].device)

    def take_from_first_process(self) -> None:
        """Gives the average the running statistics of the first process; to be called before the average is used.

        Parameters are equal in all processes anyway. The first one's average never changes by it, so that a run that
        stops and goes on does as one that did not stop.
        """
        parameters = {name for name, _ in self._owner.named_parameters(remove_duplicate=False)}
        take_from_first_process(value for name, value in self._average.items() if name not in parameters)

    def state_dict(self) -> dict[str, Any]:
        """Returns the number of updates and the averaged tensors (not copied)."""
        return {"updates": self.updates, "average": dict(self._average)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continues from `state_dict`.

        Raises:
            ValueError: names or shapes that are not this module's.
        """
        loaded: dict[str, Tensor] = state["average"]
        wrong = sorted(set(loaded) ^ set(self._average)) or [
            name for name, value in loaded.items() if value.shape != self._average[name].shape
        ]
        if wrong:
            raise ValueError(
                f"EMA state: got other names or shapes, '{wrong[0]}' first of {len(wrong)}; expected the module's; "
                "resume with the model settings of the interrupted run"
            )
        with torch.no_grad():
            for name, value in loaded.items():
                self._average[name].copy_(value)
        self.updates = int(state["updates"])


def _places(module: nn.Module) -> dict[str, tuple[dict[str, Any], str]]:
    """Returns by name where a module keeps its parameters and persistent buffers.

    Looking there spares the walk of `state_dict` at every step, and finds a tensor that took another's place, too.
    """
    places: dict[str, tuple[dict[str, Any], str]] = {}
    for prefix, part in module.named_modules(remove_duplicate=False):
        for tensors in (part._parameters, part._buffers):
            for key, value in tensors.items():
                if value is not None and key not in part._non_persistent_buffers_set:
                    places[f"{prefix}.{key}" if prefix else key] = (tensors, key)
    return places


class Averaging:
    """The moving average of a network during a run: when it begins, what it follows, and where it is used.

    Without a decay there is none, and everything is that of the network itself.

    Attributes:
        ema: The average, once the run has begun.
        step: The step of the optimiser that it has followed last.
    """

    def __init__(self, decay: float | None) -> None:
        """Keeps the decay; None for no average."""
        self.decay, self.step = decay, 0
        self.ema: EMA | None = None
        self._stored: dict[str, Any] | None = None

    def begin(self, network: nn.Module) -> None:
        """Starts at the network's weights, or where a loaded checkpoint was; does nothing when called again."""
        if self.decay is not None and self.ema is None:
            self.ema = EMA(network, decay=self.decay)
            if self._stored is not None:
                self.ema.load_state_dict(self._stored)

    def follow(self, network: nn.Module, *, step: int) -> None:
        """Moves towards the network's weights, once for every step of the optimiser."""
        if self.ema is not None and step > self.step:
            self.ema.update(network)
        self.step = step

    def apply(self, network: nn.Module, image: Tensor) -> Tensor:
        """Returns what the network gives with the averaged weights."""
        output: Tensor = network(image) if self.ema is None else functional_call(network, self.state(network), (image,))
        return output

    def state(self, network: nn.Module) -> dict[str, Tensor]:
        """Returns the averaged weights (not copied)."""
        state: dict[str, Tensor] = network.state_dict() if self.ema is None else self.ema.state_dict()["average"]
        return state

    def share(self, network: nn.Module) -> None:
        """Gives every process the running statistics of the first one, of the network and of the average."""
        take_from_first_process(network.buffers())
        if self.ema is not None:
            self.ema.take_from_first_process()

    def save(self, checkpoint: dict[str, Any]) -> None:
        """Adds the average to a checkpoint."""
        if self.ema is not None:
            state = self.ema.state_dict()
            checkpoint["ema_state_dict"], checkpoint["ema_updates"] = state["average"], state["updates"]

    def load(self, checkpoint: dict[str, Any]) -> None:
        """Takes the average from a checkpoint; kept until the run begins, when weights are on their device."""
        if "ema_state_dict" in checkpoint:
            self._stored = {"average": checkpoint["ema_state_dict"], "updates": checkpoint["ema_updates"]}
            if self.ema is not None:
                self.ema.load_state_dict(self._stored)


@torch.no_grad()
def take_from_first_process(tensors: Iterable[Tensor]) -> None:
    """Gives tensors the values that they have in the first process; does nothing where there is one only.

    Every process of a run sees other images, so the running statistics of batch norm differ between them. Torch takes
    the first one's before every training step; a validation asks for the same.

    Args:
        tensors: The same in number, order and shape in every process.
    """
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        for tensor in tensors:
            torch.distributed.broadcast(tensor, src=0)
