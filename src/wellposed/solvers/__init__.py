"""Krylov solvers on plain callables, one driver, and what every solve answers: a value, a status, statistics."""
