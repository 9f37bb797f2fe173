"""A store gives back what was put in, cuts every crop with equal chance, and names what it left out."""

import math

import pytest
import torch

from tests.support.tensors import seeded
from wellposed.core.errors import ArgumentError, DTypeError, FormatError, ShapeError
from wellposed.core.files import MissingFileError
from wellposed.data import ImageStore, read_image, to_grey, write_image


def numbered(height, width, channels=1, first=1):
    """Return a 16-bit image whose pixels are all different: first, first + 1, ..."""
    values = torch.arange(first, first + channels * height * width, dtype=torch.int32)
    return values.reshape(channels, height, width).to(torch.uint16)


def dihedral(square):
    """Return the eight turned and mirrored versions of (C, S, S)."""
    turned = [square.rot90(k, (-2, -1)) for k in range(4)]
    return turned + [image.flip(-1) for image in turned]


def test_images_come_back_as_they_were():
    images = [torch.rand(3, 5, 7, generator=seeded(0)), torch.rand(3, 4, 4, generator=seeded(1))]
    store = ImageStore.from_tensors(images)
    assert (len(store), store.channels, store.pixels.dtype) == (2, 3, torch.uint8)
    for index, image in enumerate(images):
        torch.testing.assert_close(store.image(index)[0], (image * 255).round() / 255, atol=1e-7, rtol=0)
    deep = ImageStore.from_tensors(images, bits=16)
    torch.testing.assert_close(deep.image(1)[0], images[1], atol=0.6 / 65535, rtol=0)


def test_batches_of_tensors_and_integers_are_kept():
    batch = torch.randint(0, 256, (4, 1, 6, 6), dtype=torch.uint8, generator=seeded())
    store = ImageStore.from_tensors([batch, batch[0]])
    assert len(store) == 5
    torch.testing.assert_close(store.image(2), batch[2:3] / 255)


def test_sixteen_bits_keep_their_upper_half():
    """Values above 32767 lie where a signed type would be negative."""
    values = torch.tensor([[[0, 1, 32767], [32768, 40000, 65535]]], dtype=torch.int32)
    store = ImageStore.from_tensors([values.to(torch.uint16)])
    torch.testing.assert_close(store.image(0)[0], values / 65535)
    crop = store.crops(50, 1, generator=seeded())
    assert set((crop * 65535).round().flatten().tolist()) == set(map(float, values.flatten().tolist()))


def test_a_window_maps_black_and_white_and_clips():
    """HU + 1024 between -1200 and 800 HU: 0 HU lies at 0.6."""
    hounsfield = torch.tensor([[[-1024, -200, 0, 800, 3000]]])
    store = ImageStore.from_tensors([(hounsfield + 1024).to(torch.uint16)], window=(-176, 1824))
    torch.testing.assert_close(store.image(0)[0, 0, 0], torch.tensor([0.088, 0.5, 0.6, 1.0, 1.0]))
    torch.testing.assert_close(store.to("cpu").image(0), store.image(0))


def test_crops_without_augmentation_are_windows_of_one_image():
    """Every pixel is unique: the first pixel of a crop tells where it must come from."""
    images = [numbered(9, 6), numbered(5, 8, first=100)]
    whole = {value.item(): image for image in images for value in image.flatten().to(torch.int32)}
    store = ImageStore.from_tensors(images)
    crops = (store.crops(200, 4, generator=seeded(), augment=False) * 65535).round().to(torch.int32)
    for crop in crops:
        image = whole[crop[0, 0, 0].item()].to(torch.int32)
        row, column = (image[0] == crop[0, 0, 0]).nonzero()[0].tolist()
        assert torch.equal(crop, image[:, row : row + 4, column : column + 4])


def test_crops_with_channels_stay_together():
    image = numbered(6, 5, channels=3)
    crop = (ImageStore.from_tensors([image]).crops(40, 3, generator=seeded()) * 65535).round().to(torch.int32)
    assert torch.equal(crop[:, 1] - crop[:, 0], torch.full((40, 3, 3), 30, dtype=torch.int32))
    assert torch.equal(crop[:, 2] - crop[:, 1], torch.full((40, 3, 3), 30, dtype=torch.int32))


def test_every_symmetry_is_as_likely():
    """Chi-square with 7 degrees of freedom exceeds 24.3 once in a thousand."""
    image = numbered(3, 3)
    crops = (ImageStore.from_tensors([image]).crops(4000, 3, generator=seeded()) * 65535).round().to(torch.int32)
    versions = torch.stack(dihedral(image.to(torch.int32)))
    matches = (crops[:, None] == versions).flatten(2).all(2)
    assert (matches.sum(1) == 1).all()
    counts = matches.sum(0).float()
    assert ((counts - 500) ** 2 / 500).sum() < 24.3


def test_every_position_is_as_likely():
    """3 x 5 places; chi-square with 14 degrees of freedom exceeds 36.2 once in a thousand."""
    store = ImageStore.from_tensors([numbered(4, 6)])
    corner = (store.crops(6000, 2, generator=seeded(), augment=False)[:, 0, 0, 0] * 65535).round()
    counts = corner.unique(return_counts=True)[1].float()
    assert len(counts) == 15
    assert ((counts - 400) ** 2 / 400).sum() < 36.2


def test_images_are_chosen_by_their_number_of_pixels():
    """10 x 10, 20 x 10 and 30 x 10 pixels: chances of 1/6, 2/6 and 3/6; 5 x 60 is too narrow for a square of 10."""
    sizes = [(10, 10), (20, 10), (5, 60), (30, 10)]
    store = ImageStore.from_tensors([torch.full((1, *size), i / 4) for i, size in enumerate(sizes)])
    value = (store.crops(6000, 10, generator=seeded())[:, 0, 0, 0] * 4).round()
    for image, chance in ((0, 1 / 6), (1, 2 / 6), (2, 0.0), (3, 3 / 6)):
        assert abs((value == image).float().mean() - chance) <= 4 * math.sqrt(chance * (1 - chance) / 6000)


def test_crops_are_seeded():
    """S9: equal seeds give equal crops, `torch.manual_seed` is honoured, a shared generator advances."""
    store = ImageStore.from_tensors([torch.rand(1, 30, 40)])
    first, shared = store.crops(3, 8, generator=seeded(1)), seeded(1)
    assert torch.equal(first, store.crops(3, 8, generator=shared))
    assert not torch.equal(first, store.crops(3, 8, generator=shared))
    with torch.random.fork_rng():
        torch.manual_seed(2)
        default = store.crops(3, 8)
        torch.manual_seed(2)
        assert torch.equal(default, store.crops(3, 8))


def test_grey_crops_are_the_luminance_of_colours():
    store = ImageStore.from_tensors([torch.rand(3, 12, 12)])
    colours, grey = store.crops(4, 6, generator=seeded()), store.crops(4, 6, generator=seeded(), grey=True)
    torch.testing.assert_close(grey, to_grey(colours))
    assert grey.is_contiguous()
    assert colours.is_contiguous()


def test_splits_share_no_image_and_lose_none():
    store = ImageStore.from_tensors([torch.full((1, 4, i + 4), i / 10) for i in range(10)])
    train, held_out = store.split(3, seed=1)
    values = [[part.image(i).mean().mul(10).round().item() for i in range(len(part))] for part in (train, held_out)]
    assert (len(train), len(held_out)) == (7, 3)
    assert sorted(values[0] + values[1]) == list(range(10))
    assert [part.sizes for part in store.split(3, seed=1)] == [train.sizes, held_out.sizes]
    assert any(store.split(3, seed=s)[1].sizes != held_out.sizes for s in range(2, 5))


def folder_of_pictures(folder):
    (folder / "inner").mkdir()
    (folder / ".hidden").mkdir()
    write_image(folder / "a.png", torch.rand(1, 3, 20, 30, generator=seeded(0)))
    write_image(folder / "inner" / "b.png", torch.rand(1, 1, 25, 15, generator=seeded(1)))
    write_image(folder / ".hidden" / "c.png", torch.rand(1, 1, 25, 15))
    write_image(folder / "small.png", torch.rand(1, 3, 40, 9))
    (folder / "broken.png").write_bytes(b"\x89PNG broken")
    (folder / "notes.txt").write_text("no image")
    write_image(folder / "volume.npy", torch.rand(1, 1, 4, 12, 12))
    return folder


def test_a_folder_is_read_whole_and_what_is_left_out_is_named(tmp_path):
    folder = folder_of_pictures(tmp_path)
    done = []
    store = ImageStore.from_folder(folder, min_size=10, progress=lambda *state: done.append(state))
    assert store.sizes == ((20, 30), (25, 15))
    torch.testing.assert_close(store.image(0), read_image(folder / "a.png"))
    torch.testing.assert_close(store.image(1), read_image(folder / "inner" / "b.png", mode="rgb"))
    reasons = {skipped.path.name: skipped.reason for skipped in store.skipped}
    assert reasons.keys() == {"small.png", "broken.png", "volume.npy"}
    assert reasons["small.png"] == "has 40 x 9 pixels, less than 10"
    assert "cannot be read" in reasons["broken.png"]
    assert done == [(i, 5) for i in range(1, 6)]


def test_folders_are_read_in_grey_and_deep(tmp_path):
    ramp = torch.arange(12.0).reshape(1, 1, 3, 4) * 5000 / 65535
    write_image(tmp_path / "deep.png", ramp, bits=16)
    store = ImageStore.from_folder([tmp_path], channels=1, bits=16)
    assert store.pixels.dtype == torch.uint16
    assert torch.equal(store.pixels.to(torch.int32).flatten(), torch.arange(12, dtype=torch.int32) * 5000)
    write_image(tmp_path / "deep.png", torch.rand(1, 3, 6, 6))
    grey = ImageStore.from_folder(tmp_path, channels=1)
    torch.testing.assert_close(grey.image(0), read_image(tmp_path / "deep.png", mode="grey"), atol=0.51 / 255, rtol=0)


def test_empty_folders_are_errors(tmp_path):
    with pytest.raises(FormatError, match="holds no image"):
        ImageStore.from_folder(tmp_path)
    with pytest.raises(MissingFileError, match="no such folder"):
        ImageStore.from_folder(tmp_path / "nowhere")
    write_image(tmp_path / "tiny.png", torch.rand(1, 1, 3, 3))
    with pytest.raises(FormatError, match=r"none of the 1 images .* tiny.png has 3 x 3 pixels, less than 8"):
        ImageStore.from_folder(tmp_path, min_size=8)


@pytest.mark.parametrize(
    ("make", "error", "sentence"),
    [
        (lambda: ImageStore(torch.ones(4, 1), [(2, 2)]), DTypeError, "8 or 16 bits without sign, got torch.float32"),
        (
            lambda: ImageStore(torch.ones(4, 1, dtype=torch.uint8), [(2, 3)]),
            ShapeError,
            r"shape \(6, C\), got \(4, 1\)",
        ),
        (lambda: ImageStore(torch.ones(0, 1, dtype=torch.uint8), []), ShapeError, "0 images"),
        (
            lambda: ImageStore(torch.ones(1, 1, dtype=torch.uint8), [(1, 1)], window=(5, 5)),
            ArgumentError,
            "black < white",
        ),
        (lambda: ImageStore.from_tensors([torch.rand(3, 4, 4), torch.rand(1, 4, 4)]), ShapeError, "the same channels"),
        (lambda: ImageStore.from_tensors([]), ShapeError, "the same channels"),
        (lambda: ImageStore.from_tensors([torch.rand(4, 4)]), ShapeError, r"images \(C, H, W\)"),
        (lambda: ImageStore.from_tensors([torch.ones(1, 4, 4, dtype=torch.int64)]), DTypeError, "uint8 or uint16"),
        (
            lambda: ImageStore.from_tensors([numbered(2, 2), torch.ones(1, 2, 2, dtype=torch.uint8)]),
            DTypeError,
            "of one dtype",
        ),
    ],
)
def test_what_is_no_image_is_refused(make, error, sentence):
    with pytest.raises(error, match=sentence):
        make()


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda store: store.crops(1, 9), "no image holds a square of 9 pixels, the largest is 8"),
        (lambda store: store.crops(0, 4), "count to be a whole number of at least 1, got 0"),
        (lambda store: store.crops(1, 0), "size to be a whole number of at least 1, got 0"),
        (lambda store: store.split(2), "of 2 images 1 to 1 can be held out, got 2"),
        (lambda store: store.split(0), "got 0"),
        (lambda store: store.image(2), "there is no image 2"),
    ],
)
def test_what_cannot_be_had_is_refused(call, sentence):
    with pytest.raises(ArgumentError, match=sentence):
        call(ImageStore.from_tensors([torch.rand(1, 8, 20), torch.rand(1, 6, 6)]))
