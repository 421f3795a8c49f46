"""Vectors for Numba: code that reads as if it were about one agent, and works on many at once.

A `Vector` holds one number for each of W agents that sit side by side, and lives in registers;
`x[n]` is agent n's number. A `Column` is a stretch of memory made of such vectors: `x[c]` reads or
writes one, `x + c` is the column that starts c vectors further on, and `x[c, n]` is agent n's
number alone. Where all agents share their numbers, a column may be of single numbers; it reads the
same. Numbers mix with vectors in arithmetic, and stand for vectors of that number.

These are LLVM's own vector types. So a kernel gets the widest registers of the machine, without
loops for the compiler to recognise, arrays to be proved apart, or a change of Numba's settings, and
it compiles quickly. And as nothing is left to the compiler to contract or to reorder (a product and
a sum are rounded once where `fma` says so, and twice where it does not), an agent's bits depend on
no width, and on no agent beside it.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeAlias

from llvmlite import ir
from numba import extending, types
from numba.core import cgutils

#: What annotations of kernels call a `VectorType`, a `MaskType` and a `ColumnType`.
Vector: TypeAlias = Any
Mask: TypeAlias = Any
Column: TypeAlias = Any

#: Numba's lowering context, LLVM's builder, signatures, and LLVM's values.
Context: TypeAlias = Any
Builder: TypeAlias = Any
Signature: TypeAlias = Any
Value: TypeAlias = Any
Lower: TypeAlias = Callable[[Context, Builder, Signature, Sequence[Value]], Value]

tools: Any = cgutils
lower_builtin: Any = extending.lower_builtin
type_callable: Any = extending.type_callable


def intrinsic(function: Callable[..., Any]) -> Any:
    """Let kernels call a function that types its arguments and says how to lower a call."""
    return extending.intrinsic(prefer_literal=True)(function)


def teach(function: Callable[..., Any], typer: Callable[..., Any]) -> None:
    """Teach Numba which type a function has for which arguments; None: not its business."""
    type_callable(function)(lambda context: typer)


class VectorType(types.Type):
    """One number for each of `width` agents."""

    def __init__(self, scalar: Any, width: int) -> None:
        self.scalar, self.width = scalar, width
        super().__init__(name=f"Vector({scalar}, {width})")

    @property
    def bits(self) -> int:
        """Of one number."""
        return int(self.scalar.bitwidth)

    @property
    def is_float(self) -> bool:
        """Whether the numbers are floating-point numbers."""
        return isinstance(self.scalar, types.Float)

    @property
    def element(self) -> ir.Type:
        """LLVM's type of one number."""
        if self.is_float:
            return {32: ir.FloatType(), 64: ir.DoubleType()}[self.bits]
        return ir.IntType(self.bits)

    @property
    def llvm(self) -> ir.VectorType:
        """LLVM's type."""
        return ir.VectorType(self.element, self.width)

    @property
    def as_integers(self) -> ir.VectorType:
        """LLVM's type of the same bits as integers."""
        return ir.VectorType(ir.IntType(self.bits), self.width)

    def constant(self, number: float) -> Value:
        """Return a number that is the same for all."""
        return ir.Constant(self.llvm, [number] * self.width)

    def fill(self, context: Context, builder: Builder, number: Value, kind: types.Type) -> Value:
        """Build a vector from a number of some type; a vector stays as it is."""
        if isinstance(kind, VectorType):
            return number
        first = ir.IntType(32)(0)
        number = context.cast(builder, number, kind, self.scalar)
        alone = builder.insert_element(ir.Constant(self.llvm, ir.Undefined), number, first)
        everywhere = ir.Constant(ir.VectorType(first.type, self.width), [0] * self.width)
        return builder.shuffle_vector(alone, alone, everywhere)


class MaskType(types.Type):
    """Yes or no for each of `width` agents."""

    def __init__(self, width: int) -> None:
        self.width = width
        super().__init__(name=f"Mask({width})")


class ColumnType(types.Type):
    """Where vectors stand in memory, each `stride` places after the one before.

    A shared column has a number where others have a vector.
    """

    def __init__(self, vector: VectorType, *, shared: bool = False, stride: int = 1) -> None:
        self.vector, self.shared, self.stride = vector, shared, stride
        super().__init__(name=f"Column({vector}, {shared}, {stride})")

    @property
    def pace(self) -> int:
        """How many numbers lie from one entry to the next."""
        return self.stride * (1 if self.shared else self.vector.width)


@extending.register_model(VectorType)
class _VectorModel(extending.models.PrimitiveModel):
    def __init__(self, manager: Any, kind: VectorType) -> None:
        super().__init__(manager, kind, kind.llvm)  # type: ignore[no-untyped-call]


@extending.register_model(MaskType)
class _MaskModel(extending.models.PrimitiveModel):
    def __init__(self, manager: Any, kind: MaskType) -> None:
        llvm = ir.VectorType(ir.IntType(1), kind.width)
        super().__init__(manager, kind, llvm)  # type: ignore[no-untyped-call]


@extending.register_model(ColumnType)
class _ColumnModel(extending.models.PrimitiveModel):
    def __init__(self, manager: Any, kind: ColumnType) -> None:
        llvm = kind.vector.element.as_pointer()
        super().__init__(manager, kind, llvm)  # type: ignore[no-untyped-call]


# ------------------------------------------------------------------------------------ arithmetic


def _common(*kinds: types.Type) -> VectorType | None:
    """Return the type of the vectors among vectors and numbers; None if that is not one type."""
    vectors = {kind for kind in kinds if isinstance(kind, VectorType)}
    known = all(isinstance(kind, (VectorType, types.Number)) for kind in kinds)
    return vectors.pop() if known and len(vectors) == 1 else None


def _elementwise(build: Callable[[Builder, VectorType, Sequence[Value]], Value]) -> Lower:
    """Return how to lower a function of vectors and numbers, all brought to vectors first."""

    def lower(context: Context, builder: Builder, signature: Signature, args: Any) -> Value:
        vector = _common(*signature.args)
        assert vector is not None
        kinds = zip(args, signature.args, strict=True)
        return build(builder, vector, [vector.fill(context, builder, x, kind) for x, kind in kinds])

    return lower


def _teach_operator(function: Callable[..., Any], of_floats: str, of_integers: str) -> None:
    """Teach Numba an operator, by the names of LLVM's instructions."""

    def build(builder: Builder, vector: VectorType, terms: Sequence[Value]) -> Value:
        return getattr(builder, of_floats if vector.is_float else of_integers)(*terms)

    teach(function, _common)
    for kinds in (
        (VectorType, VectorType),
        (VectorType, types.Number),
        (types.Number, VectorType),
    ):
        lower_builtin(function, *kinds)(_elementwise(build))


_teach_operator(operator.add, "fadd", "add")
_teach_operator(operator.sub, "fsub", "sub")
_teach_operator(operator.mul, "fmul", "mul")
_teach_operator(operator.truediv, "fdiv", "")
_teach_operator(operator.and_, "", "and_")
_teach_operator(operator.xor, "", "xor")
_teach_operator(operator.rshift, "", "lshr")

teach(operator.neg, lambda x: x if isinstance(x, VectorType) else None)
lower_builtin(operator.neg, VectorType)(_elementwise(lambda builder, _, x: builder.fneg(x[0])))


def _of_llvm(name: str) -> Callable[[Builder, VectorType, Sequence[Value]], Value]:
    """Return how to build a function that LLVM knows by name."""

    def build(builder: Builder, vector: VectorType, terms: Sequence[Value]) -> Value:
        kind = ir.FunctionType(vector.llvm, [vector.llvm] * len(terms))
        full = f"llvm.{name}.v{vector.width}f{vector.bits}"
        return builder.call(tools.get_or_insert_function(builder.module, kind, full), terms)

    return build


_fma = _of_llvm("fma")


def _extreme(sign: str) -> Callable[[Builder, VectorType, Sequence[Value]], Value]:
    """Return how to choose; in this order NaN in x stays NaN, and it is one instruction."""

    def build(builder: Builder, vector: VectorType, terms: Sequence[Value]) -> Value:
        x, bound = terms
        return builder.select(builder.fcmp_ordered(sign, bound, x), bound, x)

    return build


_greater, _lesser = _extreme(">"), _extreme("<")


@intrinsic
def fma(typing: Any, a: Any, b: Any, c: Any) -> Any:
    """Return a b + c, rounded once."""
    return _signature(_common(a, b, c), a, b, c), _elementwise(_fma)


@intrinsic
def maximum(typing: Any, x: Any, bound: Any) -> Any:
    """Return the greater of two numbers; NaN if x is."""
    return _signature(_common(x, bound), x, bound), _elementwise(_greater)


@intrinsic
def minimum(typing: Any, x: Any, bound: Any) -> Any:
    """Return the lesser of two numbers; NaN if x is."""
    return _signature(_common(x, bound), x, bound), _elementwise(_lesser)


@intrinsic
def absolute(typing: Any, x: Any) -> Any:
    """Return |x|."""
    return x(x), _elementwise(_of_llvm("fabs"))


@intrinsic
def sqrt(typing: Any, x: Any) -> Any:
    """Return the square root."""
    return x(x), _elementwise(_of_llvm("sqrt"))


def _signature(result: Any, *args: Any) -> Any:
    return result(*args)


class _Exp(NamedTuple):
    """Numbers for exp(x) = 2^n 2^r, where n is x / ln 2 rounded.

    Attributes:
        mantissa: Bits of the mantissa.
        coefficients: The best polynomial for 2^r, |r| <= 1/2, of its degree, from the highest power
            down (Remez, with 1 at r = 0); its relative error is 2e-17, and 3e-9 for float32.
        rounding: What leaves n in the lowest bits of a sum: 1.5 · 2^mantissa.
        log2_e, log2_e_rest: 1 / ln 2 as a sum of two numbers.
        least, most: Outside of these exp(x) is taken for 0 or inf.
        bound: Of the logits that `odds_against` tells apart.
    """

    mantissa: int
    coefficients: tuple[float, ...]
    rounding: float
    log2_e: float
    log2_e_rest: float
    least: float
    most: float
    bound: float


_EXP = {
    64: _Exp(
        mantissa=52,
        coefficients=(
            4.0780633129421294e-10,
            7.0725739754653165e-09,
            1.0180648237337975e-07,
            1.3215442657537635e-06,
            1.5252727382460158e-05,
            0.00015403530441601265,
            0.001333355815344435,
            0.009618129107606985,
            0.05550410866479037,
            0.24022650695910097,
            0.6931471805599457,
            1.0,
        ),
        rounding=1.5 * 2.0**52,
        log2_e=1.4426950408889634,
        log2_e_rest=2.0355273740931033e-17,
        least=-708.3964185322641,
        most=709.782712893384,
        bound=320.0,
    ),
    32: _Exp(
        mantissa=23,
        coefficients=(
            0.00015594718328889212,
            0.0013406659246112363,
            0.00961769279054239,
            0.05550310508840319,
            0.24022652784192253,
            0.6931472149897195,
            1.0,
        ),
        rounding=1.5 * 2.0**23,
        log2_e=1.4426950216293335,
        log2_e_rest=1.9259629911266175e-08,
        least=-87.3365,
        most=88.7228,
        bound=20.0,
    ),
}


def _exp(builder: Builder, vector: VectorType, x: Value, *, sign: int, exact: bool) -> Value:
    """Build exp(± x); if not exact, it is off by half a unit in the last place per unit of x."""
    law, constant = _EXP[vector.bits], vector.constant
    rounding, scale = constant(law.rounding), constant(sign * law.log2_e)
    shifted = _fma(builder, vector, (x, scale, rounding))  # its lowest bits are n
    r = _fma(builder, vector, (x, scale, builder.fsub(rounding, shifted)))
    if exact:
        r = _fma(builder, vector, (x, constant(sign * law.log2_e_rest), r))
    y = constant(law.coefficients[0])
    for coefficient in law.coefficients[1:]:
        y = _fma(builder, vector, (y, r, constant(coefficient)))
    bits, n = (builder.bitcast(term, vector.as_integers) for term in (y, shifted))
    into_exponent = ir.Constant(vector.as_integers, [law.mantissa] * vector.width)
    return builder.bitcast(builder.add(bits, builder.shl(n, into_exponent)), vector.llvm)


@intrinsic
def exp(typing: Any, x: Any) -> Any:
    """Return e^x, to about one unit in the last place; 0 instead of subnormal numbers."""

    def build(builder: Builder, vector: VectorType, terms: Sequence[Value]) -> Value:
        law = _EXP[vector.bits]
        y = _exp(builder, vector, terms[0], sign=1, exact=True)
        for sign, end, beyond in ((">", law.most, float("inf")), ("<", law.least, 0.0)):
            outside = builder.fcmp_ordered(sign, terms[0], vector.constant(end))
            y = builder.select(outside, vector.constant(beyond), y)
        return y

    return x(x), _elementwise(build)


@intrinsic
def odds_against(typing: Any, logit: Any) -> Any:
    """Return e^−x of a logit x, cheaper than `exp`.

    Chances below 1e-139 (2e-9 in float32) count as that much, so that a product of two such odds
    does not overflow.
    """

    def build(builder: Builder, vector: VectorType, terms: Sequence[Value]) -> Value:
        bound = _EXP[vector.bits].bound
        x = _lesser(builder, vector, (terms[0], vector.constant(bound)))
        x = _greater(builder, vector, (x, vector.constant(-bound)))
        return _exp(builder, vector, x, sign=-1, exact=False)

    return logit(logit), _elementwise(build)


@intrinsic
def odds_within(typing: Any, logit: Any) -> Any:
    """Return what `odds_against` does, cheaper yet; any number for whom `is_beyond` its bounds."""

    def build(builder: Builder, vector: VectorType, terms: Sequence[Value]) -> Value:
        return _exp(builder, vector, terms[0], sign=-1, exact=False)

    return logit(logit), _elementwise(build)


@intrinsic
def bounded_odds(typing: Any, odds: Any) -> Any:
    """Return odds that are at most the greatest that `odds_against` gives."""

    def build(builder: Builder, vector: VectorType, terms: Sequence[Value]) -> Value:
        most = vector.constant(math.exp(_EXP[vector.bits].bound))
        return _lesser(builder, vector, (terms[0], most))

    return odds(odds), _elementwise(build)


@intrinsic
def is_beyond(typing: Any, logit: Any) -> Any:
    """Return for whom a logit is beyond what `odds_against` tells apart, on either side."""

    def build(builder: Builder, vector: VectorType, terms: Sequence[Value]) -> Value:
        size = _of_llvm("fabs")(builder, vector, terms)
        return builder.fcmp_ordered(">", size, vector.constant(_EXP[vector.bits].bound))

    return MaskType(logit.width)(logit), _elementwise(build)


@intrinsic
def fill(typing: Any, like: Any, number: Any) -> Any:
    """Return a number as a vector of the type of another."""

    def lower(context: Context, builder: Builder, signature: Signature, args: Any) -> Value:
        return like.fill(context, builder, args[1], signature.args[1])

    return like(like, number), lower


# ----------------------------------------------------------------------------------------- masks


@intrinsic
def where(typing: Any, mask: Any, a: Any, b: Any) -> Any:
    """Return vector `a` where the mask says yes, and `b` where it says no."""

    def lower(context: Context, builder: Builder, signature: Signature, args: Any) -> Value:
        return builder.select(*args)

    return a(mask, a, b), lower


@intrinsic
def anywhere(typing: Any, mask: Any) -> Any:
    """Return whether a mask says yes for any of the agents."""
    bits = ir.IntType(mask.width)

    def lower(context: Context, builder: Builder, signature: Signature, args: Any) -> Value:
        return builder.icmp_unsigned("!=", builder.bitcast(args[0], bits), bits(0))

    return types.boolean(mask), lower


def _mask_of(a: types.Type, b: types.Type) -> MaskType | None:
    vector = _common(a, b)
    return MaskType(vector.width) if vector else None


_is_greater = _elementwise(lambda builder, _, terms: builder.fcmp_ordered(">", *terms))
teach(operator.gt, _mask_of)
lower_builtin(operator.gt, VectorType, VectorType)(_is_greater)
lower_builtin(operator.gt, VectorType, types.Number)(_is_greater)


# --------------------------------------------------------------------------------------- columns


@intrinsic
def column(typing: Any, array: Any, block: Any, width: Any) -> Any:
    """Return a block's column of an array [blocks, length, width], contiguous.

    An array [1, length, width] serves all blocks, and so does an array [length] of numbers that
    all agents share.
    """
    shared = array.ndim == 1
    kind = ColumnType(VectorType(array.dtype, width.literal_value), shared=shared)

    def lower(context: Context, builder: Builder, signature: Signature, args: Any) -> Value:
        view = context.make_array(array)(context, builder, args[0])
        if shared:
            return view.data
        blocks, length, across = tools.unpack_tuple(builder, view.shape)
        alone = builder.icmp_signed("==", blocks, blocks.type(1))
        index = builder.select(alone, blocks.type(0), args[1])
        return builder.gep(view.data, [builder.mul(index, builder.mul(length, across))])

    return kind(array, types.intp, width), lower


@intrinsic
def every(typing: Any, entries: Any, stride: Any) -> Any:
    """Return the column of the first entry of another and of each that is `stride` further on."""
    kind = ColumnType(entries.vector, shared=entries.shared, stride=stride.literal_value)

    def lower(context: Context, builder: Builder, signature: Signature, args: Any) -> Value:
        return args[0]

    return kind(entries, stride), lower


def _further(context: Context, builder: Builder, signature: Signature, args: Any) -> Value:
    """Build the place of an entry."""
    kind, step = signature.args[:2]
    index = context.cast(builder, args[1], step, types.intp)
    return builder.gep(args[0], [builder.mul(index, index.type(kind.pace))])


def _vector_at(context: Context, builder: Builder, signature: Signature, args: Any) -> Value:
    place = _further(context, builder, signature, args)
    return builder.bitcast(place, signature.args[0].vector.llvm.as_pointer())


def _number_at(context: Context, builder: Builder, signature: Signature, args: Any) -> Value:
    kind, pair = signature.args[:2]
    index, agent = (
        context.cast(builder, builder.extract_value(args[1], i), pair[i], types.intp)
        for i in range(2)
    )
    start = builder.mul(index, index.type(kind.pace))
    return builder.gep(args[0], [start if kind.shared else builder.add(start, agent)])


def _get_vector(context: Context, builder: Builder, signature: Signature, args: Any) -> Value:
    kind = signature.args[0]
    if kind.shared:
        number = builder.load(_further(context, builder, signature, args))
        return kind.vector.fill(context, builder, number, kind.vector.scalar)
    return builder.load(_vector_at(context, builder, signature, args), align=kind.vector.bits // 8)


def _set_vector(context: Context, builder: Builder, signature: Signature, args: Any) -> Value:
    vector = signature.args[0].vector
    value = vector.fill(context, builder, args[2], signature.args[2])
    builder.store(value, _vector_at(context, builder, signature, args), align=vector.bits // 8)
    return context.get_dummy_value()


def _get_number(context: Context, builder: Builder, signature: Signature, args: Any) -> Value:
    return builder.load(_number_at(context, builder, signature, args))


def _set_number(context: Context, builder: Builder, signature: Signature, args: Any) -> Value:
    scalar = signature.args[0].vector.scalar
    value = context.cast(builder, args[2], signature.args[2], scalar)
    builder.store(value, _number_at(context, builder, signature, args))
    return context.get_dummy_value()


def _type_of_sum(a: types.Type, b: types.Type) -> types.Type | None:
    return a if isinstance(a, ColumnType) and isinstance(b, types.Integer) else None


def _type_of_item(x: types.Type, index: types.Type) -> Any:
    if isinstance(x, VectorType):
        return x.scalar
    if isinstance(x, ColumnType):
        return x.vector if isinstance(index, types.Integer) else x.vector.scalar
    return None


def _type_of_setting(x: types.Type, index: types.Type, value: types.Type) -> Any:
    return types.none if isinstance(x, ColumnType) and not x.shared else None


teach(operator.add, _type_of_sum)
lower_builtin(operator.add, ColumnType, types.Integer)(_further)
teach(operator.getitem, _type_of_item)
lower_builtin(operator.getitem, ColumnType, types.Integer)(_get_vector)
lower_builtin(operator.getitem, ColumnType, types.BaseTuple)(_get_number)
lower_builtin(operator.getitem, VectorType, types.Integer)(
    lambda context, builder, signature, args: builder.extract_element(*args)
)
teach(operator.setitem, _type_of_setting)
lower_builtin(operator.setitem, ColumnType, types.Integer, VectorType)(_set_vector)
lower_builtin(operator.setitem, ColumnType, types.Integer, types.Number)(_set_vector)
lower_builtin(operator.setitem, ColumnType, types.BaseTuple, types.Number)(_set_number)
