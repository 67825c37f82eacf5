"""ImageNet features: all of ours are in the file, and they mean something."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import cosine_similarity

from shm_engine.errors import CheckpointError
from shm_engine.images import read_image
from shm_engine.model.backbone import MobileNetV2
from shm_engine.preprocess import Preprocessing, normalise, shrink
from tests.assertions import EXACT, assert_close
from training.loop.pretrained import freeze_batch_norm, load_backbone

PUBLISHED = "backbone/mobilenet_v2_imagenet_bnfolded.npz"


def arrays_of(backbone: MobileNetV2) -> dict[str, Any]:
    return {name: value.numpy() for name, value in backbone.state_dict().items()}


def test_features_are_copied_and_layers_of_others_left_aside(tmp_path: Path) -> None:
    source, target = MobileNetV2(), MobileNetV2()
    path = tmp_path / "features.npz"
    others = {"features.18.0.weight": np.zeros(3)}
    np.savez(path, **(arrays_of(source) | others))
    load_backbone(target, path)
    for name, value in source.state_dict().items():
        assert_close(target.state_dict()[name], value, EXACT)


def test_a_missing_layer_is_named(tmp_path: Path) -> None:
    arrays = arrays_of(MobileNetV2())
    del arrays["features.3.conv.0.0.weight"]
    path = tmp_path / "features.npz"
    np.savez(path, **arrays)
    with pytest.raises(CheckpointError, match=r"features\.npz lacks features\.3\.conv"):
        load_backbone(MobileNetV2(), path)


@pytest.mark.parametrize("content", [None, b"", b"hello", b"PK\x03\x04broken"])
def test_a_file_that_holds_no_features_is_named(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "features.npz"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(CheckpointError, match=r"features\.npz"):
        load_backbone(MobileNetV2(), path)


def test_frozen_batch_norm_keeps_its_statistics_while_the_rest_trains() -> None:
    layers = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.Dropout()).train()
    freeze_batch_norm(layers)
    assert [layer.training for layer in layers] == [True, False, True]
    norm = layers[1]
    assert isinstance(norm, nn.BatchNorm2d)
    layers(torch.rand(2, 3, 8, 8))
    assert_close(norm.running_mean, torch.zeros(4), EXACT)


@pytest.mark.shared
@torch.no_grad()
def test_the_published_features_tell_a_mirrored_picture_from_another(shared_data: Path) -> None:
    backbone = MobileNetV2().eval()
    load_backbone(backbone, shared_data / PUBLISHED)
    with np.load(shared_data / PUBLISHED) as arrays:
        unused = set(arrays.files) - set(backbone.state_dict())
    assert {name.split(".")[1] for name in unused} == {"18"}, "only the last layer is left aside"

    pictures = sorted((shared_data / "val" / "background").glob("*.jpg"))[:3]
    images = torch.cat([shrink(read_image(p).image[None], (160, 224)) for p in pictures])
    summaries = [
        backbone(normalise(batch, Preprocessing()))[-1].mean(dim=(2, 3))
        for batch in (images, images.flip(-1))
    ]
    assert all(summary.isfinite().all() for summary in summaries)
    alike = cosine_similarity(summaries[0][:, None], summaries[1][None], dim=2)
    assert (alike.argmax(dim=1) == torch.arange(3)).all()
    assert alike.diagonal().min() > 0.8
