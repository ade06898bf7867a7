"""A CUDA device that is only pretended: real numbers on the CPU under tensors that say they are on cuda:0.

Import before torch, then `install()`. What a real card refuses is refused here: operands on two devices, dtypes and
shapes that flash attention does not take, device arguments without an index where torch.cuda wants one (its own Python
checks run). So it proves control flow, devices, dtypes, shapes, argument checks, and how often the host waits for the
device. It proves nothing about kernels, their accuracy and speed, or about the allocator and what fits into memory.
"""

from __future__ import annotations

import copy
import ctypes
import importlib.util
import os
import subprocess
import sys
import tempfile
import types
from pathlib import Path

HERE = Path(__file__).parent
ROOT = Path(importlib.util.find_spec("torch").origin).parent
LIB = Path(tempfile.gettempdir()) / f"pretended-cuda-{os.stat(ROOT).st_mtime_ns}.so"  # made once for each torch
if not LIB.exists():
    subprocess.run(
        [
            "g++",
            "-std=c++20",
            "-O0",
            "-w",
            "-shared",
            "-fPIC",
            f"-I{ROOT}/include",
            str(HERE / "guard.cpp"),
            f"-L{ROOT}/lib",
            "-lc10",
            "-ltorch_cpu",
            f"-Wl,-rpath,{ROOT}/lib",
            "-o",
            str(LIB),
        ],
        check=True,
    )
ctypes.CDLL(str(LIB))

import torch  # noqa: E402 - the library above must be there first
import torch._dynamo  # noqa: E402 - these two before the card appears
import torch._inductor.utils  # noqa: E402
from torch.utils._python_dispatch import TorchDispatchMode  # noqa: E402
from torch.utils._pytree import tree_leaves, tree_map  # noqa: E402

CARD = types.SimpleNamespace(
    name="Pretended GPU", major=8, minor=9, total_memory=int(15.6 * 2**30), multi_processor_count=34, gcnArchName=""
)
CUDA0 = torch.device("cuda", 0)
aten = torch.ops.aten
LOG = {"syncs": 0, "h2d": 0, "d2h": 0}  # how often the host waited; copies to the card and back


def on_device(index):
    if isinstance(index, tuple):
        return tuple(map(on_device, index))
    return torch.tensor(index, device="cuda") if isinstance(index, list) else index


class Tensor(torch.Tensor):
    @staticmethod
    def __new__(cls, elem, requires_grad=False):
        return torch.Tensor._make_wrapper_subclass(
            cls,
            elem.size(),
            strides=elem.stride(),
            storage_offset=elem.storage_offset(),
            dtype=elem.dtype,
            layout=elem.layout,
            device=CUDA0,
            requires_grad=requires_grad,
        )

    def __init__(self, elem, requires_grad=False):
        self.elem = elem

    def __repr__(self):
        return f"cuda:{self.elem!r}"

    def __setitem__(self, index, value):  # C++ would make the index on the device
        super().__setitem__(on_device(index), value)

    def __getitem__(self, index):
        return super().__getitem__(on_device(index))

    def tolist(self):
        note_sync("tolist")
        return self.elem.tolist()

    def numpy(self, *, force=False):
        raise TypeError(
            "can't convert cuda:0 device type tensor to numpy. Use Tensor.cpu() to copy the tensor to host memory first."
        )

    def __reduce_ex__(self, protocol):
        return self.elem.detach().__reduce_ex__(protocol)

    def __deepcopy__(self, memo):
        new = type(self)(copy.deepcopy(self.elem, memo), self.requires_grad)
        memo[id(self)] = new
        return new

    __torch_function__ = torch._C._disabled_torch_function_impl

    @classmethod
    def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
        return dispatch(func, args, kwargs or {})


def unwrap(x):
    return x.elem if isinstance(x, Tensor) else x


def is_cuda(device):
    return device is not None and torch.device(device).type == "cuda"


def check_flash(q, k, v, cu_q, cu_k):
    """What mha_varlen_fwd of aten/src/ATen/native/transformers/cuda/flash_attn/flash_api.cpp checks."""
    assert CARD.major >= 8, "FlashAttention only supports Ampere GPUs or newer."
    assert q.dtype in (torch.float16, torch.bfloat16), (
        f"FlashAttention only support fp16 and bf16 data type ({q.dtype})"
    )
    assert k.dtype == q.dtype, f"query and key must have the same dtype ({q.dtype}, {k.dtype})"
    assert v.dtype == q.dtype, f"query and value must have the same dtype ({q.dtype}, {v.dtype})"
    assert cu_q.dtype == cu_k.dtype == torch.int32 and cu_q.is_contiguous(), "cu_seqlens must have dtype int32"
    assert all(isinstance(x, Tensor) for x in (q, k, v, cu_q, cu_k)), "not on the device"
    assert q.stride(-1) == k.stride(-1) == v.stride(-1) == 1, "Input tensor must have contiguous last dimension"
    assert q.shape[-1] <= 256 and q.shape[-1] % 8 == 0, "head_size must be a multiple of 8, this is ensured by padding!"


def varlen_math(q, k, v, cu, scale):
    out, bounds = torch.empty(q.shape, dtype=q.dtype), cu.tolist()
    for a, b in zip(bounds, bounds[1:]):
        if b > a:
            out[a:b] = (
                torch.nn.functional.scaled_dot_product_attention(
                    *(x[a:b].transpose(0, 1).float() for x in (q, k, v)), is_causal=True, scale=scale
                )
                .transpose(0, 1)
                .to(q.dtype)
            )
    return out


ON_CPU = {  # what has another name on a CPU
    "aten._fused_sdp_choice.default": lambda *a, **k: 0,  # SDPBackend.MATH
}


def dispatch(func, args, kwargs):
    name = str(func)
    flat = tree_leaves((args, kwargs))
    tensors = [x for x in flat if isinstance(x, torch.Tensor)]
    ours = [x for x in tensors if isinstance(x, Tensor)]
    if torch._C._dispatch_has_kernel_for_dispatch_key(func.name(), "CompositeImplicitAutograd"):
        with PretendMode():
            return func.decompose(*args, **kwargs)
    if name in ON_CPU:
        return ON_CPU[name](*args, **kwargs)
    if name.startswith("torch_attn._varlen_attn.default"):
        q, k, v, cu_q, cu_k, *rest = args
        check_flash(q, k, v, cu_q, cu_k)
        scale = rest[3] if len(rest) > 3 else None
        assert rest[2] is True, "not causal"
        out = varlen_math(q.elem, k.elem, v.elem, cu_q.elem, scale)
        return Tensor(out), Tensor(torch.zeros(q.shape[1], q.shape[0])), Tensor(torch.zeros(2, dtype=torch.uint64))
    if name.startswith("torch_attn._varlen_attn_backward"):
        grad, q, k, v, out, _lse, cu_q, cu_k, *rest = args
        check_flash(q, k, v, cu_q, cu_k)
        assert grad.dtype == q.dtype and grad.stride(-1) == 1, "query and dout must have the same dtype"
        scale = rest[4] if len(rest) > 4 else None
        return tuple(Tensor(g) for g in varlen_grad(grad.elem, (q.elem, k.elem, v.elem), cu_q.elem, scale))
    copies = name in ("aten._to_copy.default", "aten.copy_.default", "aten.to.device", "aten._copy_from.default")
    target = kwargs.get("device")
    if copies:
        if name == "aten.copy_.default":
            a, b = args[:2]
            if isinstance(a, Tensor) != isinstance(b, Tensor):
                LOG["h2d" if isinstance(a, Tensor) else "d2h"] += 1
                if not (args[2] if len(args) > 2 else kwargs.get("non_blocking", False)):
                    note_sync(name)
            unwrap(a).copy_(unwrap(b))
            return a
        source = args[0]
        on_gpu = is_cuda(target) if target is not None else isinstance(source, Tensor)
        if isinstance(source, Tensor) != on_gpu:
            LOG["h2d" if on_gpu else "d2h"] += 1
            if not kwargs.get("non_blocking"):
                note_sync(name)
        options = {**kwargs, **({"device": torch.device("cpu")} if target is not None else {})}
        options.pop("pin_memory", None)
        result = func(unwrap(source), *args[1:], **options)
        return Tensor(result) if on_gpu else result
    if name in ("aten._local_scalar_dense.default",):
        note_sync(name)
        return func(*tree_map(unwrap, args))
    if name in ("aten.nonzero.default", "aten.masked_select.default", "aten._unique2.default"):
        note_sync(name)
    if ours and any(x.ndim > 0 and not isinstance(x, Tensor) for x in tensors):
        indexing = name.startswith(("aten.index", "aten._index_put", "aten.index_put")) and isinstance(args[0], Tensor)
        if indexing:  # CUDA takes CPU indices and copies them: a sync
            note_sync(name + " with CPU indices")
        else:
            raise RuntimeError(
                f"Expected all tensors to be on the same device, but found at least two devices, cuda:0 and cpu! ({name})"
            )
    on_gpu = bool(ours) if target is None else is_cuda(target)
    options = {**kwargs, **({"device": torch.device("cpu")} if is_cuda(target) else {})}
    options.pop("pin_memory", None) if is_cuda(target) else None
    result = func(*tree_map(unwrap, args), **tree_map(unwrap, options))
    if not on_gpu:
        return result
    by_elem = {id(x.elem): x for x in ours}

    def wrap(x):
        if not isinstance(x, torch.Tensor):
            return x
        return by_elem[id(x)] if id(x) in by_elem else Tensor(x)

    return tree_map(wrap, result)


def note_sync(name):
    LOG["syncs"] += 1


def varlen_grad(grad, leaves, cu, scale):
    """Gradients by hand, since autograd is excluded down here."""
    q, k, v = (x.detach().float() for x in leaves)
    grads, bounds = [torch.zeros_like(x) for x in (q, k, v)], cu.tolist()
    scale = scale if scale is not None else q.shape[-1] ** -0.5
    for a, b in zip(bounds, bounds[1:]):
        Q, K, V, G = (x[a:b].transpose(0, 1) for x in (q, k, v, grad.float()))
        S = (Q @ K.transpose(1, 2)) * scale
        mask = torch.ones(b - a, b - a, dtype=torch.bool).triu(1)
        P = S.masked_fill(mask, float("-inf")).softmax(-1)
        dV, dP = P.transpose(1, 2) @ G, G @ V.transpose(1, 2)
        dS = P * (dP - (dP * P).sum(-1, keepdim=True)) * scale
        for target, part in zip(grads, (dS @ K, dS.transpose(1, 2) @ Q, dV)):
            target[a:b] = part.transpose(0, 1)
    return [g.to(leaves[0].dtype) for g in grads]


class PretendMode(TorchDispatchMode):
    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if is_cuda(kwargs.get("device")) or any(
            isinstance(x, Tensor) for x in tree_leaves((args, kwargs)) if isinstance(x, torch.Tensor)
        ):
            return dispatch(func, args, kwargs)
        return func(*args, **kwargs)


def install():
    """Make torch.cuda say that there is a card, with its own Python checks left in force."""
    C, cuda = torch._C, torch.cuda
    cuda.is_available = lambda: True
    cuda.device_count = lambda: 1

    cuda._lazy_init = lambda: None
    cuda.memory._lazy_init = cuda._lazy_init
    cuda.is_initialized = lambda: True
    cuda.current_device = lambda: 0
    cuda._get_device_properties = lambda i: CARD
    cuda.synchronize = lambda device=None: note_sync("synchronize")
    cuda.mem_get_info = lambda device=None: (CARD.total_memory, CARD.total_memory)
    C._cuda_setMemoryFraction = lambda fraction, index: None
    C._cuda_emptyCache = lambda: None
    cuda.get_device_capability = lambda device=None: (CARD.major, CARD.minor)
    C._cuda_memoryStats = lambda device: {}
    C._cuda_resetPeakMemoryStats = lambda device: None
    C._cuda_getDevice = lambda: 0
    C._cuda_getDeviceCount = lambda: 1
    C._cuda_setDevice = lambda i: None
    C._cuda_exchangeDevice = lambda i: 0
    C._cuda_maybeExchangeDevice = lambda i: 0
    cuda.get_rng_state = lambda device="cuda": torch.get_rng_state()
    cuda.set_rng_state = lambda state, device="cuda": None
    cuda.manual_seed_all = lambda seed: None
    cuda.manual_seed = lambda seed: None
    torch.amp.autocast_mode.torch.cuda.amp.common.amp_definitely_not_available = lambda: False
    for module in list(sys.modules.values()):
        if getattr(module, "__name__", "").startswith("torch") and hasattr(module, "amp_definitely_not_available"):
            module.amp_definitely_not_available = lambda: False
    torch.Tensor.pin_memory = lambda self, device=None: self
    torch.Tensor.is_pinned = lambda self, device=None: False
    real_tensor = torch.tensor

    def tensor(data, *, device=None, **kwargs):
        made = real_tensor(data, **kwargs)
        return made.to(device) if is_cuda(device) else made

    torch.tensor = tensor
    torch.__future__.set_swap_module_params_on_conversion(True)
    mode = PretendMode()
    mode.__enter__()
    return mode
