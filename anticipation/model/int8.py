"""Weights of eight bits on the CPU: a drop-in for the large matrices of either family, run by ONNX Runtime.

A decode step of one stream is bound by the bytes of the weights it reads; this reads a quarter of them. Measured
against torch's own int8 kernels and bf16 in train/LOG.md. Knows matrices, not models.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import torch
from torch import Tensor, nn

from ..errors import RequestError

BLOCKS = (128, 64)  # how many weights may share a scale: the first that divides a row
LEAST = 1 << 16  # a smaller matrix is not worth the call
INSTALL = "pip install 'anticipation-copilot[fast]'"


def pack(weight: np.ndarray, block: int) -> tuple[np.ndarray, np.ndarray]:
    """(out, in) float32 -> (out, blocks, block) uint8, zero at 128, and (out, blocks) scales."""
    blocks = weight.reshape(len(weight), -1, block)
    scale = np.abs(blocks).max(-1) / 127
    scale[scale == 0] = 1.0
    return (np.rint(blocks / scale[..., None]) + 128).astype(np.uint8), scale.astype(np.float32)


class Int8Linear(nn.Module):
    """The same as an nn.Linear to about 1 % of its output: weights in 8 bits, activations rounded to 8 bits by block,
    sums exact."""

    def __init__(self, linear: nn.Linear, options) -> None:
        super().__init__()
        from onnx import TensorProto, helper, numpy_helper
        from onnxruntime import InferenceSession

        weight = linear.weight.detach().float().cpu().numpy()
        self.outputs, inputs = weight.shape
        block = next(size for size in BLOCKS if inputs % size == 0)
        packed, scale = pack(weight, block)
        stored = {"w": packed, "scale": scale.reshape(-1)}
        names = ["x", "w", "scale"]
        if linear.bias is not None:
            stored["bias"] = linear.bias.detach().float().cpu().numpy()
            names += ["", "", "bias"]
        node = helper.make_node(
            "MatMulNBits", names, ["y"], domain="com.microsoft", K=inputs, N=self.outputs, bits=8, block_size=block,
            accuracy_level=4,
        )  # fmt: skip
        x, y = (
            helper.make_tensor_value_info(n, TensorProto.FLOAT, ["m", size])
            for n, size in (("x", inputs), ("y", self.outputs))
        )
        graph = helper.make_graph(
            [node], "linear", [x], [y], [numpy_helper.from_array(a, name) for name, a in stored.items()]
        )
        opsets = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
        program = helper.make_model(graph, opset_imports=opsets, ir_version=10).SerializeToString()
        self.session = InferenceSession(program, options, providers=["CPUExecutionProvider"])

    def forward(self, x: Tensor) -> Tensor:
        (y,) = self.session.run(None, {"x": x.reshape(-1, x.shape[-1]).float().numpy()})
        return torch.from_numpy(y).view(*x.shape[:-1], self.outputs)


@cache
def _session_options():
    """Options of every session: one pool of threads for all, as large as torch's is when the first is made."""
    from onnxruntime import SessionOptions, set_global_thread_pool_sizes

    set_global_thread_pool_sizes(torch.get_num_threads(), 1)
    options = SessionOptions()
    options.use_per_session_threads = False
    options.log_severity_level = 3
    return options


def quantise(model):
    """The model with its large nn.Linear layers replaced by Int8Linear, in place, and its keys and values kept in
    bfloat16 where the CPU multiplies that. Embeddings, and heads that are embeddings, stay as they are.

    ONNX Runtime gets torch's threads, and torch keeps one: two pools on the same cores wait for one another longer than
    the second thread helps. Raises RequestError off the CPU, and where ONNX Runtime is not installed.
    """
    try:
        import onnx  # noqa: F401
        import onnxruntime  # noqa: F401
    except ImportError:
        raise RequestError(f"--weights int8 needs ONNX Runtime: {INSTALL}") from None
    if next(model.parameters()).device.type != "cpu":
        raise RequestError("--weights int8 is for the CPU")
    options = _session_options()
    for module in list(model.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, nn.Linear) and child.weight.numel() >= LEAST and child.in_features % BLOCKS[-1] == 0:
                setattr(module, name, Int8Linear(child, options))
    if torch.ops.mkldnn._is_mkldnn_bf16_supported():
        model.cache_dtype = torch.bfloat16
    torch.set_num_threads(1)
    return model
