"""All targets, by the names of their corpora."""

from collections.abc import Mapping
from types import MappingProxyType

from tests.fuzz import buses, configs, images, servers, systems, talk
from tests.fuzz.verdict import Target

TARGETS: Mapping[str, Target] = MappingProxyType(
    {
        "authentication": buses.authentication,
        "commit": images.commit,
        "control": servers.control,
        "control_answers": servers.control_answers,
        "deployments": buses.deployments,
        "documents": images.documents,
        "host_files": configs.host_files,
        "http": servers.http,
        "keys": images.keys,
        "layer": images.layer,
        "machine_config": configs.machine_config,
        "messages": buses.messages,
        "os_answers": systems.answers,
        "os_layer": systems.layer,
        "package": images.package,
        "policy": configs.policy,
        "proxy": talk.proxy,
        "record": configs.record,
        "reference": configs.reference,
        "repository": systems.repository,
        "settings": configs.settings,
        "transaction": buses.transaction,
        "worker_answers": talk.answers,
        "worker_request": talk.request,
    }
)
