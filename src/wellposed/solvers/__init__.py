"""Krylov solvers, fixed points, one driver, and what every solve answers: a value, a status, numbers."""

from wellposed.solvers.anderson import Anderson
from wellposed.solvers.bicgstab import BiCGStab
from wellposed.solvers.broyden import Broyden
from wellposed.solvers.cg import CG
from wellposed.solvers.differentiate import Differentiate
from wellposed.solvers.driver import Method, Reporting, Solution, State, Status, run
from wellposed.solvers.fixed_point import FixedPoint
from wellposed.solvers.gmres import GMRES
from wellposed.solvers.least_squares import least_squares
from wellposed.solvers.lsmr import LSMR
from wellposed.solvers.lsqr import LSQR
from wellposed.solvers.minres import MINRES
from wellposed.solvers.solve import solve
from wellposed.solvers.spectral import largest_eigenvalue
from wellposed.solvers.state_files import load_state, save_state
from wellposed.solvers.system import LinearMap, LinearSolver, LinearSystem

__all__ = [
    "CG",
    "GMRES",
    "LSMR",
    "LSQR",
    "MINRES",
    "SOLVERS",
    "Anderson",
    "BiCGStab",
    "Broyden",
    "Differentiate",
    "FixedPoint",
    "LinearMap",
    "LinearSolver",
    "LinearSystem",
    "Method",
    "Reporting",
    "Solution",
    "State",
    "Status",
    "largest_eigenvalue",
    "least_squares",
    "load_state",
    "run",
    "save_state",
    "solve",
]

SOLVERS: dict[str, type[LinearSolver]] = {
    solver.__name__: solver for solver in (CG, MINRES, LSQR, LSMR, BiCGStab, GMRES)
}
"""Every solver by name."""
