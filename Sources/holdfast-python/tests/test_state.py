"""Round trips of states, compared with the public safetensors package."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import math
import struct
import tempfile
from collections import Counter, OrderedDict, deque
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import pytest
import safetensors
import safetensors.numpy
import safetensors.torch
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import holdfast
from internals import ImageReader, ImageWriter, LoopState, Part, flatten


@cache
def saver() -> tuple[holdfast.Run, dict[str, Any]]:
    """Return a run, and the states that it saves."""
    states: dict[str, Any] = {}
    run = holdfast.attach(rng=False)
    run.on_save_checkpoint(lambda saved: saved.update(states))
    return run, states


def image(states: dict[str, Any]) -> bytes:
    """Return the `state.safetensors` of a checkpoint."""
    run, saved = saver()
    saved.clear()
    saved.update(states)
    with tempfile.TemporaryDirectory(dir="/dev/shm") as directory:
        return (run.save(directory) / "state.safetensors").read_bytes()


def load(data: bytes) -> dict[str, Any]:
    """Return the states in an image."""
    with tempfile.NamedTemporaryFile(dir="/dev/shm", suffix=".safetensors") as file:
        file.write(data)
        file.flush()
        return holdfast.load(file.name).components


def back(states: dict[str, Any]) -> dict[str, Any]:
    """Return states as they are after saving and loading."""
    return load(image(states))


def header_of(data: bytes) -> dict[str, Any]:
    length = struct.unpack_from("<Q", data)[0]
    assert length % 8 == 0
    header: dict[str, Any] = json.loads(data[8 : 8 + length])
    return header


def raw(tensor: torch.Tensor) -> bytes:
    """Return the bytes of a tensor, in row-major order."""
    flat = torch.empty(tensor.numel(), dtype=tensor.dtype)
    flat.copy_(tensor.flatten())
    return flat.view(torch.uint8).numpy().tobytes()


def same(a: Any, b: Any) -> bool:
    """Return whether two values have equal types and bits."""
    if type(a) is not type(b):
        return False
    if isinstance(a, torch.Tensor):
        if a.dtype != b.dtype or a.shape != b.shape:
            return False
        if a.dtype.is_complex:
            a, b = (torch.view_as_real(each.resolve_conj()) for each in (a, b))
        return raw(a) == raw(b)
    if isinstance(a, np.ndarray):
        return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()
    if isinstance(a, np.generic):
        return a.dtype == b.dtype and a.tobytes() == b.tobytes()
    if isinstance(a, float):
        return struct.pack(">d", a) == struct.pack(">d", b)
    if isinstance(a, complex):
        return same(a.real, b.real) and same(a.imag, b.imag)
    if isinstance(a, dict):
        keys = list(a) == list(b) if not isinstance(a, Counter) else set(a) == set(b)
        return keys and all(same(a[key], b[key]) for key in a)
    if isinstance(a, (list, tuple, deque)):
        return len(a) == len(b) and all(map(same, a, b))
    return bool(a == b)


DTYPES = [
    torch.bool, torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64, torch.float16,
    torch.bfloat16, torch.float32, torch.float64, torch.complex64, torch.complex128,
]  # fmt: skip
shapes = st.lists(st.integers(0, 4), max_size=3).map(tuple)


@st.composite
def tensors(draw: Any) -> torch.Tensor:
    dtype, shape = draw(st.sampled_from(DTYPES)), draw(shapes)
    generator = torch.Generator().manual_seed(draw(st.integers(0, 1000)))
    tensor = (torch.randn(shape, generator=generator, dtype=torch.float64) * 50).to(dtype)
    how = draw(st.integers(0, 3))
    if how == 1 and tensor.dim() > 1:
        tensor = tensor.transpose(0, 1)
    elif how == 2 and tensor.dim() and tensor.shape[0] > 1:
        tensor = tensor[::2]
    elif how == 3 and dtype.is_complex:
        tensor = tensor.conj()
    return tensor


arrays = st.builds(
    lambda dtype, shape, seed: (np.random.default_rng(seed).normal(0, 50, shape)).astype(dtype),
    st.sampled_from(["?", "u1", "<i2", ">i4", "<f2", "<f4", ">f8", "<c8", "<c16", "<u8", "S3", "<U4", "g"]),
    shapes,
    st.integers(0, 1000),
)
leaves = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.complex_numbers(), st.text(), st.binary(),
    st.binary().map(bytearray), tensors(), arrays, st.floats(width=32).map(np.float32),
    st.text(st.characters(codec=None), max_size=3),
)  # fmt: skip
keys = st.one_of(
    st.text(max_size=4), st.sampled_from(["$", "$tensor", "$$python", "$python", "a/b", "~", "__metadata__"]),
    st.integers(), st.booleans(), st.none(), st.tuples(st.integers(), st.text(max_size=2)),
)  # fmt: skip


def containers(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(
        st.lists(inner, max_size=4),
        st.lists(inner, max_size=4).map(tuple),
        st.dictionaries(keys, inner, max_size=4),
        st.dictionaries(st.text(max_size=4), inner, max_size=4).map(OrderedDict),
        st.lists(inner, max_size=4).map(lambda values: deque(values, maxlen=9)),
    )


states = st.recursive(leaves, containers, max_leaves=12)


@settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.dictionaries(st.text(max_size=6), states, max_size=3))
def test_any_state_survives_a_round_trip(state: dict[str, Any]) -> None:
    assert same(back({"all": state})["all"], state)


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.dictionaries(st.text(min_size=1, max_size=5), tensors(), max_size=5))
def test_the_safetensors_package_reads_the_same_tensors(state: dict[str, torch.Tensor]) -> None:
    written = image({"model": state})
    public = safetensors.torch.load(written)
    reader = ImageReader(memoryview(bytearray(written)))
    assert set(public) == set(reader.tensors)
    for name, tensor in public.items():
        assert bytes(reader.tensors[name].data) == raw(tensor)
    plain = {key: value for key, value in state.items() if not value.dtype.is_complex and "$" not in key}
    for key, value in plain.items():
        if key.isalnum() and key.isascii():
            assert same(public[f"model/{key}"], value.contiguous())


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_damaged_images_are_refused_or_read(data: Any) -> None:
    whole = bytearray(image({"model": {"w": torch.arange(6.0), "n": 3, "s": "x"}}))
    for _ in range(data.draw(st.integers(1, 4))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    whole = whole[: data.draw(st.integers(0, len(whole)))]
    with contextlib.suppress(holdfast.HoldfastError):
        load(bytes(whole))


def test_shared_tensors_are_written_once_and_stay_shared() -> None:
    weight = torch.randn(4, 3)
    state = {"encoder": weight, "decoder": weight, "view": weight[:2], "again": weight.view(4, 3)}
    written = image({"model": state})
    assert set(safetensors.torch.load(written)) == {"model/encoder", "model/view"}
    loaded = back({"model": state})["model"]
    assert loaded["encoder"] is loaded["decoder"]
    assert same(loaded["view"], weight[:2])


def test_tied_weights_of_a_module_stay_tied() -> None:
    def tied() -> torch.nn.Module:
        model = torch.nn.Sequential(torch.nn.Embedding(5, 3), torch.nn.Linear(3, 5, bias=False))
        model[1].weight = model[0].weight
        return model

    saved, loaded = tied(), tied()
    loaded.load_state_dict(back({"model": saved.state_dict()})["model"])
    assert loaded[0].weight is loaded[1].weight
    assert same(loaded[0].weight.detach(), saved[0].weight.detach())


def test_module_metadata_parameters_and_torch_values() -> None:
    module = torch.nn.BatchNorm1d(3)
    state = {
        "module": module.state_dict(),
        "parameter": torch.nn.Parameter(torch.ones(2), requires_grad=False),
        "size": torch.Size([1, 2]),
        "dtype": torch.bfloat16,
        "device": torch.device("cpu"),
        "counter": Counter({3: 2}),
        "set": {1, 2},
        "numpy": np.dtype("<f4"),
    }
    loaded = back({"all": state})["all"]
    assert loaded["module"]._metadata == module.state_dict()._metadata
    assert type(loaded["parameter"]) is torch.nn.Parameter
    assert not loaded["parameter"].requires_grad
    for name in ("size", "dtype", "device", "counter", "set", "numpy"):
        assert loaded[name] == state[name]
        assert type(loaded[name]) is type(state[name])


@dataclasses.dataclass
class Best:
    score: float
    weights: torch.Tensor


class Pair(NamedTuple):
    a: int
    b: int


def test_registered_types() -> None:
    holdfast.register_dataclass(Best)
    holdfast.register_type(Pair, lambda pair: list(pair), lambda state: Pair(*state), name="pair")
    loaded = back({"all": [Best(0.5, torch.ones(3)), Pair(1, 2)]})["all"]
    assert loaded[0].score == 0.5
    assert same(loaded[0].weights, torch.ones(3))
    assert loaded[1] == Pair(1, 2)
    with pytest.raises(ValueError, match="another type"):
        holdfast.register_type(int, str, int, name="pair")
    metadata = header_of(image({"all": Pair(1, 2)}))["__metadata__"]
    assert json.loads(metadata["holdfast.state"]) == {
        "all": {"$$python": "object", "type": "pair", "value": [1, 2]}
    }


@dataclasses.dataclass
class Unregistered:
    a: int


@pytest.mark.parametrize(
    ("value", "what"),
    [
        (lambda: torch.quantize_per_tensor(torch.ones(2), 0.1, 0, torch.qint8), "quantized"),
        (lambda: torch.ones(2, 2).to_sparse(), "layout"),
        (lambda: torch.ones(2, device="meta"), "meta"),
        (lambda: np.array([object()]), "array of Python objects"),
        (lambda: np.zeros(2, [("a", "<i4")]), "array of"),
        (lambda: object(), "are not supported"),
        (lambda: print, "are not supported"),
        (lambda: Unregistered(1), "are not supported"),
    ],
)
def test_unsupported_values_are_refused_with_their_path(value: Any, what: str) -> None:
    with pytest.raises(holdfast.HoldfastError, match=what) as refused:
        image({"model": {"layer": [value()]}})
    assert "model/layer/0" in str(refused.value)
    assert refused.value.hint


def test_cycles_and_depth_are_refused() -> None:
    cycle: list[Any] = []
    cycle.append(cycle)
    with pytest.raises(holdfast.HoldfastError, match="contains itself"):
        image({"a": cycle})
    deep: Any = 1
    for _ in range(600):
        deep = [deep]
    with pytest.raises(holdfast.HoldfastError, match="nested deeper"):
        image({"a": deep})


def test_the_header_has_the_shared_format() -> None:
    loop = LoopState(3, 1, 2, 64, (Part("rng", "python", b"\x00\xff"),))
    state = {"net": {"w": torch.ones(2, 3), "x/y~z": np.arange(2), "lr": 0.1, "n": math.inf}}
    written = ImageWriter(flatten(state), loop).to_bytes()
    assert ImageReader(memoryview(written)).loop == loop
    header = header_of(bytes(written))
    assert header["__metadata__"]["format"] == "holdfast"
    assert header["net/w"]["shape"] == [2, 3]
    assert "net/x~1y~0z" in header
    assert json.loads(header["__metadata__"]["holdfast.loop_state"]) == {
        "step": 3, "epoch": 1, "batch": 2, "samples": 64,
        "parts": [{"kind": "rng", "name": "python", "bytes": "AP8="}],
    }  # fmt: skip
    assert json.loads(header["__metadata__"]["holdfast.state"])["net"] == {
        "w": {"$tensor": "net/w"},
        "x/y~z": {"$$python": "array", "value": {"$tensor": "net/x~1y~0z"}},
        "lr": {"$real": "0.1"},
        "n": {"$bits": "7ff0000000000000"},
    }


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
def test_cuda_tensors_survive_a_round_trip() -> None:
    tensor = torch.randn(1000, 100, device="cuda")
    loaded = back({"model": {"w": tensor, "t": tensor.t()}})["model"]
    assert loaded["w"].device == tensor.device
    assert torch.equal(loaded["w"], tensor)
    assert torch.equal(loaded["t"], tensor.t())


@pytest.mark.skipif(not hasattr(torch, "float8_e4m3fn"), reason="this torch has no float8")
def test_float8() -> None:
    for name in ("float8_e4m3fn", "float8_e5m2", "float8_e4m3fnuz", "float8_e5m2fnuz", "float8_e8m0fnu"):
        tensor = torch.randn(5).abs().to(getattr(torch, name))
        loaded = back({"a": tensor})["a"]
        assert loaded.dtype == tensor.dtype
        assert torch.equal(loaded.view(torch.uint8), tensor.view(torch.uint8))


@pytest.mark.skipif(not hasattr(torch, "float4_e2m1fn_x2"), reason="this torch has no float4")
def test_float4() -> None:
    tensor = torch.arange(6, dtype=torch.uint8).reshape(2, 3).view(torch.float4_e2m1fn_x2)
    loaded = back({"a": tensor, "none": tensor[:0]})
    assert loaded["a"].dtype == tensor.dtype
    assert loaded["none"].shape == (0, 3)
    assert torch.equal(loaded["a"].view(torch.uint8), tensor.view(torch.uint8))


def test_small_types_of_numpy() -> None:
    ml_dtypes = pytest.importorskip("ml_dtypes")
    for name in ("float8_e8m0fnu", "float8_e4m3fnuz", "float4_e2m1fn", "int4", "bfloat16"):
        if hasattr(ml_dtypes, name):
            array = np.array([[0.5, 1.0, 2.0]]).astype(getattr(ml_dtypes, name))
            assert same(back({"a": array, "s": array[0, 0], "d": array.dtype})["a"], array)
            assert back({"d": array.dtype})["d"] == array.dtype


# Every type of safetensors 0.8, and what torch calls it.
STORED = {
    "BOOL": "bool", "F4": "float4_e2m1fn_x2", "F6_E2M3": None, "F6_E3M2": None, "U8": "uint8", "I8": "int8",
    "F8_E5M2": "float8_e5m2", "F8_E4M3": "float8_e4m3fn", "F8_E8M0": "float8_e8m0fnu",
    "F8_E4M3FNUZ": "float8_e4m3fnuz", "F8_E5M2FNUZ": "float8_e5m2fnuz", "I16": "int16", "U16": "uint16",
    "F16": "float16", "BF16": "bfloat16", "I32": "int32", "U32": "uint32", "F32": "float32",
    "C64": "complex64", "F64": "float64", "I64": "int64", "U64": "uint64",
}  # fmt: skip
BITS = {"F4": 4, "F6_E2M3": 6, "F6_E3M2": 6, "C64": 64, "BF16": 16, "BOOL": 8}


@pytest.mark.parametrize("stored", STORED)
def test_every_stored_type_is_read(stored: str, tmp_path: Any) -> None:
    bits = BITS.get(stored) or int(stored.partition("_")[0][1:])
    content = bytes([0, 1] * (bits // 2))
    loop = json.dumps({"step": 0, "epoch": 0, "batch": 0, "samples": 0, "parts": []})
    state = json.dumps({"c": {"t": {"$tensor": "c/t"}, "none": {"$tensor": "c/none"}}})
    header = json.dumps(
        {
            "__metadata__": {"holdfast.loop_state": loop, "holdfast.state": state},
            "c/none": {"dtype": stored, "shape": [0, 2], "data_offsets": [0, 0]},
            "c/t": {"dtype": stored, "shape": [2, 4], "data_offsets": [0, bits]},
        }
    ).encode()
    header += b" " * (-len(header) % 8)
    path = tmp_path / "state"
    path.write_bytes(struct.pack("<Q", len(header)) + header + content)
    name = STORED[stored]
    if name is None or not hasattr(torch, name):
        with pytest.raises(holdfast.HoldfastError, match=f"no dtype for {stored}"):
            holdfast.load(path)
        return
    loaded = holdfast.load(path)["c"]
    assert loaded["t"].dtype == getattr(torch, name)
    assert tuple(loaded["t"].shape) == ((2, 2) if stored == "F4" else (2, 4))
    flat = torch.view_as_real(loaded["t"]) if stored == "C64" else loaded["t"]
    assert flat.contiguous().view(torch.uint8).numpy().tobytes() == content
    assert loaded["none"].numel() == 0
    path.write_bytes(struct.pack("<Q", len(header)) + header + content[:-1])
    with pytest.raises(holdfast.HoldfastError):
        holdfast.load(path)


def test_fifty_thousand_tensors_of_any_name() -> None:
    texts = ["層", "é", "🧪", "a/b", "~1", '"', "\x00", "$t", "e\u0301", "\u202e"]
    shapes: list[tuple[int, ...]] = [(2, 0), (), (3,)]
    states = {
        f"{texts[number % len(texts)]} {number}": torch.full(shapes[number % 3], float(number))
        for number in range(50_000)
    }
    loaded = back({"模型": states})["模型"]
    assert list(loaded) == list(states)
    assert all(torch.equal(loaded[name], value) for name, value in states.items())


def test_component_names_with_other_encodings_are_refused() -> None:
    run = holdfast.attach()
    run.register(**{"e\u0301": {}})
    with pytest.raises(holdfast.HoldfastError, match="already in use"):
        run.register(**{"\u00e9": {}})
    with pytest.raises(holdfast.HoldfastError, match="same name"):
        image({"e\u0301": {}, "\u00e9": {}})
    with pytest.raises(holdfast.HoldfastError, match="not valid Unicode"):
        image({"\ud800": {}})
