"""The projectors of a plane compiled by numba: sums along lines and their exact transpose, for several images at once.

Images lie in two buffers with a margin of zeros across the direction of the steps, `rows` (H, W + 3, G) and `columns`
(W, H + 3, G); sinograms are (A, D, G), lines are as `_lines.Lines` has them, (A, D). Whole views, or bands of rows and
columns, are independent: threads share no pixel, and the order of the sums is fixed.

Everything compiled is in this one file, since numba notices a change of the file that it has compiled, and of no other.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numba import njit

GROUPS = (1, 8)
"""How many images a kernel takes at once: the positions are computed once for all of them."""

_FAST = {"contract", "reassoc", "nsz", "arcp"}
_compiled: Callable[..., Any] = njit(nogil=True, cache=True, fastmath=_FAST, error_model="numpy")


@_compiled
def _shared_edge(at, k, start, slope, begin, end, edge, below):
    """Return how far the rays of [begin, end) lie on one side of an edge of line k, walking from a guess."""
    while at < end and (start[at] + slope[at] * k < edge) == below:
        at += 1
    while at > begin and (start[at - 1] + slope[at - 1] * k < edge) != below:
        at -= 1
    return at


@_compiled
def _run_of_views(along_rows, begin):
    """Return where the run of rays that step along the same axis as ray `begin` ends."""
    end = begin + 1
    while end < len(along_rows) and along_rows[end] == along_rows[begin]:
        end += 1
    return end


@_compiled
def _fill_lines(cosine, sine, first, plane, height, width, start, slope, length, along_rows):
    """Compute the lines of a view as `_lines.lines` does, counted from the margin, and their lengths times a factor."""
    pitch, divergence, factor = plane
    centre_x, centre_y = (width - 1) / 2, (height - 1) / 2
    for d in range(len(start)):
        u = first + pitch * d
        v_x = divergence * u * cosine - sine
        v_y = divergence * u * sine + cosine
        along_rows[d] = abs(v_y) >= abs(v_x)
        if along_rows[d]:
            start[d] = centre_x + 1 + (u + centre_y * v_x) / v_y
            slope[d] = -v_x / v_y
        else:
            start[d] = centre_y + 1 + (u + centre_x * v_y) / v_x
            slope[d] = -v_y / v_x
        length[d] = factor * np.sqrt(1 + slope[d] * slope[d])


def _make_kernels(group: int) -> dict[str, Callable[..., None]]:
    @_compiled
    def project_view(rows, columns, start, slope, along_rows, weights, view):
        real = rows.dtype.type
        view[:] = 0
        begin = 0
        while begin < len(start):
            end = _run_of_views(along_rows, begin)
            buffer = rows if along_rows[begin] else columns
            outside = real(buffer.shape[1] - 2)
            low = high = begin
            for k in range(len(buffer)):
                at = real(k)
                rising = start[begin] + slope[begin] * at <= start[end - 1] + slope[end - 1] * at
                low = _shared_edge(low, at, start, slope, begin, end, real(0) if rising else outside, rising)
                high = _shared_edge(high, at, start, slope, begin, end, outside if rising else real(0), rising)
                by_share = real(weights == 0)
                whole = real(weights == 1) + real(weights == 2) * at
                line = buffer[k]
                for d in range(low, high):
                    position = start[d] + slope[d] * at
                    left = np.int32(position)
                    right_share = by_share * (position - real(left)) + whole
                    left_share = by_share - right_share
                    i = np.uint32(left)
                    for g in range(group):
                        view[d, g] += left_share * line[i, g] + right_share * line[i + np.uint32(1), g]
            begin = end

    @_compiled
    def backproject_view(rows, columns, start, slope, along_rows, weights, view, part, parts):
        real = rows.dtype.type
        begin = 0
        while begin < len(start):
            end = _run_of_views(along_rows, begin)
            buffer = rows if along_rows[begin] else columns
            outside = real(buffer.shape[1] - 2)
            low = high = begin
            for k in range(part * len(buffer) // parts, (part + 1) * len(buffer) // parts):
                at = real(k)
                rising = start[begin] + slope[begin] * at <= start[end - 1] + slope[end - 1] * at
                low = _shared_edge(low, at, start, slope, begin, end, real(0) if rising else outside, rising)
                high = _shared_edge(high, at, start, slope, begin, end, outside if rising else real(0), rising)
                by_share = real(weights == 0)
                whole = real(weights == 1) + real(weights == 2) * at
                line = buffer[k]
                for d in range(low, high):
                    position = start[d] + slope[d] * at
                    left = np.int32(position)
                    right_share = by_share * (position - real(left)) + whole
                    left_share = by_share - right_share
                    i = np.uint32(left)
                    for g in range(group):
                        line[i, g] += left_share * view[d, g]
                        line[i + np.uint32(1), g] += right_share * view[d, g]
            begin = end

    @_compiled
    def project_lines(rows, columns, starts, slopes, along_rows, weights, sinogram, first, last):
        for a in range(first, last):
            project_view(rows, columns, starts[a], slopes[a], along_rows[a], weights, sinogram[a])

    @_compiled
    def backproject_lines(rows, columns, starts, slopes, along_rows, weights, sinogram, part, parts):
        for a in range(len(starts)):
            backproject_view(rows, columns, starts[a], slopes[a], along_rows[a], weights, sinogram[a], part, parts)

    @_compiled
    def project(rows, columns, cosines, sines, firsts, plane, sinogram, first, last):
        bins = sinogram.shape[1]
        start, slope, length = np.empty(bins, rows.dtype), np.empty(bins, rows.dtype), np.empty(bins, rows.dtype)
        along_rows = np.empty(bins, np.bool_)
        for a in range(first, last):
            _fill_lines(
                cosines[a], sines[a], firsts[a], plane, len(rows), len(columns), start, slope, length, along_rows
            )
            view = sinogram[a]
            project_view(rows, columns, start, slope, along_rows, 0, view)
            for d in range(bins):
                for g in range(group):
                    view[d, g] *= length[d]

    @_compiled
    def backproject(rows, columns, cosines, sines, firsts, plane, sinogram, part, parts):
        bins = sinogram.shape[1]
        start, slope, length = np.empty(bins, rows.dtype), np.empty(bins, rows.dtype), np.empty(bins, rows.dtype)
        along_rows, view = np.empty(bins, np.bool_), np.empty((bins, group), rows.dtype)
        for a in range(len(cosines)):
            _fill_lines(
                cosines[a], sines[a], firsts[a], plane, len(rows), len(columns), start, slope, length, along_rows
            )
            for d in range(bins):
                for g in range(group):
                    view[d, g] = length[d] * sinogram[a, d, g]
            backproject_view(rows, columns, start, slope, along_rows, 0, view, part, parts)

    return {
        "project": project,
        "backproject": backproject,
        "project_lines": project_lines,
        "backproject_lines": backproject_lines,
    }


KERNELS = {group: _make_kernels(group) for group in GROUPS}
"""By group size and name. `project` writes the views [first, last) of a sinogram, `backproject` adds one of several
bands to both buffers; `plane` is (pitch, divergence, factor), factor the size of a pixel. Those along given lines take
their weights besides: 0 for the shares of the interpolation, 1 for their derivatives in the start of the lines, 2 for
those in their slopes; and leave out the lengths. Lines count from the margin, and rise or fall from ray to ray."""


@_compiled
def smear(sinograms, cosines, sines, firsts, images, pitch, divergence, begin, end):
    """Add to the rows [begin, end) of images (N, H, W) the sinograms (N, A, D) at the ray through each pixel."""
    count, height, width = images.shape
    bins = sinograms.shape[2]
    real = images.dtype.type
    for n in range(count):
        for i in range(begin, end):
            y = (height - 1) / 2 - i
            for a in range(len(cosines)):
                view = sinograms[n, a]
                x = -(width - 1) / 2
                across, across_step = x * cosines[a] + y * sines[a], cosines[a]
                deep, deep_step = 1 - divergence * (x * sines[a] - y * cosines[a]), -divergence * sines[a]
                for j in range(width):
                    near = 1 / (deep + deep_step * j)
                    position = ((across + across_step * j) * near - firsts[a]) / pitch
                    if 0 <= position <= bins - 1:
                        left = min(np.int32(position), max(bins - 2, 0))
                        right_share = real(position - left)
                        value = view[0] if bins == 1 else view[left] + right_share * (view[left + 1] - view[left])
                        images[n, i, j] += real(near * near) * value


@_compiled
def _seen_rows(base, first, step, climb, count, size):
    """Return the range of detector rows whose rays lie between the first and the last slice, margins included."""
    low = max(0, int(np.ceil((-base / climb - first) / step)))
    while low < count and base + (first + step * low) * climb < 0:
        low += 1
    high = min(count, int(np.floor(((size + 1 - base) / climb - first) / step)) + 1)
    while high > low and base + (first + step * (high - 1)) * climb >= size + 1:
        high -= 1
    return low, high


@_compiled
def project_cone(
    rows, columns, starts, slopes, along_rows, cosines, sines, base, first, step, divergence, rise, sinogram, begin, end
):
    """Write the views [begin, end) of a cone beam: sinogram (A, bins, R), volumes with a margin along all axes.

    Detector row r is at the height first + step r, in slices, and slice z at the index `base` + z; `rise` is how many
    pixels a slice is thick.
    """
    real = rows.dtype.type
    height, width, slices = len(rows), len(columns), rows.shape[2]
    count = sinogram.shape[2]
    column, total = np.empty(slices, rows.dtype), np.empty(count, rows.dtype)
    for a in range(begin, end):
        for d in range(starts.shape[1]):
            total[:] = 0
            start, slope, is_row = starts[a, d], slopes[a, d], along_rows[a, d]
            buffer = rows if is_row else columns
            for k in range(len(buffer)):
                place = start + slope * real(k)
                if not (0 <= place < buffer.shape[1] - 2):
                    continue
                i = np.int32(place)
                right_share = place - real(i)
                left_share = real(1) - right_share
                left, right = buffer[k, i], buffer[k, i + 1]
                for z in range(slices):
                    column[z] = left_share * left[z] + right_share * right[z]
                x = (place - 1 if is_row else k) - (width - 1) / 2
                y = (height - 1) / 2 - (k if is_row else place - 1)
                climb = 1 + divergence * (y * cosines[a] - x * sines[a])
                low, high = _seen_rows(base, first, step, climb, count, slices - 3)
                level, level_step = real(base + first * climb), real(step * climb)
                for r in range(low, high):
                    at = level + level_step * real(r)
                    low_z = np.int32(at)
                    share = at - real(low_z)
                    below = column[np.uint32(low_z)]
                    total[r] += below + share * (column[np.uint32(low_z) + np.uint32(1)] - below)
            toward = slope * sines[a] + cosines[a] if is_row else sines[a] + slope * cosines[a]
            for r in range(count):
                up = (first + step * r) * rise * divergence * toward
                sinogram[a, d, r] = total[r] * np.sqrt(1 + slope * slope + up * up)


@_compiled
def backproject_cone(
    rows, columns, starts, slopes, along_rows, cosines, sines, base, first, step, divergence, rise, sinogram, part, of
):
    """Add to a band of both buffers the exact transpose of `project_cone`."""
    real = rows.dtype.type
    height, width, slices = len(rows), len(columns), rows.shape[2]
    count = sinogram.shape[2]
    column, view = np.empty(slices, rows.dtype), np.empty(count, rows.dtype)
    for a in range(len(starts)):
        for d in range(starts.shape[1]):
            start, slope, is_row = starts[a, d], slopes[a, d], along_rows[a, d]
            buffer = rows if is_row else columns
            toward = slope * sines[a] + cosines[a] if is_row else sines[a] + slope * cosines[a]
            for r in range(count):
                up = (first + step * r) * rise * divergence * toward
                view[r] = sinogram[a, d, r] * np.sqrt(1 + slope * slope + up * up)
            for k in range(part * len(buffer) // of, (part + 1) * len(buffer) // of):
                place = start + slope * real(k)
                if not (0 <= place < buffer.shape[1] - 2):
                    continue
                x = (place - 1 if is_row else k) - (width - 1) / 2
                y = (height - 1) / 2 - (k if is_row else place - 1)
                climb = 1 + divergence * (y * cosines[a] - x * sines[a])
                low, high = _seen_rows(base, first, step, climb, count, slices - 3)
                level, level_step = real(base + first * climb), real(step * climb)
                column[:] = 0
                for r in range(low, high):
                    at = level + level_step * real(r)
                    low_z = np.int32(at)
                    share = at - real(low_z)
                    column[np.uint32(low_z)] += (real(1) - share) * view[r]
                    column[np.uint32(low_z) + np.uint32(1)] += share * view[r]
                i = np.int32(place)
                right_share = place - real(i)
                left_share = real(1) - right_share
                left, right = buffer[k, i], buffer[k, i + 1]
                for z in range(slices):
                    left[z] += left_share * column[z]
                    right[z] += right_share * column[z]


@_compiled
def smear_cone(views, cosines, sines, firsts, pitch, low, row_pitch, divergence, thickness, volumes, begin, end):
    """Add to the rows [begin, end) of volumes (N, H, W, D) the views (N, A, bins, R) at the ray through each voxel."""
    count, height, width, depth = volumes.shape
    bins, rows = views.shape[2], views.shape[3]
    real = volumes.dtype.type
    for n in range(count):
        for i in range(begin, end):
            y = (height - 1) / 2 - i
            for a in range(len(cosines)):
                for j in range(width):
                    x = j - (width - 1) / 2
                    near = 1 / (1 - divergence * (x * sines[a] - y * cosines[a]))
                    position = ((x * cosines[a] + y * sines[a]) * near - firsts[a]) / pitch
                    if not (0 <= position <= bins - 1):
                        continue
                    d = min(np.int32(position), max(bins - 2, 0))
                    share = real(position - d)
                    left, right = views[n, a, d], views[n, a, min(d + 1, bins - 1)]
                    level = (-(depth - 1) / 2 * thickness * near - low) / row_pitch
                    level_step = thickness * near / row_pitch
                    weight = real(near * near)
                    for z in range(depth):
                        at = level + level_step * z
                        if 0 <= at <= rows - 1:
                            r = min(np.int32(at), max(rows - 2, 0))
                            up = real(at - r)
                            s = min(r + 1, rows - 1)
                            below = left[r] + share * (right[r] - left[r])
                            above = left[s] + share * (right[s] - left[s])
                            volumes[n, i, j, z] += weight * (below + up * (above - below))
