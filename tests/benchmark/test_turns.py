from mnist_drill.benchmark.turns import take_turns


def test_contenders_take_turns():
    order = []
    contenders = {name: lambda name=name: order.append(name) or len(order) for name in "ab"}
    assert take_turns(contenders, 3) == {"a": [1, 3, 5], "b": [2, 4, 6]}
