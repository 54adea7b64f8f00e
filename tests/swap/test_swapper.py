"""Weights go into a module as a whole or not at all, whatever happens in between."""

from __future__ import annotations

import gc
import os
import pickle
import re
import weakref
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")

import torch

from tests.failing import fails_with
from vae_manager import swap as swap_package
from vae_manager.errors import (
    FileChangedError,
    IntegrityError,
    NotFoundError,
    OutOfMemoryError,
    RefusedError,
    VaeManagerError,
)
from vae_manager.files import Header, identity_of, read_header
from vae_manager.records.verdict import A1111
from vae_manager.swap import Swapper, builtin_of, named_tensors
from vae_manager.swap.swapper import MAX_READS, PreparedWeights
from vae_manager.swap.weights import checksums

from .injecting import Injected, tracing
from .nets import Net, copied, file_of, net, same

FOLDER = str(Path(swap_package.__file__).parent)
ROOM = 1 << 20


@pytest.fixture
def swapper() -> Swapper:
    return Swapper(lambda: ROOM, lambda: ROOM, A1111)


def put(swapper: Swapper, module: Net, path: Path, dtype: torch.dtype = torch.float32) -> PreparedWeights:
    ready = swapper.prepare(path, module, dtype)
    with swapper.put(module, ready) as displaced:
        pass
    swapper.keep(displaced)
    return ready


def test_the_weights_of_the_file_are_in_the_same_parameters(swapper: Swapper, tmp_path: Path) -> None:
    module, path = net(0), file_of(1, tmp_path / "a.safetensors")
    before = named_tensors(module)
    put(swapper, module, path)
    assert same(module, copied(net(1)))
    assert all(place is before[name] for name, place in named_tensors(module).items()), "whoever holds them goes on"
    assert not any(place.requires_grad for place in named_tensors(module).values())
    assert swapper.inside(module) is not None


def test_places_are_what_torch_itself_calls_the_state_of_a_module() -> None:
    module = net(0)
    module.decoder.again = module.decoder.mid.block_1  # the same part under two names
    module.register_buffer("left_out", torch.ones(1), persistent=False)
    module.register_parameter("none", None)
    found, state = named_tensors(module), module.state_dict(keep_vars=True)
    assert found.keys() == state.keys()
    assert all(found[name] is state[name] for name in state)


def test_going_back_reads_no_file_and_copies_nothing(swapper: Swapper, tmp_path: Path) -> None:
    module = net(0)
    first, second = (file_of(seed, tmp_path / f"{seed}.safetensors") for seed in (1, 2))
    put(swapper, module, first)
    at = {name: place.data_ptr() for name, place in named_tensors(module).items()}
    put(swapper, module, second)
    assert put(swapper, module, first).from_memory
    assert {name: place.data_ptr() for name, place in named_tensors(module).items()} == at
    assert same(module, copied(net(1)))


def test_live_weights_are_never_in_the_cache(swapper: Swapper, tmp_path: Path) -> None:
    module = net(0)
    paths = [file_of(seed, tmp_path / f"{seed}.safetensors") for seed in (1, 2, 3)]
    for path in (*paths, *paths, paths[0]):
        put(swapper, module, path)
        swapper.in_ram.wait()
        live = {place.data_ptr() for place in named_tensors(module).values()}
        kept = swapper.in_ram._sets.values()
        assert not live & {tensor.data_ptr() for one in kept for tensor in one.tensors.values()}
    assert swapper.in_ram.nbytes == 2 * sum(place.nbytes for place in named_tensors(module).values())


@pytest.mark.parametrize("write", ["in place", "through .data", "moved and rounded"])
def test_what_the_host_has_written_to_is_read_anew(swapper: Swapper, tmp_path: Path, write: str) -> None:
    module = net(0)
    first, second = (file_of(seed, tmp_path / f"{seed}.safetensors") for seed in (1, 2))
    put(swapper, module, first)
    if write == "in place":
        module.load_state_dict(net(5).state_dict())
    elif write == "through .data":
        module.decoder.conv_in.bias.data[0] += 1
    else:
        module.half().float()
    put(swapper, module, second)
    assert not put(swapper, module, first).from_memory
    assert same(module, copied(net(1)))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
def test_another_precision_is_a_copy_and_the_kept_ones_stay(
    swapper: Swapper, tmp_path: Path, dtype: torch.dtype
) -> None:
    module = net(0).to(dtype)
    first, second = (file_of(seed, tmp_path / f"{seed}.safetensors") for seed in (1, 2))
    for path in (first, second, first):
        put(swapper, module, path, dtype)
    assert same(module, {name: tensor.to(dtype) for name, tensor in copied(net(1)).items()})
    put(swapper, module, second, torch.float32)
    assert module.decoder.conv_in.weight.dtype == torch.float32, "after a NaN, say"


def test_the_memory_format_is_that_of_the_place(swapper: Swapper, tmp_path: Path) -> None:
    module = net(0).to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch leaves it out
    put(swapper, module, file_of(1, tmp_path / "a.safetensors"))
    weight = module.encoder.mid.block_1.conv1.weight
    assert weight.is_contiguous(memory_format=torch.channels_last)
    assert same(module, copied(net(1)))


def test_a_file_replaced_under_its_name_is_another_one(swapper: Swapper, tmp_path: Path) -> None:
    module, path = net(0), tmp_path / "a.safetensors"
    put(swapper, module, file_of(1, path))
    put(swapper, module, file_of(3, tmp_path / "other.safetensors"))
    file_of(2, tmp_path / "new").replace(path)
    assert not put(swapper, module, path).from_memory
    assert same(module, copied(net(2)))


def test_a_file_that_has_gone_is_good_as_long_as_it_is_kept(swapper: Swapper, tmp_path: Path) -> None:
    module, path = net(0), file_of(1, tmp_path / "a.safetensors")
    put(swapper, module, path)
    put(swapper, module, file_of(2, tmp_path / "b.safetensors"))
    path.unlink()
    put(swapper, module, path)
    assert same(module, copied(net(1)))
    swapper.make_room()
    put(swapper, module, tmp_path / "b.safetensors")
    swapper.in_ram.wait()
    swapper.make_room()
    with pytest.raises(NotFoundError):
        put(swapper, module, path)


def test_built_in_comes_back_bit_for_bit(swapper: Swapper, tmp_path: Path) -> None:
    module, path = net(0), file_of(1, tmp_path / "a.safetensors")
    base = builtin_of(module)
    put(swapper, module, path)
    with swapper.put_builtin(module, base, torch.float32) as displaced:
        pass
    swapper.keep(displaced)
    assert same(module, copied(net(0)))
    assert swapper.inside(module) is None
    assert put(swapper, module, path).from_memory


BAD: dict[str, tuple[Callable[[Path], Path], type[VaeManagerError], str]] = {
    "16 channels": (lambda path: _saved(net(1, channels=16), path), RefusedError, "other-channels"),
    "a key missing": (lambda path: file_of(1, path, decoder__conv_out__bias=None), RefusedError, "incomplete"),
    "one NaN": (lambda path: file_of(1, path, scale=torch.tensor([1, 2, torch.nan])), IntegrityError, "nan"),
    "whole numbers": (
        lambda path: file_of(1, path, scale=torch.ones(3, dtype=torch.int64)),
        RefusedError,
        "not-weights",
    ),
    "another shape": (lambda path: file_of(1, path, scale=torch.ones(4)), RefusedError, "other-shapes"),
    "nothing": (lambda path: path, NotFoundError, "no-such-file"),
}


def _saved(module: Net, path: Path) -> Path:
    from safetensors.torch import save_file

    save_file(copied(module), path)
    return path


@pytest.mark.parametrize("name", BAD)
def test_a_bad_file_touches_nothing(swapper: Swapper, tmp_path: Path, name: str) -> None:
    make, error, code = BAD[name]
    module, path = net(0), make(tmp_path / "bad.safetensors")
    for _ in range(2):  # the second time it is known
        with fails_with(error, code):
            put(swapper, module, path)
    assert same(module, copied(net(0)))


def test_swapper_reports_a_file_whose_weights_cannot_be_used(tmp_path: Path) -> None:
    told: list[tuple[object, str]] = []
    swapper = Swapper(lambda: 0, lambda: 0, A1111, lambda identity, problem: told.append((identity, problem.code)))
    path = BAD["one NaN"][0](tmp_path / "bad.safetensors")
    for _ in range(2):
        with pytest.raises(IntegrityError):
            put(swapper, net(0), path)
    assert told == [(identity_of(path), "nan")]
    put(swapper, net(0), file_of(1, tmp_path / "good.safetensors"))
    assert len(told) == 1


def test_a_damaged_file_is_read_once(swapper: Swapper, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = BAD["one NaN"][0](tmp_path / "bad.safetensors")
    with pytest.raises(IntegrityError):
        put(swapper, net(0), path)
    monkeypatch.setattr("vae_manager.swap.swapper.read_renamed", None)
    with fails_with(IntegrityError, "nan"):
        put(swapper, net(0), path)


@pytest.mark.parametrize(("times", "is_refused"), [(1, False), (MAX_READS - 1, False), (MAX_READS, True)])
def test_a_file_that_is_touched_while_it_is_read_is_read_again(
    swapper: Swapper, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, times: int, is_refused: bool
) -> None:
    module, path = net(0), file_of(1, tmp_path / "a.safetensors")
    touches = iter(range(times))

    def touched(path: Path) -> Header:
        if (moment := next(touches, None)) is not None:
            os.utime(path, (moment, moment))
        return read_header(path)

    monkeypatch.setattr("vae_manager.swap.weight_reader.read_header", touched)
    if is_refused:
        with fails_with(FileChangedError, "file-changed"):
            put(swapper, module, path)
    else:
        put(swapper, module, path)
    assert same(module, copied(net(0 if is_refused else 1)))


@pytest.mark.parametrize("as_zip", [True, False])
def test_swapper_reads_a_pickle_without_any_unpickler(
    swapper: Swapper, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, as_zip: bool
) -> None:
    module, path = net(0), tmp_path / "a.pt"
    torch.save(net(1).state_dict(), path, _use_new_zipfile_serialization=as_zip)
    for owner, name in ((torch, "load"), (pickle, "load"), (pickle, "loads"), (pickle, "Unpickler")):
        monkeypatch.setattr(owner, name, None)
    swapper.check(path, module)
    put(swapper, module, path)
    assert same(module, copied(net(1)))


@pytest.mark.parametrize("as_zip", [True, False])
def test_swapper_reads_tensors_that_do_not_lie_row_after_row(swapper: Swapper, tmp_path: Path, as_zip: bool) -> None:
    """One number for a whole tensor, every second one, and columns in place of rows."""
    module, path = net(0), tmp_path / "a.pt"
    wanted = {}
    for name, tensor in net(1).state_dict().items():
        if tensor.dim() == 1:
            wanted[name] = torch.ones(1).expand(tensor.shape)
        elif tensor.dim() == 4 and len(wanted) % 2:
            wanted[name] = tensor.permute(3, 2, 1, 0).contiguous().permute(3, 2, 1, 0)
        else:
            wanted[name] = torch.stack([tensor, tensor], -1)[..., 0]
    torch.save(wanted, path, _use_new_zipfile_serialization=as_zip)
    swapper.check(path, module)
    put(swapper, module, path)
    assert same(module, {name: tensor.contiguous() for name, tensor in wanted.items()})


def test_without_memory_nothing_is_changed_and_what_is_kept_is_given_up(
    swapper: Swapper, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = net(0)
    put(swapper, module, file_of(1, tmp_path / "a.safetensors"))
    put(swapper, module, file_of(2, tmp_path / "b.safetensors"))
    real, failures = swapper._read, [1]

    def fails(*arguments: Any) -> Any:
        if failures:
            failures.pop()
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 1 bytes")
        return real(*arguments)

    monkeypatch.setattr(swapper, "_read", fails)
    put(swapper, module, file_of(3, tmp_path / "c.safetensors"))
    assert same(module, copied(net(3))), "the second try had room"
    swapper.in_ram.wait()
    assert swapper.in_ram.nbytes == sum(place.nbytes for place in named_tensors(module).values()), (
        "that of before alone"
    )
    failures[:] = [1, 1]
    with fails_with(OutOfMemoryError, "out-of-memory"):
        put(swapper, module, file_of(4, tmp_path / "d.safetensors"))
    assert same(module, copied(net(3)))


@pytest.mark.parametrize("way", ["file", "kept", "half", "builtin"])
def test_whatever_raises_at_whatever_line_the_old_weights_or_the_new_ones_are_in(tmp_path: Path, way: str) -> None:
    dtype = torch.float16 if way == "half" else torch.float32
    old_file, new_file = (file_of(seed, tmp_path / f"{seed}.safetensors") for seed in (1, 2))
    new = copied(net(0 if way == "builtin" else 2).to(dtype))
    expected_inside = {"old": old_file, "new": None if way == "builtin" else new_file}

    def swap(swapper: Swapper, module: Net, base: dict[str, torch.Tensor]) -> None:
        if way == "builtin":
            with swapper.put_builtin(module, base, dtype) as displaced:
                pass
        else:
            with swapper.put(module, swapper.prepare(new_file, module, dtype)) as displaced:
                pass
        swapper.keep(displaced)

    def scene() -> tuple[Swapper, Net, dict[str, torch.Tensor]]:
        swapper, module = Swapper(lambda: ROOM, lambda: ROOM, A1111), net(0).to(dtype)
        base = builtin_of(module)
        if way == "kept":
            put(swapper, module, new_file)
        put(swapper, module, old_file, dtype)
        swapper.in_ram.wait()
        return swapper, module, base

    first = scene()
    with tracing((FOLDER,)) as steps:
        swap(*first)
    outcomes: Counter[str] = Counter()
    for step in steps:
        swapper, module, base = scene()
        old = copied(module)
        with pytest.raises(Injected), tracing((FOLDER,), step):
            swap(swapper, module, base)
        state = "old" if same(module, old) else "new"
        assert same(module, {"old": old, "new": new}[state]), f"a mixture, after {step}"
        inside = swapper.inside(module)
        assert (Path(inside.path) if inside else None) == expected_inside[state], f"what is noted, after {step}"
        outcomes[state] += 1
        swapper.in_ram.wait()
        live = {place.data_ptr() for place in named_tensors(module).values()}
        for one in swapper.in_ram._sets.values():
            assert not live & {tensor.data_ptr() for tensor in one.tensors.values()}, f"shared, after {step}"
            assert checksums(one.tensors) == one.sums
    assert outcomes["old"] > 20, outcomes


def test_a_model_that_is_gone_is_forgotten(swapper: Swapper, tmp_path: Path) -> None:
    module = net(0)
    put(swapper, module, file_of(1, tmp_path / "a.safetensors"))
    gone = weakref.ref(module)
    del module
    gc.collect()
    assert gone() is None


def test_nothing_asks_a_tensor_for_its_bytes_in_a_way_that_old_torch_lacks() -> None:
    """`Tensor.nbytes` came with torch 2.1; A1111 1.6 brings 2.0.1."""
    package = Path(__file__).parents[2] / "vae_manager"
    asked = [path for path in package.rglob("*.py") if re.search(r"\b(tensor|latent)\.nbytes", path.read_text("utf-8"))]
    assert asked == []


@pytest.mark.parametrize("number", [65520.0, -70000.0])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_numbers_that_the_models_precision_cannot_hold_are_refused(
    swapper: Swapper, tmp_path: Path, number: float, dtype: torch.dtype
) -> None:
    """They would be infinite in the model; in 32 bits the same file is good."""
    module = net(0)
    old = copied(module)
    path = file_of(1, tmp_path / "a.safetensors", dtype=dtype, scale=torch.tensor([1, number, 2], dtype=dtype))
    with pytest.raises(RefusedError):
        swapper.read(path, module, torch.float16)
    for _ in range(2):  # the second time with the weights in memory
        for act in (swapper.prepare, swapper.borrow):
            with pytest.raises(RefusedError):
                act(path, module, torch.float16)
        assert same(module, old)
        put(swapper, module, path)
        put(swapper, module, file_of(0, tmp_path / "b.safetensors"))


def test_the_largest_numbers_of_16_bits_are_no_reason_to_refuse(swapper: Swapper, tmp_path: Path) -> None:
    path = file_of(1, tmp_path / "a.safetensors", scale=torch.tensor([65504.0, 65519.0, -65504.0]))
    ready = swapper.prepare(path, net(0).half(), torch.float16)
    assert all(torch.isfinite(tensor).all() for tensor in ready.weights.tensors.values())
