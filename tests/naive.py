"""Every averaging model as plain loops in float64: one noisy image, one output pixel, one training image at a time.

Written from the papers' formulas; nothing is shared with the library. Images are arrays [c h w], sets of
them [n c h w], values in [-1, 1].
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

import numpy as np

Array = np.ndarray
Place = tuple[int, int]


def with_mirrored(images: Array) -> Array:
    """The set and every image of it mirrored left to right, behind it."""
    return np.concatenate([images, images[..., ::-1]])


def softmax(logits: Iterable[float]) -> list[float]:
    """exp(l_i) / sum_j exp(l_j), less the largest logit first."""
    logits = list(logits)
    peak = max(logits)
    heights = [math.exp(logit - peak) for logit in logits]
    total = sum(heights)
    return [height / total for height in heights]


def average(logits: Iterable[float], values: Iterable[Array]) -> Array:
    """sum_i softmax_i(logit_i) value_i."""
    return sum(weight * value for weight, value in zip(softmax(logits), values, strict=True))


def apart(a: Array, b: Array) -> float:
    """Squared distance."""
    return float(((a - b) ** 2).sum())


# --- whole images


def optimal(x: Array, images: Array, sigma: float, temperature: float = 1.0, neighbours: int = 0) -> Array:
    """sum_i softmax_i(-||x - x_i||^2 / (2 sigma^2 T)) x_i, over the nearest only where asked."""
    if neighbours:
        images = np.array(sorted(images, key=lambda image: apart(x, image))[:neighbours])
    return average([-apart(x, image) / (2 * sigma**2 * temperature) for image in images], images)


def nearest(x: Array, images: Array) -> Array:
    """The image with the least distance."""
    return min(images, key=lambda image: apart(x, image))


def smoothed(x: Array, images: Array, sigma: float, moves: Array) -> Array:
    """Mean of the optimal answer over moved inputs."""
    return sum(optimal(x + move, images, sigma) for move in moves) / len(moves)


# --- windows


def window(shape: tuple[int, ...], at: Place, size: int) -> tuple[Array, Array]:
    """Rows and columns of the size x size square around a pixel that lie inside the image, to index with."""
    reach = size // 2
    inside = [[i for i in range(n) if abs(i - centre) <= reach] for n, centre in zip(shape[1:], at, strict=True)]
    return np.ix_(*inside)


def every_pixel(shape: tuple[int, ...], answer: Callable[[Place], Array]) -> Array:
    """An image of answer(pixel) [c]."""
    rows = [[answer((row, col)) for col in range(shape[2])] for row in range(shape[1])]
    return np.moveaxis(np.array(rows), 2, 0)


def local_score(x: Array, images: Array, sigma: float, size: int) -> Array:
    """Each pixel: the images weighed by its window, cut at the border; channels share weights."""

    def answer(at: Place) -> Array:
        rows, cols = window(x.shape, at, size)
        logits = [-apart(x[:, rows, cols], image[:, rows, cols]) / (2 * sigma**2) for image in images]
        return average(logits, [image[:, *at] for image in images])

    return every_pixel(x.shape, answer)


def equivariant(x: Array, images: Array, sigma: float, size: int) -> Array:
    """Each pixel: the patches at all places of all images, on the torus; no pixel of the torus counts twice."""
    _, h, w = x.shape
    down, right = min(size, h), min(size, w)

    def patch(image: Array, at: Place) -> Array:
        rows = [(at[0] + i - down // 2) % h for i in range(down)]
        cols = [(at[1] + j - right // 2) % w for j in range(right)]
        rows, cols = np.ix_(rows, cols)
        return image[:, rows, cols]

    places = list(np.ndindex(h, w))
    candidates = [(patch(image, place), image[:, *place]) for image in images for place in places]

    def answer(at: Place) -> Array:
        ours = patch(x, at)
        logits = [-apart(ours, theirs) / (2 * sigma**2) for theirs, _ in candidates]
        return average(logits, [value for _, value in candidates])

    return every_pixel(x.shape, answer)


def border_type(n: int, size: int, at: int) -> tuple[str, int]:
    """Along one axis: inner, or how far from which end."""
    reach = size // 2
    if at < reach:
        return ("first", at)
    return ("last", n - 1 - at) if n - 1 - at < reach else ("inner", 0)


def border_aware(x: Array, images: Array, sigma: float, size: int) -> Array:
    """Each pixel: the patches at all places of the same border type; outside counts 0 for both."""
    c, h, w = x.shape
    reach = size // 2
    if size >= min(h, w):
        return local_score(x, images, sigma, size)

    def padded(image: Array) -> Array:
        larger = np.zeros((c, h + 2 * reach, w + 2 * reach))
        larger[:, reach : reach + h, reach : reach + w] = image
        return larger

    def kind(at: Place) -> tuple[tuple[str, int], tuple[str, int]]:
        return border_type(h, size, at[0]), border_type(w, size, at[1])

    def patch(larger: Array, at: Place) -> Array:
        return larger[:, at[0] : at[0] + size, at[1] : at[1] + size]

    noisy = padded(x)
    larger = [padded(image) for image in images]

    def answer(at: Place) -> Array:
        logits, values = [], []
        for image, wide in zip(images, larger, strict=True):
            for place in np.ndindex(h, w):
                if kind(place) == kind(at):
                    logits.append(-apart(patch(noisy, at), patch(wide, place)) / (2 * sigma**2))
                    values.append(image[:, *place])
        return average(logits, values)

    return every_pixel(x.shape, answer)


def square_patches(x: Array, images: Array, sigma: float, size: int) -> Array:
    """The posterior mean of every patch inside the image; each pixel the mean over patches that cover it."""
    total, cover = np.zeros_like(x), np.zeros(x.shape[1:])
    for top in range(x.shape[1] - size + 1):
        for left in range(x.shape[2] - size + 1):
            at = (slice(None), slice(top, top + size), slice(left, left + size))
            logits = [-apart(x[at], image[at]) / (2 * sigma**2) for image in images]
            total[at] += average(logits, [image[at] for image in images])
            cover[at[1:]] += 1
    return total / cover


def greedy_windows(
    denoise: Callable[[Array, float, int], Array], x0: Array, eps: Array, sigmas: list[float], largest: int
) -> list[int]:
    """From the least noise upward: enlarge by 2 while the squared error of `denoise` does not rise; never shrink."""
    sizes: list[int] = []
    size = min(3, largest)
    for sigma in sigmas:

        def error(side: int, sigma: float = sigma) -> float:
            answers = [denoise(clean + sigma * noise, sigma, side) for clean, noise in zip(x0, eps, strict=True)]
            return float(((np.array(answers) - x0) ** 2).sum())

        while size < largest and error(min(size + 2, largest)) <= error(size):
            size = min(size + 2, largest)
        sizes.append(size)
    return sizes


# --- masks


def wiener_matrix(images: Array, sigma: float) -> Array:
    """S (S + sigma^2 I)^-1 of a set, by a linear solve."""
    flat = images.reshape(len(images), -1)
    cov = np.cov(flat.T)
    return np.linalg.solve(cov + sigma**2 * np.eye(len(cov)), cov).T


def row_rule(field: Array, tau: float) -> list[list[int]]:
    """For each coordinate q those p with |W_qp| >= tau W_qq; itself alone where W_qq = 0."""
    sets = []
    for q, row in enumerate(field):
        held = [p for p, weight in enumerate(row) if abs(weight) >= tau * abs(row[q])]
        sets.append(sorted({q, *held}) if row[q] != 0 else [q])
    return sets


def code_rule(field: Array, tau: float) -> list[list[int]]:
    """R_pq = W_pq / W_pp; for each q those p with |R_pq| >= tau max |R|; itself alone where W_qq = 0."""
    d = len(field)
    relative = [[abs(field[p, q] / field[p, p]) if field[p, p] != 0 else 0.0 for q in range(d)] for p in range(d)]
    least = tau * max(max(row) for row in relative)
    sets = []
    for q in range(d):
        held = [p for p in range(d) if relative[p][q] >= least]
        sets.append(sorted({q, *held}) if field[q, q] != 0 else [q])
    return sets


def masked(
    x: Array, images: Array, sigma: float, sets: list[list[int]], temperature: float = 1.0, batch: int = 0
) -> Array:
    """Each coordinate: the images weighed by the coordinates of its set.

    With `batch`: the answer of every batch of so many images in order, averaged with equal weight.
    """
    noisy, flat = x.reshape(-1), images.reshape(len(images), -1)
    answer = np.zeros(len(noisy))
    for q, held in enumerate(sets):
        logits = [-sum((noisy[p] - image[p]) ** 2 for p in held) / (2 * sigma**2 * temperature) for image in flat]
        size = batch or len(flat)
        parts = [
            average(logits[start : start + size], flat[start : start + size, q]) for start in range(0, len(flat), size)
        ]
        answer[q] = sum(parts) / len(parts)
    return answer.reshape(x.shape)


def half_size(image: Array) -> Array:
    """Means of 2 x 2 blocks; the last ones of an odd side have fewer pixels."""
    c, h, w = image.shape
    small = np.zeros((c, -(-h // 2), -(-w // 2)))
    for channel, row, col in np.ndindex(*small.shape):
        small[channel, row, col] = image[channel, 2 * row : 2 * row + 2, 2 * col : 2 * col + 2].mean()
    return small


def retrieved(x: Array, images: Array, sigma: float, order: list[int]) -> list[int]:
    """Which images golddiff averages, given the random order that its pre-sample is the beginning of."""
    n = len(images)
    most, least = max(1, n // 10), max(1, n // 20)
    q = 1 - sigma / math.sqrt(1 + sigma**2)
    looked_at = order[: most + round((n - most) * q)]

    coarse = sorted(looked_at, key=lambda i: apart(half_size(x), half_size(images[i])))[:most]
    keep = max(1, round(most - (most - least) * q))
    return sorted(sorted(coarse, key=lambda i: apart(x, images[i]))[:keep])
