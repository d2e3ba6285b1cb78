"""Parameters of notebooks: names, types, ranges; with papermill for real."""

import nbformat
import papermill
import pytest
from nbformat.v4 import new_code_cell, new_notebook

from offclip.parameters import check_parameters, convert, declared_types, nearest

PARAMETERS = """\
seeds: list[int] = [0]  # model seeds
epochs: int = 4  # passes
rate: float = 1e-3  # learning rate
head: str = "cosine"  # similarity head
quick: bool = True  # small run
weights: dict[str, float] = {"a": 1.0}  # by term
"""
CHECK = """\
from offclip.parameters import check_parameters
check_parameters(
    globals(), seeds=(0, 99), epochs=(1, 500), rate=(0, 1), head=("cosine", "cross_attention")
)"""


def namespace(**values):
    scope = {}
    exec(PARAMETERS, scope)
    scope["In"] = ["", PARAMETERS]
    if values:
        lines = [f"{name} = {value!r}" for name, value in values.items()]
        scope["In"].append("# Parameters\n" + "\n".join(lines))
    return scope | values


def check(scope):
    check_parameters(
        scope, seeds=(0, 99), epochs=(1, 500), rate=(0, 1), head=("cosine", "cross_attention")
    )


def test_defaults_pass_and_stay_as_they_are():
    scope = namespace()
    check(scope)
    assert scope["seeds"] == [0] and scope["epochs"] == 4 and scope["quick"] is True


@pytest.mark.parametrize(
    ("given", "name", "expected"),
    [
        ("[0, 1, 2]", "seeds", [0, 1, 2]),
        ("[3]", "seeds", [3]),
        ((1, 2), "seeds", [1, 2]),
        ('{"b": 2}', "weights", {"b": 2.0}),
        ("{b: 0.5}", "weights", {"b": 0.5}),
        (1, "rate", 1.0),
    ],
)
def test_values_are_converted_and_written_back(given, name, expected):
    scope = namespace(**{name: given})
    check(scope)
    assert scope[name] == expected
    assert type(scope[name]) is type(expected)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"epochs": True}, "'epochs': expected int, got bool True"),
        ({"epochs": 2.0}, "'epochs': expected int, got float 2.0"),
        ({"epochs": "20"}, "'epochs': expected int, got str '20'"),
        ({"epochs": 0}, "'epochs': expected 1 to 500, got 0"),
        ({"quick": 1}, "'quick': expected bool, got int 1"),
        ({"rate": float("nan")}, "'rate': expected 0 to 1, got nan"),
        ({"seeds": "0"}, r"'seeds': expected list\[int\], got int 0"),
        ({"seeds": "[0, 1.5]"}, r"'seeds': expected list\[int\], got list \[0, 1.5\]"),
        ({"seeds": [True]}, r"'seeds': expected list\[int\]"),
        ({"seeds": []}, "'seeds': expected at least one item"),
        ({"seeds": [100]}, "'seeds': expected 0 to 99, got 100"),
        ({"seeds": "[1,"}, r"'seeds': expected list\[int\], got str"),
        ({"head": "cross_atention"}, "one of cosine, cross_attention.*mean 'cross_attention'"),
        ({"head": None}, "'head': expected str, got NoneType None"),
        ({"epoch": 3}, "unknown parameter 'epoch'; did you mean 'epochs'?"),
        ({"zzz": 3}, "unknown parameter 'zzz'; known: epochs, head"),
    ],
)
def test_faults_are_named(given, message):
    with pytest.raises(ValueError, match=message):
        check(namespace(**given))


def test_all_faults_are_named_at_once():
    with pytest.raises(ValueError, match="'epoch'.*'quick'"):
        check(namespace(epoch=1, quick="no"))


def test_a_rule_for_no_parameter_is_a_fault():
    with pytest.raises(ValueError, match="rule for 'epoch'.*'epochs'"):
        check_parameters(namespace(), epoch=(1, 2))


def test_a_magic_line_in_a_cell_is_passed_over():
    assert declared_types(["%matplotlib inline\n!ls", "a: int = 1"]) == {"a": int}


def test_outside_ipython_the_annotations_of_the_namespace_are_used():
    scope = {"__annotations__": {"size": int}, "size": "big"}
    with pytest.raises(ValueError, match="'size': expected int"):
        check_parameters(scope)


@pytest.mark.parametrize(
    ("value", "annotation", "expected"),
    [
        (None, int | None, None),
        ("(1, 2)", tuple[int, int], (1, 2)),
        ([1, 2, 3], tuple[int, ...], (1, 2, 3)),
        ([1, None], list[int | None], [1, None]),
    ],
)
def test_convert_nested_types(value, annotation, expected):
    assert convert(value, annotation) == expected


def test_convert_refuses_a_tuple_of_the_wrong_length():
    with pytest.raises(ValueError, match="expected tuple"):
        convert([1, 2, 3], tuple[int, int])


def test_nearest_names_all_when_none_is_close():
    assert nearest("x", []) == "; known: none"


def write_notebook(path):
    book = new_notebook(
        cells=[
            new_code_cell(PARAMETERS, metadata={"tags": ["parameters"]}),
            new_code_cell(CHECK),
            new_code_cell("print(seeds, epochs)"),
        ],
        metadata={"language_info": {"name": "python"}},
    )
    nbformat.write(book, path)
    return path


def run(path, out, **parameters):
    return papermill.execute_notebook(
        path, out, parameters, kernel_name="python3", progress_bar=False
    )


def test_papermill_passes_a_list_as_a_string(tmp_path):
    path = write_notebook(tmp_path / "toy.ipynb")
    done = run(path, tmp_path / "out.ipynb", seeds="[0,1,2]", epochs=20)
    assert done.cells[-1].outputs[0].text == "[0, 1, 2] 20\n"


def test_papermill_with_an_unknown_name_stops_before_anything_runs(tmp_path):
    path = write_notebook(tmp_path / "toy.ipynb")
    with pytest.raises(papermill.PapermillExecutionError, match="did you mean 'epochs'"):
        run(path, tmp_path / "out.ipynb", epoch=20, seeds="[0,1,2]")
    done = nbformat.read(tmp_path / "out.ipynb", as_version=4)
    assert not done.cells[-1].outputs
