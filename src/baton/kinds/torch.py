"""The tensors of PyTorch models."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from baton.core.artifact import Kind, mismatch

if TYPE_CHECKING:
    from typing import TypeAlias

    import torch


class TorchKind(Kind):
    """A mapping of names to tensors, as ``state_dict()`` gives it, stored by safetensors.

    The tensors come back on the CPU.  Nothing is unpickled, so a module is not stored: make it where its
    state is used, and give it to ``load_state_dict``.
    """

    name = "torch"
    module = "torch"
    suffix = ".safetensors"
    packages = ("torch", "safetensors")
    conversions = {"torch.Module": "value.state_dict()", "torch.Tensor": '{"value": value}'}

    @classmethod
    def write(cls, value: Any, path: Path) -> None:
        """Write the tensors; raise TypeError if there is anything else."""
        import torch
        from safetensors.torch import save_file

        if not isinstance(value, Mapping):
            raise mismatch("a mapping of names to torch tensors", value, cls)
        for name, one in value.items():
            if not isinstance(name, str) or not isinstance(one, torch.Tensor):
                raise TypeError(f"expected torch tensors by name, but {name!r} is a {type(one).__name__}")
        try:
            save_file(_apart(value), path)
        except (ValueError, RuntimeError, NotImplementedError, KeyError) as error:
            raise TypeError(f"safetensors cannot hold the tensors: {error}") from error

    @classmethod
    def read(cls, path: Path) -> Any:
        """Return the tensors by name."""
        from safetensors.torch import load

        return load(path.read_bytes())  # a copy: a file that is mapped would change with its tensors


def _apart(tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return tensors that share no memory: safetensors refuses tied weights."""
    found: dict[str, torch.Tensor] = {}
    used = set()
    for name, tensor in tensors.items():
        plain = tensor.detach().cpu().contiguous()
        memory = plain.untyped_storage().data_ptr()
        found[name] = plain.clone() if memory in used else plain
        used.add(memory)
    return found


if TYPE_CHECKING:
    Torch: TypeAlias = Mapping[str, torch.Tensor]
else:
    Torch = TorchKind
