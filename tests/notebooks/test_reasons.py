"""What each reason in a notebook rests on. A reason that nothing shows is `perhaps` there, and not listed here."""

import ast

import pytest

from mnist_drill.evidence.stored import load_study
from tests.notebooks.books import BOOKS, PAGES, calls

BY_DEFINITION = "arithmetic or definition"
NO_CAUSE = "says what came of a prediction, and gives no cause"
HE = ("initialization", "stage 2, He initialization", "initialization", "stage 2")
NORM = ("initialization", "stage 2, batch norm", "initialization", "stage 2")
# By notebook: how the sentence begins, and the ablation (a study and its row, twice) that shows why it holds.
REASONS = {
    "01_setup": {
        "What fits the training set classifies": NO_CAUSE,
        "It is large because of one layer": BY_DEFINITION,
        "That layer needs few multiplications": BY_DEFINITION,
    },
    "02_parameter_reduction": {
        "The small network starts like the large one": HE,
        "With He initialization the logits of stage 2 vary": BY_DEFINITION,
        "With He initialization at least {n} seeds": HE,
        "With batch norm all seeds are": NORM,
        "The mean of each class's map is its logit": BY_DEFINITION,
        "It has less than a hundredth of stage 1's parameters": BY_DEFINITION,
    },
    "03_batchnorm_dropout": {
        "The ablation shows that some dropout helps": NO_CAUSE,
        "It starts fast": NORM,
        "Much dropout lowers accuracy in training mode": BY_DEFINITION,  # the same networks, in both modes
    },
    "04_augmentation_scheduler": {
        "After epoch {n} the running train accuracy": BY_DEFINITION,
        "With {sure:.0%} confidence they show only": BY_DEFINITION,
        "The two of a pair have the same train loss": BY_DEFINITION,
    },
    "appendix_big_networks": {
        "FLOPs do not follow parameters": BY_DEFINITION,
        "So many parameters need only one epoch": NO_CAUSE,
    },
    "your_network": {},
}


def reasoned(stem):
    """The sentences of the claims of a notebook that have a reason."""
    for cell in PAGES[stem].code:
        if "claim(" in cell.source:
            for call in calls(cell, "claim"):
                if any(keyword.arg == "because" for keyword in call.keywords):
                    yield ast.literal_eval(call.args[0])


@pytest.mark.parametrize("stem", PAGES)
def test_every_reason_is_listed_with_what_it_rests_on(stem):
    sentences, listed = list(reasoned(stem)), list(REASONS[stem])
    assert [text for text in sentences if sum(map(text.startswith, listed)) != 1] == []
    assert [start for start in listed if not any(text.startswith(start) for text in sentences)] == []


@pytest.mark.parametrize(
    "ablation", sorted({basis for stem in BOOKS for basis in REASONS[stem].values()} - {BY_DEFINITION, NO_CAUSE})
)
def test_an_ablation_behind_a_reason_has_ten_seeds_on_either_side(ablation):
    study, row, other_study, other = ablation
    sides = load_study(study)[row], load_study(other_study)[other]
    assert ablation[:2] != ablation[2:]
    assert min(len({run.seed for run in runs}) for runs in sides) >= 10
    (one,), (two,) = ({(run.network, run.recipe) for run in runs} for runs in sides)
    assert one[0] == two[0] or one[1] == two[1], "network and recipe both differ: that isolates nothing"
