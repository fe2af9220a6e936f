"""Training and checkpoints: exact resume, kept work, what the disk holds, what is refused."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from locality.dataset import Dataset
from locality.errors import BadInput, CheckpointMismatch, DigestMismatch, NonFinite, UnknownName
from locality.networks import (
    MANIFEST,
    NETWORKS,
    STATE,
    Budget,
    NetworkDenoiser,
    Training,
    TrainSpec,
    load_manifest,
    load_network,
    read_moments,
    save_network,
)
from locality.networks.checkpoints.files import WEIGHTS, load_weights, read_tensors
from locality.networks.training.moments import moments_of
from locality.networks.training.muon import BOOST, Muon, orthogonal
from locality.networks.training.state import write_state
from locality.networks.unet import UNet
from locality.store import Store
from locality.studies import trained_networks
from locality.types import ImageShape

pytestmark = [
    pytest.mark.timeout(300),
    pytest.mark.usefixtures("one_thread"),
]  # seconds on an idle machine; others may be at work
SHAPE = ImageShape(1, 8, 8)
TINY = UNet(channels=(16, 16), groups=8)
FAST = TrainSpec(batch=4, warmup=16, rate=3e-3)
STEPS_16, STEPS_8 = Budget(images=64), 8


def stripes(n: int = 40, seed: int = 0) -> Dataset:
    """8x8 images of stripes: each row one grey level, so a network soon does better than nothing."""
    levels = torch.randint(256, (n, 8, 1), generator=torch.Generator().manual_seed(seed), dtype=torch.uint8)
    return Dataset("stripes", "train", SHAPE, levels.expand(n, 8, 8).reshape(n, 64).contiguous())


def training(folder: Path, network: UNet = TINY, train: TrainSpec = FAST, data: Dataset | None = None) -> Training:
    return Training(data or stripes(), network, train, folder)


def advance(run: Any, steps: int) -> list[float]:
    """So many steps of a run, then stop it as Ctrl-C does; returns the losses."""
    losses = [next(run).numbers["loss"] for _ in range(steps)]
    run.close()
    return losses


def weights(trained: Training) -> dict[str, Tensor]:
    return {**trained.net.state_dict(), **{f"ema.{name}": tensor for name, tensor in trained.ema.items()}}


@pytest.fixture(scope="module")
def denoiser() -> NetworkDenoiser:
    torch.manual_seed(0)
    return NetworkDenoiser(TINY.build(SHAPE).eval().requires_grad_(False), TINY, SHAPE)


@pytest.fixture
def saved(denoiser: NetworkDenoiser, tmp_path: Path) -> Path:
    save_network(tmp_path, denoiser, {"dataset": "stripes"})
    return tmp_path


def rewrite(folder: Path, change: Any) -> None:
    """Change the tensors of a checkpoint and make its manifest agree with the new file."""
    import hashlib

    tensors = load_file(folder / WEIGHTS)
    change(tensors)
    save_file(tensors, folder / WEIGHTS)
    edit(folder, sha256=hashlib.sha256((folder / WEIGHTS).read_bytes()).hexdigest())


def edit(folder: Path, **facts: Any) -> None:
    manifest = json.loads((folder / MANIFEST).read_text())
    (folder / MANIFEST).write_text(json.dumps({**manifest, **facts}))


@pytest.mark.parametrize(("wanted", "has_it"), [(True, True), (True, False), (False, True)])
def test_bfloat16_only_where_the_device_has_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wanted: bool, has_it: bool
) -> None:
    """Emulated it takes many times as long as float32."""
    monkeypatch.setattr("locality.networks.training.loop.fast_bfloat16", lambda kind: has_it and kind == "cpu")
    made = training(tmp_path, train=replace(FAST, bfloat16=wanted))
    seen: list[torch.dtype] = []
    convolution = next(module for module in made.net.modules() if isinstance(module, torch.nn.Conv2d))
    convolution.register_forward_hook(lambda module, inputs, output: seen.append(output.dtype))
    next(made.run(Budget(images=4)))
    assert seen == [torch.bfloat16 if wanted and has_it else torch.float32]
    assert made.bfloat16 == (wanted and has_it)


# --- resume


@pytest.mark.parametrize(
    ("network", "train"),
    [
        (TINY, FAST),
        (replace(TINY, dropout=0.3, prediction="v"), replace(FAST, flips=True, bfloat16=False)),
        (TINY, replace(FAST, flips=True, ambient=0.5)),
        (TINY, replace(FAST, optimiser="muon", schedule="inverse_sqrt", plateau=20)),
    ],
    ids=["plain", "dropout_flips_v", "ambient", "muon"],
)
def test_stopped_and_resumed_equals_uninterrupted(tmp_path: Path, network: UNet, train: TrainSpec) -> None:
    """Bitwise: weights, averages, losses; order, noise, dropout and the rate's decay all go on as if nothing was."""
    whole = training(tmp_path / "whole", network, train)
    losses = [event.numbers["loss"] for event in whole.run(STEPS_16)]
    first = training(tmp_path / "parts", network, train)
    before = advance(first.run(STEPS_16), STEPS_8)
    second = training(tmp_path / "parts", network, train)
    after = [event.numbers["loss"] for event in second.run(STEPS_16, resume=True)]
    assert before + after == losses
    assert len(losses) == 16
    assert second.images == whole.images == 64
    for name, tensor in weights(whole).items():
        assert torch.equal(weights(second)[name], tensor), name


def test_a_longer_budget_goes_on_exactly_where_the_rate_has_no_end(tmp_path: Path) -> None:
    """Bitwise the training that had the longer budget from the start."""
    open_ended = replace(FAST, schedule="inverse_sqrt", plateau=20)
    whole = training(tmp_path / "whole", train=open_ended)
    losses = [event.numbers["loss"] for event in whole.run(STEPS_16)]
    before = [event.numbers["loss"] for event in training(tmp_path / "parts", train=open_ended).run(Budget(images=32))]
    second = training(tmp_path / "parts", train=open_ended)
    assert before + [event.numbers["loss"] for event in second.run(STEPS_16, resume=True)] == losses
    assert all(torch.equal(weights(second)[name], tensor) for name, tensor in weights(whole).items())


@pytest.mark.parametrize("other", [Budget(images=128), Budget(images=32), Budget(minutes=5.0)], ids=str)
def test_another_budget_is_refused_where_the_rate_has_an_end(tmp_path: Path, other: Budget) -> None:
    """A cosine over another length would raise the rate again."""
    advance(training(tmp_path).run(STEPS_16), 8)
    before = (tmp_path / STATE).read_bytes()
    with pytest.raises(BadInput, match=r"falls to 0 over --images 64: resume it with that.*schedule=inverse_sqrt"):
        training(tmp_path).run(other, resume=True)
    assert (tmp_path / STATE).read_bytes() == before


def test_a_state_that_names_no_budget_goes_on(tmp_path: Path) -> None:
    """States were written without it once."""
    advance(training(tmp_path).run(STEPS_16), 8)
    tensors, meta = read_tensors(tmp_path / STATE)
    about = {key: value for key, value in json.loads(meta["about"]).items() if key != "budget"}
    save_file(tensors, tmp_path / STATE, {"about": json.dumps(about)})
    assert len(list(training(tmp_path).run(STEPS_16, resume=True))) == 8


def test_closing_saves_what_was_done(tmp_path: Path) -> None:
    started = training(tmp_path)
    advance(started.run(STEPS_16), 3)
    tensors, meta = read_tensors(tmp_path / STATE)
    assert json.loads(meta["about"])["images"] == 12
    for name, tensor in started.net.state_dict().items():
        assert torch.equal(tensors[f"net.{name}"], tensor)


def test_state_is_saved_along_the_way(tmp_path: Path) -> None:
    """A killed process loses at most `save_every` seconds."""
    run = training(tmp_path).run(STEPS_16, save_every=0.0)
    next(run)
    assert json.loads(read_tensors(tmp_path / STATE)[1]["about"])["images"] == 4
    run.close()


def test_resuming_a_finished_training_adds_nothing(tmp_path: Path) -> None:
    done = training(tmp_path)
    list(done.run(Budget(images=8)))
    again = training(tmp_path)
    assert list(again.run(Budget(images=8), resume=True)) == []
    assert all(torch.equal(weights(again)[name], tensor) for name, tensor in weights(done).items())


def test_resume_without_a_state_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"holds no training to resume. Leave out --resume"):
        next(training(tmp_path).run(STEPS_16, resume=True))


def test_starting_over_a_state_is_refused(tmp_path: Path) -> None:
    advance(training(tmp_path).run(STEPS_16), 1)
    before = (tmp_path / STATE).read_bytes()
    with pytest.raises(BadInput, match=r"holds a training already. Add --resume"):
        next(training(tmp_path).run(STEPS_16))
    assert (tmp_path / STATE).read_bytes() == before


@pytest.mark.parametrize(
    "other",
    [
        {"train": replace(FAST, rate=1e-4)},
        {"train": replace(FAST, ambient=0.5)},
        {"network": replace(TINY, prediction="eps")},
        {"data": stripes(seed=1)},
    ],
    ids=["options", "ambient", "network", "images"],
)
def test_resuming_another_training_is_refused(tmp_path: Path, other: dict[str, Any]) -> None:
    advance(training(tmp_path).run(STEPS_16), 1)
    with pytest.raises(CheckpointMismatch, match="a training with other data or options"):
        next(training(tmp_path, **other).run(STEPS_16, resume=True))


def test_a_state_of_the_other_v_is_refused(tmp_path: Path) -> None:
    """Its network learned -v: going on would teach it the opposite."""
    network = replace(TINY, prediction="v")
    made = training(tmp_path, network)
    advance(made.run(STEPS_16), 1)
    about = {"identity": {**made._identity(), "network": network.key()}, "images": 4, "seconds": 1.0}
    write_state(tmp_path, about, made.net, made.ema, made._optimiser, made._generator)
    with pytest.raises(CheckpointMismatch, match="a version in which v had the other sign"):
        next(training(tmp_path, network).run(STEPS_16, resume=True))


def test_truncated_state_is_refused(tmp_path: Path) -> None:
    advance(training(tmp_path).run(STEPS_16), 1)
    (tmp_path / STATE).write_bytes((tmp_path / STATE).read_bytes()[:1000])
    with pytest.raises(BadInput, match="not a readable safetensors file"):
        next(training(tmp_path).run(STEPS_16, resume=True))


# --- moments


def kept(folder: Path) -> dict[int, dict[str, Tensor]]:
    return {images: load_network(place).net.state_dict() for images, place in read_moments(folder).items()}


def test_moments_are_the_averages_along_the_way(tmp_path: Path) -> None:
    """Geometric in images, the last one at the end; half precision of the average at that step."""
    run = training(tmp_path, train=replace(FAST, batch=64))
    averages = {}
    for event in run.run(Budget(images=4096), moments=3):
        averages[int(event.numbers["images"])] = {name: tensor.half().float() for name, tensor in run.ema.items()}
    found = kept(tmp_path)
    assert list(found) == [1024, 2048, 4096]
    for images, state in found.items():
        assert all(torch.equal(state[name], tensor) for name, tensor in averages[images].items())


def test_moments_of_a_resumed_training_are_those_of_an_uninterrupted_one(tmp_path: Path) -> None:
    list(training(tmp_path / "whole").run(Budget(images=64), moments=1))
    advance(training(tmp_path / "parts").run(Budget(images=64), moments=1), 8)
    assert kept(tmp_path / "parts") == {}
    list(training(tmp_path / "parts").run(Budget(images=64), moments=1, resume=True))
    whole, parts = kept(tmp_path / "whole"), kept(tmp_path / "parts")
    assert list(whole) == list(parts) == [64]
    assert all(torch.equal(parts[64][name], tensor) for name, tensor in whole[64].items())


def test_half_a_moment_is_none_and_a_new_training_keeps_none_of_an_old_one(tmp_path: Path) -> None:
    list(training(tmp_path).run(Budget(images=8), moments=1))
    (torn := tmp_path / "moments" / "4").mkdir()
    (torn / WEIGHTS).write_bytes(b"the manifest is written last")
    assert list(read_moments(tmp_path)) == [8]
    (tmp_path / STATE).unlink()
    advance(training(tmp_path).run(Budget(images=64), moments=1), 1)
    assert read_moments(tmp_path) == {}


def test_moments_need_a_length_in_images(tmp_path: Path) -> None:
    for budget, count in ((Budget(minutes=1.0), 12), (Budget(images=8), -1)):
        with pytest.raises(BadInput, match="give 0 or more, and --images N"):
            training(tmp_path).run(budget, moments=count)
    assert moments_of(Budget(images=10**6), 12)[::11] == (1024, 10**6)
    assert moments_of(Budget(images=8), 1) == (8,)
    assert moments_of(Budget(minutes=1.0), 0) == ()


# --- rate and optimiser


def test_the_rate_rises_then_stays_then_falls_as_one_over_the_root() -> None:
    spec = TrainSpec(batch=10, rate=0.1, warmup=100, schedule="inverse_sqrt", plateau=400)
    rates = {images: spec.rate_at(images, used=0.9) for images in (0, 40, 90, 400, 1600, 40_000)}
    assert rates == pytest.approx({0: 0.01, 40: 0.05, 90: 0.1, 400: 0.1, 1600: 0.05, 40_000: 0.01})
    assert TrainSpec(batch=10, warmup=10).rate_at(50, used=0.5) == pytest.approx(0.5e-3)


def test_options_that_are_as_before_leave_the_key_as_it_was() -> None:
    assert {"schedule", "plateau", "optimiser", "ambient"}.isdisjoint(TrainSpec().key())
    assert TrainSpec(optimiser="muon").key() == {**TrainSpec().key(), "optimiser": "muon"}


@pytest.mark.parametrize("shape", [(3, 8, 24), (2, 24, 8), (1, 6, 6)], ids=str)
def test_orthogonal_keeps_the_singular_vectors_and_evens_the_values(shape: tuple[int, int, int]) -> None:
    matrices = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    u, _, vh = torch.linalg.svd(matrices, full_matrices=False)
    core = u.mT @ orthogonal(matrices) @ vh.mT
    values = core.diagonal(dim1=1, dim2=2)
    assert 0.6 < float(values.min()) <= float(values.max()) < 1.3
    torch.testing.assert_close(core, torch.diag_embed(values), rtol=0, atol=1e-4)


def test_muon_moves_matrices_evenly_and_all_else_as_adamw(tmp_path: Path) -> None:
    """The first step: the polar factor of the gradient for inner matrices, AdamW's step for biases and ends."""
    nets = {name: training(tmp_path / name, train=replace(FAST, optimiser=name)) for name in ("adamw", "muon")}
    before = {name: tensor.clone() for name, tensor in nets["adamw"].net.state_dict().items()}
    for name in nets:
        advance(nets[name].run(STEPS_16), 1)
    steps = {name: {key: t - before[key] for key, t in made.net.state_dict().items()} for name, made in nets.items()}
    inner = "inner.mid_block.resnets.0.conv1.weight"
    for key in before:
        if key.endswith("bias") or "norm" in key or key in ("inner.conv_in.weight", "inner.conv_out.weight"):
            assert torch.equal(steps["muon"][key], steps["adamw"][key]), key
    values = torch.linalg.svdvals(steps["muon"][inner].flatten(1))
    assert float(values.max() / values.min()) < 2.5
    assert float(values.mean()) == pytest.approx(BOOST * FAST.rate_at(0, 0.0) * 0.2 * 144**0.5, rel=0.2)


def test_muon_keeps_the_momentum_of_its_gradients() -> None:
    net = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.Linear(2, 3, bias=False), torch.nn.Linear(3, 2))
    muon, weight = Muon(net, torch.float32, lr=0.01), net[1].weight
    want, mean = weight.detach().clone(), torch.zeros(3, 2)
    for seed in (0, 1, 2):
        grad = torch.randn(3, 2, generator=torch.Generator().manual_seed(seed))
        weight.grad = grad.clone()
        muon.step()
        mean = 0.95 * mean + 0.05 * grad
        want -= 0.01 * BOOST * 0.2 * 3**0.5 * orthogonal((0.95 * mean + 0.05 * grad)[None])[0]
    torch.testing.assert_close(weight.detach(), want)


# --- learning


def test_loss_falls_and_denoising_improves(tmp_path: Path) -> None:
    """80 steps of stripes; the loss starts at about 1 by the scaling of its target."""
    data, held_out = stripes(200), stripes(32, seed=9)
    trained = Training(data, TINY, replace(FAST, batch=16, ema=0.01), tmp_path, held_out=held_out)
    losses = [event.numbers["loss"] for event in trained.run(Budget(images=16 * 80))]
    assert sum(losses[-10:]) / 10 < 0.75 * sum(losses[:5]) / 5
    x0 = held_out.x0(slice(None))
    x = x0 + 0.5 * torch.randn(x0.shape, generator=torch.Generator().manual_seed(0))
    error = float((trained.denoiser()(x, 0.5) - x0).square().mean())
    assert error < 0.6 * 0.25


def test_progress_has_live_numbers(tmp_path: Path) -> None:
    trained = Training(stripes(), TINY, FAST, tmp_path, held_out=stripes(8, seed=3))
    events = list(trained.run(Budget(images=8)))
    assert [event.fraction for event in events] == [0.5, 1.0]
    assert {"loss", "images", "rate", "held_out"} <= set(events[0].numbers)
    assert events[1].numbers["images"] == 8
    assert events[1].numbers["rate"] > 0


def test_the_first_step_moves_all_weights(tmp_path: Path) -> None:
    started = training(tmp_path)
    before = {name: tensor.clone() for name, tensor in started.net.state_dict().items()}
    advance(started.run(STEPS_16), 1)
    still = [name for name, tensor in started.net.state_dict().items() if torch.equal(tensor, before[name])]
    assert still == []


def test_training_is_a_function_of_its_seed_alone(tmp_path: Path) -> None:
    """Another global seed changes nothing, and the global generator is left as it was."""
    runs = []
    for name, seed in (("a", 1), ("b", 2)):
        torch.manual_seed(seed)
        before = torch.get_rng_state()
        trained = Training(stripes(), TINY, FAST, tmp_path / name, held_out=stripes(4, seed=3))
        runs.append(advance(trained.run(STEPS_16), 3))
        assert torch.equal(torch.get_rng_state(), before)
    assert runs[0] == runs[1]
    assert advance(training(tmp_path / "c", train=replace(FAST, seed=1)).run(STEPS_16), 3) != runs[0]


def test_loss_that_is_not_finite_stops(tmp_path: Path) -> None:
    broken = training(tmp_path)
    with torch.no_grad():
        next(broken.net.parameters()).fill_(float("nan"))
    with pytest.raises(NonFinite, match=r"The loss became nan after 0 images. Start again with a lower rate"):
        next(broken.run(STEPS_16))
    assert not (tmp_path / STATE).exists()


@pytest.mark.parametrize(
    "budget",
    [{}, {"images": 1, "minutes": 1.0}, {"images": 0}, {"images": -5}, {"minutes": 0.0}, {"minutes": float("nan")}],
    ids=str,
)
def test_budgets_are_one_positive_number(budget: dict[str, Any]) -> None:
    with pytest.raises(BadInput, match=r"--images N or --minutes M, one of them, positive"):
        Budget(**budget)


def test_minutes_count_over_resumes() -> None:
    assert Budget(minutes=2.0).fraction(0, 30.0) == 0.25
    assert Budget(minutes=2.0).fraction(10**9, 500.0) == 1.0
    assert Budget(images=10).fraction(4, 1e9) == 0.4


# --- checkpoints


def test_weights_and_manifest_round_trip(denoiser: NetworkDenoiser, saved: Path) -> None:
    manifest = load_manifest(saved)
    back = load_network(saved)
    assert manifest["dataset"] == "stripes"
    assert manifest["parameters"] == sum(p.numel() for p in denoiser.net.parameters())
    assert (back.spec, back.shape) == (TINY, SHAPE)
    for name, tensor in denoiser.net.state_dict().items():
        assert torch.equal(back.net.state_dict()[name], tensor.half().float()), name
    x = torch.randn(2, 64, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(back(x, 0.5), denoiser(x, 0.5), rtol=0, atol=2e-2)  # weights were rounded to float16
    assert not any(p.requires_grad for p in back.net.parameters())
    assert not back.net.training


def test_truncated_or_changed_weights_are_refused(saved: Path) -> None:
    payload = (saved / WEIGHTS).read_bytes()
    for damaged in (payload[:-10], payload[:-1] + bytes([payload[-1] ^ 1]), b""):
        (saved / WEIGHTS).write_bytes(damaged)
        with pytest.raises(DigestMismatch, match="is missing or is not the file its manifest describes"):
            load_network(saved)
    (saved / WEIGHTS).unlink()
    with pytest.raises(DigestMismatch, match="Copy the folder again"):
        load_network(saved)


def test_files_that_are_not_safetensors_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.safetensors").write_bytes(b"\x80\x04 a pickle, perhaps")
    with pytest.raises(BadInput, match="not a readable safetensors file"):
        read_tensors(tmp_path / "a.safetensors")
    with pytest.raises(BadInput, match="not a readable safetensors file"):
        read_tensors(tmp_path / "missing")


def test_missing_tensors_are_named(saved: Path) -> None:
    rewrite(saved, lambda tensors: tensors.pop("inner.conv_in.bias"))
    with pytest.raises(CheckpointMismatch, match=r"1 of \d+ tensors differ. inner.conv_in.bias is missing"):
        load_network(saved)


def test_extra_tensors_are_named(saved: Path) -> None:
    rewrite(saved, lambda tensors: tensors.update(spare=torch.zeros(2)))
    with pytest.raises(CheckpointMismatch, match=r"spare is not expected"):
        load_network(saved)


def test_tensors_of_another_shape_are_named(saved: Path) -> None:
    rewrite(saved, lambda tensors: tensors.update({"inner.conv_in.bias": torch.zeros(8)}))
    with pytest.raises(CheckpointMismatch, match=r"has shape \(8,\), \(16,\) expected"):
        load_network(saved)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_refused(saved: Path, bad: float) -> None:
    rewrite(saved, lambda tensors: tensors["inner.conv_in.bias"].fill_(bad))
    with pytest.raises(NonFinite, match=r"1 tensors hold NaN or infinity, first 'inner.conv_in.bias'"):
        load_network(saved)


def test_another_architecture_is_refused(saved: Path) -> None:
    edit(saved, network={**TINY.key(), "channels": [16, 32]})
    with pytest.raises(CheckpointMismatch, match=r"fits another architecture"):
        load_network(saved)


def test_options_the_network_does_not_have_are_refused(saved: Path) -> None:
    edit(saved, network={**TINY.key(), "attention": True})
    with pytest.raises(CheckpointMismatch, match=r"an option .attention., which unet does not have"):
        load_network(saved)


@pytest.mark.parametrize("channels", [5, "wide", [16, "a"], [16.5, 16]], ids=str)
def test_options_of_the_wrong_kind_are_refused(saved: Path, channels: Any) -> None:
    edit(saved, network={**TINY.key(), "channels": channels})
    with pytest.raises((BadInput, CheckpointMismatch)):
        load_network(saved)


def test_another_number_of_channels_is_refused(saved: Path) -> None:
    edit(saved, shape=[3, 8, 8])
    with pytest.raises(CheckpointMismatch, match=r"conv_in.weight has shape \(16, 1, 3, 3\), \(16, 3, 3, 3\) expected"):
        load_network(saved)


@pytest.mark.parametrize("shape", [[1, 8], [1, 8, 0], "188", None, [1, 8.5, 8], [1, -8, 8]], ids=str)
def test_shapes_that_are_none_are_refused(saved: Path, shape: Any) -> None:
    edit(saved, shape=shape)
    with pytest.raises(BadInput, match=f"no usable {MANIFEST}"):
        load_manifest(saved)


@pytest.mark.parametrize("text", ["", "{", "[]", "3", '{"shape": [1, 8, 8]}', "\0"], ids=repr)
def test_manifests_that_are_none_are_refused(saved: Path, text: str) -> None:
    (saved / MANIFEST).write_text(text)
    with pytest.raises(BadInput, match=f"is not a trained network: no usable {MANIFEST}"):
        load_network(saved)


def test_folders_without_a_manifest_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="is not a trained network"):
        load_network(tmp_path)


def test_networks_that_do_not_exist_are_named(saved: Path) -> None:
    edit(saved, network={"name": "unets"})
    with pytest.raises(UnknownName, match=r"Unknown network 'unets'. Did you mean 'unet'\? Known: .*unet"):
        load_network(saved)


def test_weights_that_do_not_fit_change_nothing(denoiser: NetworkDenoiser) -> None:
    net = TINY.build(SHAPE)
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    with pytest.raises(CheckpointMismatch):
        load_weights(net, {"inner.conv_in.bias": torch.zeros(16)}, "here")
    assert all(torch.equal(net.state_dict()[name], tensor) for name, tensor in before.items())


# --- the architecture


def test_sides_must_halve() -> None:
    with pytest.raises(BadInput, match="3 levels need sides divisible by 4, got 6x8"):
        UNet(channels=(16, 16, 16), groups=8).build(ImageShape(1, 6, 8))


def test_channels_must_divide_into_groups() -> None:
    with pytest.raises(BadInput, match="must be multiples of groups=16"):
        UNet(channels=(24, 32), groups=16).build(SHAPE)


def test_there_is_no_attention() -> None:
    names = {type(module).__name__ for module in TINY.build(SHAPE).modules()}
    assert not any("ttention" in name for name in names)


def test_a_trained_network_is_named_after_its_folder_and_unet_comes_first(tmp_path: Path) -> None:
    shape = ImageShape(1, 8, 8)
    for folder, network in {"set-dit": "dit:patch=4,width=16,heads=2", "mine": "mlp:width=16", "set-unet": ""}.items():
        spec = NETWORKS.parse(network) if network else TINY
        denoiser = NetworkDenoiser(spec.build(shape), spec, shape)
        save_network(tmp_path / "networks" / folder, denoiser, {"dataset": "set"})
    store = Store(tmp_path)
    assert [found.name for found in trained_networks("set", store=store)] == ["unet", "dit", "mine"]
    assert trained_networks("other", store=store) == []
