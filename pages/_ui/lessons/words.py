"""The glossary, and the marks of a lesson's texts: [[word]] or [[shown words|word]] of it, $letters$, **strong**."""

from __future__ import annotations

import re
from collections.abc import Mapping

WORDS = {
    "x0": "The clean image, values in [−1, 1].",
    "noise level": "σ: standard deviation of the noise added to every pixel; x = x₀ + σ ε. Images have values in "
    "[−1, 1], so at σ = 1 noise is about as large as the image.",
    "denoiser": "A function of a noisy image and its noise level that estimates the clean image. Training makes its "
    "mean squared error small.",
    "covariance": "S: for every pair of pixels, the mean over images of the product of their deviations from their "
    "means. Its diagonal holds the variances.",
    "correlation": "Covariance over the product of the two standard deviations: between −1 and 1.",
    "standard deviation": "Typical distance from the mean: the square root of the variance.",
    "Wiener filter": "The linear denoiser with the smallest mean squared error, W = S (S + σ² I)⁻¹ (Wiener, 1949).",
    "sensitivity field": "For one output pixel: how much the estimate changes with every input pixel. A row of the "
    "denoiser’s Jacobian, drawn as an image.",
    "Jacobian": "Derivatives of every output with respect to every input, here averaged over noisy images.",
    "half-mass radius": "The smallest distance from the pixel that holds half of the field’s absolute weight.",
    "gain": "The factor by which a component is multiplied: near 1 it is kept, near 0 it is removed.",
    "power spectrum": "P(f): variance of the images’ Fourier component of frequency f. In natural images it falls "
    "steeply with f.",
    "stationary": "With statistics that are the same at every place of the image, as if its edges were joined.",
    "held-out images": "Images of the data set that were not used to train.",
    "Pearson r": "Correlation of two fields over pixels: 1 is the same up to scale, 0 is unrelated.",
    "standard error": "How far a mean would typically move with other draws of images and noise.",
    "UNet": "A convolutional network that halves the image several times and doubles it again, with shortcuts.",
    "MLP": "Fully connected layers: every output sees every input, and nothing says which pixels are neighbours.",
    "DiT": "A Transformer on patches: cuts the image into squares that attend to each other.",
    "ResNet": "A chain of convolutions with shortcuts around them.",
    "receptive field": "The input pixels that can reach an output pixel at all, by architecture.",
    "untrained": "A network with the random weights it starts from.",
    "seed": "The number that random weights are drawn from: another seed, other weights.",
}

_FACT = re.compile(r"(?<!\^)\{(\w+)\}")
_WORD = re.compile(r"\[\[(?:([^\[\]|]+)\|)?([^\[\]|]+)\]\]")
_VALUE = re.compile(r"([σ>]) = (?=\d)")  # a symbol and its value stay on one line
_LETTER = re.compile(r"(exp)|[A-Za-zσελμ]")
_MARKS = (
    (re.compile(r"\$([^$]+)\$"), lambda found: _letters(found[1])),
    (re.compile(r"\*\*([^*]+)\*\*"), r"<strong>\1</strong>"),
    (re.compile(r"\*([^*]+)\*"), r"<em>\1</em>"),
    (re.compile(r"`([^`]+)`"), r"<code>\1</code>"),
)


def paragraphs(text: str, facts: Mapping[str, str], part: str) -> str:
    """Paragraphs, apart by an empty line, as HTML; one that is $$ formula $$ stands by itself. See `marked`."""
    found = []
    for block in _filled(text, facts).strip().split("\n\n"):
        words = " ".join(block.split())
        formula = words.startswith("$$")
        found.append(f'<p class="formula">{_letters(words.strip("$ "))}</p>' if formula else f"<p>{words}</p>")
    return marked("".join(found), facts, part)


def marked(text: str, facts: Mapping[str, str], part: str) -> str:
    """A text as HTML: {facts} filled in, $letters$ of formulas, **strong**, *em*, `code`, [[words]] of the glossary as
    buttons with a note. `part` keeps ids apart.

    Raises:
        KeyError: a fact that was not computed, or a word that the glossary does not have.
    """
    count = iter(range(1000))

    def note(found: re.Match[str]) -> str:
        shown, word, place = found[1] or found[2], found[2], f"{part}-word-{next(count)}"
        return (
            f'<span class="gloss"><button type="button" class="term" aria-describedby="{place}">{shown}</button>'
            f'<span role="tooltip" id="{place}">{WORDS[word]}</span></span>'
        )

    text = _filled(text, facts)
    for mark, html in _MARKS:
        text = mark.sub(html, text)
    return _VALUE.sub("\\1\u00a0=\u00a0", _WORD.sub(note, text))


def _filled(text: str, facts: Mapping[str, str]) -> str:
    return _FACT.sub(lambda found: facts[found[1]], text)


def _letters(formula: str) -> str:
    """Letters in italics but those of functions, ^{...} raised."""
    slanted = _LETTER.sub(lambda found: found[0] if found[1] else f"<var>{found[0]}</var>", formula)
    return re.sub(r"\^\{([^}]*)\}", r"<sup>\1</sup>", slanted)
