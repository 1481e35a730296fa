import numpy as np
import pytest
import torch

from sora_eval.generator.reference.autoencoder import CHUNK, chunks_of, to_chunks, to_frames


@pytest.mark.parametrize("frames", [1, 5, 17])
def test_chunks_and_back(frames):
    video = torch.rand(2, frames, 3, 16, 24)
    chunks = to_chunks(video)
    assert chunks.shape == (2, chunks_of(frames), 3 * CHUNK, 16, 24)
    assert torch.allclose(to_frames(chunks), video)


def test_a_missing_end_is_a_copy_of_the_last_frame():
    video = torch.rand(1, 7, 3, 8, 8)
    frames = to_frames(to_chunks(video))
    assert frames.shape[1] == 9
    assert torch.equal(frames[:, :7], video)
    assert torch.equal(frames[:, 7], video[:, 6])


@pytest.mark.parametrize("size", [(64, 64), (32, 96), (96, 32), (16, 16)])
def test_any_size_and_length(size, autoencoder):
    for frames in (1, 9):
        video = torch.rand(1, frames, 3, *size) * 2 - 1
        z = autoencoder.encode(video)
        assert z.shape == (1, chunks_of(frames), 16, size[0] // 8, size[1] // 8)
        assert autoencoder.decode(z).shape == video.shape


def test_the_encoder_sees_one_chunk_at_a_time(autoencoder):
    video = torch.rand(1, 17, 3, 32, 32) * 2 - 1
    other = video.clone()
    other[:, 9:] = 0
    a, b = autoencoder.encode(video), autoencoder.encode(other)
    assert torch.allclose(a[:, :3], b[:, :3], atol=1e-6)
    assert not torch.allclose(a[:, 3:], b[:, 3:], atol=1e-3)


def test_pieces_give_what_the_whole_gives(autoencoder):
    z = torch.randn(1, 7, 16, 4, 4)
    whole = autoencoder.decode(z, at_once=100)
    assert whole.shape[1] == 25
    for at_once in (1, 2, 3):
        assert torch.allclose(autoencoder.decode(z, at_once), whole, atol=1e-5)


def test_the_decoder_looks_back_only(autoencoder):
    z = torch.randn(1, 5, 16, 4, 4)
    later = z.clone()
    later[:, 3:] += 1
    a, b = autoencoder.decode(z), autoencoder.decode(later)
    assert torch.allclose(a[:, :9], b[:, :9], atol=1e-6)
    earlier = z.clone()
    earlier[:, 1] += 1
    assert not torch.allclose(autoencoder.decode(earlier)[:, 5:9], a[:, 5:9], atol=1e-4)


def test_sizes_off_the_grid_are_refused(autoencoder):
    with pytest.raises(ValueError, match="multiples of 8"):
        autoencoder.encode(torch.zeros(1, 1, 3, 20, 16))


def test_memory_does_not_grow_with_the_duration(autoencoder):
    z = torch.randn(1, 50, 16, 4, 4)
    assert max(piece.shape[1] for piece in autoencoder.stream(z)) <= 4 * CHUNK
    assert np.isfinite(torch.cat(list(autoencoder.stream(z)), 1).numpy()).all()
