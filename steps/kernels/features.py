"""Features of rows of pixels. All loops run along a row, so that the compiler turns them into vector instructions.

An observation is usable in a whole 20 m cell or not at all, so counts, gaps and sorting depths are shared by the four
pixels of a cell. Sorting is by networks: the same compare-exchanges for every pixel of the row, unusable values sorted
to the end as 65535 (or infinity).
"""

from typing import Any

import numpy as np
from numba import njit

_JIT: Any = {"nogil": True, "cache": True, "error_model": "numpy"}
_SELECT_MAX = 8
"""Up to this many observations a median is picked by selection, which is branch-free; above, by look-up."""


@njit(**_JIT)
def sort_rows(buf, pairs, first, last):
    """Sort the rows of buf (n, x) along n, in place, by the compare-exchanges pairs[first:last]."""
    width = buf.shape[1]
    for p in range(first, last):
        low, high = buf[pairs[p, 0]], buf[pairs[p, 1]]
        for x in range(width):
            a, b = low[x], high[x]
            low[x] = a if a < b else b
            high[x] = b if a < b else a


@njit(**_JIT)
def usable_cells(fine, coarse, clear, corner, y2, mask):
    """mask (t, x2): 0 where cell (y2, x2) is clear and every band has data in all of it, else 65535."""
    halo = corner // 2
    times, width2 = mask.shape
    for t in range(times):
        row = clear[t, y2]
        for x in range(width2):
            mask[t, x] = np.uint16(0) if row[x] else np.uint16(65535)
        for b in range(fine.shape[1]):
            upper, lower = fine[t, b, corner + 2 * y2], fine[t, b, corner + 2 * y2 + 1]
            for x in range(width2):
                i = corner + 2 * x
                if upper[i] == 0 or upper[i + 1] == 0 or lower[i] == 0 or lower[i + 1] == 0:
                    mask[t, x] = np.uint16(65535)
        for b in range(coarse.shape[1]):
            row16 = coarse[t, b, halo + y2]
            for x in range(width2):
                if row16[halo + x] == 0:
                    mask[t, x] = np.uint16(65535)


@njit(**_JIT)
def count_usable(mask, members, member_first, counts, total):
    """counts (period, x2) and total (x2): usable observations."""
    total[:] = 0
    for p in range(counts.shape[0]):
        row = counts[p]
        row[:] = 0
        for k in range(member_first[p], member_first[p + 1]):
            usable = mask[members[k]]
            for x in range(row.shape[0]):
                row[x] += usable[x] == 0
        for x in range(row.shape[0]):
            total[x] += row[x]


@njit(**_JIT)
def find_gaps(counts, gap_limit, before, after, weight):
    """For each (period, x2): periods to fill from and weight of the later; before = -1 where it stays missing."""
    periods, width2 = counts.shape
    for x in range(width2):
        last = -1
        for p in range(periods):
            if counts[p, x] > 0:
                _bridge(before, after, weight, gap_limit, last, p, x)
                before[p, x], after[p, x], weight[p, x] = p, p, np.float32(0)
                last = p
        _bridge(before, after, weight, gap_limit, last, periods, x)


@njit(**_JIT)
def _bridge(before, after, weight, gap_limit, last, following, x):
    """Fill the gap between two periods with observations; -1 and the number of periods stand for the season's ends."""
    periods = before.shape[0]
    length = following - last - 1
    open_ended = last < 0 or following == periods
    for p in range(last + 1, following):
        before[p, x], after[p, x], weight[p, x] = -1, -1, np.float32(0)
        if length > gap_limit or (last < 0 and following == periods):
            continue
        if open_ended:
            near = following if last < 0 else last
            before[p, x], after[p, x] = near, near
        else:
            before[p, x], after[p, x] = last, following
            weight[p, x] = np.float32(p - last) / np.float32(following - last)


@njit(**_JIT)
def gather_rows(source, b, row, offset, chosen, mask, buf):
    """buf (n, x) = a band's row of the chosen observations, 65535 where not usable."""
    for k in range(chosen.shape[0]):
        values, unusable, target = source[chosen[k], b, row], mask[chosen[k]], buf[k]
        for x in range(target.shape[0]):
            target[x] = values[offset + x] | unusable[x]


@njit(**_JIT)
def pick_median(buf, size, counts, shift, out):
    """out (x): median of the first counts[x >> shift] of `size` sorted rows of buf; 0 where there is none."""
    width = out.shape[0]
    if size > _SELECT_MAX:
        for x in range(width):
            k = counts[x >> shift]
            low, high = max((k - 1) // 2, 0), k // 2
            out[x] = (np.float32(buf[low, x]) + np.float32(buf[high, x])) * np.float32(0.5) if k else np.float32(0)
        return
    for x in range(width):
        out[x] = np.float32(0)
    for j in range(size):
        row = buf[j]
        for x in range(width):
            k = counts[x >> shift]
            weight = np.float32(0.5) * np.float32((k - 1) >> 1 == j) + np.float32(0.5) * np.float32(k >> 1 == j)
            out[x] += (np.float32(row[x]) if k > j else np.float32(0)) * weight


@njit(**_JIT)
def fill_gaps(raw, before, after, weight, counts, shift, out):
    """out (period, x): raw with gaps filled, NaN where they stay."""
    for p in range(out.shape[0]):
        target, own = out[p], raw[p]
        if counts[p].min() > 0:
            for x in range(target.shape[0]):
                target[x] = own[x]
            continue
        for x in range(target.shape[0]):
            c = x >> shift
            i = before[p, c]
            a = raw[max(i, 0), x]
            filled = a + (raw[max(after[p, c], 0), x] - a) * weight[p, c]
            target[x] = filled if i >= 0 else np.float32(np.nan)


@njit(**_JIT)
def widen(narrow, wide):
    """wide (2x) = each value of narrow (x) twice."""
    for x in range(narrow.shape[0]):
        wide[2 * x] = narrow[x]
        wide[2 * x + 1] = narrow[x]


@njit(**_JIT)
def ratio(num, den, consts, pole, limit, out):
    """out (x) = gain * (num + c) / (den + d), 0 at poles, within +-limit; consts are gain, c, d."""
    gain, c, d = consts[0], consts[1], consts[2]
    for x in range(out.shape[0]):
        below = den[x] + d
        safe = below if abs(below) >= pole else np.float32(1)
        value = gain * (num[x] + c) / safe if abs(below) >= pole else np.float32(0)
        value = value if value < limit else limit
        out[x] = value if value > -limit else -limit
        if np.isnan(num[x] + below):
            out[x] = np.float32(np.nan)


@njit(**_JIT)
def add_scaled(values, offset, coefficient, out):
    """out (x) += coefficient * values (x + offset)."""
    for x in range(out.shape[0]):
        out[x] += coefficient * np.float32(values[offset + x])


@njit(**_JIT)
def pick_percentile(buf, total, shift, percent, scale, out):
    """out (x): linear percentile (numpy's `linear`) of the first total[x >> shift] sorted rows of buf; NaN of none."""
    for x in range(out.shape[0]):
        k = total[x >> shift]
        if k == 0:
            out[x] = np.float32(np.nan)
            continue
        place = percent * (k - 1) / 100.0
        low = int(place)
        high = min(low + 1, k - 1)
        a = np.float32(buf[low, x])
        out[x] = (a + (np.float32(buf[high, x]) - a) * np.float32(place - low)) * scale


@njit(**_JIT)
def amplitude(series, out):
    """out (x): largest less smallest of series (period, x), NaN left out; NaN where all are."""
    for x in range(out.shape[0]):
        low, high = np.float32(np.inf), np.float32(-np.inf)
        for p in range(series.shape[0]):
            value = series[p, x]
            low = value if value < low else low
            high = value if value > high else high
        out[x] = high - low if high >= low else np.float32(np.nan)


@njit(**_JIT)
def phenology(series, step, start, peak, end):
    """Days of the half-way rise, the peak and the half-way fall of series (period, x); `step` days per period."""
    periods = series.shape[0]
    half_step = np.float32(0.5) * step
    for x in range(peak.shape[0]):
        top = -1
        for p in range(periods):
            if not np.isnan(series[p, x]) and (top < 0 or series[p, x] > series[top, x]):
                top = p
        if top < 0:
            start[x] = peak[x] = end[x] = np.float32(np.nan)
            continue
        peak[x] = step * np.float32(top) + half_step
        start[x] = _crossing(series, x, top, -1, step)
        end[x] = _crossing(series, x, top, 1, step)


@njit(**_JIT)
def _crossing(series, x, top, direction, step):
    """Day on which the series, walked from its peak, falls to half-way between the peak and that side's minimum."""
    periods = series.shape[0]
    low = series[top, x]
    p = top
    while 0 <= p < periods:
        low = min(low, series[p, x]) if not np.isnan(series[p, x]) else low
        p += direction
    level = np.float32(0.5) * (series[top, x] + low)
    inner = top
    p = top + direction
    while 0 <= p < periods:
        value = series[p, x]
        if not np.isnan(value):
            if value <= level and series[inner, x] > level:
                share = (series[inner, x] - level) / (series[inner, x] - value)
                return step * (np.float32(inner) + np.float32(0.5) + share * np.float32(p - inner))
            inner = p
        p += direction
    return step * (np.float32(inner) + np.float32(0.5))


@njit(**_JIT)
def feature_rows(
    fine, coarse, clear, corner, is_coarse, slot,
    members, member_first, pairs, pair_first,
    gap_limit, index_num, index_den, index_consts, pole, limit,
    series_used, composites, want_counts, percentile_of, percents, amplitudes, phenologies, step,
    rgb_bands, rgb_scale, first_row, last_row, out, clear_out, rgb_out,
):  # fmt: skip
    """Features of the cell rows first_row to last_row.

    fine (t, band, y, x) and coarse (t, band, y2, x2) are uint16 with a halo of `corner` fine pixels; clear (t, y2, x2)
    has none. out (feature, y, x) float32, clear_out (y, x) uint16 and rgb_out (3, y, x) uint8 have none.
    """
    times, periods = fine.shape[0], member_first.shape[0] - 1
    bands, indices = is_coarse.shape[0], index_consts.shape[0]
    width = out.shape[2]
    width2 = width // 2
    everyone = np.arange(times)
    mask2 = np.empty((times, width2), np.uint16)
    mask = np.empty((times, width), np.uint16)
    counts, total = np.empty((periods, width2), np.int32), np.empty(width2, np.int32)
    before, after = np.empty((periods, width2), np.int32), np.empty((periods, width2), np.int32)
    weight = np.empty((periods, width2), np.float32)
    buf, buf2 = np.empty((times, width), np.uint16), np.empty((times, width2), np.uint16)
    raw, raw2 = np.empty((periods, width), np.float32), np.empty((periods, width2), np.float32)
    narrow = np.empty((periods, width2), np.float32)
    series = np.zeros((bands + indices, periods, width), np.float32)
    num, den = np.empty(width, np.float32), np.empty(width, np.float32)
    wide = np.empty((max(coarse.shape[1], 1), times, width), np.uint16)
    values = np.empty((times, width), np.float32)
    line2 = np.empty(width2, np.float32)
    rgb = np.empty(width, np.float32)
    nan, scale = np.float32(np.nan), np.float32(1e-4)
    for y2 in range(first_row, last_row):
        usable_cells(fine, coarse, clear, corner, y2, mask2)
        for t in range(times):
            widen(mask2[t], mask[t])
        count_usable(mask2, members, member_first, counts, total)
        find_gaps(counts, gap_limit, before, after, weight)
        for b in range(bands):
            if not is_coarse[b]:
                continue
            for t in range(times):
                widen(coarse[t, slot[b], corner // 2 + y2, corner // 2 : corner // 2 + width2], wide[slot[b], t])
            if series_used[b]:
                for p in range(periods):
                    chosen = members[member_first[p] : member_first[p + 1]]
                    size = chosen.shape[0]
                    gather_rows(coarse, slot[b], corner // 2 + y2, corner // 2, chosen, mask2, buf2)
                    sort_rows(buf2, pairs, pair_first[size], pair_first[size + 1])
                    pick_median(buf2, size, counts[p], 0, raw2[p])
                fill_gaps(raw2, before, after, weight, counts, 0, narrow)
                for p in range(periods):
                    widen(narrow[p], series[b, p])
        for r in range(2):
            y = 2 * y2 + r
            for b in range(bands):
                if is_coarse[b] or not series_used[b]:
                    continue
                for p in range(periods):
                    chosen = members[member_first[p] : member_first[p + 1]]
                    size = chosen.shape[0]
                    gather_rows(fine, slot[b], corner + y, corner, chosen, mask, buf)
                    sort_rows(buf, pairs, pair_first[size], pair_first[size + 1])
                    pick_median(buf, size, counts[p], 1, raw[p])
                fill_gaps(raw, before, after, weight, counts, 1, series[b])
            for i in range(indices):
                if not series_used[bands + i]:
                    continue
                for p in range(periods):
                    num[:] = 0
                    den[:] = 0
                    for b in range(bands):
                        if index_num[i, b] != 0:
                            add_scaled(series[b, p], 0, index_num[i, b], num)
                        if index_den[i, b] != 0:
                            add_scaled(series[b, p], 0, index_den[i, b], den)
                    ratio(num, den, index_consts[i], pole, limit, series[bands + i, p])
            f = 0
            for source in composites:
                for p in range(periods):
                    factor = scale if source < bands else np.float32(1)
                    for x in range(width):
                        out[f, y, x] = series[source, p, x] * factor
                    f += 1
            if want_counts:
                for x in range(width):
                    seen = np.float32(0)
                    for p in range(periods):
                        seen += np.float32(counts[p, x >> 1] > 0)
                    out[f, y, x] = seen / np.float32(periods) if total[x >> 1] else nan
                f += 1
            q = 0
            while q < percentile_of.shape[0]:
                source = percentile_of[q]
                if source < bands and is_coarse[source]:
                    if r == 0:
                        gather_rows(coarse, slot[source], corner // 2 + y2, corner // 2, everyone, mask2, buf2)
                        sort_rows(buf2, pairs, pair_first[times], pair_first[times + 1])
                elif source < bands:
                    gather_rows(fine, slot[source], corner + y, corner, everyone, mask, buf)
                    sort_rows(buf, pairs, pair_first[times], pair_first[times + 1])
                else:
                    i = source - bands
                    for t in range(times):
                        num[:] = 0
                        den[:] = 0
                        for b in range(bands):
                            if index_num[i, b] == 0 and index_den[i, b] == 0:
                                continue
                            row = wide[slot[b], t] if is_coarse[b] else fine[t, slot[b], corner + y]
                            offset = 0 if is_coarse[b] else corner
                            if index_num[i, b] != 0:
                                add_scaled(row, offset, index_num[i, b], num)
                            if index_den[i, b] != 0:
                                add_scaled(row, offset, index_den[i, b], den)
                        ratio(num, den, index_consts[i], pole, limit, values[t])
                        for x in range(width):
                            values[t, x] = values[t, x] if mask[t, x] == 0 else np.float32(np.inf)
                    sort_rows(values, pairs, pair_first[times], pair_first[times + 1])
                while q < percentile_of.shape[0] and percentile_of[q] == source:
                    if source < bands and is_coarse[source]:
                        if r == 0:
                            pick_percentile(buf2, total, 0, percents[q], scale, line2)
                            widen(line2, out[f, y])
                            widen(line2, out[f, y + 1])
                    elif source < bands:
                        pick_percentile(buf, total, 1, percents[q], scale, out[f, y])
                    else:
                        pick_percentile(values, total, 1, percents[q], np.float32(1), out[f, y])
                    f += 1
                    q += 1
            for source in amplitudes:
                amplitude(series[source], out[f, y])
                if source < bands:
                    for x in range(width):
                        out[f, y, x] *= scale
                f += 1
            for source in phenologies:
                phenology(series[source], step, out[f, y], out[f + 1, y], out[f + 2, y])
                f += 3
            for x in range(width):
                clear_out[y, x] = total[x >> 1]
            for c in range(rgb_bands.shape[0]):
                if rgb_bands[c] < 0:
                    continue
                natural_colour(series[rgb_bands[c]], rgb_scale, rgb, rgb_out[c, y])


@njit(**_JIT)
def natural_colour(series, scale, mean, out):
    """out (x) uint8: 1 to 255 for the mean of a band's period values, 0 where there is none."""
    for x in range(out.shape[0]):
        total, n = np.float32(0), np.float32(0)
        for p in range(series.shape[0]):
            value = series[p, x]
            if not np.isnan(value):
                total += value
                n += np.float32(1)
        mean[x] = total / n if n > 0 else np.float32(-1)
        shade = np.float32(1) + mean[x] * scale
        out[x] = np.uint8(0) if n == 0 else np.uint8(min(shade, np.float32(255)))


@njit(**_JIT)
def grow(unclear, dy, dx, clear):
    """clear (t, y, x) = False wherever unclear (t, y, x) is True within the offsets (dy, dx)."""
    times, height, width = unclear.shape
    for t in range(times):
        for y in range(height):
            for k in range(dy.shape[0]):
                yy = y + dy[k]
                if not 0 <= yy < height:
                    continue
                low, high = max(0, dx[k]), min(width, width + dx[k])
                for x in range(low, high):
                    if unclear[t, y, x - dx[k]]:
                        clear[t, yy, x] = False
