"""Promise 4, over generated texts: what a config asks for is read the same in each format, or nothing is."""

import json
import re
import string

import pytest
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from mcd_rt.desired import tree, yamltext
from mcd_rt.desired.machineconfig import Absent
from mcd_rt.errors import Code, ConfigInvalid
from mcd_rt.model.desired import Desired
from mcd_rt.model.kernel import KernelType
from tests.property.arguments import ARGUMENTS
from tests.unit.configs import parse_alone, read_alone

LINES = st.text(st.characters(exclude_categories=("Cc", "Cs", "Zl", "Zp")), max_size=30)
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=140), inner, max_size=4),
    max_leaves=15,
)
ASKED = ("realtime", "kernelType", "osImageURL", "baseOSExtensionsContainerImage", "kernelArguments", "fips")
KERNELS = {
    KernelType.DEFAULT: [{}, {"kernelType": ""}, {"kernelType": "default"}, {"realtime": False}, {"kernelType": None}],
    KernelType.REALTIME: [{"kernelType": "realtime"}, {"realtime": True}, {"realtime": True, "kernelType": "realtime"}],
    KernelType.PAGES_64K: [{"kernelType": "64k-pages"}, {"kernelType": "64k-pages", "realtime": None}],
}


@st.composite
def configs(draw):
    """A valid MachineConfig with much in it that does not concern us, and what it asks for."""
    kernel_type = draw(st.sampled_from(KernelType))
    elements = draw(st.lists(st.lists(ARGUMENTS, max_size=3), max_size=4))
    arguments = tuple(argument for element in elements for argument in element)
    desired = Desired(
        draw(LINES.filter(bool)),
        kernel_type,
        draw(LINES),
        arguments,
        draw(st.sampled_from([None, True, False])),
        draw(LINES),
        arguments,
    )
    spec = {
        "osImageURL": desired.os_image,
        "baseOSExtensionsContainerImage": desired.extensions_image,
        "kernelArguments": [" ".join(element) for element in elements],
        "fips": desired.fips,
        **draw(st.sampled_from(KERNELS[kernel_type])),
        **draw(st.dictionaries(LINES.filter(lambda key: key not in ASKED), ANYTHING, max_size=3)),
    }
    tree = {
        "apiVersion": "machineconfiguration.openshift.io/v1",
        "kind": "MachineConfig",
        "metadata": {"labels": draw(ANYTHING), "name": desired.name},
        "spec": dict(draw(st.permutations(list(spec.items())))),
        "status": draw(ANYTHING),
    }
    return dict(draw(st.permutations(list(tree.items())))), desired


def read(text: bytes, source: str) -> Desired | None:
    """What a text asks for; ``None`` if it is refused, in the one way there is."""
    refusal = None
    try:
        return parse_alone(text, source)
    except ConfigInvalid as error:
        refusal = error
    check_refusal(refusal, text, source)
    return None


def check_refusal(error: ConfigInvalid, text: bytes, source: str) -> None:
    """A refusal has the one code, a message that can be shown, and a place that is in the text."""
    message = error.failure.message
    assert error.failure.code is Code.CONFIG_INVALID
    assert message.startswith(tree.locate(source, error.line, error.column) + ": ")
    assert len(message.encode()) < 1000
    if error.line is not None and error.column is not None:
        lines = text.decode(errors="replace").split("\n")
        assert 1 <= error.line <= len(lines)
        assert 1 <= error.column <= len(lines[error.line - 1]) + 1


@given(configs(), st.sampled_from([None, 1, "\t"]), st.booleans())
def test_json_says_what_it_was_made_from(config, indent, ascii_only):
    tree, desired = config
    text = json.dumps(tree, indent=indent, ensure_ascii=ascii_only).encode()
    for source in ("mc.json", "currentconfig", "mc.yaml"):
        assert read(text, source) == desired


@given(configs(), st.booleans(), st.sampled_from([None, True, False]), st.sampled_from(["libyaml", "pure"]))
def test_yaml_says_what_json_says(config, unicode, flow, loader):
    tree, desired = config
    text = yaml.safe_dump(tree, allow_unicode=unicode, default_flow_style=flow, sort_keys=False).encode()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(yamltext, "_LOADER", yaml.CSafeLoader if loader == "libyaml" else yaml.SafeLoader)
        assert read(text, "mc.yaml") == desired
        assert read(b"# a comment\n---\n" + text, "currentconfig") == desired


@given(configs(), st.data())
def test_a_truncated_json_file_never_asks_for_something_else(config, data):
    tree, desired = config
    text = json.dumps(tree, indent=data.draw(st.sampled_from([None, 1]))).encode() + b"\n"
    for _ in range(20):
        cut = text[: data.draw(st.integers(0, len(text) - 1))]
        expected = desired if cut == text[:-1] else None
        for source in ("mc.json", "currentconfig", "mc.yaml"):
            assert read(cut, source) == expected


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.binary(max_size=200))
@example(text=b"")
@example(text=b"\xef\xbb\xbf")
@example(text=b"\xff\xfe{\0}\0")
@example(text=b'{"a": 1e999, "b": -0}')
@example(text=b"a: \xef\xbb\xbfb")
def test_any_bytes_in_a_file_are_desired_absent_or_invalid(tmp_path, text):
    path = tmp_path / "mc"
    path.write_bytes(text)
    if text.strip():
        assert read(text, str(path)) is None
        with pytest.raises(ConfigInvalid, match=f"^{re.escape(str(path))}:"):
            read_alone(path)
    else:
        assert read_alone(path) == Absent(f"{path} is empty")


PIECES = st.sampled_from(
    (
        *"{}[],:&*!|>?-\"'#%@` \n\t\\ax1~",
        *(
            "a: ",
            "- ",
            "? ",
            ": ",
            "\n  ",
            "\n    ",
            "&a ",
            "*a",
            "<<: ",
            "*a : ",
            "---\n",
            "...\n",
            "spec: {",
            "kind: ",
        ),
        *("!!int ", "!!float ", "!!null ", "!!map ", "!<x> ", "%YAML 1.1\n", ".inf", ".nan", "1:1", "0x", "1e3", "NaN"),
        *('"\\ud800"', '"\\UFFFFFFFF"', "true", "\r\n", "\x85", "\u2028", "\ufeff", "\x7f"),
    )
)


@settings(max_examples=400)
@given(
    st.lists(PIECES, max_size=25), st.sampled_from(["mc.yaml", "mc.json", "mc"]), st.sampled_from(["libyaml", "pure"])
)
def test_any_heap_of_syntax_is_refused_without_a_crash(pieces, source, loader):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(yamltext, "_LOADER", yaml.CSafeLoader if loader == "libyaml" else yaml.SafeLoader)
        assert read("".join(pieces).encode(), source) is None


@given(configs(), st.sampled_from(["yaml", "json"]), st.data())
def test_a_damaged_config_is_read_or_refused_without_a_crash(config, form, data):
    tree, _ = config
    text = bytearray((json.dumps(tree) if form == "json" else yaml.safe_dump(tree)).encode())
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(text)))
        end = data.draw(st.integers(start, min(len(text), start + 5)))
        text[start:end] = data.draw(st.binary(max_size=3) | st.sampled_from(string.punctuation).map(str.encode))
    read(bytes(text), f"mc.{form}")


@given(st.integers(80, 120), st.lists(st.sampled_from(["[", '{"k":']), min_size=120, max_size=120), st.data())
def test_the_depth_of_json_is_counted_exactly(levels, openers, data):
    strings = st.text('[]{}"\\n,:/ubr', max_size=12).map(json.dumps)
    opened = openers[: levels - 1]
    inner = data.draw(strings)
    closed = "".join("]" if opener == "[" else "}" for opener in reversed(opened))
    text = '{"a": ' + "".join(opened) + inner + closed + ', "b": ' + data.draw(strings) + "}"
    with pytest.raises(ConfigInvalid) as caught:
        parse_alone(text.encode(), "mc.json")
    assert ("nesting deeper" in caught.value.failure.message) == (levels > tree.MAX_DEPTH)
    assert ("kind: found nothing" in caught.value.failure.message) == (levels <= tree.MAX_DEPTH)


@given(ANYTHING, st.sampled_from(["json", "yaml"]))
def test_what_is_refused_is_placed_where_it_stands(tree, form):
    marked = {"x": tree, "apiVersion": "machineconfiguration.openshift.io/v1", "metadata": {"name": "n"}}
    marked |= {"kind": "MachineConfig", "spec": {"y": tree, "kernelType": "@here@", "z": tree}}
    text = json.dumps(marked, indent=2) if form == "json" else yaml.safe_dump(marked, width=10**6)
    with pytest.raises(ConfigInvalid) as caught:
        parse_alone(text.encode(), f"mc.{form}")
    offset = text.index("@here@") - 1
    line = text.count("\n", 0, offset) + 1
    column = offset - text.rfind("\n", 0, offset)
    assert (caught.value.line, caught.value.column) == (line, column)
