import pytest
import torch
import torchvision.transforms.functional as TF

from mnist_drill.augment import affine, augment, erase
from mnist_drill.recipes import Augmentation


def test_affine_is_torchvisions_image_by_image(mnist):
    images = mnist[0].images[:40]
    torch.manual_seed(1)
    angle, shear = torch.empty(40).uniform_(-40, 40), torch.empty(40).uniform_(-30, 30)
    translate, scale = torch.empty(40, 2).uniform_(-6, 6), torch.empty(40).uniform_(0.6, 1.5)
    expected = torch.stack(
        [
            TF.affine(
                images[i],
                angle[i].item(),
                translate[i].tolist(),
                scale[i].item(),
                [shear[i].item(), 0.0],
                interpolation=TF.InterpolationMode.BILINEAR,
            )
            for i in range(40)
        ]
    )
    assert torch.allclose(affine(images, angle, translate, scale, shear), expected, atol=1e-4)


def test_erase_is_torchvisions_image_by_image(mnist):
    images = mnist[0].images[:40]
    centre = torch.randint(4, 24, (40, 2), generator=torch.Generator().manual_seed(1))
    expected = torch.stack(
        [TF.erase(images[i], int(centre[i, 0]) - 4, int(centre[i, 1]) - 4, 8, 8, torch.tensor(0.0)) for i in range(40)]
    )
    assert torch.equal(erase(images, centre, 8), expected)


def test_erase_is_cut_off_at_the_border():
    erased = erase(torch.ones(1, 1, 28, 28), torch.tensor([[0, 27]]), 8)
    assert (erased == 0).sum() == 4 * 5
    assert erased[0, 0, :4, 23:].sum() == 0


def square(n, side):
    """n images with a filled square of odd half-width in the middle."""
    images = torch.zeros(n, 1, 28, 28)
    images[:, :, 14 - side : 14 + side, 14 - side : 14 + side] = 1
    return images


def centroid(images):
    place = torch.arange(28) - 13.5
    mass = images.sum(dim=(1, 2, 3))
    return (images.sum(dim=(1, 2)) @ place) / mass, (images.sum(dim=(1, 3)) @ place) / mass


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(1)


def test_rotation_stays_in_its_range_and_reaches_it():
    images = torch.zeros(2000, 1, 28, 28)
    images[:, :, 13:15, 22:24] = 1  # right of the centre
    x, y = centroid(augment(images, Augmentation(rotation=10)))
    angle = torch.rad2deg(torch.atan2(y, x))
    assert angle.abs().max() < 10.5
    assert angle.max() > 9
    assert angle.min() < -9


def test_translation_stays_in_its_range_and_reaches_it():
    x, y = centroid(augment(square(2000, 4), Augmentation(translation=2)))
    for shift in (x, y):
        assert shift.abs().max() < 2.01
        assert shift.max() > 1.9
        assert shift.min() < -1.9
    assert torch.corrcoef(torch.stack([x, y]))[0, 1].abs() < 0.1  # drawn for each axis


def test_scale_stays_in_its_range_and_reaches_it():
    area = augment(square(2000, 6), Augmentation(scale=0.1)).sum(dim=(1, 2, 3)) / 144
    assert 0.78 < area.min() < 0.85
    assert 1.17 < area.max() < 1.25


def test_shear_moves_rows_along_x_within_its_range():
    images = torch.zeros(2000, 1, 28, 28)
    images[:, :, 4:6, 13:15] = 1  # above the centre
    x, y = centroid(augment(images, Augmentation(shear=10)))
    angle = torch.rad2deg(torch.atan2(x, -y))
    assert 9 < angle.abs().max() < 10.5
    assert (y + 9).abs().max() < 0.05


def test_cutout_erases_a_square_of_at_most_its_side():
    images = augment(torch.ones(2000, 1, 28, 28), Augmentation(cutout=8))
    erased = (images == 0).sum(dim=(1, 2, 3))
    assert erased.max() == 64
    assert 16 <= erased.min() < 64


def test_each_image_has_its_own_draw_and_the_seed_decides_it(mnist):
    images = mnist[0].images[:1].repeat(50, 1, 1, 1)
    everything = Augmentation(rotation=10, translation=2, scale=0.1, shear=5, cutout=6)
    torch.manual_seed(3)
    first = augment(images, everything)
    torch.manual_seed(3)
    assert torch.equal(augment(images, everything), first)
    assert len({tuple(image.flatten().tolist()) for image in first}) == 50


def test_nothing_switched_on_changes_nothing_and_draws_nothing(mnist):
    state = torch.get_rng_state()
    images = mnist[0].images[:10]
    assert torch.equal(augment(images, Augmentation()), images)
    assert torch.equal(torch.get_rng_state(), state)


def test_pixels_stay_in_range(mnist):
    images = augment(mnist[0].images[:500], Augmentation(rotation=30, translation=4, scale=0.3, shear=20, cutout=8))
    assert images.min() >= 0
    assert images.max() <= 1.00001
