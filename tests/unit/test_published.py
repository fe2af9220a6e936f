"""Published figures: each names its source and protocol; none of a doubtful origin is among them."""

from __future__ import annotations

from locality.published import FIGURES, figures_of
from locality.studies.benchmark import METRICS


def test_every_figure_names_its_source_its_protocol_and_a_metric_of_the_benchmark() -> None:
    for figure in FIGURES:
        assert "arXiv" in figure.source
        assert len(figure.protocol) > 50
        assert figure.metric in METRICS
        assert figure.statistic in ("mean", "median")


def test_figures_are_found_by_dataset() -> None:
    """As printed: the table of GoldDiff's repository, and Kamb and Ganguli's medians."""
    cifar = {(figure.model, figure.metric): figure.value for figure in figures_of("cifar10")}
    assert cifar["PCA locality", "r2_final"] == 0.670
    assert cifar["Optimal", "r2_final"] == -0.401
    assert cifar["GoldDiff", "mse01"] == 0.007
    assert cifar["ideal", "pearson"] == 0.41
    assert len(cifar) == 13
    assert {figure.model for figure in figures_of("mnist")} == {"ELS", "LS", "ideal"}
    assert figures_of("digits") == []


def test_correlations_are_never_reported_as_r2() -> None:
    assert all(figure.metric == "pearson" for figure in FIGURES if "Kamb" in figure.source)
    assert all("not to be compared with R2" in figure.protocol for figure in FIGURES if figure.metric == "pearson")


def test_figures_nobody_can_trace_are_not_here() -> None:
    """A digest in circulation quotes figures that no paper has."""
    assert not {0.94, 0.83, 15.2, 28.7} & {figure.value for figure in FIGURES}
