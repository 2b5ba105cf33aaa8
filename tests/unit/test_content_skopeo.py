"""skopeo is called so that it sees what the host sees, and nothing that is the worker's own."""

from pathlib import Path

from mcd_rt.content.skopeo import find_authfile, skopeo_for


def write(path: Path, text: str = '{"auths": {}}') -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return str(path)


def test_on_a_host_it_is_left_to_find_its_own_files():
    skopeo = skopeo_for("registry.example/os", "/", (), "aarch64", "/scratch")
    assert skopeo.verb("inspect", "--raw", "x") == (
        "skopeo", "--override-os", "linux", "--override-arch", "arm64", "inspect", "--raw", "x",
    )  # fmt: skip
    assert skopeo.policy == Path("/etc/containers/policy.json")


def test_below_another_root_it_is_told_where_everything_is(tmp_path):
    write(tmp_path / "etc/containers/certs.d/registry.example:5000/ca.crt")
    authfile = write(tmp_path / "auth.json")
    skopeo = skopeo_for("registry.example:5000/os", str(tmp_path), (authfile,), "x86_64", "/scratch")
    containers = f"{tmp_path}/etc/containers"
    assert skopeo.options[4:] == (
        "--policy", f"{containers}/policy.json", "--registries-conf", f"{containers}/registries.conf",
        "--registries.d", f"{containers}/registries.d",
    )  # fmt: skip
    assert skopeo.access == ("--cert-dir", f"{containers}/certs.d/registry.example:5000", "--authfile", authfile)


def test_the_first_pull_secret_that_holds_something_is_taken(tmp_path):
    empty, nothing = write(tmp_path / "empty", ""), write(tmp_path / "nothing", "{}\n")
    full, other = write(tmp_path / "full"), write(tmp_path / "other")
    absent = str(tmp_path / "absent")
    assert find_authfile((absent, empty, nothing, str(tmp_path), full, other), {}) == full
    assert find_authfile((absent, empty, nothing), {}) == ""
    assert find_authfile((), {}) == ""


def test_credentials_of_the_service_manager_are_where_it_says(tmp_path):
    secret = write(tmp_path / "credentials/pull-secret")
    other = write(tmp_path / "other")
    candidates = ("${CREDENTIALS_DIRECTORY}/pull-secret", other)
    assert find_authfile(candidates, {"CREDENTIALS_DIRECTORY": str(tmp_path / "credentials")}) == secret
    assert find_authfile(candidates, {"CREDENTIALS_DIRECTORY": str(tmp_path / "none")}) == other
    assert find_authfile(candidates, {}) == other


def test_proxies_are_those_of_the_node_and_the_rest_stays_here(tmp_path, monkeypatch):
    monkeypatch.setenv("HTTPS_PROXY", "http://service.example:1")
    monkeypatch.setenv("HTTP_PROXY", "http://service.example:1")
    monkeypatch.setenv("SSL_CERT_DIR", "/certificates")
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    for name in ("NO_PROXY", "http_proxy", "https_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("ANY_SECRET", "x")
    write(
        tmp_path / "etc/mco/proxy.env",
        'HTTPS_PROXY="http://proxy.example:3128"\nNO_PROXY=.cluster.local,10.0.0.0/8\nLD_PRELOAD=/x\nnonsense\n',
    )
    environment = skopeo_for("registry.example/os", str(tmp_path), (), "x86_64", "/scratch").environment
    assert {key: value for key, value in environment.items() if key != "PATH"} == {
        "HTTP_PROXY": "http://service.example:1",
        "HTTPS_PROXY": "http://proxy.example:3128",
        "NO_PROXY": ".cluster.local,10.0.0.0/8",
        "SSL_CERT_DIR": "/certificates",
        "HOME": "/nonexistent",
        "LC_ALL": "C",
        "TMPDIR": "/scratch",
    }
