"""What each process of tests/test_dtensors.py does."""

from __future__ import annotations

import torch
import torch.distributed as dist
from torch.distributed.tensor import DTensor, Replicate, Shard, distribute_tensor, init_device_mesh

import thetac

NAMES = ("SGD", "AdamW", "Lion", "NAdam")
IMPLEMENTATIONS: tuple[dict[str, bool], ...] = ({"foreach": False}, {"foreach": True}, {})


def work(rank: int, rendezvous: str) -> None:
    """Steps on sharded and replicated parameters, beside steps on whole ones; one dimension is not even."""
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=rendezvous, rank=rank, world_size=2)
    mesh = init_device_mesh("cpu", (2,))
    generator = torch.Generator().manual_seed(0)
    shapes, placements = [(5, 3), (4,), (1, 2)], [[Shard(0)], [Replicate()], [Shard(0)]]
    values = [torch.randn(shape, generator=generator) for shape in shapes]
    for name in NAMES:
        for options in IMPLEMENTATIONS:
            for clip in (None, 0.5):
                sharded = [
                    torch.nn.Parameter(distribute_tensor(v.clone(), mesh, p))
                    for v, p in zip(values, placements, strict=True)
                ]
                whole = [torch.nn.Parameter(value.clone()) for value in values]
                made = getattr(thetac, name)
                one = made(sharded, lr=0.1, clip_grad_norm=clip, **options)
                other = made(whole, lr=0.1, clip_grad_norm=clip, foreach=False)
                for _ in range(3):
                    for a, b, p in zip(sharded, whole, placements, strict=True):
                        b.grad = torch.randn(b.shape, generator=generator)
                        a.grad = distribute_tensor(b.grad.clone(), mesh, p)
                    one.step()
                    other.step()
                for a, b in zip(sharded, whole, strict=True):
                    torch.testing.assert_close(a.full_tensor(), b.detach(), rtol=1e-5, atol=1e-6)
                    for key, state in one.state[a].items():
                        if state.shape == a.shape:
                            assert isinstance(state, DTensor), f"{key} of {name} is a {type(state).__name__}"
                            assert state.placements == a.placements
                if clip is not None:
                    assert type(one.grad_norm) is torch.Tensor
                    torch.testing.assert_close(one.grad_norm, other.grad_norm)
    dist.destroy_process_group()
