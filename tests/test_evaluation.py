"""The measurements: what they say of cases whose answer is known, and what they refuse."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import sqrtm

from foleygen.cli import app
from foleygen.cli.evaluate.shared import Chosen, open_dataset, show
from foleygen.cli.evaluate.shared import found as clips_in
from foleygen.errors import UsageError
from foleygen.evaluation import comparison, fidelity, filmed, probe, reconstruction, sync
from foleygen.evaluation.generated import Generated, sync_report
from foleygen.evaluation.report import text_table, to_json
from foleygen.evaluation.scope import Scope, left_out
from foleygen.training.data.dataset import ClipRecord

TIMES = st.lists(st.floats(0, 8), max_size=12).map(sorted)


def rhythm(seed: int, count: int = 10, duration: float = 8.0) -> np.ndarray:
    """Irregular times, at least 0.25 s apart."""
    gaps = 0.25 + np.random.default_rng(seed).exponential(0.4, count)
    return np.cumsum(gaps) * duration / (gaps.sum() + 0.25)


def tone(seed: int, centre: int, bands: int = 64, frames: int = 96) -> np.ndarray:
    """A mel with a few sharp partials around a band, in noise."""
    generator = np.random.default_rng(seed)
    mel = 0.2 + 0.05 * generator.random((bands, frames))
    for partial in (0, 5, 11):
        mel[(centre + partial + int(generator.integers(-1, 2))) % bands] += 0.4
    return mel


class TestSync:
    def test_hand_counted(self) -> None:
        score = sync.pooled([([1.0, 2.0, 3.0], [1.03, 2.08, 5.0, 6.0]), ([], [4.0])])
        assert (score.clips, score.events, score.found) == (2, 5, 3)
        assert score.f1_100ms == pytest.approx(2 * 2 / 8)
        assert score.f1_50ms == pytest.approx(2 * 1 / 8)
        assert score.precision == pytest.approx(2 / 3)
        assert score.recall == pytest.approx(2 / 5)
        assert score.median_error_ms == pytest.approx(1000.0)  # of 30, 80, 1000, 1000 (capped), 1000 (none)
        assert score.bias_ms == pytest.approx(-55.0)

    def test_perfect_sound_scores_one_far_above_its_nulls(self) -> None:
        true = [rhythm(seed) for seed in range(12)]
        report = sync.score(true, true, ["drum"] * 6 + ["door"] * 6, 8.0)
        assert report.score.f1_50ms == report.score.f1_100ms == 1
        assert report.score.median_error_ms == 0
        assert report.other_clip is not None
        for null in (report.other_clip, report.shifted):
            assert null.f1_100ms is not None
            assert null.f1_50ms is not None
            assert 0 < null.f1_50ms < null.f1_100ms < 0.5
        assert list(report.families) == ["door", "drum"]
        assert report.families["drum"].clips == 6

    def test_chance_scores_like_its_nulls(self) -> None:
        true, found = ([rhythm(seed) for seed in range(start, start + 60)] for start in (0, 100))
        report = sync.score(found, true, ["drum"] * 60, [8.0] * 60)
        assert report.other_clip is not None
        assert report.score.f1_100ms == pytest.approx(report.other_clip.f1_100ms, abs=0.05)
        assert report.score.f1_100ms == pytest.approx(report.shifted.f1_100ms, abs=0.05)

    def test_nothing_found_and_nothing_there(self) -> None:
        report = sync.score([np.zeros(0)], [np.zeros(0)], ["rain"], 8.0)
        assert report.other_clip is None
        assert report.score.f1_100ms is None
        assert report.score.median_error_ms is None
        assert "rain" in report.table()

    @settings(max_examples=50, deadline=None)
    @given(found=TIMES, true=TIMES)
    def test_scores_are_shares_and_widen_with_the_tolerance(self, found: list[float], true: list[float]) -> None:
        score = sync.pooled([(found, true)])
        assert (score.f1_100ms is None) == (not found and not true)
        if score.f1_100ms is not None:
            assert score.f1_50ms is not None
            assert 0 <= score.f1_50ms <= score.f1_100ms <= 1
        mirrored = sync.pooled([(true, found)])
        assert (mirrored.f1_100ms, mirrored.precision) == (score.f1_100ms, score.recall)

    @settings(max_examples=50, deadline=None)
    @given(families=st.lists(st.sampled_from("abc"), max_size=12))
    def test_other_clips_are_other_clips_of_the_family(self, families: list[str]) -> None:
        pairs = sync.other_clips(families)
        assert all(i != j and families[i] == families[j] for i, j in pairs)
        assert len(set(pairs)) == len(pairs)
        assert {i for i, _ in pairs} == {i for i, name in enumerate(families) if families.count(name) > 1}

    @settings(max_examples=50, deadline=None)
    @given(duration=st.floats(0.1, 1000))
    def test_shifts_move_everything_away_from_its_place(self, duration: float) -> None:
        shifts = sync.null_shifts(duration)
        margin = min(0.5, duration / 4) - 1e-9
        assert len(np.unique(shifts)) == sync.NULL_SHIFTS
        assert shifts.min() >= margin
        assert shifts.max() <= duration - margin

    def test_report_is_standard_json_and_a_picture(self, tmp_path: Path) -> None:
        true = [rhythm(seed) for seed in range(4)]
        report = sync.score(true, true, ["a", "a", "b", "b"], 8.0)
        assert json.loads(json.dumps(to_json(report), allow_nan=False))["families"]["a"]["f1_50ms"] == 1
        sync.plot(report, tmp_path / "sync.png")
        assert (tmp_path / "sync.png").read_bytes().startswith(b"\x89PNG")

    def test_lists_of_different_lengths_are_refused(self) -> None:
        with pytest.raises(UsageError, match="1 sounds, 2 lists"):
            sync.score([[1.0]], [[1.0], [2.0]], ["a", "a"], 8.0)
        with pytest.raises(UsageError, match="at least one clip"):
            sync.score([], [], [], 8.0)


class TestLoudness:
    def test_known_correlations(self) -> None:
        ramp = np.linspace(0, 1, 100)
        assert sync.loudness_correlation(3 * ramp + 1, ramp) == pytest.approx(1)
        assert sync.loudness_correlation(-ramp, ramp[::10]) == pytest.approx(-1, abs=1e-3)
        assert sync.loudness_correlation(np.full(100, 0.3), ramp) == 0
        assert sync.loudness_correlation([], ramp) == 0

    def test_own_scene_against_another(self) -> None:
        generator = np.random.default_rng(0)
        scenes = [np.cumsum(generator.standard_normal(200)) for _ in range(20)]
        sounds = [scene + 0.1 * generator.standard_normal(200) for scene in scenes]
        report = sync.loudness(sounds, scenes, ["wind"] * 10 + ["rain"] * 10)
        assert report.correlation > 0.95
        assert report.other_clip is not None
        assert abs(report.other_clip) < 0.3
        assert set(report.families) == {"wind", "rain"}


class TestFilmed:
    RATE = 62.5

    def clips(self, seeds: range) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """Signals that peak 50 ms before every onset, and the onsets."""
        onsets = [rhythm(seed) for seed in seeds]
        signals = []
        for seed, times in zip(seeds, onsets, strict=True):
            signal = 0.1 * np.random.default_rng(seed).random(500)
            signal[np.clip(np.round((times - 0.05) * self.RATE).astype(int), 0, 499)] += 1
            signals.append(signal)
        return signals, onsets

    def test_signal_that_shows_the_onsets_is_far_above_chance(self) -> None:
        signals, onsets = self.clips(range(10))
        names = [f"clip{i}" for i in range(10)]
        signals.append(np.zeros(500))
        onsets.append(np.array([1.0, 2.0]))
        report = filmed.score_clips([*names, "quiet"], signals, onsets, [8.0] * 11, self.RATE, lag_s=0.05)
        assert report.unscored == ("quiet",)
        assert len(report.clips) == 10
        assert report.over_null_100ms > 0.5
        assert report.over_null_50ms > 0.6
        assert report.wrong_picture_100ms == pytest.approx(0, abs=0.06)
        assert report.p_value is not None
        assert report.p_value < 0.001
        assert report.table().endswith("left out: quiet: its own sound has 2 onsets, 3 are needed")
        json.dumps(to_json(report), allow_nan=False)

    def test_signal_of_other_clips_is_chance(self) -> None:
        signals, onsets = self.clips(range(12))
        report = filmed.score_clips(
            [str(i) for i in range(12)], signals[1:] + signals[:1], onsets, [8.0] * 12, self.RATE
        )
        assert report.over_null_100ms == pytest.approx(0, abs=0.12)
        assert report.p_value is not None
        assert report.p_value > 0.02

    def test_peaks_are_the_strongest_and_apart(self) -> None:
        signal = np.zeros(100)
        signal[[10, 12, 40, 70]] = [3, 2, 1, 5]
        assert filmed.strongest_peaks(signal, 100.0, 2).tolist() == [0.1, 0.7]
        assert filmed.strongest_peaks(signal, 100.0, 9).tolist() == [0.1, 0.4, 0.7]
        assert filmed.strongest_peaks(np.zeros(100), 100.0, 3).size == 0

    def test_silent_clips_are_refused(self) -> None:
        with pytest.raises(UsageError, match="3 onsets"):
            filmed.score_clips(["a"], [np.ones(10)], [[0.1]], [1.0], 10.0)


MIXES = np.random.default_rng(7).standard_normal((2, 12, 12))


class TestFidelity:
    def test_distance_of_shifted_and_scaled_gaussians(self) -> None:
        rows = np.random.default_rng(0).standard_normal((400, 6))
        assert fidelity.frechet_distance(rows, rows) == pytest.approx(0, abs=1e-6)
        assert fidelity.frechet_distance(rows, rows + 2) == pytest.approx(6 * 4)
        expected = np.trace(np.cov(rows, rowvar=False))  # (3 - 2)^2 of every variance
        assert fidelity.frechet_distance(2 * rows - 2 * rows.mean(0), 3 * rows - 3 * rows.mean(0)) == pytest.approx(
            expected
        )

    def test_distance_equals_the_form_with_the_matrix_root(self) -> None:
        first, second = (np.random.default_rng(seed).standard_normal((90, 12)) @ mix for seed, mix in enumerate(MIXES))
        covariances = [np.cov(rows, rowvar=False) for rows in (first, second)]
        root = sqrtm(covariances[0] @ covariances[1])
        expected = np.square(first.mean(0) - second.mean(0)).sum() + np.trace(sum(covariances) - 2 * root.real)
        assert fidelity.frechet_distance(first, second) == pytest.approx(expected, rel=1e-8)

    def test_distance_of_degenerate_features_is_finite(self) -> None:
        few, others = (np.random.default_rng(seed).standard_normal((5, 20)) for seed in (0, 1))
        distance = fidelity.frechet_distance(few, others)
        assert math.isfinite(distance)
        assert distance > 0
        assert fidelity.frechet_distance(np.ones((4, 3)), np.ones((4, 3))) == pytest.approx(0, abs=1e-5)

    def test_inception_score_counts_certain_classes(self) -> None:
        certain = np.tile(50 * np.eye(4), (25, 1))
        assert fidelity.inception_score(certain, splits=1) == (pytest.approx(4), 0)
        assert fidelity.inception_score(np.zeros((40, 7))) == (pytest.approx(1), pytest.approx(0))
        mean, deviation = fidelity.inception_score(certain)
        assert 3 < mean < 4
        assert deviation > 0

    def test_kl_of_two_classes(self) -> None:
        real, generated = np.log([[0.8, 0.2]]), np.log([[0.5, 0.5]])
        expected = 0.8 * math.log(0.8 / 0.5) + 0.2 * math.log(0.2 / 0.5)
        assert fidelity.kl_divergence(real, generated) == pytest.approx(expected, abs=1e-5)
        assert fidelity.kl_divergence(real, real) == pytest.approx(0, abs=1e-5)

    def test_sounds_are_paired_by_id(self, tmp_path: Path) -> None:
        generator = np.random.default_rng(0)
        logits = 3 * generator.standard_normal((6, 5))
        features = generator.standard_normal((6, 4))
        order = np.array([3, 1, 0, 5, 4, 2, 3])  # one clip has two sounds
        np.savez(tmp_path / "true.npz", ids=list("abcdef"), features=features, logits=logits)
        names = [*("abcdef"[i] for i in order), "new"]
        extra = [np.vstack([rows[order], rows[:1]]) for rows in (features, logits)]
        np.savez(tmp_path / "made.npz", ids=names, features=extra[0], logits=extra[1], unbiased_logits=0 * extra[1])
        true, made = (fidelity.read_predictions(tmp_path / f"{name}.npz") for name in ("true", "made"))
        report = fidelity.evaluate(true, made, source="test network")
        assert report.kl == pytest.approx(0, abs=1e-4)
        assert report.inception_score == pytest.approx(1)
        assert (report.real, report.generated) == (6, 8)
        assert "test network" in report.table()

    def test_bad_files_are_explained(self, tmp_path: Path) -> None:
        (tmp_path / "text.npz").write_text("no archive")
        np.savez(tmp_path / "short.npz", ids=["a"], features=np.zeros((1, 2)))
        np.savez(tmp_path / "odd.npz", ids=["a"], features=np.zeros((2, 2)), logits=np.zeros((1, 2)))
        for name, fact in (("text", "not a readable"), ("short", "logits"), ("odd", "fit"), ("none", "does not exist")):
            with pytest.raises(UsageError, match=fact):
                fidelity.read_predictions(tmp_path / f"{name}.npz")
        with pytest.raises(UsageError, match="at least two"):
            fidelity.frechet_distance(np.zeros((1, 3)), np.zeros((5, 3)))


class TestReconstruction:
    def test_the_true_sound_is_at_no_distance(self) -> None:
        mels = [tone(seed, 8 * seed) for seed in range(4)]
        samples = [np.random.default_rng(seed).uniform(-0.5, 0.5, 4000) for seed in range(4)]
        report = reconstruction.evaluate(mels, mels, ["a"] * 4, samples, samples)
        assert (report.mel_l1, report.log_spectral_distance_db, report.spectrum_l1, report.stft) == (0, 0, 0, 0)
        assert report.frequency_gradient_ratio == 1
        assert report.spectrum_l1_other_clip == report.true_spectrum_l1_other_clip
        assert report.spectrum_l1_other_clip is not None
        assert report.spectrum_l1_other_clip > 0.02

    def test_levels_are_in_decibels(self) -> None:
        mel = tone(0, 20)
        assert reconstruction.log_spectral_distance(mel + 0.03, mel) == pytest.approx(3)
        assert reconstruction.mel_l1(mel + 0.03, mel) == pytest.approx(0.03)

    def test_smearing_pitch_costs_gradient_and_not_much_level(self) -> None:
        mels = [tone(seed, 20) for seed in range(3)]
        smeared = [(np.roll(mel, 1, 0) + mel + np.roll(mel, -1, 0)) / 3 for mel in mels]
        ratio = reconstruction.frequency_gradient_ratio(smeared, mels)
        assert ratio is not None
        assert 0.2 < ratio < 0.6
        assert reconstruction.frequency_gradient_ratio(mels, [np.ones((8, 9))]) is None

    def test_stft_distance_grows_with_noise_and_sees_gain(self) -> None:
        generator = np.random.default_rng(0)
        sound = np.sin(np.arange(8000) * 0.2) * np.exp(-np.arange(8000) / 2000)
        noise = generator.standard_normal(8000)
        near, far = (reconstruction.stft_distance(sound + level * noise, sound) for level in (0.01, 0.1))
        assert 0 < near < far
        loud = reconstruction.stft_distance(2 * noise, noise)
        assert loud == pytest.approx(1 + math.log(2), abs=0.01)  # twice the magnitude in every bin
        assert math.isfinite(reconstruction.stft_distance(np.zeros(8000), np.zeros(8000)))

    def test_sounds_of_different_lengths_are_refused(self) -> None:
        with pytest.raises(UsageError, match="clip 1"):
            reconstruction.evaluate([np.ones((4, 5))] * 2, [np.ones((4, 5)), np.ones((4, 6))], ["a", "a"])
        with pytest.raises(UsageError, match="no clips"):
            reconstruction.evaluate([], [], [])
        with pytest.raises(UsageError, match="10 and 12 samples"):
            reconstruction.stft_distance(np.zeros(10), np.zeros(12))


PLACES = {"glass": 40, "metal": 25, "wood": 8}


class TestProbe:
    def sounds(self, seeds: range) -> tuple[list[np.ndarray], list[str]]:
        names = [sorted(PLACES)[seed % 3] for seed in seeds]
        return [tone(seed, PLACES[name]) for seed, name in zip(seeds, names, strict=True)], names

    def test_names_held_out_sounds_and_not_smeared_ones(self) -> None:
        fitted = probe.Probe.fit(*self.sounds(range(60)))
        true, labels = self.sounds(range(100, 130))
        flat = [np.full_like(mel, mel.mean()) for mel in true]
        report = fitted.evaluate(flat, labels, true_mels=true)
        assert report.true_accuracy == 1
        assert report.chance == pytest.approx(1 / 3)
        assert report.accuracy == pytest.approx(1 / 3)  # the same answer for every flat sound
        assert sum(sum(row.values()) for row in report.confusion.values()) == 30
        assert "held-out" in report.table()
        json.dumps(to_json(report), allow_nan=False)

    def test_labels_that_mean_nothing_are_named_by_chance(self) -> None:
        mels, labels = self.sounds(range(120))
        shuffled = list(np.random.default_rng(0).permutation(labels))
        fitted = probe.Probe.fit(mels[:60], shuffled[:60])
        assert fitted.evaluate(mels[60:], shuffled[60:]).accuracy < 0.55

    def test_same_seed_same_classifier(self) -> None:
        mels, labels = self.sounds(range(12))
        first, second = (probe.Probe.fit(mels, labels, seed=3) for _ in range(2))
        assert np.array_equal(first.weights, second.weights)

    def test_wrong_input_is_explained(self) -> None:
        mels, labels = self.sounds(range(4))
        with pytest.raises(UsageError, match="1 kinds"):
            probe.Probe.fit(mels, ["glass"] * 4)
        with pytest.raises(UsageError, match="too small"):
            probe.Probe.fit([mel[:, :5] for mel in mels], labels)
        with pytest.raises(UsageError, match="no sounds"):
            probe.Probe.fit(mels, labels).evaluate([], [])


def test_reports_hold_no_numbers_that_json_lacks() -> None:
    assert to_json({"a": math.nan, "b": (math.inf, 1.5), 3: None}) == {"a": None, "b": [None, 1.5], "3": None}
    assert text_table(["", "x"], [["one", 1.0], ["two", None]]) == "         x\n---  -----\none  1.000\ntwo      -"


def dataset_of(folder: Path, seeds: list[int], count: int) -> Path:
    """A dataset of ``count`` scenes without pictures, of which those with ``seeds`` are finished."""
    folder.mkdir()
    np.zeros((count, 8, 16), np.float16).tofile(folder / "mels.f2")
    config = {"count": count, "pictures": False}
    (folder / "dataset.json").write_text(json.dumps({"config": config, "mel_shape": [8, 16], "scenes": 1}))
    lines = [
        {"row": row, "seed": seed, "family": "drum", "material": "skin", "source_rate": 25.0}
        for row, seed in enumerate(seeds)
    ]
    (folder / "clips.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder


def chosen(folder: Path) -> Chosen:
    return Chosen(data=folder, count=1, style="train", family=None, material=None, recordings=None)


class TestScope:
    def test_seeds_of_training_are_said_and_marked(self, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
        folder = dataset_of(tmp_path / "data", [7, 999_999, 1_000_000], 5)
        dataset = open_dataset(chosen(folder))
        _, err = capfd.readouterr()
        assert f"warning: {folder}: 2 of 3 scenes have seeds that training may have seen" in err
        assert "2 scenes of the dataset are not finished" in err
        show(True, {}, dataset, {"sync": "why"})
        out, _ = capfd.readouterr()
        found = json.loads(out)["scope"]
        assert found == {"clips": 3, "unfinished": 2, "training_seeds": 2, "left_out": {"sync": "why"}}
        show(False, {}, dataset)
        assert "2 of 3 scenes have seeds" in capfd.readouterr().out

    def test_seeds_that_are_kept_for_tests_raise_no_warning(
        self, tmp_path: Path, capfd: pytest.CaptureFixture[str]
    ) -> None:
        dataset = open_dataset(chosen(dataset_of(tmp_path / "data", [1_000_000, 1_000_001], 2)))
        assert Scope.of(dataset).training_seeds == 0
        assert capfd.readouterr().err == ""

    def test_an_empty_dataset_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(UsageError, match="holds no finished clip"):
            open_dataset(chosen(dataset_of(tmp_path / "data", [], 2)))

    def test_what_a_report_leaves_out_has_a_reason(self) -> None:
        mel = np.zeros((8, 16), np.float32)
        results = [
            Generated(ClipRecord(0, 0, family, "wood", 25.0), mel, mel, np.zeros(0), np.array(times))
            for family, times in (("drum", [0.5]), ("rain", []), ("wind", []))
        ]
        found = left_out(results, {"family": {"drum", "rain"}, "material": {"wood"}})
        assert found["sync"] == "2 of 3 clips left out: no event that is strong enough to be heard"
        assert found["loudness"].startswith("1 of 3")
        assert found["family named"].startswith("1 of 3")
        assert "material named" not in found
        with pytest.raises(UsageError, match="none of 2 clips has an event"):
            sync_report(results[1:], 8.0)


def test_clips_of_a_folder_that_are_left_out_are_told(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    for name in ("clip.mp4", "clip.foley.mp4", "notes.txt"):
        (tmp_path / name).touch()
    assert clips_in([tmp_path]) == [tmp_path / "clip.mp4"]
    _, err = capfd.readouterr()
    assert f"{tmp_path / 'clip.foley.mp4'}: is a finished clip, and left out" in err
    assert "notes.txt" not in err


class TestComparison:
    RECORDS = tuple(ClipRecord(row, row, "drum", "skin", 25.0, intensity=[0.1, 0.6, 0.2]) for row in range(5))

    def made(self, shift: float, level: float, eventless: int = 4) -> list[Generated]:
        """Four clips with events whose onsets are late by ``shift`` s, and a last one without."""
        results = []
        for record in self.RECORDS:
            true = np.random.default_rng(record.seed).random((8, 40)).astype(np.float32)
            events = np.array([1.0, 2.5, 4.0 + 0.3 * record.row]) if record.row != eventless else np.zeros(0)
            results.append(Generated(record, (true * level).astype(np.float32), true, events + shift, events))
        return results

    def test_a_bundle_against_itself_differs_in_nothing(self) -> None:
        found = comparison.compare(("a", "a"), self.made(0.02, 1), self.made(0.02, 1), 8.0, True)
        assert {(d.difference, d.standard_error) for d in found.differences.values() if d.clips > 1} == {(0, 0)}
        assert found.differences["F1@100"].clips == 4
        assert found.differences["loudness correlation"].clips == 1
        assert found.differences["loudness correlation"].standard_error is None

    def test_the_differences_are_of_second_less_first(self) -> None:
        found = comparison.compare(("a", "b"), self.made(0.07, 1), self.made(0.01, 0.5), 8.0, False)
        assert found.differences["F1@50"].difference == 1
        assert found.differences["F1@100"].difference == 0
        assert found.differences["median error, ms"].difference == pytest.approx(-60)
        assert found.differences["gradient along frequency"].difference == pytest.approx(-0.5)
        assert "not the same noise" in found.table()
        json.dumps(to_json(found), allow_nan=False)

    def test_the_standard_error_is_that_of_the_mean(self) -> None:
        found = comparison.difference([(1, 1.0), (1, 2.0), (1, 3.0), (1, 4.0)])
        assert (found.difference, found.clips) == (1.5, 4)
        assert found.standard_error == pytest.approx(math.sqrt(5 / 3) / 2)

    def test_other_clips_are_refused(self) -> None:
        with pytest.raises(UsageError, match="not of the same clips"):
            comparison.compare(("a", "b"), self.made(0, 1), self.made(0, 1)[:3], 8.0, True)


def test_the_command_compares_a_bundle_with_itself(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    words = ["evaluate", "compare", "tiny", "tiny", "--count", "2", "--family", "drum", "--steps", "1", "--json"]
    assert app.run(words) == 0
    found = json.loads(capfd.readouterr().out)
    assert found["comparison"]["same_noise"] is True
    assert found["comparison"]["differences"]["F1@100"]["difference"] == 0
    assert found["scope"]["training_seeds"] == 0
