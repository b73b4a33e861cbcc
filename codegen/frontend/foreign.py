"""Functions and methods of torch, NumPy and Python, and how to write them in the language: one table.

In: a name as authors know it. Out: the forms in which it is called and what to write instead, or a sentence if the
language has nothing like it. Must not know where the name was written; translate.py applies the table.
"""

from __future__ import annotations

from dataclasses import dataclass

from thetac.codegen.errors import join_names
from thetac.codegen.ir.ops import FUNCTIONS, OF_NAMES, Shape

LIBRARIES = ("torch", "math", "np", "numpy", "jnp", "jax", "tl", "F", "nn", "tf", "cp", "scipy")


@dataclass(frozen=True, slots=True)
class Form:
    """One way to call a function, and its meaning in the language, over the same names."""

    parameters: tuple[str, ...]
    meaning: str

    def takes(self, given: int, keywords: frozenset[str]) -> bool:
        """Return whether a call with so many positional arguments and these keywords has this form."""
        return given <= len(self.parameters) and keywords == frozenset(self.parameters[given:])


_ROWS = (  # names, parameters in their order, meaning; the first form of a name is the one shown where none fits
    ("absolute fabs", "a", "abs(a)"),
    ("sgn", "a", "sign(a)"),
    ("neg negative", "a", "-a"),
    ("positive pos", "a", "a"),
    ("square", "a", "a ** 2"),
    ("reciprocal", "a", "1 / a"),
    ("pow power float_power", "a b", "a ** b"),
    ("add", "a b", "a + b"),
    ("add", "a b alpha", "a + alpha * b"),
    ("sub subtract", "a b", "a - b"),
    ("sub subtract", "a b alpha", "a - alpha * b"),
    ("rsub", "a b", "b - a"),
    ("mul multiply", "a b", "a * b"),
    ("div divide true_divide", "a b", "a / b"),
    ("addcmul", "a b c", "a + b * c"),
    ("addcmul", "a b c value", "a + value * b * c"),
    ("addcdiv", "a b c", "a + b / c"),
    ("addcdiv", "a b c value", "a + value * b / c"),
    ("hypot", "a b", "sqrt(a ** 2 + b ** 2)"),
    ("copysign", "a b", "where(b < 0, -abs(a), abs(a))"),
    ("max fmax", "a b", "maximum(a, b)"),
    ("min fmin", "a b", "minimum(a, b)"),
    ("clamp_min clip_min", "a min", "maximum(a, min)"),
    ("clamp_max clip_max", "a max", "minimum(a, max)"),
    ("clip clamp", "a low high", "clamp(a, low, high)"),
    ("clip clamp", "a min max", "clamp(a, min, max)"),
    ("clip clamp", "a min", "maximum(a, min)"),
    ("clip clamp", "a max", "minimum(a, max)"),
    ("hardtanh", "a low high", "clamp(a, low, high)"),
    ("hardtanh", "a", "clamp(a, -1, 1)"),
    ("relu", "a", "maximum(a, 0)"),
    ("relu6", "a", "clamp(a, 0, 6)"),
    ("leaky_relu", "a slope", "where(a > 0, a, slope * a)"),
    ("softshrink", "a lambd", "sign(a) * maximum(abs(a) - lambd, 0)"),
    ("hardshrink", "a lambd", "where(abs(a) > lambd, a, 0)"),
    ("threshold", "a limit value", "where(a > limit, a, value)"),
    ("softsign", "a", "a / (1 + abs(a))"),
    ("signbit", "a", "a < 0"),
    ("ldexp", "a b", "a * 2 ** b"),
    ("xlogy", "a b", "a * log(b)"),
    ("logaddexp", "a b", "log(exp(a) + exp(b))"),
    ("logit", "a", "log(a / (1 - a))"),
    ("softplus", "a", "log(1 + exp(a))"),
    ("silu", "a", "a / (1 + exp(-a))"),
    ("asinh arcsinh", "a", "log(a + sqrt(a ** 2 + 1))"),
    ("acosh arccosh", "a", "log(a + sqrt(a ** 2 - 1))"),
    ("atanh arctanh", "a", "log((1 + a) / (1 - a)) / 2"),
    ("heaviside", "a b", "where(a == 0, b, where(a > 0, 1, 0))"),
    ("masked_fill", "a mask value", "where(mask, value, a)"),
    ("nan_to_num", "a", "where(a == a, a, 0)"),
    ("isnan", "a", "a != a"),
    ("gt greater", "a b", "a > b"),
    ("ge greater_equal", "a b", "a >= b"),
    ("lt less", "a b", "a < b"),
    ("le less_equal", "a b", "a <= b"),
    ("eq equal", "a b", "a == b"),
    ("ne not_equal", "a b", "a != b"),
    ("logical_and bitwise_and", "a b", "a and b"),
    ("logical_or bitwise_or", "a b", "a or b"),
    ("logical_not bitwise_not", "a", "not a"),
    ("logical_xor", "a b", "(a or b) and not (a and b)"),
    ("log1p", "a", "log(1 + a)"),
    ("log2", "a", "log(a) / log(2)"),
    ("log10", "a", "log(a) / log(10)"),
    ("expm1", "a", "exp(a) - 1"),
    ("exp2", "a", "exp(a * log(2))"),
    ("sigmoid expit", "a", "1 / (1 + exp(-a))"),
    ("atan arctan", "a", "atan2(a, 1)"),
    ("arctan2", "a b", "atan2(a, b)"),
    ("sinh", "a", "(exp(a) - exp(-a)) / 2"),
    ("cosh", "a", "(exp(a) + exp(-a)) / 2"),
    ("zeros_like empty_like new_zeros new_empty zero", "a", "0 * a"),
    ("ones_like new_ones", "a", "0 * a + 1"),
    ("full_like", "a value", "0 * a + value"),
    ("copy", "a b", "b"),
    ("fill", "a value", "value"),
    ("deg2rad radians", "a", "a * pi / 180"),
    ("rad2deg degrees", "a", "a * 180 / pi"),
    ("sin", "a", "cos(a - pi / 2)"),
    ("ceil", "a", "-floor(-a)"),
    ("trunc fix", "a", "sign(a) * floor(abs(a))"),
    ("frac", "a", "a - sign(a) * floor(abs(a))"),
    ("floor_divide", "a b", "floor(a / b)"),
    ("remainder mod", "a b", "a % b"),
    ("fmod", "a b", "sign(a) * (abs(a) % abs(b))"),
    ("vector_norm", "a", "norm(a)"),
    ("dist", "a b", "norm(a - b)"),
    ("amax", "a", "max(a)"),
    ("amin", "a", "min(a)"),
    ("average", "a", "mean(a)"),
    ("vdot inner vecdot", "a b", "dot(a, b)"),
    ("count_nonzero", "a", "sum(where(a == 0, 0, 1))"),
)

# As methods, whose first argument comes before the dot.
_METHODS = (("where", "a condition b", "where(condition, a, b)"),)

# These return the value unchanged: an update has no copies, types or devices.
_AS_IT_IS = (
    "clone detach data item contiguous to float double half bfloat16 type type_as astype cpu cuda numpy tensor"
    " as_tensor asarray array from_numpy Tensor FloatTensor requires_grad_ tolist int bool view_as_real"
    " view_as_complex real resolve_conj conj alias lift_fresh"
    " conj_physical conjugate long short byte char cfloat cdouble float32 float64"
)
_SAME = frozenset(_AS_IT_IS.split())

_KEYWORDS = {  # parameters by the names that libraries give them
    **dict.fromkeys(("input", "self", "x", "x1"), "a"),
    **dict.fromkeys(("other", "exponent", "x2", "tensor1", "values", "src"), "b"),
    **dict.fromkeys(("end", "tensor2"), "c"),
    "negative_slope": "slope",
    "a_min": "min",
    "a_max": "max",
    "min_val": "low",
    "max_val": "high",
    "fill_value": "value",
    "weight": "w",
}
IGNORED_KEYWORDS = frozenset(("out", "dtype", "device", "memory_format", "non_blocking", "requires_grad", "layout"))

_EVERYTHING = f"there are {join_names(FUNCTIONS, 'and')}"
_REDUCTIONS = join_names([op.name for op in FUNCTIONS.values() if op.shape is Shape.REDUCTION], "and")
_ASKED = dict.fromkeys(op.syntax for op in FUNCTIONS.values() if op.shape is Shape.OF_PARAM)
OF_SHAPE = f"of the shape and dtype of a parameter there are {join_names(_ASKED, 'and')}"
AXIS = "`axis=-1` gives one number per row, `axis=-2` one per column; without it, one in all"
OTHER_REDUCTIONS = f"the reductions of a parameter are {_REDUCTIONS}"
_REMEDIES = {
    "matrix_norm clip_grad_norm clip_grad_norm_ get_total_norm": (
        f"{OTHER_REDUCTIONS}; every optimizer has the option `clip_grad_norm`"
    ),
    "nansum nanmean median nanmedian mode std var std_mean var_mean aminmax argmax"
    " argmin prod all any outer mm mv bmm matmul einsum tensordot addmm addmv baddbmm kron cross"
    " cumsum cumprod cummax cummin logsumexp softmax log_softmax normalize trace det inverse pinv svd eig eigh qr"
    " cholesky solve sort argsort topk kthvalue"
    " quantile nanquantile cov corrcoef diff renorm unique histc bincount nonzero allclose": (OTHER_REDUCTIONS),
    "numel nelement size shape ndim dim len ndimension element_size stride": OF_SHAPE,
    "view reshape flatten ravel squeeze unsqueeze transpose permute t T mT H mH expand expand_as repeat tile cat concat"
    " concatenate stack vstack hstack split chunk narrow index_select gather scatter masked_select take select flip"
    " roll tril triu diag diagonal movedim swapaxes unfold pad broadcast_to view_as reshape_as unbind": (
        "each element is updated by itself: a value keeps the shape that it has"
    ),
    "tan asin acos arcsin arccos sinc erf erfc erfinv lgamma digamma polygamma gamma"
    " i0 gelu elu selu celu mish logsigmoid logaddexp2": _EVERYTHING,
    "rand randn randint randperm rand_like randn_like normal uniform bernoulli dropout multinomial random seed"
    " manual_seed": "an update has no random numbers",
    "round rint": "of numbers there is `floor(a + 0.5)`, which rounds halves up",
    "divmod": "of numbers there are `floor(a / b)` and `a % b`",
    "zeros ones full empty arange linspace eye": "what outlives a step is declared: `state: {name: {init: zeros}}`",
    "zero_grad backward step requires_grad grad_fn is_leaf register_hook autograd no_grad enable_grad": (
        "an update is arithmetic: gradients are there before it, and never recorded during it"
    ),
    "is_sparse coalesce sparse_mask to_dense is_complex is_floating_point is_cuda": (
        "`sparse` and `complex` in the spec say what happens with such tensors"
    ),
    "get setdefault items keys values append update pop": (
        "hyperparameters and states are read by their names, and states are declared under `state`"
    ),
    "print": "look at values with `thetac show`, or run the optimizer in Python",
    "isinf isfinite isposinf isneginf": "compare with a large number, such as `abs(a) > 3e38`",
    "is_tensor": "only `require` can ask whether a value is a tensor",
    "finfo iinfo": "write the number, such as `1.1754944e-38`",
    "super": "`super()` is a line of its own: it stands for the statements of the inherited update",
    "sorted zip enumerate map filter range list tuple dict set": "an update has no loops and no lists",
}
_WITHOUT = {
    name: remedy
    for names, remedy in _REMEDIES.items()
    for name in names.split()
    if name not in FUNCTIONS or FUNCTIONS[name].shape is Shape.OF_PARAM  # as a method it is not the language's
}


_OWN = {  # functions of the language itself, which others call by the same name
    name: (Form(op.parameters, op.syntax),) for name, op in FUNCTIONS.items() if op.shape not in OF_NAMES
}


def _collect_forms(rows: tuple[tuple[str, str, str], ...]) -> dict[str, tuple[Form, ...]]:
    forms: dict[str, tuple[Form, ...]] = {}
    for names, parameters, meaning in rows:
        for name in names.split():
            forms[name] = (*forms.get(name, ()), Form(tuple(parameters.split()), meaning))
    return forms


_AS_METHOD = _collect_forms(_METHODS)
_OF_LIBRARIES = _collect_forms(_ROWS)
_FORMS = {
    name: tuple(dict.fromkeys((*_OWN.get(name, ()), *_OF_LIBRARIES.get(name, ())))) for name in _OWN | _OF_LIBRARIES
}


def plain_name(name: str) -> str:
    """Return the name without the prefix or suffix of a variant that works in place or on lists."""
    name = name.removeprefix("_foreach_")
    return name[:-1] if name.endswith("_") and name not in _SAME else name


def forms(name: str, *, method: bool) -> tuple[Form, ...]:
    """Return the forms of a function by its plain name, the usual one first; empty if the language has none."""
    return (_AS_METHOD.get(name, ()) if method else ()) or _FORMS.get(name, ())


def is_identity(name: str) -> bool:
    """Return whether the function returns its first argument unchanged, as far as an update is concerned."""
    return name in _SAME


def parameter_name(keyword: str) -> str:
    """Return the table's name of a parameter that libraries call `keyword`."""
    return _KEYWORDS.get(keyword, keyword)


def remedy(name: str, *, method: bool = False) -> str:
    """Return what to do instead of calling this function, whatever its arguments; empty if nothing is known."""
    name = plain_name(name)
    if known := forms(name, method=method):
        return suggest(known[0].meaning)
    if is_identity(name):
        return "leave it out: a value needs no copy and no conversion"
    return _WITHOUT.get(name, "")


def remedy_of_one(name: str) -> str:
    """Return what to do instead of calling this function with one argument, as reductions are."""
    return _WITHOUT.get(plain_name(name), "") or remedy(name)


def suggest(text: str, instead_of: str = "") -> str:
    """Return `write ...`; add for which kinds of values, if they are fewer than those of the code it replaces."""
    limited = {name: f"{name}(" for name, op in FUNCTIONS.items() if op.host_only} | {"%": "%"}
    needed = [name for name, written in limited.items() if written in text]
    if any(limited[name] not in instead_of for name in needed):
        return f"write `{text}` (of numbers: elements have no {join_names(needed, 'and')})"
    by_axis = ("rows(param)", "columns(param)", "axis=-")
    if any(written in text and written not in instead_of for written in by_axis):
        return f"write `{text}` (rows and columns are those of the last two axes, or of `view: matrix`)"
    return f"write `{text}`"


def suggest_any_function() -> str:
    """Return a sentence that lists the functions of the language."""
    return _EVERYTHING


def known_names() -> frozenset[str]:
    """Return every name in the table."""
    return frozenset((*_FORMS, *_AS_METHOD, *_SAME, *_WITHOUT))
