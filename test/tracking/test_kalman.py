"""The filter against batch least squares over the whole past, which it must equal; the noise against its samples."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mesh_perception.tracking import kalman, noise


def batch_least_squares(places, noises, steps, intensity, speed):
    """State (2 D) and covariance at the end of one track, from one linear system of all its states: no recursion."""
    count, d = places.shape
    size = 2 * d
    information = np.zeros((count * size, count * size))
    right = np.zeros(count * size)

    def add(rows, residual, weight):
        """A residual rows @ x - residual of this information matrix."""
        nonlocal information, right
        information += rows.T @ weight @ rows
        right += rows.T @ weight @ residual

    def pick(index, block):
        rows = np.zeros((len(block), count * size))
        rows[:, index * size : (index + 1) * size] = block
        return rows

    first = np.zeros((size, size))
    first[:d, :d], first[d:, d:] = noises[0], np.diag(speed**2)
    add(pick(0, np.eye(size)), np.r_[places[0], np.zeros(d)], np.linalg.inv(first))
    for k in range(1, count):
        t = steps[k - 1]
        turn = np.kron(np.array([[1, t], [0, 1]]), np.eye(d))
        spread = np.kron(np.array([[t**3 / 3, t**2 / 2], [t**2 / 2, t]]), np.diag(intensity))
        add(pick(k, np.eye(size)) - pick(k - 1, turn), np.zeros(size), np.linalg.inv(spread))
        add(pick(k, np.eye(size)[:d]), places[k], np.linalg.inv(noises[k]))
    covariance = np.linalg.inv(information)
    return (covariance @ right)[-size:], covariance[-size:, -size:]


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 4), st.integers(1, 12), st.integers(1, 5), st.integers(0, 10_000))
def test_the_filter_is_batch_least_squares_for_every_one_of_many_people(dimensions, count, people, seed):
    random = np.random.default_rng(seed)
    places = random.normal(size=(people, count, dimensions)).cumsum(1)
    roots = random.normal(size=(people, count, dimensions, dimensions))
    noises = roots @ roots.swapaxes(-1, -2) + 0.1 * np.eye(dimensions)
    steps = random.uniform(0.01, 2, count)
    intensity, speed = random.uniform(0.1, 3, (people, dimensions)), random.uniform(0.5, 2, (people, dimensions))
    tensor = torch.from_numpy
    motion = kalman.start(tensor(places[:, 0]), tensor(noises[:, 0]), tensor(speed))
    for k in range(1, count):
        motion = kalman.predict(motion, steps[k - 1], tensor(intensity))
        motion = kalman.correct(motion, tensor(places[:, k]), tensor(noises[:, k]))
    for i in range(people):
        mean, covariance = batch_least_squares(places[i], noises[i], steps, intensity[i], speed[i])
        assert np.allclose(motion.mean[i].flatten(), mean, atol=1e-7)
        assert np.allclose(motion.covariance[i], covariance, atol=1e-7)


def test_two_short_steps_predict_what_one_long_one_does():
    motion = kalman.start(torch.ones(2, 3), torch.eye(3).double().repeat(2, 1, 1), torch.ones(2, 3))
    motion.mean[:, 1] = torch.tensor([1.0, -2.0, 0.5])
    q = torch.full((2, 3), 0.7)
    once, twice = kalman.predict(motion, 0.5, q), kalman.predict(kalman.predict(motion, 0.2, q), 0.3, q)
    assert torch.allclose(once.mean, twice.mean) and torch.allclose(once.covariance, twice.covariance)


def test_surprise_is_chi_square_of_what_the_filter_expects():
    generator = torch.Generator().manual_seed(0)
    noise_of = torch.diag(torch.tensor([0.04, 0.01, 1.0])).double()
    motion = kalman.start(torch.zeros(1, 3), 0.5 * noise_of[None], torch.ones(1, 3))
    expected = (motion.covariance[0, :3, :3] + noise_of).sqrt()
    samples = torch.randn(20_000, 3, generator=generator, dtype=torch.float64) @ expected
    surprises = kalman.surprise(motion[:, None], samples[None], noise_of)
    assert surprises.shape == (1, 20_000)
    assert surprises.mean() == pytest.approx(3, rel=0.03) and surprises.var() == pytest.approx(6, rel=0.06)


def test_noise_is_long_along_the_ray_and_thin_across_it():
    root = torch.tensor([[1.0, -2.0, 4.0]])
    covariance = noise.root_noise(root, torch.ones(1))[0]
    distance, ray = float(root.norm()), (root[0] / root.norm()).double()
    assert float((ray @ covariance @ ray).sqrt()) == pytest.approx(noise.ALONG * distance, rel=1e-3)
    across = torch.linalg.cross(ray, torch.tensor([0.0, 0.0, 1.0]).double())
    across = across / across.norm()
    assert float((across @ covariance @ across).sqrt()) == pytest.approx(noise.ACROSS * distance, rel=1e-3)
    half = noise.root_noise(root, torch.full((1,), 0.5))[0]
    assert float(ray @ half @ ray) == pytest.approx(4 * float(ray @ covariance @ ray), rel=1e-3)
    assert torch.linalg.eigvalsh(noise.root_noise(torch.zeros(1, 3), torch.zeros(1))).min() > 0


@pytest.mark.parametrize('rate', [10, 60])
def test_errors_that_last_count_as_much_as_their_mean_over_time_is_worth(rate):
    # The mean of many errors of an AR(1) process is as uncertain as that of white errors of the variance given.
    step, count, runs = 1 / rate, 400, 4000
    random, kept = np.random.default_rng(0), np.exp(-1 / rate / noise.LASTS)
    errors = np.empty((runs, count))
    errors[:, 0] = random.normal(size=runs)
    for k in range(1, count):
        errors[:, k] = kept * errors[:, k - 1] + np.sqrt(1 - kept**2) * random.normal(size=runs)
    root = torch.tensor([[0.0, 0.0, 1.0]])
    given_variance = noise.root_noise(root, torch.ones(1), torch.tensor([step]).double())[0, 2, 2] / noise.ALONG**2
    assert errors.mean(1).var() * count == pytest.approx(float(given_variance), rel=0.1)


def test_nobody_is_a_normal_case():
    nobody = kalman.start(torch.zeros(0, 3), torch.zeros(0, 3, 3).double(), torch.zeros(0, 3))
    nobody = kalman.predict(nobody, 0.1, torch.zeros(0, 3))
    assert len(kalman.correct(nobody, torch.zeros(0, 3), torch.zeros(0, 3, 3).double())) == 0
    one = kalman.start(torch.zeros(1, 3), torch.eye(3).double()[None], torch.zeros(1, 3))
    assert kalman.surprise(nobody[:, None], torch.zeros(1, 3), torch.eye(3).double()).shape == (0, 1)
    assert kalman.surprise(one[:, None], torch.zeros(0, 3), torch.zeros(0, 3, 3).double()).shape == (1, 0)
