"""A CUDA card that is only pretended: tensors that say they are on cuda:0, with their numbers on the CPU.

    import pretend_cuda  # before torch, which looks for devices once and remembers

    card = pretend_cuda.install(capability=(8, 9), gib=15.6)  # else PRETEND_CAPABILITY=8.9, PRETEND_GIB=15.6

What a real card refuses is refused here, with its words: operands on two devices, types and shapes that the flash
kernel does not take, `.numpy()` of its tensors, devices without a number where torch.cuda wants one (torch's own checks
run).
`card.waits` lists what would have made the program wait for the card; `card.allocations_left` plants out of memory.
It has a random generator of its own. No kernel of CUDA runs: speed, memory and rounding are those of the CPU.
"""

from __future__ import annotations

import contextlib
import copy
import ctypes
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
import zlib
from functools import cache
from pathlib import Path
from types import SimpleNamespace


def load_guard() -> ctypes.CDLL:
    """Compile guard.cpp, once for each torch, and load it."""
    assert "torch" not in sys.modules, "import pretend_cuda before torch"
    root = Path(importlib.util.find_spec("torch").origin).resolve().parent
    source = Path(__file__).with_name("guard.cpp")
    made_of = zlib.crc32(source.read_bytes(), zlib.crc32(bytes(root)))
    age = (root / "version.py").stat().st_mtime_ns
    library = Path(tempfile.gettempdir()) / f"pretended-cuda-{os.getuid()}-{made_of}-{age}.so"
    if not library.exists() or library.stat().st_uid != os.getuid():
        with tempfile.TemporaryDirectory(dir=library.parent) as folder:  # a name that nobody else has
            compiled = Path(folder) / "guard.so"
            command = [shutil.which("g++") or shutil.which("c++"), "-std=c++20", "-O0", "-w", "-shared", "-fPIC"]
            command += [f"-I{root}/include", str(source), f"-L{root}/lib", "-lc10", "-ltorch_cpu"]
            subprocess.run([*command, f"-Wl,-rpath,{root}/lib", "-o", str(compiled)], check=True)
            os.replace(compiled, library)
    return ctypes.CDLL(str(library))


guard = load_guard()

import torch  # noqa: E402 - after the hooks

guard.register_guard()

import torch._dynamo  # noqa: E402 - these two ask for devices while they load: before the card appears
import torch._inductor.utils  # noqa: E402
from torch.utils._python_dispatch import TorchDispatchMode  # noqa: E402

DEVICE = torch.device("cuda", 0)


class Card:
    """What the card is, what it has been asked to do, and what goes wrong on it."""

    def __init__(self):
        self.capability, self.gib = (8, 9), 15.6
        self.generator_state = torch.get_rng_state()
        self.forget()

    def forget(self) -> None:
        self.n_operations = 0
        self.waits: list[str] = []  # what made the program wait for the card
        self.allocations_left: int | None = None  # new tensors until it is out of memory, once

    @property
    def properties(self) -> SimpleNamespace:
        major, minor = self.capability
        return SimpleNamespace(
            name="Pretended GPU", major=major, minor=minor, total_memory=int(self.gib * 2**30),
            multi_processor_count=34, gcnArchName="",
        )  # fmt: skip

    def allocate(self) -> None:
        if self.allocations_left is not None:
            self.allocations_left -= 1
            if self.allocations_left < 0:
                self.allocations_left = None
                raise torch.OutOfMemoryError("CUDA out of memory. The pretended card was told to be.")


CARD = Card()


class Tensor(torch.Tensor):
    """A tensor on the card; `elem` holds its numbers."""

    @staticmethod
    def __new__(cls, elem, requires_grad=False):
        return torch.Tensor._make_wrapper_subclass(
            cls, elem.size(), strides=elem.stride(), storage_offset=elem.storage_offset(), dtype=elem.dtype,
            layout=elem.layout, device=DEVICE, requires_grad=requires_grad,
        )  # fmt: skip

    def __init__(self, elem, requires_grad=False):
        self.elem = elem

    __torch_function__ = torch._C._disabled_torch_function_impl

    @classmethod
    def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
        return dispatch(func, args, kwargs or {})

    def __repr__(self):
        return f"cuda:{self.elem!r}"

    def __coerce_same_metadata_as_tangent__(self, expected_meta, expected_type=None):
        return self  # torch.compile, which has taken it for a plain tensor, asks for one in the backward pass

    def __getitem__(self, index):
        return super().__getitem__(on_device(index))

    def __setitem__(self, index, value):
        super().__setitem__(on_device(index), value)

    def tolist(self):
        CARD.waits.append("tolist")
        return self.elem.tolist()

    def numpy(self, *, force=False):
        raise TypeError(
            "can't convert cuda:0 device type tensor to numpy. "
            "Use Tensor.cpu() to copy the tensor to host memory first."
        )

    def __reduce_ex__(self, protocol):
        return self.elem.detach().__reduce_ex__(protocol)

    def __deepcopy__(self, memo):
        memo[id(self)] = copied = type(self)(copy.deepcopy(self.elem, memo), self.requires_grad)
        return copied


def on_device(index):
    """An index with its lists as tensors on the card, where torch would make them, below what can be seen from here."""
    if isinstance(index, tuple):
        return tuple(map(on_device, index))
    return torch.tensor(index, device="cuda") if isinstance(index, list) else index


class PretendMode(TorchDispatchMode):
    """Sees what makes a tensor on the card out of none."""

    @classmethod
    def ignore_compile_internals(cls):  # else torch.compile leaves alone what runs under a mode
        return True

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        ours = is_cuda(kwargs.get("device")) or any(isinstance(x, Tensor) for x in leaves(args, kwargs))
        return dispatch(func, args, kwargs) if ours else func(*args, **kwargs)


def is_cuda(device) -> bool:
    return device is not None and torch.device(device).type == "cuda"


def leaves(args, kwargs) -> list:
    """All arguments of an operation, those in lists one by one; torch's own way, for any tree, takes longer than the operation."""
    found = []
    for x in (*args, *kwargs.values()):
        found.extend(x) if isinstance(x, (tuple, list)) else found.append(x)
    return found


def each(act, x):
    """act(x), or of all that is in it."""
    return type(x)(map(act, x)) if type(x) in (tuple, list) else act(x)


def unwrap(x):
    return x.elem if isinstance(x, Tensor) else x


@cache
def about(func) -> tuple[str, bool, bool]:
    """(name, is it made of other operations, does it draw random numbers) of an operation."""
    is_composite = torch._C._dispatch_has_kernel_for_dispatch_key(func.name(), "CompositeImplicitAutograd")
    return str(func), is_composite, torch.Tag.nondeterministic_seeded in func.tags


def dispatch(func, args, kwargs):
    """Do on the CPU what the card is asked for, if it would do it, and say that the result is on the card."""
    name, is_composite, is_random = about(func)
    if is_composite:
        with PretendMode():
            return func.decompose(*args, **kwargs)
    CARD.n_operations += 1
    if name == "aten._fused_sdp_choice.default":
        return 0  # SDPBackend.MATH, the one that is made of other operations
    if name.startswith("torch_attn._varlen_attn"):
        return varlen(func, args, kwargs)
    if name in ("aten._to_copy.default", "aten.copy_.default"):
        return copied(func, args, kwargs)
    tensors = [x for x in leaves(args, kwargs) if isinstance(x, torch.Tensor)]
    ours = [x for x in tensors if isinstance(x, Tensor)]
    note_waits(name, args, tensors, ours)
    target = kwargs.get("device")
    on_card = is_cuda(target) or (target is None and bool(ours))
    if is_cuda(target):
        kwargs = {**kwargs, "device": torch.device("cpu")}
        kwargs.pop("pin_memory", None)
    args, kwargs = [each(unwrap, x) for x in args], {key: each(unwrap, x) for key, x in kwargs.items()}
    result = with_own_generator(func, args, kwargs) if on_card and is_random else func(*args, **kwargs)
    known = {id(x.elem): x for x in ours}  # what an operation in place returns is what it got

    def wrap(x):
        if not isinstance(x, torch.Tensor):
            return x
        if id(x) in known:
            return known[id(x)]
        CARD.allocate()
        return Tensor(x)

    return each(wrap, result) if on_card else result


def note_waits(name: str, args, tensors, ours) -> None:
    """Note what waits for the card: a result whose value or shape the program needs. Refuse operands on two devices."""
    if name in ("aten._local_scalar_dense.default", "aten.nonzero.default", "aten.masked_select.default",
                "aten._unique2.default", "aten.unique_dim.default", "aten.equal.default"):  # fmt: skip
        CARD.waits.append(name)
    indexes = name.startswith(("aten.index.", "aten.index_put", "aten._index_put")) and isinstance(args[0], Tensor)
    if indexes and any(x is not None and x.dtype in (torch.bool, torch.uint8) for x in args[1]):
        CARD.waits.append(f"{name} by a mask")
    if ours and any(x.ndim > 0 and not isinstance(x, Tensor) for x in tensors):
        if not indexes:
            raise RuntimeError(
                "Expected all tensors to be on the same device, but found at least two devices, cuda:0 and cpu! "
                f"(when checking {name})"
            )
        CARD.waits.append(f"{name} by an index on the CPU")


def copied(func, args, kwargs):
    """Copies between CPU and card, which wait unless they are asked not to and the CPU's memory is pinned."""
    if str(func) == "aten.copy_.default":
        target, source = args[:2]
        to_card, from_card = isinstance(target, Tensor), isinstance(source, Tensor)
        non_blocking = args[2] if len(args) > 2 else kwargs.get("non_blocking", False)
    else:
        target, source = None, args[0]
        device, from_card = kwargs.get("device"), isinstance(source, Tensor)
        to_card, non_blocking = (from_card if device is None else is_cuda(device)), kwargs.get("non_blocking", False)
    if to_card and not from_card and not (non_blocking and is_pinned(source)) and source.ndim:
        CARD.waits.append("copy to the card")
    if from_card and not to_card and not non_blocking:
        CARD.waits.append("copy from the card")
    if target is not None:
        unwrap(target).copy_(unwrap(source))
        return target
    if kwargs.get("device") is not None:
        kwargs = {**kwargs, "device": torch.device("cpu")}
    kwargs = {key: value for key, value in kwargs.items() if key not in ("pin_memory", "non_blocking")}
    result = func(unwrap(source), *args[1:], **kwargs)
    if to_card:
        CARD.allocate()
    return Tensor(result) if to_card else result


def with_own_generator(func, args, kwargs):
    """The card's random numbers come from the card's generator: what restores the CPU's alone is found out."""
    before = torch.get_rng_state()
    torch.set_rng_state(CARD.generator_state)
    try:
        return func(*args, **kwargs)
    finally:
        CARD.generator_state = torch.get_rng_state()
        torch.set_rng_state(before)


# Attention by the flash kernel ---------------------------------------------------------------------------------------


def varlen(func, args, kwargs):
    """torch.nn.attention.varlen and its backward pass, by plain mathematics; since 2.10 the arguments have grown."""
    given = dict(zip((argument.name for argument in func._schema.arguments), args), **kwargs)
    q, k, v, bounds, bounds_k = (given[name] for name in ("query", "key", "value", "cu_seq_q", "cu_seq_k"))
    check_flash(q, k, v, bounds, bounds_k)
    assert given["is_causal"] and given.get("seqused_k") is None and given.get("block_table") is None
    lengths = bounds.elem.diff()
    assert lengths.max() <= given["max_q"] and lengths.max() <= given["max_k"], "a document is longer than was said"
    assert bounds.elem[0] == 0 and bounds.elem[-1] == len(q), "the documents do not fill the batch"
    scale = given.get("scale") or q.shape[-1] ** -0.5
    spans = list(zip(bounds.elem.tolist(), bounds.elem.tolist()[1:]))
    if "grad_out" not in given:
        CARD.allocate()
        out = torch.empty_like(q.elem)
        for start, end in spans:
            Q, K, V = (x.elem[start:end].transpose(0, 1).float() for x in (q, k, v))
            out[start:end] = (probabilities(Q, K, scale) @ V).transpose(0, 1).to(out.dtype)
        return Tensor(out), Tensor(torch.zeros(q.shape[1], q.shape[0])), Tensor(torch.zeros(2, dtype=torch.uint64))
    grad = given["grad_out"]
    if grad.dtype != q.dtype or grad.stride(-1) != 1:
        raise RuntimeError("query and dout must have the same dtype, and the last dimension contiguous")
    grads = [torch.empty_like(x.elem) for x in (q, k, v)]
    for start, end in spans:
        Q, K, V, G = (x.elem[start:end].transpose(0, 1).float() for x in (q, k, v, grad))
        P = probabilities(Q, K, scale)
        dP = G @ V.transpose(1, 2)
        dS = P * (dP - (dP * P).sum(-1, keepdim=True)) * scale
        for whole, part in zip(grads, (dS @ K, dS.transpose(1, 2) @ Q, P.transpose(1, 2) @ G)):
            whole[start:end] = part.transpose(0, 1).to(whole.dtype)
    return tuple(map(Tensor, grads))


def probabilities(Q, K, scale):
    """Causal softmax of one document's scores; Q, K (H, T, D) -> (H, T, T)."""
    future = torch.ones(Q.shape[1], Q.shape[1], dtype=torch.bool).triu(1)
    return (Q @ K.transpose(1, 2) * scale).masked_fill(future, float("-inf")).softmax(-1)


def check_flash(q, k, v, bounds, bounds_k) -> None:
    """What mha_varlen_fwd checks, in aten/src/ATen/native/transformers/cuda/flash_attn/flash_api.cpp of torch."""
    for holds, otherwise in (
        (CARD.capability >= (8, 0), "FlashAttention only supports Ampere GPUs or newer."),
        (q.dtype in (torch.float16, torch.bfloat16), "FlashAttention only support fp16 and bf16 data type"),
        (k.dtype == q.dtype, "query and key must have the same dtype"),
        (v.dtype == q.dtype, "query and value must have the same dtype"),
        (bounds.dtype == bounds_k.dtype == torch.int32, "cu_seqlens_q must have dtype int32"),
        (bounds.is_contiguous() and bounds_k.is_contiguous(), "cu_seqlens_q must be contiguous"),
        (all(isinstance(x, Tensor) for x in (q, k, v, bounds, bounds_k)), "Input tensor must be on CUDA device"),
        (q.stride(-1) == k.stride(-1) == v.stride(-1) == 1, "Input tensor must have contiguous last dimension"),
        (q.shape[-1] % 8 == 0, "head_size must be a multiple of 8, this is ensured by padding!"),
        (q.shape[-1] <= 256, "FlashAttention forward only supports head dimension at most 256"),
    ):
        if not holds:
            raise RuntimeError(otherwise)


# torch.cuda ----------------------------------------------------------------------------------------------------------


def is_pinned(tensor, device=None) -> bool:
    return getattr(tensor, "pretends_to_be_pinned", False)


def pin_memory(tensor, device=None):
    if isinstance(tensor, Tensor):
        raise RuntimeError("cannot pin 'torch.cuda.FloatTensor' only dense CPU tensors can be pinned")
    pinned = tensor.clone()
    pinned.pretends_to_be_pinned = True
    return pinned


def seed_card(seed: int) -> None:
    CARD.generator_state = torch.Generator().manual_seed(seed).get_state()


def restore_card(state, device="cuda") -> None:
    CARD.generator_state = state.clone()


def set_memory_fraction(fraction: float, index: int) -> None:
    assert 0 <= fraction <= 1 and index == 0


def install(capability: tuple[int, int] | None = None, gib: float | None = None) -> Card:
    """Make torch.cuda say that there is a card, with its own checks of arguments left in force."""
    asked = os.environ.get("PRETEND_CAPABILITY", "8.9").split(".")
    CARD.capability = capability or (int(asked[0]), int(asked[1]))
    CARD.gib = gib or float(os.environ.get("PRETEND_GIB", "15.6"))
    cuda, C, make_tensor = torch.cuda, torch._C, torch.tensor
    cuda.is_available = cuda.is_initialized = lambda: True
    cuda._initialized = True  # checkpointing asks this before it keeps the state of the card's generator
    cuda.device_count = lambda: 1
    cuda.current_device = lambda: 0
    cuda.is_current_stream_capturing = lambda: False
    cuda._lazy_init = cuda.memory._lazy_init = lambda: None
    cuda._get_device_properties = lambda index: CARD.properties
    cuda.synchronize = lambda device=None: CARD.waits.append("synchronize")
    cuda.mem_get_info = cuda.memory.mem_get_info = lambda device=None: (CARD.properties.total_memory,) * 2
    cuda.manual_seed = cuda.manual_seed_all = seed_card
    cuda.get_rng_state = lambda device="cuda": CARD.generator_state.clone()
    cuda.set_rng_state = restore_card
    C._cuda_setMemoryFraction = set_memory_fraction
    C._cuda_emptyCache = lambda: None
    C._cuda_memoryStats = lambda index: {}
    C._cuda_resetPeakMemoryStats = lambda index: None
    C._cuda_getDevice = lambda: 0
    C._cuda_getDeviceCount = lambda: 1
    C._cuda_setDevice = lambda index: None
    for holder, name in ((C, "_cuda_exchangeDevice"), (C, "_cuda_maybeExchangeDevice"),
                         (cuda, "_exchange_device"), (cuda, "_maybe_exchange_device")):  # fmt: skip
        setattr(holder, name, lambda index: 0)
    for module in list(sys.modules.values()):  # GradScaler and autocast ask whether torch was built with CUDA
        if getattr(module, "__name__", "").startswith("torch") and hasattr(module, "amp_definitely_not_available"):
            module.amp_definitely_not_available = lambda: False
    torch.Tensor.pin_memory, torch.Tensor.is_pinned = pin_memory, is_pinned
    for kernel in ("flash", "mem_efficient", "cudnn"):  # a CUDA build would ask the driver whether it can run them
        getattr(torch.backends.cuda, f"enable_{kernel}_sdp")(False)

    def tensor(data, *, device=None, **kwargs):  # makes it on the CPU and moves it, below what a mode sees
        made = make_tensor(data, **kwargs)
        return made.to(device) if is_cuda(device) else made

    torch.tensor = tensor
    if torch.__version__ < "2.13":  # it cannot slice there what was made outside of inference mode
        torch.inference_mode = lambda mode=True: torch.no_grad() if mode else contextlib.nullcontext()
    torch._subclasses.fake_tensor.init_gpu_context = lambda device: None  # a CUDA build would start the driver
    # torch.compile takes a subclass apart, or leaves it alone; these it shall see as plain tensors on cuda:0
    builder = torch._dynamo.variables.builder.VariableBuilder
    builder._type_dispatch()[Tensor] = builder.wrap_tensor
    torch.__future__.set_swap_module_params_on_conversion(True)  # a parameter's numbers cannot change their device
    PretendMode().__enter__()
    return CARD
