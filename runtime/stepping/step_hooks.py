"""A step with its hooks and its range in profiles.

In: a `step`. Out: what torch makes of it, with the same calls in the same order; only that the range is opened without
torch's dispatcher, which takes four times as long. Must not know what a step does.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from itertools import chain
from typing import Any, ParamSpec, TypeVar

import torch
from torch._C._autograd import _record_function_with_args_enter, _record_function_with_args_exit
from torch.optim.optimizer import Optimizer, _global_optimizer_post_hooks, _global_optimizer_pre_hooks

_Arguments = ParamSpec("_Arguments")
_Result = TypeVar("_Result")


def hooked(func: Callable[_Arguments, _Result]) -> Callable[_Arguments, _Result]:
    """Do as `torch.optim.Optimizer.profile_hook_step`, which says what hooks may do; dynamo traces torch's own."""
    as_torch = Optimizer.profile_hook_step(func)

    @wraps(func)
    def wrapper(*args: _Arguments.args, **kwargs: _Arguments.kwargs) -> _Result:
        """Run the step between its hooks, as one entry in profiles; leave it to torch where it is compiled."""
        if torch.compiler.is_compiling():
            return as_torch(*args, **kwargs)
        optimizer: Any = args[0]
        opened = _record_function_with_args_enter(f"Optimizer.step#{optimizer.__class__.__name__}.step")
        try:
            for before in chain(_global_optimizer_pre_hooks.values(), optimizer._optimizer_step_pre_hooks.values()):
                replaced = before(optimizer, args, kwargs)
                if replaced is not None:
                    if not isinstance(replaced, tuple) or len(replaced) != 2:
                        raise RuntimeError(
                            f"{func} must return None or a tuple of (new_args, new_kwargs), but got {replaced}."
                        )
                    args, kwargs = replaced
            result = func(*args, **kwargs)
            optimizer._optimizer_step_code()
            for after in chain(optimizer._optimizer_step_post_hooks.values(), _global_optimizer_post_hooks.values()):
                after(optimizer, args, kwargs)
            return result
        finally:
            _record_function_with_args_exit(opened)

    return wrapper
