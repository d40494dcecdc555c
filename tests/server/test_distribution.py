"""Frechet distance and class score against closed forms, and as a command over folders of
pictures."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from landbrush.server import __main__
from landbrush.server.evaluation import features, fid, inception_score
from landbrush.server.ground.errors import WeightsMissing
from landbrush.server.models import inception
from PIL import Image
from scipy import linalg


def gaussian(rng, count, mean, root):
    return mean + rng.standard_normal((count, len(mean))) @ root.T


def test_against_the_formula_on_gaussians():
    """Two normal distributions, whose distance is known; few features of many samples."""
    rng = np.random.default_rng(0)
    roots = [rng.standard_normal((6, 6)) for _ in range(2)]
    means = [rng.standard_normal(6) for _ in range(2)]
    covariances = [root @ root.T for root in roots]
    known = ((means[0] - means[1]) ** 2).sum() + np.trace(
        covariances[0] + covariances[1] - 2 * linalg.sqrtm(covariances[0] @ covariances[1]).real
    )
    first, second = (
        gaussian(rng, 200_000, mean, root) for mean, root in zip(means, roots, strict=True)
    )
    assert fid.frechet(first, second) == pytest.approx(known, rel=0.02)


def test_diagonal_covariances_to_the_last_digit():
    """Samples made to have exactly these moments: the distance is a sum over coordinates."""
    rng = np.random.default_rng(1)
    white = np.linalg.qr(rng.standard_normal((500, 8)) - 0.0)[0]
    white -= white.mean(axis=0)
    white = np.linalg.qr(white)[0] * np.sqrt(499)
    white -= white.mean(axis=0)
    sizes, shift = np.arange(1.0, 9), np.linspace(-1, 1, 8)
    assert np.allclose(np.cov(white.T), np.eye(8), atol=1e-9)
    assert fid.frechet(white * sizes, white + shift) == pytest.approx(
        (shift**2).sum() + ((sizes - 1) ** 2).sum(), rel=1e-9
    )


def test_few_pictures_and_many_features_agree_with_the_matrix_root():
    rng = np.random.default_rng(2)
    first, second = rng.standard_normal((20, 30)), rng.standard_normal((25, 30)) * 1.5 + 0.3
    covariances = [np.cov(part.T) for part in (first, second)]
    by_root = linalg.sqrtm(covariances[0] @ covariances[1] + 1e-12 * np.eye(30)).real
    known = (
        ((first.mean(0) - second.mean(0)) ** 2).sum()
        + np.trace(covariances[0] + covariances[1])
        - 2 * np.trace(by_root)
    )
    assert fid.frechet(first, second) == pytest.approx(known, rel=1e-3)
    assert fid.frechet(first, first) == pytest.approx(0, abs=1e-9)


def test_uncertainty_and_warning():
    rng = np.random.default_rng(3)
    found = fid.distance(rng.standard_normal((60, 10)), rng.standard_normal((60, 10)) + 1)
    assert (
        found.low < found.value < found.high
        and "60 pictures a side: the distance is biased" in found.warning
    )
    assert fid.Distance(1, 1, 1, 10_000, 20_000).warning == ""
    small, large = (
        fid.frechet(rng.standard_normal((n, 10)), rng.standard_normal((n, 10))) for n in (30, 3000)
    )
    assert small > 10 * large, "the bias that the warning is about"


def test_class_score_in_its_known_cases():
    sure = np.eye(4)[np.arange(400) % 4]
    assert inception_score.score(sure, splits=1)[0] == pytest.approx(4)
    assert inception_score.score(np.full((100, 4), 0.25), splits=5) == pytest.approx((1, 0))
    assert inception_score.score(np.eye(4)[np.zeros(100, int)])[0] == pytest.approx(1)


def test_inception_has_the_published_size_and_reads_only_its_own_weights(tmp_path):
    """23,834,568 parameters with ImageNet's 1000 classes (without the auxiliary head), and eight
    classes more."""
    net = inception.Inception()
    assert sum(p.numel() for p in net.parameters()) == 23_834_568 + 8 * (inception.WIDTH + 1)
    path = tmp_path / "pt_inception.pth"
    torch.save(net.state_dict(), path)
    again = inception.load(path)
    pictures = torch.rand(2, 3, 64, 80)
    with torch.inference_mode():
        seen, logits = again(pictures)
        assert (
            seen.shape == (2, 2048)
            and logits.shape == (2, 1008)
            and torch.equal(seen, net.eval()(pictures)[0])
        )
    torch.save({"fc.weight": torch.zeros(3, 3)}, path)
    with pytest.raises(WeightsMissing, match="does not hold the Inception v3"):
        inception.load(path)


def test_pools_at_the_rim_do_not_count_the_padding():
    """The released graph's averages: of a picture of ones every average is one."""
    assert torch.equal(inception._averaged(torch.ones(1, 1, 5, 5)), torch.ones(1, 1, 5, 5))


@pytest.fixture
def folders(tmp_path):
    rng = np.random.default_rng(4)
    for name, base in (("real", 90), ("same", 90), ("other", 200)):
        (tmp_path / name).mkdir()
        for number in range(6):
            pixels = np.clip(rng.normal(base, 25, (80, 70 + 10 * (number % 2), 3)), 0, 255).astype(
                np.uint8
            )
            Image.fromarray(pixels).save(tmp_path / name / f"{number}.png")
    return tmp_path


def test_the_command(folders, capsys):
    def run(made, *more):
        out = folders / f"out-{made}"
        code = __main__.main(
            [
                "evaluate",
                "distribution",
                "--real",
                str(folders / "real"),
                "--made",
                str(folders / made),
                "--output",
                str(out),
                *more,
            ]
        )
        return code, json.loads((out / "distribution.json").read_text()) if code == 0 else None

    (_, same), (_, other) = run("same"), run("other")
    text = capsys.readouterr().out
    assert same["figures"][0]["distance"] < other["figures"][0]["distance"]
    assert "no Frechet Inception distance" in text and "biased upwards" in text
    assert [one["distance_name"] for one in same["figures"]] == [
        "Frechet distance of EfficientNet-Lite0 features"
    ]
    assert run("missing")[0] == 1 and "is no folder" in capsys.readouterr().err
    path = folders / "inception.pth"
    torch.save(inception.Inception().state_dict(), path)
    code = __main__.main(
        [
            "evaluate",
            "distribution",
            "--real",
            str(folders / "real"),
            "--made",
            str(folders / "same"),
            "--output",
            str(folders / "both"),
            "--inception",
            str(path),
            "--images",
            "3",
        ]
    )
    both = json.loads((folders / "both" / "distribution.json").read_text())
    assert (
        code == 0
        and both["figures"][1]["distance_name"] == "Frechet Inception distance"
        and both["pictures"] == [3, 3]
    )


def test_a_file_that_is_no_picture_is_named(folders):
    (folders / "real" / "x.png").write_bytes(b"no picture")
    with pytest.raises(Exception, match="x.png cannot be read"):
        features.described(features.lite0(), features.pictures_in(folders / "real"))
