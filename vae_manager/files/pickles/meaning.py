"""What the names in a torch pickle mean, by an explicit table. Whatever is not in it makes the file unsafe.

An ordinary unpickler imports the module of each name that it meets, and a module runs when it is imported; so a name
alone counts, called or not. The WebUI's own list (modules/safe.py) was the start. It differs here in this:

- A storage's type, a dtype and ModelCheckpoint may be named, as there, but not called: `torch.FloatStorage(10**12)`
  takes all memory, and a callback's constructor is somebody's code. Real files only name them.
- `_codecs.encode` is for Latin-1 alone, as pickle itself writes bytes: another encoding's name is looked for among the
  modules, and so imports one.
- More of torch's own words are known, which run nothing: `_rebuild_tensor`, `_rebuild_tensor_v3`,
  `_rebuild_parameter_with_state`, `Size`, `device`, more storages and dtypes, numpy's new `_core`. The WebUI refuses
  them; `known_to_webui` tells.
- `torch.storage._load_from_bytes` is in neither list: it unpickles a second pickle, inside a text.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final, TypeGuard

from ...sentences import say
from ..headers import DTYPE_BYTES
from .values import DAMAGED, UNSAFE, Global, Inert, Pairs, Refused, Storage, Tensor

__all__ = ["call", "changed", "known_to_webui", "named", "stored"]

MOST_AXES: Final = 16
"""Weights have five at most; torch allows 64."""

STORAGES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "DoubleStorage": "F64",
        "FloatStorage": "F32",
        "HalfStorage": "F16",
        "BFloat16Storage": "BF16",
        "LongStorage": "I64",
        "IntStorage": "I32",
        "ShortStorage": "I16",
        "CharStorage": "I8",
        "ByteStorage": "U8",
        "BoolStorage": "BOOL",
    }
)
DTYPES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "float64": "F64",
        "float32": "F32",
        "float16": "F16",
        "bfloat16": "BF16",
        "float8_e4m3fn": "F8_E4M3",
        "float8_e5m2": "F8_E5M2",
        "bool": "BOOL",
        "uint8": "U8",
        "int8": "I8",
        "uint16": "U16",
        "int16": "I16",
        "uint32": "U32",
        "int32": "I32",
        "uint64": "U64",
        "int64": "I64",
    }
)
_OTHER_STORAGES: Final[Mapping[str, int]] = MappingProxyType({"ComplexFloatStorage": 8, "ComplexDoubleStorage": 16})
_OTHER_DTYPES: Final = frozenset({"complex64", "complex128", "float8_e4m3fnuz", "float8_e5m2fnuz", "float8_e8m0fnu"})
"""Kinds of numbers that safetensors has no word for; the storages with the bytes of one number."""
_KINDS: Final = (STORAGES, _OTHER_STORAGES, DTYPES, _OTHER_DTYPES)
_PLAIN_BYTES: Final = frozenset({("torch.storage", "UntypedStorage"), ("torch", "UntypedStorage")})
_CALLBACKS: Final = ("pytorch_lightning.callbacks", "lightning.pytorch.callbacks")
"""Lightning's checkpoints name the classes of its callbacks, as keys of what those have to remember."""

_WEBUI: Final = frozenset(
    {
        *(("torch._utils", name) for name in ("_rebuild_tensor_v2", "_rebuild_parameter")),
        ("torch._utils", "_rebuild_device_tensor_from_numpy"),
        *(("torch", f"{kind}Storage") for kind in ("Float", "Half", "Int", "Long", "Double", "Byte", "BFloat16")),
        ("torch", "float32"),
        ("collections", "OrderedDict"),
        ("torch.nn.modules.container", "ParameterDict"),
        *(("numpy.core.multiarray", name) for name in ("scalar", "_reconstruct")),
        *(("numpy", name) for name in ("dtype", "ndarray")),
        ("_codecs", "encode"),
        ("pytorch_lightning.callbacks", "model_checkpoint"),
        ("pytorch_lightning.callbacks.model_checkpoint", "ModelCheckpoint"),
        ("__builtin__", "set"),
    }
)

Arguments = tuple[object, ...]


def known_to_webui(what: Global) -> bool:
    """Whether the WebUI's own reader lets this name pass."""
    return (what.module, what.name) in _WEBUI


def named(what: Global) -> Global:
    """`what` itself, if a file may name it; raises Refused."""
    key = (what.module, what.name)
    if key in _CALLS or key in _PLAIN_BYTES or key == ("numpy", "ndarray"):
        return what
    if what.module == "torch" and any(what.name in kinds for kinds in _KINDS):
        return what
    if any(what.module == package or what.module.startswith(package + ".") for package in _CALLBACKS):
        return what
    raise Refused(UNSAFE, str(what))


def call(what: object, arguments: object) -> object:
    """What `what(*arguments)` stands for; nothing is called but what is in the table below. Raises Refused."""
    if not isinstance(what, Global):
        raise Refused(DAMAGED, say("it calls something that cannot be called."))
    meaning = _CALLS.get((what.module, what.name))
    if meaning is None:
        raise Refused(UNSAFE, str(what))
    if type(arguments) is not tuple:
        raise _misused()
    return meaning(arguments)


def changed(what: object) -> None:
    """A state is given to `what`: nothing of it matters for what may have one. Raises Refused."""
    if isinstance(what, Global):
        raise Refused(UNSAFE, str(what))  # it would be set on the class or the module itself
    if not isinstance(what, (Pairs, Inert, Tensor)):
        raise _misused()


def stored(identity: object) -> Storage:
    """The storage that a persistent id stands for: ("storage", type, key, device, count[, view])."""
    if type(identity) is not tuple or len(identity) not in (5, 6) or identity[0] != "storage":
        raise _misused()
    kind, key, count = identity[1], identity[2], identity[4]
    if not isinstance(kind, Global) or not isinstance(key, str) or not _is_size(count):
        raise _misused()
    dtype, width = _numbers(kind)
    view = identity[5] if len(identity) == 6 else None
    if view is None:
        return Storage(key, dtype, width, count)
    if type(view) is not tuple or len(view) != 3 or not _is_size(view[1]) or not _is_size(view[2]):
        raise _misused()
    return Storage(key, dtype, width, count, view[1], view[2])


def _numbers(kind: Global) -> tuple[str | None, int]:
    """What a storage of this kind holds: dtype, and bytes of one number."""
    if (kind.module, kind.name) in _PLAIN_BYTES:
        return None, 1
    dtype = STORAGES.get(kind.name)
    if kind.module != "torch" or (dtype is None and kind.name not in _OTHER_STORAGES):
        raise _misused()
    return dtype, DTYPE_BYTES[dtype] if dtype is not None else _OTHER_STORAGES[kind.name]


def _ordered(arguments: Arguments) -> Pairs:
    """An OrderedDict: empty, or from a list of pairs, as Python 2 wrote it."""
    if not arguments:
        return Pairs()
    items = arguments[0]
    if len(arguments) > 1 or type(items) is not list:
        raise _misused()
    pairs = Pairs()
    for item in items:
        if not isinstance(item, (list, tuple)) or len(item) != 2:
            raise _misused()
        pairs.append((item[0], item[1]))
    return pairs


def _tensor(arguments: Arguments) -> Tensor:
    if len(arguments) < 4:
        raise _misused()
    storage, offset, shape, strides = arguments[:4]
    if not isinstance(storage, Storage) or not _is_size(offset):
        raise _misused()
    return Tensor(storage, storage.dtype, offset, *_axes(shape, strides))


def _tensor_of_dtype(arguments: Arguments) -> Tensor:
    """A tensor whose storage is plain bytes: (storage, offset, shape, strides, gradient, hooks, dtype[, more])."""
    tensor = _tensor(arguments)
    dtype = arguments[6] if len(arguments) > 6 else None
    if not isinstance(dtype, Global) or dtype.module != "torch" or tensor.storage.width != 1:
        raise _misused()
    return Tensor(tensor.storage, DTYPES.get(dtype.name), tensor.offset, tensor.shape, tensor.strides)


def _axes(shape: object, strides: object) -> tuple[tuple[int, ...], tuple[int, ...]]:
    if type(shape) is not tuple or type(strides) is not tuple or not len(shape) == len(strides) <= MOST_AXES:
        raise _misused()
    if not all(map(_is_size, shape + strides)):
        raise _misused()
    return shape, strides


def _is_size(value: object) -> TypeGuard[int]:
    return type(value) is int and 0 <= value < 2**63


def _parameter(arguments: Arguments) -> Tensor:
    if not arguments or not isinstance(arguments[0], Tensor):
        raise _misused()
    return arguments[0]


def _size(arguments: Arguments) -> Arguments:
    if len(arguments) != 1 or type(arguments[0]) is not tuple:
        raise _misused()
    return arguments[0]


def _encode(arguments: Arguments) -> Inert:
    if len(arguments) != 2 or arguments[1] not in ("latin1", "latin-1"):
        raise Refused(UNSAFE, "_codecs.encode")
    return Inert()


def _inert(arguments: Arguments) -> Inert:
    return Inert()


def _misused() -> Refused:
    return Refused(DAMAGED, say("it uses a name of PyTorch's as PyTorch does not."))


_CALLS: Final[Mapping[tuple[str, str], Callable[[Arguments], object]]] = MappingProxyType(
    {
        ("collections", "OrderedDict"): _ordered,
        ("torch._utils", "_rebuild_tensor"): _tensor,
        ("torch._utils", "_rebuild_tensor_v2"): _tensor,
        ("torch._utils", "_rebuild_tensor_v3"): _tensor_of_dtype,
        ("torch._utils", "_rebuild_parameter"): _parameter,
        ("torch._utils", "_rebuild_parameter_with_state"): _parameter,
        ("torch._utils", "_rebuild_device_tensor_from_numpy"): _inert,
        ("torch", "Size"): _size,
        ("torch", "device"): _inert,
        ("torch.nn.modules.container", "ParameterDict"): _inert,
        ("torch.serialization", "_get_layout"): _inert,
        **{(f"numpy.{core}.multiarray", "scalar"): _inert for core in ("core", "_core")},
        **{(f"numpy.{core}.multiarray", "_reconstruct"): _inert for core in ("core", "_core")},
        ("numpy", "dtype"): _inert,
        **{(module, name): _inert for module in ("__builtin__", "builtins") for name in ("set", "bytes", "bytearray")},
        ("_codecs", "encode"): _encode,
    }
)
