"""A genuine Prometheus follows a host through a whole switch and its reboots, and knows afterwards what happened."""

from pathlib import Path

import pytest

from mcd_rt.model.kernel import KernelType
from tests.monitoring import DASHBOARDS, queries_of
from tests.system.container import why_not
from tests.system.host.scene import STEADY_DEFAULT, STEADY_REALTIME, Host
from tests.system.host.scraper import Scraper, scraping
from tests.unit.test_alerts import ALERTS

pytestmark = pytest.mark.skipif(bool(why_not()), reason=why_not())


def ask_all(prometheus: Scraper) -> list[str]:
    """Ask every query of the dashboards for the last minutes, as Grafana would; the panels that stay empty."""
    empty = []
    for dashboard in DASHBOARDS:
        for title, query in queries_of(dashboard):
            asked = query.replace("$job", ".*").replace("$instance", ".*").replace("$__rate_interval", "5m")
            if not prometheus.ask(f"count_over_time(({asked})[5m:250ms])"):
                empty.append(title)
    return empty


def test_a_switch_and_its_reboots_as_prometheus_tells_them(host: Host, tmp_path: Path):
    (host.machine.etc / "simulated-rpm-ostreed").write_text("0.2 2024.9\n")
    with scraping(host.machine, tmp_path / "prometheus") as prometheus:
        host.boot()
        prometheus.wait_for('mcd_rt_state{state="waiting"} == 1')
        (host.machine.etc / "mcd-rt/machineconfig.d/99-worker-realtime-kernel.yaml").write_text("spec: [")
        prometheus.wait_for('mcd_rt_active_failure{code="config-invalid"} == 1')
        assert prometheus.wait_for('ALERTS{alertname="McdRtConfigInvalid"}')
        host.ask_for(KernelType.REALTIME)
        prometheus.wait_for('mcd_rt_state{state="staging"} == 1')
        assert prometheus.ask("mcd_rt_desired_kernel_type == 1 unless mcd_rt_running_kernel_type == 1") == {
            "realtime": 1
        }
        pending = prometheus.wait_for('ALERTS{alertname="McdRtKernelMismatch"}')
        assert pending == {"McdRtKernelMismatch,pending,realtime,critical": 1}
        host.wait_reboot()
        host.journal.wait_for(STEADY_REALTIME)
        prometheus.wait_for('mcd_rt_running_kernel_type{kernel_type="realtime"} == 1')
        prometheus.wait_for('mcd_rt_state{state="steady"} == 1')
        assert prometheus.ask("mcd_rt_reboots_last_day") == {"": 1}
        assert prometheus.ask("mcd_rt_active_failure == 1") == {}
        host.ask_for(KernelType.DEFAULT)
        host.wait_reboot()
        host.journal.wait_for(STEADY_DEFAULT)
        prometheus.wait_for('mcd_rt_running_kernel_type{kernel_type="default"} == 1')
        prometheus.wait_for("mcd_rt_reboots_last_day == 2")
        assert prometheus.ask("changes(mcd_rt_start_timestamp_seconds[5m])") == {"": 2}
        seen = prometheus.ask("max_over_time(mcd_rt_state[5m]) == 1")
        assert {"waiting", "staging", "steady"} <= set(seen)
        assert "held" not in seen
        assert prometheus.ask("mcd_rt_last_switch_duration_seconds > 0")
        empty = ["The reboot waits for", "Looks again in"]
        assert ask_all(prometheus) == empty, "panels that stay empty: nothing was waited for, nothing tried again"
        assert prometheus.ask('ALERTS{alertstate="firing"}') == {}
        seen = [alert["alert"] for alert in ALERTS if prometheus.ask(alert["expr"])]
        assert seen == ["McdRtSwitchFailing"], "it was blocked a moment ago, which is not half an hour"
