"""Files: exact values for every format, and one clear sentence for everything that can be wrong with one."""

import os
import pickle
import struct
import zlib

import numpy as np
import pytest
import skimage.io
import tifffile
import torch
from PIL import Image
from safetensors.torch import save_file

from wellposed.core.errors import ArgumentError, DTypeError, FormatError, ShapeError, UnknownNameError, UnsupportedError
from wellposed.core.files import MissingFileError, atomic_path
from wellposed.data import demo_photograph, list_images, read_image, to_grey, write_image

RNG = np.random.default_rng(0)
GREY = RNG.integers(0, 256, (5, 7), dtype=np.uint8)
COLOUR = RNG.integers(0, 256, (5, 7, 3), dtype=np.uint8)
DEEP = RNG.integers(0, 65536, (5, 7), dtype=np.uint16)
UNIT = torch.rand(1, 3, 5, 7, generator=torch.Generator().manual_seed(0))


def as_tensor(array, largest):
    """Channels last to (1, C, H, W), by numpy alone."""
    planes = array[None] if array.ndim == 2 else np.moveaxis(array, -1, 0)
    return torch.from_numpy((planes[None].astype(np.float64) / largest).astype(np.float32))


@pytest.fixture
def save(tmp_path):
    """Write an array with Pillow under a name, and return its path."""

    def write(name, array, mode=None, **options):
        path = tmp_path / name
        image = Image.fromarray(array) if mode is None else Image.fromarray(array).convert(mode)
        image.save(path, **options)
        return path

    return write


@pytest.mark.parametrize("name", ["a.png", "a.PNG", "a.bmp", "a.tif", "a.tiff"])
@pytest.mark.parametrize("array", [GREY, COLOUR], ids=["grey", "colour"])
def test_eight_bits_are_divided_by_255(save, name, array):
    image = read_image(save(name, array))
    assert image.dtype == torch.float32
    assert torch.equal(image, as_tensor(array, 255))


@pytest.mark.parametrize("name", ["a.png", "a.tif"])
def test_sixteen_bits_are_divided_by_65535(save, name):
    assert torch.equal(read_image(save(name, DEEP)), as_tensor(DEEP, 65535))


def test_sixteen_bit_colour_tiff(tmp_path):
    deep = RNG.integers(0, 65536, (5, 7, 3), dtype=np.uint16)
    tifffile.imwrite(tmp_path / "a.tif", deep, photometric="rgb")
    assert torch.equal(read_image(tmp_path / "a.tif"), as_tensor(deep, 65535))


def test_sixteen_bit_colour_png_is_refused_rather_than_cut_to_eight(tmp_path):
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 1, 1, 16, 2, 0, 0, 0)
    path = tmp_path / "a.png"
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 7)) + chunk(b"IEND", b"")
    )
    with pytest.raises(FormatError, match="16 bits per colour, which cannot be read exactly"):
        read_image(path)


def test_jpeg_is_what_scikit_image_reads(save):
    path = save("a.jpg", np.kron(COLOUR, np.ones((8, 8, 1), dtype=np.uint8)))
    torch.testing.assert_close(read_image(path), as_tensor(skimage.io.imread(path), 255))


@pytest.mark.parametrize(
    ("orientation", "turn"), [(3, lambda x: x.rot90(2, (2, 3))), (6, lambda x: x.rot90(-1, (2, 3)))]
)
def test_jpeg_is_turned_upright(save, orientation, turn):
    """6: the camera was turned, so that the rows of the file run from top to bottom at the right."""
    big = np.kron(COLOUR, np.ones((8, 8, 1), dtype=np.uint8))
    exif = Image.Exif()
    exif[0x0112] = orientation
    plain, tagged = read_image(save("plain.jpg", big)), read_image(save("tagged.jpg", big, exif=exif))
    assert torch.equal(tagged, turn(plain))


def test_palettes_are_resolved(save):
    path = save("a.png", COLOUR, mode="P")
    with Image.open(path) as image:
        assert image.mode == "P"
        expected = np.array(image.convert("RGB"))
    assert torch.equal(read_image(path), as_tensor(expected, 255))


def test_one_bit_is_black_and_white(save):
    path = save("a.png", GREY > 127)
    assert torch.equal(read_image(path), as_tensor((GREY > 127).astype(np.uint8), 1))


def test_an_opaque_alpha_channel_is_dropped(save):
    rgba = np.dstack([COLOUR, np.full((5, 7), 255, np.uint8)])
    assert torch.equal(read_image(save("a.png", rgba)), as_tensor(COLOUR, 255))


@pytest.mark.parametrize("name", ["a.png", "a.tif"])
def test_transparency_is_laid_over_white(save, name):
    alpha = RNG.integers(0, 256, (5, 7), dtype=np.uint8)
    colour, opacity = as_tensor(COLOUR, 255), as_tensor(alpha, 255)
    image = read_image(save(name, np.dstack([COLOUR, alpha])))
    torch.testing.assert_close(image, colour * opacity + 1 - opacity)


def test_grey_with_alpha_stays_grey(save):
    image = read_image(save("a.png", np.dstack([GREY, np.full((5, 7), 51, np.uint8)])))
    torch.testing.assert_close(image, as_tensor(GREY, 255) * 0.2 + 0.8)


def test_a_transparent_colour_key_is_white(save):
    image = read_image(save("a.png", np.array([[0, 100]], np.uint8), transparency=0))
    torch.testing.assert_close(image, torch.tensor([[[[1.0, 100 / 255]]]]))


def test_modes_convert_the_colours(save):
    path = save("a.png", COLOUR)
    grey = read_image(path, mode="grey")
    weights = np.array([0.299, 0.587, 0.114])
    torch.testing.assert_close(grey, as_tensor(COLOUR @ weights, 255))
    assert torch.equal(read_image(path, mode="rgb"), read_image(path))
    path = save("grey.png", GREY)
    assert torch.equal(read_image(path, mode="rgb"), as_tensor(GREY, 255).expand(1, 3, 5, 7))
    with pytest.raises(UnknownNameError, match="did you mean 'grey'"):
        read_image(path, mode="gray")


def test_to_grey_refuses_two_channels():
    with pytest.raises(ShapeError, match=r"C = 1 or 3, got \(1, 2, 4, 4\)"):
        to_grey(torch.ones(1, 2, 4, 4))


def test_tiff_pages_are_the_depth_of_a_volume(tmp_path):
    stack = RNG.random((4, 5, 7), dtype=np.float32)
    tifffile.imwrite(tmp_path / "a.tif", stack, photometric="minisblack")
    assert torch.equal(read_image(tmp_path / "a.tif"), torch.from_numpy(stack)[None, None])


def test_tiff_planes_are_channels(tmp_path):
    planes = RNG.random((3, 5, 7), dtype=np.float32)
    tifffile.imwrite(tmp_path / "a.tif", planes, photometric="rgb", planarconfig="separate")
    assert torch.equal(read_image(tmp_path / "a.tif"), torch.from_numpy(planes)[None])


def test_tiff_with_white_as_zero_is_inverted(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", GREY, photometric="miniswhite")
    torch.testing.assert_close(read_image(tmp_path / "a.tif"), 1 - as_tensor(GREY, 255))


def test_tiff_with_two_stacks_of_pages_is_refused(tmp_path):
    tifffile.imwrite(
        tmp_path / "a.tif", np.zeros((2, 3, 5, 7), np.float32), metadata={"axes": "TZYX"}, photometric="minisblack"
    )
    with pytest.raises(FormatError, match="axes TZYX"):
        read_image(tmp_path / "a.tif")


def test_tiff_with_images_of_different_sizes_is_refused(tmp_path):
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        file.write(np.zeros((4, 4), np.float32))
        file.write(np.zeros((6, 6), np.float32))
    with pytest.raises(FormatError, match="2 images of different kinds"):
        read_image(tmp_path / "a.tif")


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ((5, 7), (1, 1, 5, 7)),
        ((2, 5, 7), (1, 2, 5, 7)),
        ((6, 7, 3), (1, 3, 6, 7)),
        ((2, 3, 5, 7), (2, 3, 5, 7)),
        ((1, 2, 3, 5, 7), (1, 2, 3, 5, 7)),
    ],
)
@pytest.mark.parametrize("dtype", [np.float64, np.complex128])
def test_arrays_are_channels_first_in_single_precision(tmp_path, shape, expected, dtype):
    values = (RNG.random(shape) * (1 + 2j)).astype(dtype) if dtype == np.complex128 else 3 * RNG.random(shape)
    np.save(tmp_path / "a.npy", values)
    image = read_image(tmp_path / "a.npy")
    assert image.shape == expected
    assert image.dtype == (torch.complex64 if dtype == np.complex128 else torch.float32)
    moved = np.moveaxis(values, -1, 0) if shape == (6, 7, 3) else values
    torch.testing.assert_close(image, torch.from_numpy(moved).reshape(expected).to(image.dtype))


def test_arrays_in_another_byte_order_and_of_unsigned_integers(tmp_path):
    np.save(tmp_path / "a.npy", DEEP.astype(">u2"))
    assert torch.equal(read_image(tmp_path / "a.npy"), as_tensor(DEEP, 65535))


@pytest.mark.parametrize("name", ["a.npz", "a.safetensors"])
def test_one_of_several_arrays_is_chosen_by_its_key(tmp_path, name):
    path, first, second = tmp_path / name, torch.rand(4, 4), torch.rand(2, 4, 4)
    save_file({"x": first, "y": second}, path) if path.suffix == ".safetensors" else np.savez(path, x=first, y=second)
    assert torch.equal(read_image(path, key="y"), second[None])
    assert torch.equal(read_image(f"{path}:x"), first[None, None])
    with pytest.raises(FormatError, match=rf"holds 2 arrays, x, y: choose one with key='x', or write {name}:x"):
        read_image(path)
    with pytest.raises(UnknownNameError, match="unknown array of"):
        read_image(path, key="z")


def test_a_single_image_has_no_key(save):
    with pytest.raises(ArgumentError, match="leave out the key 'x'"):
        read_image(save("a.png", GREY), key="x")


class Bomb:
    """An object whose unpickling leaves a trace."""

    def __reduce__(self):
        return os.mkdir, ("unpickled",)


@pytest.mark.parametrize("name", ["a.npy", "a.npz"])
def test_nothing_is_ever_unpickled(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    (np.save if name == "a.npy" else np.savez)(tmp_path / name, np.array([Bomb()], dtype=object))
    with pytest.raises(FormatError, match="never unpickled"):
        read_image(name)
    (tmp_path / "b.npy").write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(FormatError, match="never unpickled"):
        read_image("b.npy")
    assert not (tmp_path / "unpickled").exists()


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.bmp", "a.tif", "a.npy", "a.npz", "a.safetensors"])
def test_a_truncated_file_is_an_error(tmp_path, name):
    path = tmp_path / name
    write_image(path, torch.rand(1, 3, 40, 40))
    data = path.read_bytes()
    for kept in (0, 10, len(data) // 2):
        path.write_bytes(data[:kept])
        with pytest.raises(FormatError, match=path.name):
            read_image(path)


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.tif", "a.npy", "a.npz", "a.safetensors"])
def test_what_is_not_an_image_is_an_error(tmp_path, name):
    path = tmp_path / name
    path.write_text("this is a letter, not a picture; " * 10)
    with pytest.raises(FormatError, match=path.name):
        read_image(path)


def test_missing_files_and_folders(tmp_path):
    with pytest.raises(MissingFileError, match="no such file"):
        read_image(tmp_path / "none.png")
    with pytest.raises(FileNotFoundError):
        read_image(tmp_path / "none.png")
    with pytest.raises(FormatError, match="is a folder"):
        read_image(tmp_path)


def test_an_unknown_extension_lists_those_that_are_known(tmp_path):
    (tmp_path / "a.docx").write_text("")
    with pytest.raises(FormatError, match=r"the extension '\.docx': known ones are \.png, .*\.safetensors"):
        read_image(tmp_path / "a.docx")
    (tmp_path / "a").write_text("")
    with pytest.raises(FormatError, match="no extension"):
        read_image(tmp_path / "a")


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        (np.array([[1.0, np.nan], [np.inf, 0.0]]), "holds 2 values that are NaN"),
        (np.array([[1e300]]), "beyond single precision"),
        (np.zeros((0, 4)), "without a pixel"),
        (np.zeros(4), r"shape \(4,\), and an image is"),
        (np.zeros((3, 3), np.int64), "signed integers"),
        (np.array([["a"]]), "made of numbers"),
    ],
)
def test_arrays_that_are_no_images(tmp_path, values, sentence):
    np.save(tmp_path / "a.npy", values)
    with pytest.raises(FormatError, match=sentence):
        read_image(tmp_path / "a.npy")


@pytest.mark.parametrize("name", ["a.npy", "a.npz", "a.safetensors", "a.tif", "a.TIFF", "a.NPY"])
@pytest.mark.parametrize("shape", [(1, 1, 5, 7), (1, 3, 5, 7), (1, 1, 4, 5, 7), (1, 3, 4, 5, 7)])
def test_lossless_formats_give_back_every_bit(tmp_path, name, shape):
    image = 100 * torch.randn(shape, generator=torch.Generator().manual_seed(0))
    write_image(tmp_path / name, image)
    assert torch.equal(read_image(tmp_path / name), image)


@pytest.mark.parametrize("name", ["a.npy", "a.npz", "a.safetensors"])
def test_arrays_hold_complex_batches(tmp_path, name):
    image = torch.randn(2, 5, 4, 3, dtype=torch.complex64, generator=torch.Generator().manual_seed(0)).conj()
    write_image(tmp_path / name, image.transpose(2, 3))
    assert torch.equal(read_image(tmp_path / name), image.transpose(2, 3))


@pytest.mark.parametrize(("bits", "largest"), [(8, 255), (16, 65535)])
def test_png_rounds_to_the_nearest_level_and_clips(tmp_path, bits, largest):
    """0.5 levels up to rounding, never down by truncation; -1 and 2 are clipped."""
    values = torch.tensor([-1.0, 0.4 / largest, 0.6 / largest, 99.51 / largest, 2.0], dtype=torch.float64)
    write_image(tmp_path / "a.png", values.reshape(1, 1, 1, 5), bits=bits)
    with Image.open(tmp_path / "a.png") as image:
        assert np.array(image).astype(int).tolist() == [[0, 0, 1, 100, largest]]


def test_colours_survive_png_and_jpeg_in_their_order(tmp_path):
    write_image(tmp_path / "a.png", UNIT)
    assert (read_image(tmp_path / "a.png") - UNIT).abs().max() <= 0.5 / 255 + 1e-6
    orange = torch.tensor([1.0, 0.5, 0.0]).reshape(1, 3, 1, 1).expand(1, 3, 16, 16)
    write_image(tmp_path / "a.jpg", orange)
    assert (read_image(tmp_path / "a.jpg") - orange).abs().max() < 0.02


@pytest.mark.parametrize(
    ("name", "image", "options", "expected"),
    [
        ("a.png", UNIT[0], {}, (ShapeError, r"add the batch axis with image\[None\]")),
        ("a.npy", UNIT[0, 0], {}, (ShapeError, r"got \(5, 7\)")),
        ("a.npy", torch.ones(1, 1, 0, 4), {}, (ShapeError, "none empty")),
        ("a.png", UNIT.expand(2, 3, 5, 7), {}, (ShapeError, "write the images one by one")),
        ("a.png", UNIT[:, :2], {}, (ShapeError, "C = 1 or 3")),
        ("a.tif", UNIT[:, :2], {}, (ShapeError, "a .tif file holds one image")),
        ("a.png", UNIT[:, :, None], {}, (ShapeError, r"of shape \(1, C, H, W\) with")),
        ("a.png", UNIT.to(torch.complex64), {}, (UnsupportedError, r"write image.abs\(\)")),
        ("a.tif", UNIT.to(torch.complex64), {}, (UnsupportedError, "complex")),
        ("a.png", UNIT, {"bits": 16}, (UnsupportedError, "grey .png only")),
        ("a.jpg", UNIT[:, :1], {"bits": 16}, (UnsupportedError, "grey .png only")),
        ("a.npy", UNIT, {"bits": 16}, (UnsupportedError, "leave out bits")),
        ("a.png", UNIT, {"bits": 12}, (ArgumentError, "8 or 16 bits, got 12")),
        ("a.png", np.ones((1, 1, 2, 2)), {}, (DTypeError, "got ndarray: convert it with torch.from_numpy")),
        ("a.png", torch.ones(1, 1, 2, 2, dtype=torch.uint8), {}, (DTypeError, "divide 8-bit values by 255")),
        ("a.npy", UNIT / 0, {}, (ArgumentError, "finite values")),
        ("a.xyz", UNIT, {}, (FormatError, "'.xyz': known ones are")),
        ("none/a.png", UNIT, {}, (MissingFileError, "no such folder")),
    ],
)
def test_what_cannot_be_written_says_why_and_leaves_no_trace(tmp_path, name, image, options, expected):
    error, sentence = expected
    with pytest.raises(error, match=sentence):
        write_image(tmp_path / name, image, **options)
    assert list(tmp_path.iterdir()) == []


def test_writing_onto_a_folder_is_refused(tmp_path):
    (tmp_path / "a.png").mkdir()
    with pytest.raises(FormatError, match="is a folder"):
        write_image(tmp_path / "a.png", UNIT)


def test_a_failed_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "note.txt"
    path.write_text("old")

    def fail_halfway():
        with atomic_path(path) as temporary:
            temporary.write_text("half of the n")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail_halfway()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_write_replaces_the_old_file_and_changes_no_input(tmp_path):
    image = UNIT.clone().requires_grad_()
    write_image(tmp_path / "a.npy", torch.zeros(1, 1, 2, 2))
    write_image(tmp_path / "a.npy", image)
    assert torch.equal(read_image(tmp_path / "a.npy"), UNIT)
    assert torch.equal(image, UNIT)
    assert [path.name for path in tmp_path.iterdir()] == ["a.npy"]


def test_images_of_a_folder_are_sorted(tmp_path):
    for name in ("b.png", "a.JPG", "c.npy", ".hidden.png", "notes.txt"):
        (tmp_path / name).write_text("")
    (tmp_path / "folder.png").mkdir()
    assert [path.name for path in list_images(tmp_path)] == ["a.JPG", "b.png", "c.npy"]


def test_a_folder_without_images_is_an_error(tmp_path):
    with pytest.raises(FormatError, match="holds no image"):
        list_images(tmp_path)
    with pytest.raises(MissingFileError, match="no such folder"):
        list_images(tmp_path / "none")
    (tmp_path / "a.png").write_text("")
    with pytest.raises(FormatError, match="is a file"):
        list_images(tmp_path / "a.png")


@pytest.mark.parametrize(
    ("name", "shape"),
    [("astronaut", (512, 512)), ("chelsea", (300, 451)), ("coffee", (400, 600)), ("rocket", (427, 640))],
)
def test_demo_photographs(name, shape):
    import skimage.data

    whole = demo_photograph(name)
    assert torch.equal(whole, as_tensor(getattr(skimage.data, name)(), 255))
    assert whole.shape == (1, 3, *shape)
    top, left = (shape[0] - 64) // 2, (shape[1] - 64) // 2
    assert torch.equal(demo_photograph(name, size=64), whole[..., top : top + 64, left : left + 64])


def test_demo_photographs_refuse_what_they_are_not():
    with pytest.raises(UnknownNameError, match="did you mean 'astronaut'"):
        demo_photograph("astronout")
    with pytest.raises(ArgumentError, match="300 x 451 pixels: size is 1 to 300"):
        demo_photograph("chelsea", size=301)


@pytest.mark.parametrize("suffix", [".npy", ".npz", ".safetensors", ".tiff", ".png"])
def test_narrow_floats_are_written(tmp_path, suffix):
    """NumPy lacks bfloat16; single precision holds all its values."""
    path = tmp_path / f"x{suffix}"
    write_image(path, torch.tensor([[[[0.0, 0.5, 1.0]]]], dtype=torch.bfloat16))
    expected = 128 / 255 if suffix == ".png" else 0.5
    assert torch.equal(read_image(path), torch.tensor([[[[0.0, expected, 1.0]]]]))


def test_animations_are_refused(tmp_path):
    """The first picture of several is not what the file is."""
    frames = [Image.new("RGB", (4, 4), colour) for colour in ("red", "blue")]
    frames[0].save(tmp_path / "a.png", save_all=True, append_images=frames[1:])
    with pytest.raises(FormatError, match=r"a\.png is an animation of 2 pictures: save one of them"):
        read_image(tmp_path / "a.png")


SAMPLES = {
    ".png": lambda path: Image.new("RGB", (8, 8), "red").save(path),
    ".jpg": lambda path: Image.new("RGB", (8, 8), "red").save(path),
    ".bmp": lambda path: Image.new("RGB", (8, 8), "red").save(path),
    ".tif": lambda path: tifffile.imwrite(path, np.full((8, 8, 3), 9, dtype=np.uint8), photometric="rgb"),
    ".npy": lambda path: np.save(path, np.full((8, 8), 0.5)),
    ".npz": lambda path: np.savez(path, a=np.full((8, 8), 0.5)),
    ".safetensors": lambda path: save_file({"a": torch.ones(8, 8)}, path),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("suffix", SAMPLES)
def test_a_flipped_bit_is_read_or_told(tmp_path, suffix, caplog):
    """Decoders raise whatever they like on damaged headers (TokenError, ZeroDivisionError, MemoryError, ...)."""
    caplog.set_level("CRITICAL", logger="tifffile")
    path = tmp_path / f"x{suffix}"
    SAMPLES[suffix](path)
    whole = path.read_bytes()
    read_image(path)
    refused = 0
    for bit in range(0, 8 * min(len(whole), 200), 3):
        damaged = bytearray(whole)
        damaged[bit // 8] ^= 1 << bit % 8
        path.write_bytes(damaged)
        try:
            read_image(path)
        except (FormatError, UnsupportedError) as error:
            assert len(str(error)) < 300 + len(str(path))  # noqa: PT017
            refused += 1
    assert refused > 5


def test_an_array_larger_than_memory(tmp_path):
    path = tmp_path / "x.npy"
    np.save(path, np.ones((40, 40)))
    path.write_bytes(path.read_bytes().replace(b"(40, 40), }          ", b"(400000, 40000000), }"))
    with pytest.raises(FormatError, match=r"truncated or damaged \(Unable to allocate"):
        read_image(path)
