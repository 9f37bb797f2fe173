"""Parallel beams compiled by numba: blocks of rows are sheared until every ray stands upright, and then summed.

A parallel ray crosses row k of an image at column start + step d + slope k. In a block of rows, row r is moved by the
whole number of pixels next to slope r. What is left of that, `rests`, lies between -1/2 and 1/2 and is the same for all
rays of the view, so that a ray stays between the same three columns. The sheared block keeps its columns one after the
other, and the sums run along memory, without a lookup and without a branch.

Everything compiled here is in this one file, since numba notices a change of the file that it has compiled, and of no
other.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numba import njit

BLOCK = 32
_MARGIN = 2

_FAST = {"contract", "reassoc", "nsz", "arcp"}
_compiled: Callable[..., Any] = njit(nogil=True, cache=True, fastmath=_FAST, error_model="numpy")


@_compiled
def project(rows, columns, height, width, cosines, sines, firsts, pitch, factor, sinograms, begin, end):
    """Write the views [begin, end), counted over all images, of sinograms (N, A, D).

    The images are `rows` (N, H, W or more) and, transposed, `columns` (N, W, H or more); `factor` is the size of a
    pixel.
    """
    real = rows.dtype.type
    views, bins = sinograms.shape[1:]
    block = np.empty((max(height, width) + BLOCK + 2 * _MARGIN, BLOCK), rows.dtype)
    shifts, places = np.empty(BLOCK, np.int64), np.empty(BLOCK, np.int64)
    rests = np.empty(BLOCK, rows.dtype)
    for index in range(begin, end):
        n, a = index // views, index % views
        view = sinograms[n, a]
        view[:] = 0
        along_rows, start, step, slope = _line(cosines[a], sines[a], firsts[a], pitch, height, width)
        image, tall, wide = (rows[n], height, width) if along_rows else (columns[n], width, height)
        least, most = _set_shear(slope, shifts, rests)
        length = real(factor * math.sqrt(1 + slope * slope))
        lines = wide + most - least + 2 * _MARGIN
        for top in range(0, tall, BLOCK):
            _set_places(image, top, shifts, places)
            _shear(image.ravel(), tall - top, wide, shifts, places, least, most, block)
            place = start + slope * top + most + _MARGIN
            low, high = _rays_that_meet(place, step, lines, bins)
            for d in range(low, high):
                line, offset = _nearest(place + step * d, lines)
                before, here, after = block[line - np.uint64(1)], block[line], block[line + np.uint64(1)]
                total = real(0)
                for r in range(BLOCK):
                    z = real(offset) + rests[r]
                    right = max(z, real(0))
                    left = right - z
                    total += here[r] + right * (after[r] - here[r]) + left * (before[r] - here[r])
                view[d] += length * total


@_compiled
def backproject(images, width, cosines, sines, firsts, pitch, factor, sinograms, of_rows, begin, end):
    """Add to the blocks of rows [begin, end), counted over all images, the exact transpose of `project`.

    Of the views whose rays step along the rows, or else along the columns: then the images are transposed.
    """
    real = images.dtype.type
    height = images.shape[1]
    views, bins = sinograms.shape[1:]
    blocks = (height + BLOCK - 1) // BLOCK
    block = np.empty((width + BLOCK + 2 * _MARGIN, BLOCK), images.dtype)
    shifts, places = np.empty(BLOCK, np.int64), np.empty(BLOCK, np.int64)
    rests = np.empty(BLOCK, images.dtype)
    true_height, true_width = (height, width) if of_rows else (width, height)
    for index in range(begin, end):
        n, top = index // blocks, index % blocks * BLOCK
        image = images[n]
        for a in range(views):
            along_rows, start, step, slope = _line(cosines[a], sines[a], firsts[a], pitch, true_height, true_width)
            if along_rows != of_rows:
                continue
            view = sinograms[n, a]
            least, most = _set_shear(slope, shifts, rests)
            length = real(factor * math.sqrt(1 + slope * slope))
            lines = width + most - least + 2 * _MARGIN
            block[:lines] = 0
            place = start + slope * top + most + _MARGIN
            low, high = _rays_that_meet(place, step, lines, bins)
            for d in range(low, high):
                line, offset = _nearest(place + step * d, lines)
                before, here, after = block[line - np.uint64(1)], block[line], block[line + np.uint64(1)]
                value = length * view[d]
                for r in range(BLOCK):
                    z = real(offset) + rests[r]
                    right = max(z, real(0))
                    left = right - z
                    before[r] += value * left
                    here[r] += value * (real(1) - right - left)
                    after[r] += value * right
            _set_places(image, top, shifts, places)
            _add_unsheared(block, height - top, width, shifts, places, least, most, image.ravel())


@_compiled
def _line(cosine, sine, first, pitch, height, width):
    """Return whether the rays of a view step along the rows, and where they cross the first one, or column."""
    centre_x, centre_y = (width - 1) / 2, (height - 1) / 2
    if abs(cosine) >= abs(sine):
        slope = sine / cosine
        return True, centre_x + first / cosine - centre_y * slope, pitch / cosine, slope
    slope = cosine / sine
    return False, centre_y - first / sine - centre_x * slope, -pitch / sine, slope


@_compiled
def _set_shear(slope, shifts, rests):
    """Set by how many pixels each row of a block is moved, and what is left; return the least and the most of them."""
    for r in range(BLOCK):
        shifts[r] = math.floor(slope * r + 0.5)
        rests[r] = slope * r - shifts[r]
    return min(shifts[0], shifts[BLOCK - 1]), max(shifts[0], shifts[BLOCK - 1])


@_compiled
def _set_places(image, top, shifts, places):
    """Set where each moved row of a block begins in memory."""
    for r in range(BLOCK):
        places[r] = (top + r) * image.shape[1] + shifts[r]


@_compiled
def _shear(image, height, width, shifts, places, least, most, block):
    """Fill a block (lines, BLOCK) with the moved rows of an image in memory, `height` of them, and zeros."""
    for line in range(width + most - least + 2 * _MARGIN):
        column = line - _MARGIN - most
        row = block[line]
        if height >= BLOCK and column + least >= 0 and column + most < width:
            for r in range(BLOCK):
                row[r] = image[np.uint64(places[r] + column)]
        else:
            for r in range(BLOCK):
                is_inside = r < height and 0 <= column + shifts[r] < width
                row[r] = image[np.uint64(places[r] + column)] if is_inside else 0


@_compiled
def _add_unsheared(block, height, width, shifts, places, least, most, image):
    """Add to an image in memory the transpose of `_shear`."""
    for line in range(_MARGIN, width + most - least + _MARGIN):
        column = line - _MARGIN - most
        row = block[line]
        if height >= BLOCK and column + least >= 0 and column + most < width:
            for r in range(BLOCK):
                image[np.uint64(places[r] + column)] += row[r]
        else:
            for r in range(min(BLOCK, height)):
                if 0 <= column + shifts[r] < width:
                    image[np.uint64(places[r] + column)] += row[r]


@_compiled
def _rays_that_meet(place, step, lines, bins):
    """Return the range of rays next to a line of a block that has one on either side."""
    one, other = (0.5 - place) / step, (lines - 1.5 - place) / step
    first, last = min(one, other), max(one, other)
    return int(min(max(math.ceil(first), 0.0), float(bins))), int(min(max(math.ceil(last), 0.0), float(bins)))


@_compiled
def _nearest(position, lines):
    """Return the line of a block next to a position, with one on either side, and how far beyond it that is."""
    line = np.uint64(min(max(np.int64(position + 0.5), 1), lines - 2))
    return line, position - line
