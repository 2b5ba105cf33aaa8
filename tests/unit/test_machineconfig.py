"""Promise 4: unknown is not default. What cannot be believed is refused, with its place."""

import json
import os
import re
from pathlib import Path

import pytest
import yaml

from mcd_rt.desired import machineconfig, yamltext
from mcd_rt.desired.machineconfig import Absent
from mcd_rt.errors import Code, ConfigInvalid
from mcd_rt.model.desired import Desired
from mcd_rt.model.kernel import KernelType
from tests.unit.configs import parse_alone, read_alone

HEAD = "apiVersion: machineconfiguration.openshift.io/v1\nkind: MachineConfig\nmetadata:\n  name: 99-worker-rt\n"
JSON_HEAD = (
    '{"apiVersion": "machineconfiguration.openshift.io/v1", "kind": "MachineConfig",\n "metadata": {"name": "m"},\n'
)
RENDERED = {
    "kind": "MachineConfig",
    "apiVersion": "machineconfiguration.openshift.io/v1",
    "metadata": {"name": "rendered-worker-0123", "creationTimestamp": None, "labels": {"a": "b"}},
    "spec": {
        "osImageURL": "registry.example/os@sha256:" + "a" * 64,
        "baseOSExtensionsContainerImage": "registry.example/extensions@sha256:" + "b" * 64,
        "config": {"ignition": {"version": "3.2.0"}, "storage": {"files": [{"path": "/etc/\u2603", "mode": 420}]}},
        "kernelArguments": ["nohz=on", "isolcpus=managed_irq,2-5 skew_tick=1"],
        "extensions": [],
        "fips": True,
        "kernelType": "realtime",
    },
}


@pytest.fixture(params=["libyaml", "pure"])
def loader(request, monkeypatch):
    """Each YAML test holds with libyaml and where it is missing."""
    monkeypatch.setattr(yamltext, "_LOADER", yaml.CSafeLoader if request.param == "libyaml" else yaml.SafeLoader)


def refused(text: str | bytes, source: str = "mc.yaml") -> ConfigInvalid:
    with pytest.raises(ConfigInvalid) as caught:
        parse_alone(text if isinstance(text, bytes) else text.encode(), source)
    assert caught.value.failure.code is Code.CONFIG_INVALID
    return caught.value


def assert_refused(error: ConfigInvalid, place: tuple[int, int], what: str, hint: str, source: str = "mc.yaml") -> None:
    line, column = place
    assert (error.line, error.column) == place
    assert error.failure.message == f"{source}:{line}:{column}: {what}"
    assert error.failure.hint == hint


# What is believed


def test_a_rendered_config_says_all_that_concerns_the_kernel():
    expected = Desired(
        name="rendered-worker-0123",
        kernel_type=KernelType.REALTIME,
        os_image="registry.example/os@sha256:" + "a" * 64,
        kernel_arguments=("nohz=on", "isolcpus=managed_irq,2-5", "skew_tick=1"),
        fips=True,
        extensions_image="registry.example/extensions@sha256:" + "b" * 64,
        added_arguments=("nohz=on", "isolcpus=managed_irq,2-5", "skew_tick=1"),
    )
    assert parse_alone(json.dumps(RENDERED).encode(), "/etc/machine-config-daemon/currentconfig") == expected
    assert parse_alone(yaml.safe_dump(RENDERED).encode(), "x.yaml") == expected


@pytest.mark.parametrize(
    "spec",
    [
        "",
        "spec:\n",
        "spec: {}\n",
        "spec: {kernelArguments: null, fips: null, kernelType: null, baseOSExtensionsContainerImage: null}\n",
    ],
)
def test_absent_and_null_are_the_defaults(loader, spec):
    assert parse_alone((HEAD + spec).encode(), "mc.yaml") == Desired("99-worker-rt", KernelType.DEFAULT, "", (), None)


@pytest.mark.parametrize(("said", "fips"), [("null", None), ("false", False), ("true", True)])
def test_fips_is_silent_false_or_true(loader, said, fips):
    assert parse_alone(f"{HEAD}spec: {{fips: {said}}}\n".encode(), "mc.yaml").fips is fips


def test_an_extensions_image_may_stand_alone(loader):
    text = f"{HEAD}spec: {{baseOSExtensionsContainerImage: registry.example/extensions}}\n"
    desired = parse_alone(text.encode(), "mc.yaml")
    assert (desired.os_image, desired.extensions_image) == ("", "registry.example/extensions")


def test_kernel_arguments_are_single_ones_in_their_order_with_their_quotes(loader):
    text = f"""{HEAD}spec:
  kernelArguments:
  - ' a  b=1\ta '
  - ''
  - dyndbg="file a.c +p" quiet
  - "a"
"""
    assert parse_alone(text.encode(), "mc.yaml").kernel_arguments == (
        "a",
        "b=1",
        "a",
        'dyndbg="file a.c +p"',
        "quiet",
        "a",
    )


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ("realtime: true", KernelType.REALTIME),
        ("realtime: yes", KernelType.REALTIME),
        ("realtime: false", KernelType.DEFAULT),
        ("kernelType: ''", KernelType.DEFAULT),
        ("kernelType: default", KernelType.DEFAULT),
        ("kernelType: realtime", KernelType.REALTIME),
        ("kernelType: 64k-pages", KernelType.PAGES_64K),
        ("realtime: true, kernelType: realtime", KernelType.REALTIME),
        ("realtime: false, kernelType: ''", KernelType.DEFAULT),
        ("realtime: false, kernelType: default", KernelType.DEFAULT),
        ("realtime: null, kernelType: realtime", KernelType.REALTIME),
        ("realtime: true, kernelType: null", KernelType.REALTIME),
    ],
)
def test_both_spellings_of_the_kernel_type(loader, spec, expected):
    assert parse_alone(f"{HEAD}spec: {{{spec}}}\n".encode(), "mc.yaml").kernel_type is expected


@pytest.mark.parametrize(
    ("realtime", "named"),
    [("true", "default"), ("true", '""'), ("true", "64k-pages"), ("false", "realtime"), ("false", "64k-pages")],
)
def test_spellings_that_disagree_name_both_places(loader, realtime, named):
    error = refused(f"{HEAD}spec:\n  realtime: {realtime}\n  kernelType: {named}\n")
    kernel_type = "realtime" if realtime == "true" else "default"
    assert_refused(
        error,
        (7, 15),
        f"spec.kernelType: found {named.strip(chr(34))!r}, but spec.realtime in line 6, column 13 is {realtime}, "
        f"which asks for {kernel_type}; expected both to agree",
        "keep only one of the two",
    )


def test_everything_else_is_ignored_whatever_its_type(loader):
    text = HEAD + (
        "spec:\n  kernelType: realtime\n  config: 7\n"
        "  otherExtensions: {a: [1.5, .5e+3, 0x1F, 0644, 0b1, 1:30, 2020-01-01, ~, !!str 5, ! x]}\n"
        "  kerneltype: 64k-pages\nstatus: [[]]\n1: 2\n? on\n: off\n"
    )
    assert parse_alone(text.encode(), "mc.yaml").kernel_type is KernelType.REALTIME


def test_aliases_and_merge_keys_mean_what_they_mean(loader):
    text = HEAD + (
        "x: &rt {kernelType: realtime, fips: false}\ny: &other {fips: true, osImageURL: &key a}\n"
        "spec:\n  <<: [*rt, *other]\n  kernelArguments: [*key, &k b, *k]\n  *key : c\n  &end z: *k\n"
    )
    assert parse_alone(text.encode(), "mc.yaml") == Desired(
        "99-worker-rt", KernelType.REALTIME, "a", ("a", "b", "b"), False, added_arguments=("a", "b", "b")
    )


def test_own_keys_count_over_merged_ones_wherever_they_stand(loader):
    text = HEAD + "x: &rt {kernelType: realtime}\nspec: {kernelType: default, <<: *rt}\n"
    assert parse_alone(text.encode(), "mc.yaml").kernel_type is KernelType.DEFAULT


def test_a_quoted_merge_key_is_an_ordinary_key(loader):
    text = HEAD + "spec: {'<<': {kernelType: realtime}}\n"
    assert parse_alone(text.encode(), "mc.yaml").kernel_type is KernelType.DEFAULT


# Which format it is


def test_json_is_known_by_its_beginning_without_a_name():
    assert parse_alone(json.dumps(RENDERED, indent="\t").encode(), "currentconfig").fips


def test_yaml_is_known_by_its_beginning_without_a_name(loader):
    assert parse_alone(
        b"{kind: MachineConfig, apiVersion: machineconfiguration.openshift.io/v1, metadata: {name: n}}", "x"
    )


def test_json_that_yaml_refuses_may_be_named_yaml():
    text = json.dumps({**RENDERED, "emoji": "\U0001f600"})
    assert "\\ud83d" in text
    assert parse_alone(text.encode(), "mc.yaml").fips


def test_yaml_that_begins_like_json_may_be_named_yaml(loader):
    text = '{"kind": MachineConfig, "apiVersion": machineconfiguration.openshift.io/v1, "metadata": {name: n}} # yes'
    assert parse_alone(text.encode(), "mc.yml").name == "n"
    assert_refused(refused(text, "mc"), (1, 10), "not JSON: expecting value, found 'MachineConfig, \"apiV'", "", "mc")


def test_a_file_named_json_is_never_yaml():
    assert_refused(
        refused(HEAD, "mc.json"), (1, 1), "not JSON: expecting value, found 'apiVersion: machinec'", "", "mc.json"
    )


# What is refused: its types


BAD_FIELDS = [
    ("realtime", '"true"', "found 'true', expected true or false", "remove the quotes"),
    ("realtime", "1", "found the number 1, expected true or false", ""),
    ("realtime", "[]", "found a list, expected true or false", ""),
    ("fips", '"maybe"', "found 'maybe', expected true or false", ""),
    ("kernelType", "true", "found true, expected text", "put it in quotes"),
    ("kernelType", "64", "found the number 64, expected text", "put it in quotes"),
    ("kernelType", "0.5", "found the number 0.5, expected text", "put it in quotes"),
    ("kernelType", '["realtime"]', "found a list, expected text", ""),
    ("kernelType", '{"a": 1}', "found a mapping, expected text", ""),
    ("kernelType", '"realtime\\n"', "found 'realtime\\n', expected one line without control characters", ""),
    ("osImageURL", "5", "found the number 5, expected text", "put it in quotes"),
    ("baseOSExtensionsContainerImage", "[]", "found a list, expected text", ""),
    ("osImageURL", '"a\\u007fb"', "found 'a\\x7fb', expected one line without control characters", ""),
    ("kernelArguments", '"nohz=on"', "found 'nohz=on', expected a list of texts", ""),
    ("kernelArguments", '{"nohz": true}', "found a mapping, expected a list of texts", ""),
]
NO_SUCH_KERNEL = 'expected one of default, realtime, 64k-pages or ""'
BAD_KERNELS = [
    ("realtme", "did you mean realtime?"),
    ("Realtime", "did you mean realtime?"),
    (" realtime", "did you mean realtime?"),
    ("rt", "did you mean realtime?"),
    ("64k", "did you mean 64k-pages?"),
    ("DEFAULT", "did you mean default?"),
    ("xyzzy", ""),
]


@pytest.mark.parametrize(("field", "value", "what", "hint"), BAD_FIELDS)
def test_a_wrong_type_in_json(field, value, what, hint):
    error = refused(
        f'{JSON_HEAD}"x": ["]", {{"spec": 1}}], "spec": {{"a": "\\"{{",\n  "{field}": {value}}}}}', "mc.json"
    )
    assert_refused(error, (4, len(field) + 7), f"spec.{field}: {what}", hint, "mc.json")


@pytest.mark.parametrize(("field", "value", "what", "hint"), BAD_FIELDS)
def test_a_wrong_type_in_yaml(loader, field, value, what, hint):
    error = refused(f"{HEAD}x: [']', {{spec: 1}}]\nspec:\n  a: '{{'\n  {field}: {value}\n")
    assert_refused(error, (8, len(field) + 5), f"spec.{field}: {what}", hint)


@pytest.mark.parametrize(("named", "hint"), BAD_KERNELS)
def test_an_unknown_kernel_type(loader, named, hint):
    what = f"spec.kernelType: found {named!r}, {NO_SUCH_KERNEL}"
    assert_refused(refused(f'{HEAD}spec:\n  kernelType: "{named}"\n'), (6, 15), what, hint)
    assert_refused(
        refused(f'{JSON_HEAD}"spec": {{"kernelType":\n"{named}"}}}}', "mc.json"), (4, 1), what, hint, "mc.json"
    )


def test_a_long_value_is_shown_in_part(loader):
    assert_refused(
        refused(f"{HEAD}spec:\n  kernelType: {'r' * 100_000}\n"),
        (6, 15),
        f"spec.kernelType: found '{'r' * 57}'..., {NO_SUCH_KERNEL}",
        "",
    )


def test_a_huge_number_is_not_spelled_out(loader):
    error = refused(f"{HEAD}spec:\n  kernelType: 0x{'f' * 5000}\n")
    assert_refused(error, (6, 15), "spec.kernelType: found a very large number, expected text", "put it in quotes")


@pytest.mark.parametrize(
    ("item", "what", "hint"),
    [
        ("5", "found the number 5, expected text", "put it in quotes"),
        ("null", "found null, expected text", ""),
        ("[]", "found a list, expected text", ""),
        ('"a\\nb"', "found 'a\\nb', expected one line without control characters", ""),
        ('"a\\u0000b"', "found 'a\\x00b', expected one line without control characters", ""),
        ('"a\\u00a0b"', "found 'a\\xa0b': it has the character '\\xa0', which no kernel argument can have", ""),
        ('"a=\\"b c"', "found 'a=\"b c': a double quote is not closed", ""),
    ],
)
def test_a_kernel_argument_that_is_none(loader, item, what, hint):
    what = f"spec.kernelArguments[1]: {what}"
    assert_refused(refused(f"{HEAD}spec:\n  kernelArguments:\n  - ok\n  - {item}\n"), (8, 5), what, hint)
    error = refused(f'{JSON_HEAD}"spec": {{"kernelArguments": ["ok", {item}]}}}}', "mc.json")
    assert_refused(error, (3, 36), what, hint, "mc.json")


def test_half_a_character_is_not_text():
    error = refused(f'{JSON_HEAD}"spec": {{"kernelArguments": ["\\ud800"]}}}}', "mc.json")
    what = "spec.kernelArguments[0]: found '\\ud800', expected one line without control characters"
    assert_refused(error, (3, 30), what, "", "mc.json")


def test_a_value_in_an_alias_is_placed_where_the_alias_stands(loader):
    error = refused(f"x: &spec {{kernelType: 5}}\n{HEAD}spec: *spec\n")
    assert_refused(error, (6, 7), "spec.kernelType: found the number 5, expected text", "put it in quotes")


# What is refused: not a MachineConfig


@pytest.mark.parametrize(
    ("text", "place", "what"),
    [
        ("kind: Pod\n", (1, 7), "kind: found 'Pod', expected MachineConfig"),
        ("\na: 1\n", (2, 1), "kind: found nothing, expected MachineConfig"),
        ("kind: [MachineConfig]\n", (1, 7), "kind: found a list, expected MachineConfig"),
        ("kind: MachineConfig\n", (1, 1), "apiVersion: found nothing, expected machineconfiguration.openshift.io/v1"),
        (
            "kind: MachineConfig\napiVersion: v1\n",
            (2, 13),
            "apiVersion: found 'v1', expected machineconfiguration.openshift.io/v1",
        ),
        (
            HEAD.replace("  name: 99-worker-rt", "  labels: {}"),
            (4, 3),
            "metadata.name: found nothing, expected the name of the MachineConfig",
        ),
        (
            HEAD.replace("99-worker-rt", "''"),
            (4, 9),
            "metadata.name: found '', expected the name of the MachineConfig",
        ),
        (
            HEAD.replace("metadata:\n  name: 99-worker-rt\n", "metadata: [1]\n"),
            (3, 11),
            "metadata: found a list, expected a mapping",
        ),
        (HEAD + "spec: on\n", (5, 7), "spec: found true, expected a mapping"),
        ("- kind: MachineConfig\n", (1, 1), "found a list, expected a mapping, which a MachineConfig is"),
        ("\n just words\n", (2, 2), "found 'just words', expected a mapping, which a MachineConfig is"),
        ("# a comment\n", (1, 1), "found nothing, expected a mapping, which a MachineConfig is"),
        ("", (1, 1), "found nothing, expected a mapping, which a MachineConfig is"),
    ],
)
def test_not_a_machine_config(loader, text, place, what):
    assert_refused(refused(text), place, what, "")


def test_json_that_is_no_object():
    error = refused('\n ["MachineConfig"]', "mc.json")
    assert_refused(error, (2, 2), "found a list, expected a mapping, which a MachineConfig is", "", "mc.json")


# What is refused: duplicate keys


@pytest.mark.parametrize(
    ("text", "place", "what"),
    [
        ("kind: a\nkind: a\n", (2, 1), "kind: found the key twice, first in line 1, expected it once"),
        (
            HEAD + "spec:\n  kernelType: realtime\n  fips: true\n  kernelType: default\n",
            (8, 3),
            "spec.kernelType: found the key twice, first in line 6, expected it once",
        ),
        ("a: [1, {b: 1,\n 'b': 2}]\n", (2, 2), "a[1].b: found the key twice, first in line 1, expected it once"),
        ("a: &x b\n*x : 1\nb: 2", (3, 1), "b: found the key twice, first in line 2, expected it once"),
        ("'': 1\n'': 2\n", (2, 1), "'': found the key twice, first in line 1, expected it once"),
    ],
)
def test_duplicate_keys_in_yaml(loader, text, place, what):
    assert_refused(refused(text), place, what, "keep one of them")


@pytest.mark.parametrize(
    ("text", "place", "what"),
    [
        ('{"kind": 1,\n "kind": 1}', (2, 2), "kind: found the key twice, first in line 1, expected it once"),
        (
            '{"spec": {"x": {"a": 0}, "kernelType": "realtime",\n"kernel\\u0054ype": "default"}}',
            (2, 1),
            "spec.kernelType: found the key twice, first in line 1, expected it once",
        ),
        (
            '{"a": [1, "\\\\\\"{", {"b": {}, "c": [],\n   "b": 2}]}',
            (2, 4),
            "a[2].b: found the key twice, first in line 1, expected it once",
        ),
    ],
)
def test_duplicate_keys_in_json(text, place, what):
    assert_refused(refused(text, "mc.json"), place, what, "keep one of them", "mc.json")


# What is refused: cut off, too much, too deep, not text


CUT_OFF = "the file seems to be cut off: write it again, whole"


@pytest.mark.parametrize(
    ("text", "place", "what"),
    [
        ('{"kind": "Mach', (1, 10), "found no end of the string that starts here, expected '\"'"),
        ('{"kind": tr', (1, 10), "not JSON: expecting value, found the end of the file"),
        ('{"a": 1,\n "b": {"c": 2\n', (3, 1), "not JSON: expecting ',' delimiter, found the end of the file"),
        ('{"a"', (1, 5), "not JSON: expecting ':' delimiter, found the end of the file"),
    ],
)
def test_a_truncated_json_file(text, place, what):
    assert_refused(refused(text, "mc.json"), place, what, CUT_OFF, "mc.json")


def test_a_truncated_yaml_file(loader):
    for text, place in (("a: [1,\n", (1, 7)), ('a: b\nc: "de', (2, 7)), ("a: {b: c", (1, 9)), ("{", (1, 2))):
        error = refused(text)
        assert (error.line, error.column) == place
        assert re.fullmatch(r"mc.yaml:\d+:\d+: not YAML: .+, found the end of the file", error.failure.message)
        assert error.failure.hint == CUT_OFF


def test_no_beginning_of_a_json_file_is_believed(tmp_path):
    text = json.dumps(RENDERED, indent=1).encode()
    path = tmp_path / "currentconfig"
    for length in range(len(text)):
        path.write_bytes(text[:length])
        if length:
            refused(text[:length], str(path))
        else:
            assert read_alone(path) == Absent(f"{path} is empty")


def test_json_that_is_wrong_says_what_was_expected():
    error = refused('{"a": 1,\n "b" 2}', "mc.json")
    assert_refused(error, (2, 6), "not JSON: expecting ':' delimiter, found '2}'", "", "mc.json")
    error = refused('{"a": "b\n"}', "mc.json")
    assert_refused(error, (1, 9), "not JSON: invalid control character, found ''", "", "mc.json")


def test_yaml_that_is_wrong_says_what_was_expected(loader):
    error = refused("a: b\nc: d: e\n")
    assert (error.line, error.column) == (2, 5)
    assert re.fullmatch(r"mc.yaml:2:5: not YAML: mapping values are not allowed .*, found ': e'", error.failure.message)


@pytest.mark.parametrize("second", ["kind: MachineConfig\n", ""])
def test_two_documents_in_yaml(loader, second):
    assert_refused(refused(f"---\n{HEAD}---\n{second}"), (6, 1), "found a second document, expected one", "")


def test_two_documents_in_json():
    error = refused('{"a": 1}\n{"b": 2}', "mc.json")
    assert_refused(error, (2, 1), "found a second document after the first, expected one JSON object", "", "mc.json")
    error = refused('{"a": 1}\n]', "mc.json")
    assert_refused(error, (2, 1), "found ']' after the first, expected one JSON object", "", "mc.json")


TOO_DEEP = "found nesting deeper than 100 levels, expected a MachineConfig, which needs about ten"


@pytest.mark.parametrize("levels", [100, 100_000])
def test_absurd_nesting_in_yaml(loader, levels):
    error = refused("a: " + "[" * levels)
    assert error.column in (103, 1003), "ours, or that of a libyaml that has its own"
    assert_refused(error, (1, error.column), TOO_DEEP, "")
    assert_refused(refused("a:\n- " + "- " * levels), (2, 199), TOO_DEEP, "")


@pytest.mark.parametrize("levels", [100, 100_000])
def test_absurd_nesting_in_json(levels):
    assert_refused(refused('{"a\\\\\\"":\n' + "[" * levels, "mc.json"), (2, 100), TOO_DEEP, "", "mc.json")
    deep = '{"a": ' + '{"b":' * levels + "1" + "}" * levels + "}"
    assert_refused(refused(deep, "mc.json"), (1, 502), TOO_DEEP, "", "mc.json")


def test_nesting_is_counted_outside_strings_and_up_to_the_limit():
    brackets = "[{" * 500
    fine = '{"a": ' + "[" * 99 + f'"\\\\", "{brackets}", "\\"{brackets}", "\\\\\\"{brackets}"' + "]" * 99
    error = refused(fine + ', "kind": 1}', "mc.json")
    assert "kind: found the number 1" in error.failure.message
    assert "kind: found nothing" in refused("a: " + "[" * 99 + "]" * 99).failure.message


def test_an_alias_bomb(loader):
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 30)]
    error = refused("\n".join(lines))
    what = "found aliases that repeat more than 1,048,576 characters and values, expected fewer"
    assert_refused(error, (6, 45), what, "write the values out")


def test_an_alias_bomb_of_one_long_text(loader):
    error = refused(f"a: &a {'x' * 1_000_000}\nb: [*a, *a]\n")
    what = "found aliases that repeat more than 1,048,576 characters and values, expected fewer"
    assert_refused(error, (2, 9), what, "write the values out")


@pytest.mark.parametrize(
    ("text", "place"),
    [("a: &x [1, *x]\n", (1, 11)), ("a: &x\n  b: {c: *x}\n", (2, 10)), ("&x a: &y\n  *y : 1\n", (2, 3))],
)
def test_a_recursive_alias(loader, text, place):
    name = text[text.index("*") + 1]
    assert_refused(
        refused(text), place, f"found the alias *{name} inside what it stands for, expected no recursion", ""
    )


def test_an_alias_of_nothing(loader):
    assert_refused(refused("a: *b\n"), (1, 4), "found the alias *b, expected its anchor before it", "")


def test_keys_that_are_no_text(loader):
    assert_refused(refused("{a: 1, [b]: 2}"), (1, 8), "found a list as a key, expected text", "")
    assert_refused(refused("? {a: 1}\n: 2\n"), (1, 3), "found a mapping as a key, expected text", "")
    assert_refused(refused("a: &x [1]\n*x : 2\n"), (2, 1), "found a list as a key, expected text", "")


def test_merging_what_is_no_mapping(loader):
    what = "to merge, expected a mapping or a list of mappings"
    assert_refused(refused("a: &x 1\nb: {<<: *x}"), (2, 5), f"found the number 1 {what}", "")
    assert_refused(refused("a: &x [{}, 1]\nb: {<<: *x}"), (2, 5), f"found a list {what}", "")


def test_tags_that_are_not_plain_yaml(loader):
    remove = "remove the tag"
    for text, tag in (
        ("a: !!python/object:os.system x", "tag:yaml.org,2002:python/object:os.system"),
        ("a: !x {}", "!x"),
    ):
        assert_refused(refused(text), (1, 4), f"found the tag {tag!r}, expected a value without one", remove)
    error = refused("a: !!map []")
    assert_refused(error, (1, 4), "found the tag 'tag:yaml.org,2002:map', expected a value without one", remove)


@pytest.mark.parametrize("value", ["NaN", "Infinity", "-Infinity"])
def test_nan_in_json(value):
    error = refused(f'{{"a": "NaN", "b": [1,\n {value}]}}', "mc.json")
    assert_refused(error, (2, 2), "b[1]: found NaN or infinity, expected a number JSON can express", "", "mc.json")


@pytest.mark.parametrize("value", [".nan", ".NaN", ".inf", "-.Inf", "!!float .nan"])
def test_nan_in_yaml(loader, value):
    error = refused(f"a: 'NaN'\nb: [1,\n {value}]\n")
    assert_refused(error, (3, 2), "b[1]: found NaN or infinity, expected a number JSON can express", "")


@pytest.mark.parametrize("digits", ["1" * 5000, "-" + "9" * 5000, "1e999", "0." + "1" * 5000])
def test_a_number_no_machine_holds_is_ignored_where_it_does_not_matter(digits):
    text = f'{JSON_HEAD}"x": {digits}, "spec": {{"kernelType": "realtime"}}}}'
    assert parse_alone(text.encode(), "mc.json").kernel_type is KernelType.REALTIME
    assert parse_alone(f"{HEAD}x: {digits}\n".encode(), "mc.yaml").name == "99-worker-rt"


def test_a_fault_before_a_syntax_error_is_the_one_named():
    error = refused('{"a": [NaN}', "mc.json")
    assert_refused(error, (1, 8), "a[0]: found NaN or infinity, expected a number JSON can express", "", "mc.json")
    error = refused('{"a": NaN&}]', "mc.json")
    assert_refused(error, (1, 7), "a: found NaN or infinity, expected a number JSON can express", "", "mc.json")
    error = refused('{"a": 1, "a": 2}}]', "mc.json")
    assert_refused(
        error, (1, 10), "a: found the key twice, first in line 1, expected it once", "keep one of them", "mc.json"
    )


def test_scalars_that_are_not_what_their_tags_say_stay_text(loader):
    for value in ("!!int x", "!!int ''", "!!float ''", "!!bool banana", "0b_", "1:" + "30:" * 1000 + "1", "1:1.5"):
        error = refused(f"{HEAD}spec:\n  realtime: {value}\n")
        assert error.failure.message.startswith("mc.yaml:6:13: spec.realtime: found '")


@pytest.mark.parametrize(
    ("text", "place", "byte"),
    [(b"a: b\nc: \xff\n", (2, 4), "ff"), ("ä: ö".encode() + b"\xc3(", (1, 5), "c3"), (b"\x80", (1, 1), "80")],
)
def test_invalid_utf8(text, place, byte):
    assert_refused(refused(text), place, f"found the byte 0x{byte}, expected UTF-8", "save it as UTF-8")


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_a_byte_order_mark(encoding):
    error = refused(HEAD.encode(encoding))
    assert_refused(error, (1, 1), "found a byte order mark, expected plain UTF-8", "save it as UTF-8 without one")


def test_nul_bytes():
    hint = "a crash may have damaged the file: write it again, whole"
    assert_refused(refused(b"\0" * 4096), (1, 1), "found a NUL byte, expected text", hint)
    assert_refused(refused(b'{"a":\n "\0"}', "mc.json"), (2, 3), "found a NUL byte, expected text", hint, "mc.json")


def test_characters_that_yaml_does_not_have(loader):
    assert_refused(refused("a: b\nc: '\x1b'\n"), (2, 5), "found the character '\\x1b', expected text", "")


def test_an_escape_that_is_no_character(loader):
    error = refused('a: "\\UFFFFFFFF"\n')
    assert error.failure.message.startswith("mc.yaml:1:")
    assert ": not YAML: " in error.failure.message


def test_too_large():
    error = refused(b"a: '" + b"x" * (4 << 20) + b"'")
    assert (error.line, error.column) == (None, None)
    assert error.failure.message == "mc.yaml: is larger than 4 MiB of YAML"
    assert error.failure.hint == "write it as JSON"
    error = refused(b" " * (64 << 20) + b"{", "mc.json")
    assert error.failure.message == "mc.json: is larger than 64 MiB, expected a MachineConfig"


def test_five_megabytes_of_json_are_fine():
    text = json.dumps({**RENDERED, "x": [{"source": "data:," + "a%20" * 200}] * 6000})
    assert parse_alone(text.encode(), "currentconfig").fips


# Files


def test_a_missing_or_empty_file_is_waited_for(tmp_path):
    path = tmp_path / "mc"
    assert read_alone(path) == Absent(f"{path} does not exist")
    assert read_alone(tmp_path / "no" / "mc") == Absent(f"{tmp_path}/no/mc does not exist")
    for text in ("", " \n\t\n"):
        path.write_text(text)
        assert read_alone(path) == Absent(f"{path} is empty")


def test_a_file_is_read_and_named_in_errors(tmp_path):
    path = tmp_path / "mc.yaml"
    path.write_text(HEAD)
    assert read_alone(path) == Desired("99-worker-rt", KernelType.DEFAULT, "", (), None)
    path.write_text("kind: Pod")
    with pytest.raises(ConfigInvalid, match=f"^{re.escape(str(path))}:1:7: kind"):
        read_alone(path)


def unreadable(path: Path) -> str:
    with pytest.raises(ConfigInvalid) as caught:
        read_alone(path)
    assert (caught.value.line, caught.value.column) == (None, None)
    return caught.value.failure.message


def test_a_file_that_cannot_be_read_says_why(tmp_path, monkeypatch):
    assert unreadable(tmp_path) == f"{tmp_path}: cannot be read: Is a directory"
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    assert unreadable(loop) == f"{loop}: cannot be read: Too many levels of symbolic links"
    file = tmp_path / "file"
    file.touch()
    assert unreadable(file / "mc") == f"{file}/mc: cannot be read: Not a directory"

    def denied(*_arguments):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(machineconfig.os, "open", denied)
    assert unreadable(file) == f"{file}: cannot be read: Permission denied"


def test_a_fifo_is_refused_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "fifo")
    assert unreadable(tmp_path / "fifo") == f"{tmp_path}/fifo: cannot be read: Not a regular file"


def test_no_more_is_read_than_may_be_parsed(tmp_path):
    with (tmp_path / "mc").open("wb") as file:
        file.write(b"{")
        file.truncate(1 << 40)
    assert unreadable(tmp_path / "mc") == f"{tmp_path}/mc: is larger than 64 MiB, expected a MachineConfig"


def test_a_strange_file_name_does_not_break_the_message(tmp_path):
    path = tmp_path / "a\nb\udcff"
    assert read_alone(path) == Absent(f"{tmp_path}/a\\nb\\udcff does not exist")
