"""The contract of every network in MODELS, and what is special about ours."""

from __future__ import annotations

import copy
import itertools

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from shm_engine.model import DEFAULT_MODEL, MODELS
from shm_engine.model.backbone import CHANNELS, MobileNetV2
from shm_engine.model.blocks import fold_batch_norm
from shm_engine.model.shm import SemanticHumanMatting, fuse
from shm_engine.trimap import Trimap
from tests.assertions import EXACT, FLOAT32, NETWORK_FLOAT32, assert_close
from tests.engine.networks import lively, network_input

# What a laptop's processor can do about ten times a second.
MOST_PARAMETERS, MOST_MULTIPLICATIONS = 4_000_000, 2_500_000_000

every_model = pytest.mark.parametrize("architecture", MODELS)


@pytest.fixture(scope="module")
def network() -> SemanticHumanMatting:
    """Not to be changed by a test."""
    model = lively(DEFAULT_MODEL)
    assert isinstance(model, SemanticHumanMatting)
    return model


def test_the_default_is_one_of_the_models() -> None:
    assert DEFAULT_MODEL in MODELS


@every_model
def test_a_model_has_fewer_than_4_million_parameters(architecture: str) -> None:
    with torch.device("meta"):
        count = sum(parameter.numel() for parameter in MODELS[architecture]().parameters())
    assert 100_000 < count < MOST_PARAMETERS


def multiplications_by_hooks(model: nn.Module, image: torch.Tensor) -> int:
    total = 0

    def count(layer: nn.Module, _: object, output: torch.Tensor) -> None:
        nonlocal total
        assert isinstance(layer, nn.Conv2d)
        total += output.numel() * layer.weight[0].numel()

    hooks = [m.register_forward_hook(count) for m in model.modules() if isinstance(m, nn.Conv2d)]
    model(image)
    for hook in hooks:
        hook.remove()
    return total


@every_model
def test_a_model_multiplies_at_most_2_5_billion_times_at_288_x_512(architecture: str) -> None:
    with torch.device("meta"):  # shapes only: nothing is computed
        model, image = MODELS[architecture]().eval(), torch.zeros(1, 3, 288, 512)
    by_hooks = multiplications_by_hooks(model, image)
    with FlopCounterMode(display=False) as counter:
        model(image)
    assert counter.get_total_flops() / 2 == by_hooks, "two ways to count agree"
    assert by_hooks <= MOST_MULTIPLICATIONS


@every_model
@torch.no_grad()
@pytest.mark.parametrize(("height", "width"), [(32, 32), (32, 96), (96, 32), (160, 224)])
def test_a_model_takes_odd_multiples_of_32(architecture: str, height: int, width: int) -> None:
    prediction = lively(architecture)(network_input(height, width))
    assert prediction.alpha.shape == prediction.alpha_raw.shape == (2, 1, height, width)
    assert prediction.trimap.shape == (2, 3, height, width)
    for value in (prediction.alpha, prediction.alpha_raw, prediction.trimap):
        assert value.dtype == torch.float32
        assert value.min() >= 0
        assert value.max() <= 1
        assert value.std() > 0.01, "a constant would pass every other check"
    assert_close(prediction.trimap.sum(dim=1), torch.ones(2, height, width), FLOAT32)


@every_model
@torch.no_grad()
def test_a_model_gives_in_a_batch_what_it_gives_alone(architecture: str) -> None:
    model, images = lively(architecture), network_input()
    alone = torch.cat([model(image[None]).alpha for image in images])
    assert (alone[0] - alone[1]).abs().max() > 0.1, "the two pictures are told apart"
    assert_close(model(images).alpha, alone, NETWORK_FLOAT32)


@every_model
@torch.no_grad()
def test_a_model_in_eval_mode_gives_the_same_twice_and_changes_nothing(architecture: str) -> None:
    model, images = lively(architecture), network_input()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    first, second = model(images), model(images)
    assert_close(first.alpha, second.alpha, EXACT)
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())


@every_model
def test_gradients_reach_every_parameter_of_a_model(architecture: str) -> None:
    model = lively(architecture).train()
    alpha = model(network_input()).alpha
    (alpha * torch.linspace(-1, 1, alpha.numel()).view_as(alpha)).sum().backward()
    unreached = [n for n, p in model.named_parameters() if p.grad is None or not p.grad.any()]
    assert unreached == []
    assert all(p.grad.isfinite().all() for p in model.parameters() if p.grad is not None)


@every_model
@torch.no_grad()
def test_the_state_of_a_model_is_all_of_it(architecture: str) -> None:
    model, images = lively(architecture), network_input()
    other = MODELS[architecture]().eval()
    other.load_state_dict(model.state_dict())
    assert_close(other(images).alpha, model(images).alpha, EXACT)


@every_model
@torch.no_grad()
def test_merging_batch_norm_leaves_the_function_of_a_model_unchanged(architecture: str) -> None:
    model, images = lively(architecture), network_input()
    folded = copy.deepcopy(model)
    fold_batch_norm(folded)
    assert not [m for m in folded.modules() if isinstance(m, nn.BatchNorm2d)]
    expected, found = model(images), folded(images)
    assert_close(found.alpha, expected.alpha, NETWORK_FLOAT32)
    assert_close(found.trimap, expected.trimap, NETWORK_FLOAT32)
    fold_batch_norm(folded)
    assert_close(folded(images).alpha, found.alpha, EXACT)


def test_fusion_is_foreground_plus_unknown_times_raw_alpha() -> None:
    share = {Trimap.BACKGROUND: 0.1, Trimap.UNKNOWN: 0.3, Trimap.FOREGROUND: 0.6}
    alpha_raw = torch.tensor([0.0, 0.5, 1.0]).view(1, 1, 1, 3)
    trimap = torch.tensor([share[c] for c in sorted(Trimap)]).view(1, 3, 1, 1).expand(1, 3, 1, 3)
    assert_close(fuse(trimap, alpha_raw).flatten(), [0.6, 0.75, 0.9], FLOAT32)


@pytest.mark.parametrize("order", list(itertools.permutations((0.0, 0.25, 0.75))))
def test_fusion_reads_each_class_from_its_place(order: tuple[float, float, float]) -> None:
    trimap = torch.tensor(order).view(1, 3, 1, 1)
    expected = order[Trimap.FOREGROUND] + order[Trimap.UNKNOWN] * 0.4
    assert_close(fuse(trimap, torch.full((1, 1, 1, 1), 0.4)).item(), expected, FLOAT32)


def test_fusion_never_leaves_0_to_1() -> None:
    logits = 30 * torch.randn(1, 3, 100, 100, generator=torch.Generator().manual_seed(0))
    alpha = fuse(logits.softmax(dim=1), torch.ones(1, 1, 100, 100))
    assert alpha.min() >= 0
    assert alpha.max() <= 1


@torch.no_grad()
@pytest.mark.parametrize("sure", sorted(Trimap))
def test_t_net_decides_where_it_is_sure_and_m_net_the_rest(
    network: SemanticHumanMatting, sure: Trimap
) -> None:
    class Planted(nn.Module):
        def forward(self, image: torch.Tensor) -> torch.Tensor:
            logits = torch.zeros_like(image)
            logits[:, sure] = 40
            return logits

    planted = SemanticHumanMatting().eval()
    planted.t_net = Planted()  # type: ignore[assignment]
    planted.m_net = network.m_net
    images = network_input()
    prediction = planted(images)
    alone = planted.raw_alpha(images, prediction.trimap)
    expected = {
        Trimap.BACKGROUND: torch.zeros_like(alone),
        Trimap.UNKNOWN: alone,
        Trimap.FOREGROUND: torch.ones_like(alone),
    }
    assert_close(prediction.alpha, expected[sure], FLOAT32)
    assert_close(prediction.alpha_raw, alone, EXACT)


@torch.no_grad()
def test_the_stem_halves_the_picture_and_so_does_every_scale() -> None:
    backbone = MobileNetV2().eval()
    image = torch.zeros(1, 3, 96, 160)
    assert backbone.features[0](image).shape == (1, 32, 48, 80)
    sizes = [tuple(m.shape[1:]) for m in backbone(image)]
    assert sizes == [
        (channels, 96 // factor, 160 // factor)
        for channels, factor in zip(CHANNELS, (2, 4, 8, 16, 32), strict=True)
    ]


def test_the_backbone_has_the_published_number_of_weights() -> None:
    """torchvision's features without the last 1 x 1 layer: 2 223 872 - 320 * 1280 - 2 * 1280."""
    with torch.device("meta"):
        assert sum(p.numel() for p in MobileNetV2().parameters()) == 2_223_872 - 412_160


@torch.no_grad()
def test_m_net_sees_no_further_than_48_pixels_and_may_run_on_tiles(
    network: SemanticHumanMatting,
) -> None:
    generator = torch.Generator().manual_seed(0)
    whole = torch.rand(1, 6, 48, 192, generator=generator)
    elsewhere = whole.clone()
    elsewhere[..., 128:] = torch.rand(1, 6, 48, 64, generator=generator)
    full = network.m_net(whole)
    assert_close(network.m_net(elsewhere)[..., :80], full[..., :80], FLOAT32)
    assert (network.m_net(elsewhere) - full)[..., 128:].abs().max() > 0.1
    tile = network.m_net(whole[..., 32:176])
    assert_close(tile[..., 48:96], full[..., 80:128], NETWORK_FLOAT32)
