"""Allowlist of the names in a torch pickle, as an explicit table. A name that is not in it makes the file unsafe.

An ordinary unpickler imports the module of each name in the file, and a module runs when it is imported; so a name
alone counts, called or not. A call must have the exact form that torch, numpy and pickle themselves write. A form that
has another meaning for an ordinary unpickler, or fails there, is refused.

- A storage's type, a dtype and a class of Lightning's callbacks may be named, but not called:
  `torch.FloatStorage(10**12)` takes all memory, and a callback's constructor is foreign code. Real files only name
  them.
- `_codecs.encode` is for Latin-1 alone, as pickle itself writes bytes: Python looks for another encoding's name among
  the modules, and so imports one.
- `torch.storage._load_from_bytes` unpickles a second pickle, inside a text.
- A tensor has no state, and a parameter an empty one: an attribute of theirs can be other numbers (`data`, `real`), and
  a tensor's metadata can turn their signs.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final, TypeGuard

from ..messages import msg
from .headers import DTYPE_BYTES
from .pickle_values import (
    DAMAGED,
    UNSAFE,
    DictItems,
    Global,
    Inert,
    OrderedDictItems,
    RejectedError,
    Storage,
    Tensor,
    array_with_state,
    dtype_with_state,
    is_key,
    misuse_error,
    numpy_array,
    numpy_dtype,
    numpy_scalar,
)

__all__ = ["LEGACY_ID", "ZIP_ID", "call", "check_state", "find_global", "new_object", "persistent_load"]

MAX_AXES: Final = 16
"""Weights have five at most; torch allows 64."""
MAX_DEVICES: Final = 128
LEGACY_ID: Final = 6
"""Parts of a storage's identity in a legacy file."""
ZIP_ID: Final = 5

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
_OTHER_DTYPES: Final[Mapping[str, int]] = MappingProxyType(
    {"complex64": 8, "complex128": 16, "float8_e4m3fnuz": 1, "float8_e5m2fnuz": 1, "float8_e8m0fnu": 1}
)
"""Kinds of numbers that safetensors has no name for, with the bytes of one."""
_FLOATS: Final = frozenset({"F64", "F32", "F16", "BF16", "F8_E4M3", "F8_E5M2", None})
"""The dtypes that can have gradients; None represents those of the tables above."""
_KINDS: Final = (STORAGES, _OTHER_STORAGES, DTYPES, _OTHER_DTYPES)
_PLAIN_BYTES: Final = frozenset({("torch.storage", "UntypedStorage"), ("torch", "UntypedStorage")})
_CALLBACK: Final = re.compile(r"(?:pytorch_lightning|lightning\.pytorch)\.callbacks(?:\.[A-Za-z_][A-Za-z0-9_]*)*")
_IDENTIFIER: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
"""Lightning's checkpoints name the classes of its callbacks, as keys of their states."""
_DEVICES: Final = frozenset({"cpu", "cuda", "hip", "hpu", "meta", "mps", "privateuseone", "xla", "xpu"})
_LAYOUTS: Final = frozenset({"torch.strided", "torch.sparse_coo"})
_SIGN_FLAGS: Final = ("neg", "conj")
"""Metadata of a tensor whose numbers, or imaginary parts, are those of its storage with the sign turned."""
_METADATA: Final = "_metadata"
"""The one attribute that torch gives an OrderedDict, of versions."""

Arguments = tuple[object, ...]

_STATES: Final[Mapping[str, Callable[[Inert, object], bool]]] = MappingProxyType(
    {
        "dtype": dtype_with_state,
        "text": dtype_with_state,
        "array": array_with_state,
        "module": lambda _, state: isinstance(state, DictItems) and all(isinstance(key, str) for key, _ in state),
    }
)


def find_global(target: Global, protocol: int) -> Global:
    """Return `target` itself, if a pickle of this protocol may name it; raise RejectedError otherwise."""
    key = (target.module, target.name)
    if key in _CALLS or key in _PLAIN_BYTES or key == ("numpy", "ndarray"):
        if target.module == "__builtin__" and protocol > 2:  # Python 2's name, which no later protocol translates
            raise misuse_error()
        return target
    if target.module == "torch" and any(target.name in kinds for kinds in _KINDS):
        return target
    if _CALLBACK.fullmatch(target.module) and _IDENTIFIER.fullmatch(target.name):
        return target
    raise RejectedError(UNSAFE, str(target))


def call(target: object, arguments: object) -> object:
    """Return the value of `target(*arguments)`; only functions of the table below are called. Raises RejectedError."""
    if not isinstance(target, Global):
        raise RejectedError(DAMAGED, msg("it calls something that cannot be called."))
    meaning = _CALLS.get((target.module, target.name))
    if meaning is None:
        raise RejectedError(UNSAFE, str(target))
    if type(arguments) is not tuple:
        raise misuse_error()
    return meaning(arguments)


def new_object(target: object, arguments: object) -> object:
    """Return the value of `target.__new__(what, *arguments)`, without `__init__`, for classes pickled so."""
    if not isinstance(target, Global):
        raise RejectedError(DAMAGED, msg("it calls something that cannot be called."))
    key = (target.module, target.name)
    if key not in _CALLS:
        raise RejectedError(UNSAFE, str(target))
    if arguments != () or key not in _NEW:
        raise misuse_error()
    return _NEW[key]()


def check_state(target: object, state: object) -> None:
    """Check a state for `target`, as in torch files: no accepted state changes a tensor. Raises RejectedError."""
    if isinstance(target, Global):
        raise RejectedError(UNSAFE, str(target))  # it would be set on the class or the module itself
    if isinstance(target, OrderedDictItems):
        is_sound = isinstance(state, DictItems) and all(key == _METADATA for key, _ in state)
    elif isinstance(target, Inert):
        is_sound = target.kind in _STATES and _STATES[target.kind](target, state)
    else:
        is_sound = False
    if not is_sound:
        raise misuse_error()


def persistent_load(identity: object, length: int) -> tuple[Storage, str | None]:
    """Return the storage of a persistent id of `length` parts, and the name of its view, if it is a view.

    The id is ("storage", type, key, device, count), in legacy files with None or (name, first, count) of a view.
    """
    if not length or type(identity) is not tuple or len(identity) != length or identity[0] != "storage":
        raise misuse_error()
    kind, key, device, count = identity[1:5]
    if not isinstance(kind, Global) or not isinstance(key, str) or not isinstance(device, str) or not _is_size(count):
        raise misuse_error()
    dtype, width = _storage_dtype(kind)
    view = identity[5] if length == LEGACY_ID else None
    if view is None:
        return Storage(key, dtype, width, count), None
    if type(view) is not tuple or len(view) != 3 or not _is_size(view[1]) or not _is_size(view[2]):
        raise misuse_error()
    name, first, numbers = view
    if not isinstance(name, str) or first + numbers > count:
        raise misuse_error()
    return Storage(key, dtype, width, count, first, numbers), name


def _storage_dtype(kind: Global) -> tuple[str | None, int]:
    """Return the dtype and the bytes of one number of a storage of this kind."""
    if (kind.module, kind.name) in _PLAIN_BYTES:
        return None, 1
    dtype = STORAGES.get(kind.name)
    if kind.module != "torch" or (dtype is None and kind.name not in _OTHER_STORAGES):
        raise misuse_error()
    return dtype, DTYPE_BYTES[dtype] if dtype is not None else _OTHER_STORAGES[kind.name]


def _ordered(arguments: Arguments) -> DictItems:
    """Make an OrderedDict: empty, or from a list of pairs, as Python 2 wrote it."""
    if not arguments:
        return OrderedDictItems()
    items = arguments[0]
    if len(arguments) > 1 or type(items) is not list:
        raise misuse_error()
    pairs = OrderedDictItems()
    for item in items:
        if type(item) not in (list, tuple) or len(item) != 2 or not is_key(item[0]):
            raise misuse_error()
        pairs.append((item[0], item[1]))
    return pairs


def _tensor(arguments: Arguments) -> Tensor:
    """Make a tensor from (storage, offset, shape, strides)."""
    if len(arguments) != 4:
        raise misuse_error()
    storage = arguments[0]
    if not isinstance(storage, Storage):
        raise misuse_error()
    return _view(storage, storage.dtype, storage.width, arguments)


def _tensor_2(arguments: Arguments) -> Tensor:
    """Make a tensor from (storage, offset, shape, strides, gradient, hooks[, metadata])."""
    if not 6 <= len(arguments) <= 7:
        raise misuse_error()
    tensor = _tensor(arguments[:4])
    _check_gradient(tensor.dtype, arguments[4], arguments[5])
    _check_metadata(arguments[6:])
    return tensor


def _tensor_3(arguments: Arguments) -> Tensor:
    """Make a tensor with a storage of plain bytes.

    The arguments are (storage, offset, shape, strides, gradient, hooks, dtype[, metadata]).
    """
    if not 7 <= len(arguments) <= 8:
        raise misuse_error()
    storage, kind = arguments[0], arguments[6]
    if not isinstance(storage, Storage) or not isinstance(kind, Global) or kind.module != "torch":
        raise misuse_error()
    dtype = DTYPES.get(kind.name)
    if storage.width != 1 or (dtype is None and kind.name not in _OTHER_DTYPES):
        raise misuse_error()
    width = DTYPE_BYTES[dtype] if dtype is not None else _OTHER_DTYPES[kind.name]
    _check_gradient(dtype, arguments[4], arguments[5])
    if arguments[4]:  # torch writes such a tensor, and fails to make it
        raise misuse_error()
    _check_metadata(arguments[7:])
    return _view(storage, dtype, width, arguments)


def _view(storage: Storage, dtype: str | None, width: int, arguments: Arguments) -> Tensor:
    """View `storage` as an array of numbers of `width` bytes. All must exist: torch would enlarge the storage."""
    offset, shape, strides = arguments[1:4]
    if type(shape) is not tuple or type(strides) is not tuple or not len(shape) == len(strides) <= MAX_AXES:
        raise misuse_error()
    if not _is_size(offset) or not all(map(_is_size, shape + strides)):
        raise misuse_error()
    count = 1
    for size in shape:
        count *= size
        if count >= 2**63:
            raise misuse_error()
    span = 1 + sum((size - 1) * stride for size, stride in zip(shape, strides, strict=True)) if count else 0
    if (offset + span) * width > storage.length:
        raise RejectedError("bad-offsets", msg("one of its tensors lies outside of its storage."))
    return Tensor(storage, dtype, offset, shape, strides)


def _check_gradient(dtype: str | None, gradient: object, hooks: object) -> None:
    if type(gradient) is not bool or (gradient and dtype not in _FLOATS):
        raise misuse_error()
    if hooks is not None and not (isinstance(hooks, OrderedDictItems) and not hooks):
        raise misuse_error()


def _check_empty(extra: Arguments) -> None:
    if not all(value is None or (isinstance(value, DictItems) and not value) for value in extra):
        raise misuse_error()


def _check_metadata(extra: Arguments) -> None:
    """Raise RejectedError if a tensor has metadata: its numbers differ from those of its storage."""
    if (
        len(extra) == 1
        and isinstance(extra[0], DictItems)
        and extra[0]
        and all(key in _SIGN_FLAGS for key, _ in extra[0])
    ):
        raise RejectedError(
            DAMAGED,
            msg("one of its tensors stands there with its sign turned. Apply resolve_neg() to it, and save it anew."),
        )
    _check_empty(extra)


def _is_size(value: object) -> TypeGuard[int]:
    return type(value) is int and 0 <= value < 2**63


def _parameter(arguments: Arguments) -> Tensor:
    """Make a parameter from (tensor, gradient, hooks)."""
    if len(arguments) != 3 or not isinstance(arguments[0], Tensor):
        raise misuse_error()
    _check_gradient(arguments[0].dtype, arguments[1], arguments[2])
    return arguments[0]


def _parameter_with_state(arguments: Arguments) -> Tensor:
    """Make a parameter from (tensor, gradient, hooks, attributes)."""
    _check_empty(arguments[3:])
    if len(arguments) != 4:
        raise misuse_error()
    return _parameter(arguments[:3])


def _size(arguments: Arguments) -> Arguments:
    if len(arguments) != 1 or type(arguments[0]) is not tuple or not all(map(_is_size, arguments[0])):
        raise misuse_error()
    return arguments[0]


def _encode(arguments: Arguments) -> bytes:
    if len(arguments) != 2 or arguments[1] not in ("latin1", "latin-1"):
        raise RejectedError(UNSAFE, "_codecs.encode")
    if not isinstance(arguments[0], str):
        raise misuse_error()
    try:
        return arguments[0].encode("latin-1")
    except UnicodeEncodeError:
        raise misuse_error() from None


def _set(arguments: Arguments) -> Inert:
    """Make a set from () or (list,)."""
    if len(arguments) > 1 or not all(type(values) is list and all(map(is_key, values)) for values in arguments):
        raise misuse_error()
    return Inert()


def _bytes(arguments: Arguments) -> bytes:
    if arguments:
        raise misuse_error()
    return b""


def _bytearray(arguments: Arguments) -> Inert:
    """Make a bytearray from (), (bytes,) or (text, "latin-1")."""
    if len(arguments) == 2:
        _encode(arguments)
    elif len(arguments) > 1 or not all(isinstance(value, bytes) for value in arguments):
        raise misuse_error()
    return Inert()


def _device(arguments: Arguments) -> Inert:
    """Make a device from (name[, number])."""
    if not 1 <= len(arguments) <= 2 or not isinstance(arguments[0], str) or arguments[0] not in _DEVICES:
        raise misuse_error()
    if not all(type(number) is int and 0 <= number < MAX_DEVICES for number in arguments[1:]):
        raise misuse_error()
    return Inert()


def _layout(arguments: Arguments) -> Inert:
    if len(arguments) != 1 or not isinstance(arguments[0], str) or arguments[0] not in _LAYOUTS:
        raise misuse_error()
    return Inert()


def _module(arguments: Arguments = ()) -> Inert:
    if arguments:
        raise misuse_error()
    return Inert("module")


_CALLS: Final[Mapping[tuple[str, str], Callable[[Arguments], object]]] = MappingProxyType(
    {
        ("collections", "OrderedDict"): _ordered,
        ("torch._utils", "_rebuild_tensor"): _tensor,
        ("torch._utils", "_rebuild_tensor_v2"): _tensor_2,
        ("torch._utils", "_rebuild_tensor_v3"): _tensor_3,
        ("torch._utils", "_rebuild_parameter"): _parameter,
        ("torch._utils", "_rebuild_parameter_with_state"): _parameter_with_state,
        ("torch", "Size"): _size,
        ("torch", "device"): _device,
        ("torch.nn.modules.container", "ParameterDict"): _module,
        ("torch.serialization", "_get_layout"): _layout,
        **{(f"numpy.{core}.multiarray", "scalar"): numpy_scalar for core in ("core", "_core")},
        **{(f"numpy.{core}.multiarray", "_reconstruct"): numpy_array for core in ("core", "_core")},
        ("numpy", "dtype"): numpy_dtype,
        **{(module, "set"): _set for module in ("__builtin__", "builtins")},
        **{(module, "bytes"): _bytes for module in ("__builtin__", "builtins")},
        **{(module, "bytearray"): _bytearray for module in ("__builtin__", "builtins")},
        ("_codecs", "encode"): _encode,
    }
)
_NEW: Final[Mapping[tuple[str, str], Callable[[], object]]] = MappingProxyType(
    {("collections", "OrderedDict"): OrderedDictItems, ("torch.nn.modules.container", "ParameterDict"): _module}
)
"""Classes that are made without a call, by NEWOBJ."""
