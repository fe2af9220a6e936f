"""Checkpoints made elsewhere: files written by diffusers and by plain torch give what their makers' formulas give."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import diffusers
import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional

from locality.datasets import Source
from locality.errors import BadInput, CheckpointMismatch, DigestMismatch, LocalityError, NonFinite, TooLarge
from locality.fields.jacobian import field_rows, pixel_outputs
from locality.networks import NetworkDenoiser, load_checkpoint, read_checkpoint, save_network
from locality.networks.resnet import ResNet
from locality.sampler import start_noise
from locality.studies import find_model, find_network, model_key
from locality.types import ImageShape, Pixel
from tests.shell import Shell, refused

pytestmark = [
    pytest.mark.timeout(300),
    pytest.mark.usefixtures("one_thread"),
]  # seconds on an idle machine; others may be at work

SHAPE = ImageShape(1, 8, 8)
SCHEDULES = ("linear", "scaled_linear", "squaredcos_cap_v2")
PREDICTIONS = ("epsilon", "v_prediction", "sample")
STEPS = (0, 1, 250, 700, 960)
WEIGHTS = "diffusion_pytorch_model.safetensors"


def seeded(make: Callable[[], Any]) -> Any:
    """A network with noise on all weights: nothing is exactly zero, and the same each time."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        net = make()
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for weight in net.parameters():
            weight += 0.05 * torch.randn(weight.shape, generator=generator)
    return net.eval()


def small_unet(**options: Any) -> Any:
    blocks = {
        "down_block_types": ("DownBlock2D", "AttnDownBlock2D"),
        "up_block_types": ("AttnUpBlock2D", "UpBlock2D"),
        "block_out_channels": (8, 16),
    }
    sizes = {"sample_size": 8, "in_channels": 1, "out_channels": 1, "layers_per_block": 1, "norm_num_groups": 4}
    return seeded(lambda: diffusers.UNet2DModel(**{**blocks, **sizes, **options}))


def small_dit(**options: Any) -> Any:
    sizes = {"num_attention_heads": 2, "attention_head_dim": 8, "num_layers": 2, "num_embeds_ada_norm": 5}
    images = {"sample_size": 8, "in_channels": 1, "out_channels": 2}  # twice: a learned variance
    return seeded(lambda: diffusers.DiTTransformer2DModel(**{**sizes, **images, **options}))


@pytest.fixture(scope="module")
def nets() -> dict[str, Any]:
    return {"unet": small_unet(), "dit": small_dit()}


@pytest.fixture
def written(tmp_path: Path, nets: dict[str, Any]) -> Callable[..., Path]:
    """Writes a model's folder with its scheduler by diffusers itself."""

    def write(kind: str = "unet", scheduler: Any = None, net: Any = None) -> Path:
        folder = tmp_path / f"written-{len(list(tmp_path.iterdir()))}"
        (net or nets[kind]).save_pretrained(folder)
        (scheduler or diffusers.DDPMScheduler()).save_pretrained(folder)
        return folder

    return write


def opened(path: Path, shape: ImageShape | None = None) -> NetworkDenoiser:
    return load_checkpoint(*read_checkpoint(path, shape))


def noisy(sigma: float, n: int = 2) -> Tensor:
    x0, eps = torch.randn(2, n, SHAPE.d, generator=torch.Generator().manual_seed(3))
    return x0.clamp(-1, 1) + sigma * eps


def call(net: Any, x_t: Tensor, t: Tensor) -> Tensor:
    """The raw network, as its own library calls it: the class after the last one is "no class"."""
    if isinstance(net, diffusers.UNet2DModel):
        out: Tensor = net(x_t, t).sample
        return out
    labels = torch.full((len(x_t),), 5)
    raw: Tensor = net(x_t, timestep=t.expand(len(x_t)), class_labels=labels).sample
    return raw[:, : SHAPE.c]


def by_scheduler(net: Any, scheduler: Any, x: Tensor, t: int) -> Tensor:
    """x0_hat by the formulas of diffusers' own step."""
    alpha_bar = scheduler.alphas_cumprod[t]
    x_t = (alpha_bar.sqrt() * x).reshape(-1, *SHAPE)
    out: Tensor = scheduler.step(call(net, x_t, torch.tensor(t)), t, x_t).pred_original_sample
    return out.reshape(len(x), -1)


def sigma_at(scheduler: Any, t: int) -> float:
    alpha_bar = float(scheduler.alphas_cumprod[t])
    return math.sqrt((1 - alpha_bar) / alpha_bar)


# --- files of diffusers


@pytest.mark.parametrize("make", [diffusers.DDPMScheduler, diffusers.DDIMScheduler])
@pytest.mark.parametrize("prediction", PREDICTIONS)
@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("kind", ["unet", "dit"])
def test_estimates_are_those_of_diffusers(
    written: Callable[..., Path], nets: dict[str, Any], kind: str, schedule: str, prediction: str, make: Any
) -> None:
    """float32: the noise predicted is multiplied by sigma, hence the tolerance that grows with it."""
    scheduler = make(beta_schedule=schedule, prediction_type=prediction, clip_sample=False)
    scheduler.set_timesteps(1000)
    denoiser = opened(written(kind, scheduler))
    assert denoiser.shape == SHAPE
    for t in STEPS:
        sigma = sigma_at(scheduler, t)
        x = noisy(sigma)
        with torch.no_grad():
            want = by_scheduler(nets[kind], scheduler, x, t)
            got = denoiser(x, sigma)
        torch.testing.assert_close(
            got, want, rtol=1e-4, atol=2e-4 * max(1.0, sigma if prediction == "epsilon" else 1.0)
        )


@pytest.mark.parametrize("kind", ["unet", "dit"])
def test_between_timesteps_the_label_is_linear_in_ln_sigma(
    written: Callable[..., Path], nets: dict[str, Any], kind: str
) -> None:
    scheduler = diffusers.DDPMScheduler()
    low, high = sigma_at(scheduler, 500), sigma_at(scheduler, 501)
    sigma = math.exp(0.7 * math.log(low) + 0.3 * math.log(high))
    x = noisy(sigma)
    x_t = (x / math.sqrt(1 + sigma**2)).reshape(-1, *SHAPE)
    with torch.no_grad():
        want = x - sigma * call(nets[kind], x_t, torch.tensor(500.3)).reshape(len(x), -1)
        got = opened(written(kind))(x, sigma)
        whole = x - sigma * call(nets[kind], x_t, torch.tensor(500.0)).reshape(len(x), -1)
    torch.testing.assert_close(got, want, rtol=0, atol=5e-4)
    assert (got - want).abs().max() < 0.2 * (got - whole).abs().max()


def test_a_table_of_timesteps_takes_the_nearest(written: Callable[..., Path]) -> None:
    net = small_unet(time_embedding_type="learned", num_train_timesteps=1000)
    scheduler = diffusers.DDPMScheduler()
    sigma = math.exp(0.7 * math.log(sigma_at(scheduler, 500)) + 0.3 * math.log(sigma_at(scheduler, 501)))
    x = noisy(sigma)
    with torch.no_grad():
        x_t = (x / math.sqrt(1 + sigma**2)).reshape(-1, *SHAPE)
        want = x - sigma * net(x_t, torch.tensor(500)).sample.reshape(len(x), -1)
        got = opened(written(net=net))(x, sigma)
    torch.testing.assert_close(got, want, rtol=0, atol=5e-5)


@pytest.mark.parametrize("prediction", PREDICTIONS)
@pytest.mark.parametrize("kind", ["unet", "dit"])
def test_fields_are_the_derivative_of_diffusers_formula(
    written: Callable[..., Path], nets: dict[str, Any], kind: str, prediction: str
) -> None:
    scheduler = diffusers.DDPMScheduler(prediction_type=prediction, clip_sample=False)
    sigma, t = sigma_at(scheduler, 400), 400
    x, outputs = noisy(sigma), pixel_outputs(SHAPE, Pixel(3, 5))
    leaf = x.clone().requires_grad_(True)
    (want,) = torch.autograd.grad((by_scheduler(nets[kind], scheduler, leaf, t) * outputs).sum(), leaf)
    got = field_rows(opened(written(kind, scheduler)), x, outputs, sigma)
    torch.testing.assert_close(got[0], want, rtol=1e-3, atol=1e-4)
    assert want.abs().max() > 1e-2


def test_a_class_conditional_transformer_is_asked_without_a_class(
    written: Callable[..., Path], nets: dict[str, Any]
) -> None:
    scheduler = diffusers.DDPMScheduler()
    x = noisy(1.0)
    sigma = sigma_at(scheduler, 300)
    with torch.no_grad():
        got = opened(written("dit"))(x, sigma)
        x_t = (x * scheduler.alphas_cumprod[300].sqrt()).reshape(-1, *SHAPE)
        first = nets["dit"](x_t, timestep=torch.tensor([300, 300]), class_labels=torch.tensor([0, 0])).sample
    assert (got - (x - sigma * first[:, :1].reshape(2, -1))).abs().max() > 1e-2


def test_every_layout_of_a_folder_is_the_same_network(
    tmp_path: Path, written: Callable[..., Path], nets: dict[str, Any]
) -> None:
    plain = written()
    x = noisy(2.0)
    want = opened(plain)(x, 2.0)
    pipeline = tmp_path / "pipeline"
    diffusers.DDPMPipeline(nets["unet"], diffusers.DDPMScheduler()).save_pretrained(pipeline)
    flat = shutil.copytree(plain, tmp_path / "flat")
    shutil.copy(pipeline / "model_index.json", flat)
    for place in (pipeline, pipeline / "unet", flat, plain / WEIGHTS):
        assert torch.equal(opened(place)(x, 2.0), want), place
    half = shutil.copytree(plain, tmp_path / "half")
    (half / WEIGHTS).rename(half / "diffusion_pytorch_model.fp16.safetensors")
    assert torch.equal(opened(half)(x, 2.0), want)


def in_shards(folder: Path) -> Path:
    """As diffusers itself writes a large network."""
    tensors = load_file(folder / WEIGHTS)
    (folder / WEIGHTS).unlink()
    names = sorted(tensors)
    parts = {f"diffusion_pytorch_model-0000{i + 1}-of-00002.safetensors": names[i::2] for i in range(2)}
    for file, part in parts.items():
        save_file({name: tensors[name] for name in part}, folder / file)
    where = {name: file for file, part in parts.items() for name in part}
    (folder / f"{WEIGHTS}.index.json").write_text(json.dumps({"metadata": {}, "weight_map": where}))
    return folder


def test_shards_are_one_network(written: Callable[..., Path]) -> None:
    x = noisy(2.0)
    want = opened(written())(x, 2.0)
    folder = in_shards(written())
    assert torch.equal(opened(folder)(x, 2.0), want)
    first = sorted(folder.glob("*-00001-of-*"))[0]
    first.unlink()
    with pytest.raises(BadInput, match="names 1 shards that are not beside it"):
        opened(folder)


def test_checkpoints_of_accelerate_open_by_their_parts(written: Callable[..., Path], tmp_path: Path) -> None:
    plain, x = written(), noisy(2.0)
    want = opened(plain)(x, 2.0)
    for part in ("unet", "unet_ema"):
        shutil.copytree(plain, tmp_path / "run" / "checkpoint-500" / part)
        (tmp_path / "run" / "checkpoint-500" / part / "scheduler_config.json").unlink()
    (tmp_path / "run" / "scheduler").mkdir()
    shutil.copy(plain / "scheduler_config.json", tmp_path / "run" / "scheduler")
    assert torch.equal(opened(tmp_path / "run" / "checkpoint-500" / "unet_ema")(x, 2.0), want)
    with pytest.raises(BadInput, match=r"Say which: .*unet or .*unet_ema\."):
        opened(tmp_path / "run" / "checkpoint-500")
    shutil.rmtree(tmp_path / "run" / "checkpoint-500" / "unet_ema")
    assert torch.equal(opened(tmp_path / "run" / "checkpoint-500")(x, 2.0), want)


@pytest.mark.parametrize("kind", ["unet", "dit"])
def test_a_class_is_asked_for_by_number_or_all_are_averaged(
    written: Callable[..., Path], nets: dict[str, Any], kind: str
) -> None:
    net = small_unet(num_class_embeds=5) if kind == "unet" else nets["dit"]
    scheduler = diffusers.DDPMScheduler()
    folder, x, t = written(net=net), noisy(1.0), torch.tensor([300, 300])
    sigma = sigma_at(scheduler, 300)
    x_t = (x * scheduler.alphas_cumprod[300].sqrt()).reshape(-1, *SHAPE)
    with torch.no_grad():
        outs = [net(x_t, timestep=t, class_labels=torch.tensor([k, k])).sample[:, :1] for k in range(5)]
        each = [x - sigma * out.reshape(2, -1) for out in outs]
        mean, third = opened(Path(f"{folder}:class=mean"))(x, sigma), opened(Path(f"{folder}:class=3"))(x, sigma)
        usual = opened(folder)(x, sigma)
    torch.testing.assert_close(third, each[3], rtol=0, atol=1e-4)
    torch.testing.assert_close(mean, torch.stack(each).mean(dim=0), rtol=0, atol=1e-4)
    assert (mean - third).abs().max() > 1e-2
    assert torch.equal(usual, mean) == (kind == "unet")  # the Transformer has an embedding for no class
    source = Source.parse("digits")
    keys = {str(model_key(source, text)) for text in (f"{folder}:class=3", f"{folder}:class=4", str(folder))}
    assert len(keys) == 3
    with pytest.raises(BadInput, match="class=5 is none of its classes, 0 to 4"):
        opened(Path(f"{folder}:class=5"))
    with pytest.raises(BadInput, match="is told of no class"):
        opened(Path(f"{written()}:class=0"))


def test_attention_under_its_old_names_is_read(written: Callable[..., Path]) -> None:
    folder = written()
    want = opened(folder)(noisy(2.0), 2.0)
    names = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}
    tensors = load_file(folder / WEIGHTS)
    old = {}
    for name, tensor in tensors.items():
        for new, before in names.items():
            name = name.replace(f".{new}.", f".{before}.")
        old[name] = tensor
    assert old.keys() != tensors.keys()
    save_file(old, folder / WEIGHTS)
    assert torch.equal(opened(folder)(noisy(2.0), 2.0), want)


def test_noise_outside_the_schedule_is_refused(written: Callable[..., Path]) -> None:
    denoiser = opened(written())
    for sigma in (0.002, 200.0):
        with pytest.raises(BadInput, match=rf"sigma={sigma:g} is outside .* 0.01 to 157.4 .*timesteps 0 to 999"):
            denoiser(noisy(1.0), sigma)
    from locality.schedule import noise_grid

    for sigma in noise_grid("ddpm", 10):  # the usual levels are all inside, the rounding of the first one too
        assert denoiser(noisy(sigma), sigma).isfinite().all()


def test_the_step_without_any_signal_is_left_out(written: Callable[..., Path]) -> None:
    scheduler = diffusers.DDIMScheduler(rescale_betas_zero_snr=True, prediction_type="v_prediction")
    _, manifest = read_checkpoint(written("unet", scheduler))
    assert manifest["timesteps"] == 999
    assert manifest["sigma_range"][1] == pytest.approx(sigma_at(scheduler, 998), rel=1e-3)


@pytest.mark.parametrize("spacing", ["leading", "trailing", "linspace"])
@pytest.mark.parametrize("blank", [False, True])
def test_sampling_along_its_own_steps_is_that_of_diffusers(
    shell: Shell, written: Callable[..., Path], nets: dict[str, Any], tmp_path: Path, spacing: str, blank: bool
) -> None:
    options = {"timestep_spacing": spacing, "rescale_betas_zero_snr": blank, "prediction_type": "v_prediction"}
    scheduler = diffusers.DDIMScheduler(clip_sample=False, set_alpha_to_one=True, **options)
    words = ("sample", "digits", "--model", written("unet", scheduler), "--grid", "checkpoint", "--no-clip")
    drawn = shell(*words, "-n", 2, "--steps", 5, "--out", tmp_path / "s.npz", "--json").json
    got = torch.from_numpy(np.load(tmp_path / "s.npz")["x0_hat"][-1])
    x_t = start_noise(SHAPE, 2, 0).reshape(2, *SHAPE)
    scheduler.set_timesteps(5)
    after = [float(scheduler.alphas_cumprod[t]) for t in scheduler.timesteps[1:]] + [1.0]
    for t, to in zip(scheduler.timesteps, after, strict=True):
        with torch.no_grad():
            v = nets["unet"](x_t, t).sample
        if spacing == "linspace":  # DDIMScheduler.step goes to another timestep than the next of its own list
            a = float(scheduler.alphas_cumprod[t])
            x0, eps = a**0.5 * x_t - (1 - a) ** 0.5 * v, a**0.5 * v + (1 - a) ** 0.5 * x_t
            x_t = to**0.5 * x0 + (1 - to) ** 0.5 * eps
        else:
            x_t = scheduler.step(v, t, x_t).prev_sample
    first = 1e6 if blank and spacing != "leading" else sigma_at(scheduler, int(scheduler.timesteps[0]))
    assert drawn["sigmas"][0] == pytest.approx(first, rel=1e-3)
    torch.testing.assert_close(got, x_t, rtol=1e-3, atol=2e-3)


def test_models_without_steps_of_their_own_have_no_such_grid(shell: Shell, tmp_path: Path) -> None:
    words = ("sample", "digits", "--grid", "checkpoint", "--out", tmp_path / "s.npz")
    assert "is for a checkpoint with steps of its own" in refused(shell(*words, "--model", "wiener"))


# --- `.pt` of the Locality code, written here by plain torch


def residual(state: dict[str, Tensor], at: str, wide: int, before: int, after: int, attends: bool = False) -> None:
    sizes = {
        "block1.0": (before,), "block1.2": (after, before, 3, 3), "temb_proj.1": (after, wide),
        "block2.0": (after,), "block2.3": (after, after, 3, 3),
    }  # fmt: skip
    if before != after:
        sizes["shortcut"] = (after, before, 1, 1)
    if attends:
        sizes["attn.group_norm"] = (after,)
        sizes |= {f"attn.{part}": (after, after, 1, 1) for part in ("proj_q", "proj_k", "proj_v", "proj")}
    layers(state, {f"{at}.{name}": size for name, size in sizes.items()})


def layers(state: dict[str, Tensor], sizes: dict[str, tuple[int, ...]]) -> None:
    generator = torch.Generator().manual_seed(len(state))
    for name, size in sizes.items():
        fan = math.prod(size[1:]) or 1
        scale = torch.randn(size, generator=generator) / math.sqrt(fan)
        state[f"{name}.weight"] = 1 + 0.1 * scale if len(size) == 1 else scale
        state[f"{name}.bias"] = 0.1 * torch.randn(size[0], generator=generator)


def table(steps: int, width: int) -> Tensor:
    rates = torch.exp(-torch.arange(0, width, 2) / width * math.log(10_000))
    angles = torch.arange(steps)[:, None] * rates
    return torch.stack([angles.sin(), angles.cos()], dim=2).flatten(1)


def state_of(image: int = 1, ch: int = 32, mult: tuple[int, ...] = (1, 2), attends: tuple[int, ...] = ()) -> Any:
    """Weights by name: two blocks a level, attention in the middle and on some levels."""
    state: dict[str, Tensor] = {"time_embedding.timembedding.0.weight": table(1000, ch)}
    wide = 4 * ch
    layers(state, {"time_embedding.timembedding.1": (wide, ch), "time_embedding.timembedding.3": (wide, wide)})
    layers(state, {"head": (ch, image, 3, 3)})
    now, skips, place = ch, [ch], 0
    for i, m in enumerate(mult):
        for _ in range(2):
            residual(state, f"downblocks.{place}", wide, now, ch * m, i in attends)
            now, place = ch * m, place + 1
            skips.append(now)
        if i + 1 < len(mult):
            layers(state, {f"downblocks.{place}.main": (now, now, 3, 3)})
            skips.append(now)
            place += 1
    residual(state, "middleblocks.0", wide, now, now, True)
    residual(state, "middleblocks.1", wide, now, now)
    place = 0
    for i, m in reversed(list(enumerate(mult))):
        for _ in range(3):
            residual(state, f"upblocks.{place}", wide, now + skips.pop(), ch * m, i in attends)
            now, place = ch * m, place + 1
        if i:
            layers(state, {f"upblocks.{place}.main": (now, now, 3, 3)})
            place += 1
    layers(state, {"tail.0": (now,), "tail.2": (image, now, 3, 3)})
    return state


class Plain:
    """The same network by loops over names, with attention written out."""

    def __init__(self, state: dict[str, Tensor]) -> None:
        self.state = state

    def conv(self, h: Tensor, at: str, **options: int) -> Tensor:
        return functional.conv2d(h, self.state[f"{at}.weight"], self.state[f"{at}.bias"], **options)

    def linear(self, h: Tensor, at: str) -> Tensor:
        return h @ self.state[f"{at}.weight"].T + self.state[f"{at}.bias"]

    def norm(self, h: Tensor, at: str) -> Tensor:
        return functional.group_norm(h, 32, self.state[f"{at}.weight"], self.state[f"{at}.bias"])

    def block(self, h: Tensor, at: str, level: Tensor) -> Tensor:
        inner = self.conv(swish(self.norm(h, f"{at}.block1.0")), f"{at}.block1.2", padding=1)
        inner = inner + self.linear(swish(level), f"{at}.temb_proj.1")[:, :, None, None]
        inner = self.conv(swish(self.norm(inner, f"{at}.block2.0")), f"{at}.block2.3", padding=1)
        out = inner + (self.conv(h, f"{at}.shortcut") if f"{at}.shortcut.weight" in self.state else h)
        return self.attend(out, f"{at}.attn") if f"{at}.attn.proj.weight" in self.state else out

    def attend(self, h: Tensor, at: str) -> Tensor:
        q, k, v = (self.conv(self.norm(h, f"{at}.group_norm"), f"{at}.proj_{part}").flatten(2) for part in "qkv")
        weights = torch.softmax(torch.einsum("bci,bcj->bij", q, k) / math.sqrt(h.shape[1]), dim=2)
        mixed = torch.einsum("bij,bcj->bci", weights, v).reshape(h.shape)
        return h + self.conv(mixed, f"{at}.proj")

    def __call__(self, x_t: Tensor, t: int) -> Tensor:
        at = "time_embedding.timembedding"
        row = self.state[f"{at}.0.weight"][t].expand(len(x_t), -1)
        level = self.linear(swish(self.linear(row, f"{at}.1")), f"{at}.3")
        skips = [self.conv(x_t, "head", padding=1)]
        for place in self.places("downblocks"):
            if f"{place}.main.weight" in self.state:
                skips.append(self.conv(skips[-1], f"{place}.main", padding=1, stride=2))
            else:
                skips.append(self.block(skips[-1], place, level))
        h = skips[-1]
        for place in self.places("middleblocks"):
            h = self.block(h, place, level)
        for place in self.places("upblocks"):
            if f"{place}.main.weight" in self.state:
                h = self.conv(h.repeat_interleave(2, 2).repeat_interleave(2, 3), f"{place}.main", padding=1)
            else:
                h = self.block(torch.cat([h, skips.pop()], dim=1), place, level)
        return self.conv(swish(self.norm(h, "tail.0")), "tail.2", padding=1)

    def places(self, part: str) -> list[str]:
        count = len({name.split(".")[1] for name in self.state if name.startswith(part)})
        return [f"{part}.{i}" for i in range(count)]


def swish(h: Tensor) -> Tensor:
    return h * torch.sigmoid(h)


def write_state(path: Path, state: Any) -> Path:
    torch.save({"epoch": 200, "model_state_dict": state, "optimizer_state_dict": {"lr": 1e-4}, "loss": 0.03}, path)
    return path


@pytest.fixture(scope="module")
def pt(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_state(tmp_path_factory.mktemp("locality") / "ckpt_epoch_200.pt", state_of(attends=(1,)))


def test_a_state_of_plain_torch_gives_its_own_formula(pt: Path) -> None:
    scheduler = diffusers.DDPMScheduler(clip_sample=False)
    denoiser, plain = opened(pt, SHAPE), Plain(state_of(attends=(1,)))
    for t in STEPS:
        sigma, alpha_bar = sigma_at(scheduler, t), scheduler.alphas_cumprod[t]
        x = noisy(sigma)
        x_t = (alpha_bar.sqrt() * x).reshape(-1, *SHAPE)
        with torch.no_grad():
            want = ((x_t - (1 - alpha_bar).sqrt() * plain(x_t, t)) / alpha_bar.sqrt()).reshape(2, -1)
            torch.testing.assert_close(denoiser(x, sigma), want, rtol=1e-4, atol=2e-4 * max(1.0, sigma))


def test_the_field_of_a_state_is_the_derivative_of_its_formula(pt: Path) -> None:
    scheduler = diffusers.DDPMScheduler()
    sigma, alpha_bar, plain = sigma_at(scheduler, 300), scheduler.alphas_cumprod[300], Plain(state_of(attends=(1,)))
    x, outputs = noisy(sigma), pixel_outputs(SHAPE, Pixel(2, 2))
    leaf = x.clone().requires_grad_(True)
    eps = plain((alpha_bar.sqrt() * leaf).reshape(-1, *SHAPE), 300).reshape(2, -1)
    (want,) = torch.autograd.grad(((leaf - sigma * eps) * outputs).sum(), leaf)
    torch.testing.assert_close(field_rows(opened(pt, SHAPE), x, outputs, sigma)[0], want, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("form", ["bare", "parallel", "float16", "old"])
def test_states_in_other_wrappings_are_read(tmp_path: Path, form: str) -> None:
    state, path = state_of(), tmp_path / "net.pt"
    if form == "bare":
        torch.save(state, path)
    elif form == "old":
        path = path.with_suffix(".pth")
        torch.save(state, path, _use_new_zipfile_serialization=False)
    else:
        wrap = (lambda name: f"module.{name}") if form == "parallel" else str
        write_state(path, {wrap(name): t.half() if form == "float16" else t for name, t in state.items()})
    with torch.no_grad():
        x, sigma = noisy(1.0), sigma_at(diffusers.DDPMScheduler(), 250)
        want = x - sigma * Plain(state)((x / math.sqrt(1 + sigma**2)).reshape(-1, *SHAPE), 250).reshape(2, -1)
        got = opened(path, SHAPE)(x, sigma)
    torch.testing.assert_close(got, want, rtol=0, atol=0.02 if form == "float16" else 1e-4)


@pytest.mark.parametrize(("image", "ch", "mult", "sides"), [(1, 64, (1, 2, 2), [28]), (3, 128, (1, 2, 3, 4), [32, 64])])
def test_published_sizes_fix_the_images(
    tmp_path: Path, image: int, ch: int, mult: tuple[int, ...], sides: list[int]
) -> None:
    path = write_state(tmp_path / "ckpt_epoch_200.pt", state_of(image, ch, mult))
    for wanted in (28, 32, 64):
        _, manifest = read_checkpoint(path, ImageShape(image, wanted, wanted))
        assert manifest["shape"] == [image, *[wanted if wanted in sides else sides[0]] * 2]
    assert manifest["sigma_range"] == pytest.approx([0.01, 157.4], rel=1e-3)


# --- as a model of the studies and of the command line


def test_paths_are_models_like_any_other(written: Callable[..., Path], pt: Path, tmp_path: Path) -> None:
    source, folder = Source.parse("digits"), written()
    for path in (folder, folder / WEIGHTS, pt):
        found = find_network(source, str(path))
        assert found.manifest["shape"] == [1, 8, 8]
        assert found.load().shape == SHAPE
        assert model_key(source, str(path)) == {"weights": found.manifest["sha256"]}
    comma = shutil.copytree(folder, tmp_path / "a,b:c=1")
    assert find_model(source, str(comma)).key() == find_model(source, str(folder)).key()
    before = find_model(source, str(folder)).key()
    diffusers.DDPMScheduler(prediction_type="v_prediction").save_pretrained(folder)
    assert find_model(source, str(folder)).key() != before  # the schedule is part of what results depend on


def test_a_network_of_ours_opens_by_its_file(tmp_path: Path) -> None:
    net = NetworkDenoiser(ResNet(channels=8).build(SHAPE), ResNet(channels=8), SHAPE)
    save_network(tmp_path / "mine", net, {"dataset": "digits"})
    x = noisy(1.0)
    source = Source.parse("digits")
    by_file, by_folder = (
        find_network(source, str(tmp_path / "mine" / name)).load()(x, 1.0) for name in ("weights.safetensors", "")
    )
    assert torch.equal(by_file, by_folder)


def test_a_file_that_changes_while_in_use_is_reported(written: Callable[..., Path]) -> None:
    folder = written()
    found = find_network(Source.parse("digits"), str(folder))
    diffusers.DDIMScheduler(beta_end=0.01).save_pretrained(folder)
    with pytest.raises(DigestMismatch, match="changed since it was opened"):
        found.load()


def test_the_command_line_takes_paths(shell: Shell, written: Callable[..., Path], pt: Path, tmp_path: Path) -> None:
    for path in (written("dit"), pt):
        field = ("field", "digits", "--pixel", "3,3", "--sigma", 1, "--draws", 2, "--json")
        result = shell(*field, "--model", path, "--out", tmp_path / "f.npz").json
        assert result["shape"] == [1, 1, 8, 8]
        assert math.isfinite(result["radius"])
        drawn = shell("sample", "digits", "--model", path, "-n", 2, "--steps", 3, "--out", tmp_path / "s.npz", "--json")
        assert drawn.code == 0
        about = shell("checkpoint", path, "--json").json
        assert about["prediction"] == "eps"
        assert about["timesteps"] == 1000
    assert "UNet of the Locality code (locality)" in shell("checkpoint", pt).out


# --- bad input: one message each


def edited(folder: Path, file: str = "config.json", **changes: Any) -> Path:
    path = folder / file
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
    return folder


def resaved(folder: Path, change: Callable[[dict[str, Tensor]], None]) -> Path:
    tensors = load_file(folder / WEIGHTS)
    change(tensors)
    save_file(tensors, folder / WEIGHTS)
    return folder


def lost(tensors: dict[str, Tensor]) -> None:
    for name in ("conv_in.bias", "conv_in.weight", "conv_out.bias", "conv_out.weight"):
        del tensors[name]


def reshaped(tensors: dict[str, Tensor]) -> None:
    tensors["conv_in.bias"] = torch.zeros(7)
    tensors["another"] = torch.zeros(1)


def damaged(tensors: dict[str, Tensor]) -> None:
    tensors["conv_in.bias"][0] = torch.nan


def sparse(path: Path, size: int = 10 * 10**9) -> Path:
    """A file of this many bytes that takes no room."""
    with path.open("r+b" if path.exists() else "wb") as file:
        file.truncate(size)
    return path


BAD_FOLDERS: dict[str, tuple[Callable[[Path], Any], type[LocalityError], str]] = {
    "missing keys": (lambda f: resaved(f, lost), CheckpointMismatch,
        r"4 of \d+ tensors differ. conv_in.bias is missing; conv_in.weight is missing; conv_out.bias is missing\.$"),
    "shapes": (lambda f: resaved(f, reshaped), CheckpointMismatch,
        r"another is not expected; conv_in.bias has shape \(7,\), \(8,\) expected"),
    "nan": (lambda f: resaved(f, damaged), NonFinite, "1 tensors hold NaN or infinity, first 'conv_in.bias'"),
    "huge": (lambda f: sparse(f / WEIGHTS), TooLarge, r"needs 10 GB; the budget is 3 GB"),
    "cut": (lambda f: (f / WEIGHTS).write_bytes((f / WEIGHTS).read_bytes()[:-9]), BadInput, "not a readable safetens"),
    "no weights": (lambda f: (f / WEIGHTS).unlink(), BadInput, "holds no diffusion_pytorch_model.safetensors"),
    "bin": (lambda f: (f / WEIGHTS).rename(f / "diffusion_pytorch_model.bin"), BadInput, "bin only, a pickle.*Convert"),
    "ckpt": (lambda f: (f / WEIGHTS).rename(f / "x.ckpt"), BadInput, r"x.ckpt only, a pickle.*Convert"),
    "shards": (lambda f: [shutil.copy(f / WEIGHTS, f / f"diffusion_pytorch_model-{i}.safetensors") for i in (1, 2)]
        and (f / WEIGHTS).unlink(), BadInput, "weights in 2 files and no index of shards"),
    "no schedule": (lambda f: (f / "scheduler_config.json").unlink(), BadInput, "no scheduler_config.json.*Put the"),
    "other noise": (lambda f: edited(f, "scheduler_config.json", _class_name="FlowMatchEulerDiscreteScheduler"),
        BadInput, "'FlowMatchEulerDiscreteScheduler' has no timesteps of a variance-preserving"),
    "flow": (lambda f: edited(f, "scheduler_config.json", use_flow_sigmas=True), BadInput, "flow matching"),
    "prediction": (lambda f: edited(f, "scheduler_config.json", prediction_type="score"), BadInput,
        "prediction_type='score' is not known. Known: epsilon, v_prediction, sample"),
    "betas": (lambda f: edited(f, "scheduler_config.json", beta_end="x"), BadInput, "no usable schedule"),
    "flat betas": (lambda f: edited(f, "scheduler_config.json", trained_betas=[0.1, 0.0]), BadInput, "does not rise"),
    "class": (lambda f: edited(f, _class_name="UNet2DConditionModel"), BadInput, "Supported: UNet2DModel and DiT"),
    "option": (lambda f: edited(f, wings=2), BadInput, "UNet2DModel has no option wings"),
    "labels": (lambda f: edited(f, class_embed_type="timestep"), BadInput, "told more than a class by number"),
    "no labels": (lambda f: edited(f, num_class_embeds=10), CheckpointMismatch, "class_embedding.weight is missing"),
    "accelerate": (lambda f: [shutil.copytree(f, f / name) for name in ("unet", "unet_ema")]
        and (f / "config.json").unlink(), BadInput, "and its running average.* Say which: .*/unet or .*/unet_ema"),
    "centred": (lambda f: edited(f, center_input_sample=True), BadInput, r"takes images in \[0, 1\]"),
    "fourier": (lambda f: edited(f, time_embedding_type="fourier"), BadInput, "network of sigmas"),
    "size": (lambda f: edited(f, sample_size=None), BadInput, "do not say how large"),
    "channels": (lambda f: edited(f, out_channels=5), BadInput, "1 channels in, 5 out"),
    "blocks": (lambda f: edited(f, down_block_types=["A", "B"]), BadInput, "no UNet2DModel can be made"),
    "odd sides": (lambda f: edited(f, sample_size=7), BadInput, "does not run on 1x7x7 images"),
    "json": (lambda f: (f / "config.json").write_text("{"), BadInput, "config.json is not readable JSON"),
    "array": (lambda f: (f / "config.json").write_text("[1]"), BadInput, "not an object"),
    "latents": (lambda f: (f / "model_index.json").write_text('{"vae": ["diffusers", "AutoencoderKL"]}'), BadInput,
        "latents of an autoencoder"),
    "no checkpoint": (lambda f: [path.unlink() for path in f.iterdir()], BadInput,
        r"is not a trained network: no manifest.json \(made here\), config.json or model_index.json"),
    "half a pipeline": (lambda f: [path.unlink() for path in f.iterdir()] and (f / "model_index.json").write_text("{}"),
        BadInput, "no config.json of a network in unet/ or transformer/"),
}  # fmt: skip


@pytest.mark.parametrize("case", sorted(BAD_FOLDERS))
def test_bad_folders_are_one_message(written: Callable[..., Path], case: str) -> None:
    spoil, error, text = BAD_FOLDERS[case]
    folder = written()
    _ = opened(folder)  # it was good, and what is remembered of it does not hide what changed
    spoil(folder)
    with pytest.raises(error, match=text) as raised:
        opened(folder)
    assert "\n" not in str(raised.value).strip()


def test_an_option_that_is_gone_but_unset_is_no_hindrance(written: Callable[..., Path]) -> None:
    assert opened(edited(written(), wings=None, feathers=False)).shape == SHAPE


class Bomb:
    """What a harmful pickle does: it calls something when it is opened."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.target,)


def bomb(path: Path) -> None:
    torch.save({"model_state_dict": Bomb(path.parent / "boom")}, path)


def without(*names: str) -> Callable[[Path], Any]:
    return lambda path: write_state(path, {k: v for k, v in state_of().items() if k not in names})


def with_more(**more: Any) -> Callable[[Path], Any]:
    return lambda path: write_state(path, {**state_of(), **more})


BAD_FILES: dict[str, tuple[str, Callable[[Path], Any], type[LocalityError], str]] = {
    "absent": ("a.pt", lambda p: None, BadInput, "does not exist"),
    "huge": ("a.pt", sparse, TooLarge, r"a.pt needs 10 GB; the budget is 3 GB"),
    "huge, unknown": ("a.bin", sparse, TooLarge, "10 GB"),
    "edm": ("edm-cifar10.pkl", bomb, BadInput, r"Python pickle, as EDM's.*was not opened.*To convert one"),
    "bomb": ("a.pt", bomb, BadInput, "damaged or holds more than plain tensors"),
    "noise": ("a.pt", lambda p: p.write_bytes(b"no weights" * 99), BadInput, "damaged or holds more than plain"),
    "list": ("a.pt", lambda p: torch.save([1, 2], p), BadInput, "holds no 'model_state_dict'"),
    "numbers": ("a.pt", lambda p: torch.save({"a": 1}, p), BadInput, "'a' is no plain tensor"),
    "whole numbers": ("a.pt", with_more(more=torch.zeros(2, dtype=torch.int64)), BadInput, "'more' is no plain tensor"),
    "claims": ("a.pt", with_more(more=torch.zeros(1).expand(10**10)), TooLarge, "needs 40 GB"),
    "another network": ("a.pt", lambda p: torch.save(nn.Linear(2, 2).state_dict(), p), CheckpointMismatch,
        "not the UNet of the Locality code: head.weight, tail.2.weight, time_embedding.timembedding.0.weight missing"),
    "missing": ("a.pt", without("downblocks.1.block1.0.bias"), CheckpointMismatch,
        r"1 of \d+ tensors differ. downblocks.1.block1.0.bias is missing\.$"),
    "extra": ("a.pt", with_more(more=torch.zeros(2)), CheckpointMismatch, "more is not expected"),
    "shape": ("a.pt", with_more(**{"head.bias": torch.zeros(3)}), CheckpointMismatch,
        r"head.bias has shape \(3,\), \(32,\) expected"),
    "widths": ("a.pt", lambda p: write_state(p, state_of(ch=20)), BadInput, "no UNet of the Locality code can be made"),
    "nan": ("a.pt", with_more(**{"head.bias": torch.full((32,), torch.nan)}), NonFinite, "NaN"),
    "tensors alone": ("a.safetensors", lambda p: save_file(state_of(), p), BadInput, "no manifest.json or config.json"),
    "other": ("a.onnx", lambda p: p.write_bytes(b"x"), BadInput, "not a checkpoint that can be opened"),
}  # fmt: skip


@pytest.mark.parametrize("case", sorted(BAD_FILES))
def test_bad_files_are_one_message(tmp_path: Path, case: str) -> None:
    name, make, error, text = BAD_FILES[case]
    path = tmp_path / name
    make(path)
    with pytest.raises(error, match=text) as raised:
        opened(path)
    assert "\n" not in str(raised.value).strip()
    assert not (tmp_path / "boom").exists()  # nothing in it was run


def test_a_huge_file_of_ours_is_refused(tmp_path: Path) -> None:
    net = NetworkDenoiser(ResNet(channels=8).build(SHAPE), ResNet(channels=8), SHAPE)
    save_network(tmp_path, net, {"dataset": "digits"})
    sparse(tmp_path / "weights.safetensors")
    with pytest.raises(TooLarge, match="10 GB"):
        read_checkpoint(tmp_path)


def test_other_resolutions_are_reported(shell: Shell, written: Callable[..., Path], pt: Path, tmp_path: Path) -> None:
    path = write_state(tmp_path / "ckpt_epoch_200.pt", state_of(1, 64, (1, 2, 2)))
    for wrong, size in ((written(net=small_unet(sample_size=16)), "1x16x16"), (path, "1x28x28")):
        line = refused(shell("field", "digits", "--pixel", "1,1", "--sigma", 1, "--out", "f.npz", "--model", wrong))
        assert f"was trained on {size} images of unknown origin; those of digits are 1x8x8" in line


def test_the_command_line_tells_bad_paths_in_one_line(shell: Shell, tmp_path: Path) -> None:
    assert "does not exist" in refused(shell("checkpoint", tmp_path / "none"))
    assert "does not exist" in refused(shell("sample", "digits", "--model", "no/such", "--out", tmp_path / "s.npz"))
    bomb(tmp_path / "net.pkl")
    out = ("--out", tmp_path / "f.npz")
    assert "EDM" in refused(
        shell("field", "digits", "--pixel", "1,1", "--sigma", 1, *out, "--model", tmp_path / "net.pkl")
    )
    assert not (tmp_path / "boom").exists()
