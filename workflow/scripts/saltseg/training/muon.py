"""Muon for matrices and AdamW for the rest, as one optimiser."""

import torch
from torch import Tensor
from torch.optim import AdamW

MOMENTUM = 0.95
# Of the quintic iteration by Jordan et al. 2024, https://kellerjordan.github.io/posts/muon.
COEFFICIENTS = (3.4445, -4.7750, 2.0315)
ITERATIONS = 5


class MuonAdamW(AdamW):
    """AdamW, except for parameter groups with ``orthogonal``, which Muon updates.

    Muon makes the momentum of a matrix orthogonal. A convolution's weights, float32 (outputs,
    inputs, height, width), are a matrix of a row per output. Steps are scaled by 0.2 times the root
    of the longer side, so that rate and decay of AdamW fit (Liu et al. 2025, arXiv:2502.16982).
    """

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        # A fused AdamW skips steps of its own where gradients overflow in fp16, Muon would not: so
        # the scaler of the loss checks all gradients first.
        self._step_supports_amp_scaling = False

    @torch.no_grad()
    def step(self, closure=None):
        """Update all parameters once; ``closure`` is not supported."""
        groups = self.param_groups
        self.param_groups = [group for group in groups if not group.get("orthogonal")]
        super().step()
        self.param_groups = groups
        for group in groups:
            if group.get("orthogonal"):
                self._step_orthogonal(group)

    def _step_orthogonal(self, group: dict) -> None:
        for weight in group["params"]:
            if weight.grad is None:
                continue
            state = self.state[weight]
            if not state:
                # AdamW looks for a step when a saved state is loaded.
                state |= {"step": torch.zeros(()), "momentum": torch.zeros_like(weight)}
            state["momentum"].lerp_(weight.grad, 1 - MOMENTUM)
            # Nesterov's.
            update = orthogonalise(weight.grad.lerp(state["momentum"], MOMENTUM).flatten(1))
            rate = group["lr"] * 0.2 * max(update.shape) ** 0.5
            weight.mul_(1 - group["lr"] * group["weight_decay"])
            weight.add_(update.view(weight.shape), alpha=-rate)


def orthogonalise(matrix: Tensor) -> Tensor:
    """Return a matrix, float32 (rows, columns), with all singular values brought to about 1."""
    a, b, c = COEFFICIENTS
    tall = matrix.shape[0] > matrix.shape[1]
    x = matrix.t() if tall else matrix
    x = x / (x.norm() + 1e-7)
    for _ in range(ITERATIONS):
        gram = x @ x.t()
        x = torch.addmm(x, torch.addmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x.t() if tall else x
