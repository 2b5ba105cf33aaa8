"""The rules for the Prometheus operator, out of those for a plain Prometheus."""

_HEAD = """\
# Made of {source} by `tox -e dashboard -- --write`: edit that. For the Prometheus operator.
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  name: mcd-rt
  namespace: mcd-rt-monitoring
  labels: {{app: mcd-rt-metrics}}
spec:
"""


def prometheus_rule(rules: str, source: str) -> str:
    """The manifest of a rules file, both as YAML; its comments stay where they are."""
    _, groups, rest = rules.partition("groups:\n")
    indented = (f"  {line}" if line.strip() else line for line in (groups + rest).splitlines(keepends=True))
    return _HEAD.format(source=source) + "".join(indented)
