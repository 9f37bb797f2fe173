"""An operator seen from a coarser grid, where the same measurements determine more of the image."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import torch
from torch import Tensor

from wellposed.core.arguments import check_whole
from wellposed.core.errors import ShapeError
from wellposed.core.shapes import check_tensor
from wellposed.core.tree import Tree, per_image
from wellposed.operators._coarse_grams import FORMS, GramForm, SpectralForm
from wellposed.operators.algebra import Compose, Scaled
from wellposed.operators.base import LinearOperator
from wellposed.operators.downsample import Downsample
from wellposed.operators.filters import antialiasing_filter

__all__ = ["Coarse"]


class Coarse(LinearOperator):
    r"""Measure an image that is given on a grid `factor` times coarser than that of an operator.

    .. math:: A_s = A\, U_s, \qquad U_s = D_s^T

    with :math:`D_s` the periodic `Downsample` by the same factor and filter. Images are (C, H / f, W / f), measurements
    those of :math:`A`. The coarser the grid, the better the problem is posed: multigrid networks such as RAM apply
    :math:`A_s^H A_s` at each of their scales.

    That normal operator has a closed form on the coarse grid for the operators below and their multiples. The numbers
    in it are computed once per set of parameters, at the cost of one or two composed grams, and kept with the operator,
    for whoever looks at it from that grid next; from then on no fine image is made but the window of a valid blur. For
    all other operators :math:`U_s^H A^H A\, U_s` is computed one factor after the other, as it is for parameters made
    under `torch.inference_mode`, whose changes cannot be seen. All agree to rounding.

    ========================================  ==============================================  ================
    A                                         A_s^H A_s on the coarse grid                    also closed
    ========================================  ==============================================  ================
    Identity, Blur (circular)                 circular convolution                            norm, prox
    CartesianMRI                              circular convolution, complex                   norm, prox
    BayerMosaic, even factor                  circular convolution                            norm, prox
    Downsample by a divisor of the factor     circular convolution                            norm, prox
    Downsample by a multiple of the factor    convolution, decimation, and back               norm, prox
    Mask; BayerMosaic, odd factor             stencil that differs from pixel to pixel        (none)
    Blur (valid)                              convolution, window, and back                   (none)
    ========================================  ==============================================  ================

    The eigenvalues of the convolution are the power of :math:`A\, U_s` averaged over the aliases of each coarse
    frequency. The stencil has 7 x 7 weights per coarse pixel with the sinc filter, whatever the factor f, where the
    composition takes :math:`32 f^2` products. The pseudo-inverse is iterated: the eigenvalues are squares of singular
    values, and dividing by them would lose half the digits.

    Parameters
    ----------
    operator : LinearOperator
        On images (C, H, W) whose height and width are known.
    factor : int
        At least two; divides height and width.
    filter : str or Tensor, shape (B or 1, C or 1, k, k)
        A name of `wellposed.operators.filters` or the filter itself, as of `Downsample`. Differentiable.

    Raises
    ------
    ArgumentError
        If the factor is less than two.
    DTypeError
        If the filter is neither a name nor a tensor.
    ShapeError
        If the operator's images are not (C, H, W) with height and width multiples of the factor, or the filter does not
        fit.

    References
    ----------
    Terris et al., *Reconstruct Anything Model: a lightweight foundation model for computational imaging*,
    2025, arXiv:2503.08915, section 3. Hackbusch, *Multi-grid methods and applications*, Springer 2013.

    Examples
    --------
    >>> from wellposed.operators import Mask
    >>> A = Coarse(Mask(torch.ones(1, 1, 16, 16), (3, 16, 16)), factor=4)
    >>> A.gram(torch.ones(1, 3, 4, 4)).shape
    torch.Size([1, 3, 4, 4])
    """

    image_shape: tuple[int, ...]
    operator: LinearOperator
    filter: Tensor

    def __init__(self, operator: LinearOperator, factor: int, filter: str | Tensor = "sinc") -> None:  # noqa: A002
        check_whole("Coarse", "factor", factor, least=2)
        fine_shape = operator.image_shape
        if len(fine_shape) != 3 or any(not isinstance(size, int) or size % factor for size in fine_shape[1:]):
            raise ShapeError(
                f"Coarse by {factor} expects an operator on images (C, H, W) whose height and width are multiples of "
                f"{factor}, got {type(operator).__name__} on {fine_shape}: set its image_shape, or crop the image."
            )
        taps = _named(filter, factor, operator) if isinstance(filter, str) else filter
        check_tensor("Coarse", "filter", taps)
        downsample = Downsample(factor, cast("tuple[int, ...]", fine_shape), taps)
        super().__init__(downsample.measurement_shape, operator.measurement_shape)
        self.operator = operator
        self.factor = factor
        self.image_field, self.measurement_field = operator.image_field, operator.measurement_field
        self.register_parameter_tensor("filter", taps)

    def _forward(self, x: Tensor) -> Tree:
        return cast("Tree", self.operator._forward(self._downsample()._adjoint(x)))

    def _adjoint(self, y: Tree) -> Tensor:
        return self._downsample()._forward(self.operator._adjoint(y))

    def has_closed_form(self, name: str) -> bool:
        """Tell whether "gram", "norm", "pinv" or "prox" is a formula on the coarse grid."""
        form = self._form()
        return form is not None and (name == "gram" or (name in {"norm", "prox"} and isinstance(form, SpectralForm)))

    def _gram(self, x: Tensor) -> Tensor:
        return self.gram_function()(x)

    def gram_function(self) -> Callable[[Tensor], Tensor]:
        """Return x -> A_s^H A_s x for many calls in a row, its numbers looked up once and its input not checked."""
        form = self._form()
        if form is None or self.filter.is_inference() or self._acquisition.is_inference():
            downsample = self._downsample()
            return lambda x: downsample._forward(self.operator._gram(downsample._adjoint(x)))
        apply, table = form.gram, self._table(form)
        if not isinstance(self.operator, Scaled):
            return lambda x: apply(table, x)
        scale = self._squared_scale()
        return lambda x: per_image(scale, x) * apply(table, x)

    def _norm(self) -> Tensor:
        form = self._form()
        if not isinstance(form, SpectralForm):
            return super()._norm()
        return self._squared_scale().sqrt() * form.norm(self._table(form))

    def _prox(self, z: Tensor, y: Tree, gamma: Tensor) -> Tensor:
        form = self._form()
        if not isinstance(form, SpectralForm):
            return cast("Tensor", super()._prox(z, y, gamma))
        right = z + gamma * self._adjoint(y)
        return form.solve(self._table(form), right, gamma * per_image(self._squared_scale(), z))

    def _downsample(self) -> Downsample:
        return Downsample(self.factor, cast("tuple[int, ...]", self.operator.image_shape), self.filter)

    def _unscaled(self) -> LinearOperator:
        """Return the operator without its scalar factors."""
        operator = self.operator
        while isinstance(operator, Scaled):
            operator = operator.operator
        return operator

    def _squared_scale(self) -> Tensor:
        """Return the squared modulus of the operator's scalar factors, 0-dim or one per image."""
        operator = self.operator
        square = torch.ones((), dtype=torch.float64)
        while isinstance(operator, Scaled):
            square = square * operator._squared()
            operator = operator.operator
        return square

    def _form(self) -> GramForm | None:
        operator = self._unscaled()
        find = FORMS.get(type(operator))
        return None if find is None else find(operator, self.factor)

    @property
    def _acquisition(self) -> Tensor:
        """The tensor that describes the unscaled operator; the filter, where the operator has none of its own."""
        return next(iter(self._unscaled().params.values()), self.filter)

    def _table(self, form: GramForm) -> Tensor:
        operator = self._unscaled()
        return operator._kept(
            f"gram on the grid coarser by {self.factor}",
            (self.filter, self._acquisition),
            lambda: form.table(Compose(operator, self._downsample().H)),
        )


def _named(name: str, factor: int, operator: LinearOperator) -> Tensor:
    """Return the taps of a named filter as an operator needs them: the same tensor each time, for tables to be kept."""

    def taps() -> Tensor:
        with torch.inference_mode(mode=False):
            return antialiasing_filter(name, factor).to(operator.device, operator.dtype)

    return operator._kept(f"filter {name!r} by {factor}", (operator._representative(),), taps)
