"""The dashboard of all nodes: titles, queries, units."""

from panels import Form, Rows, number, panel

_F = '{job=~"$job"}'
_SAME_TYPE = "on (job, instance, kernel_type)"


def _slow(buckets: str, *labels: str) -> str:
    """What 9 of 10 stay below, for each value of some labels."""
    by = ", ".join(("le", *labels))
    return f"histogram_quantile(0.9, sum by ({by}) (rate({buckets}{_F}[$__rate_interval])))"


FLEET: Rows = (
    (
        "Now",
        (
            number("Nodes with an agent", f"count(mcd_rt_up{_F} == 1) or vector(0)"),
            number(
                "On the kernel asked for",
                f"count(mcd_rt_desired_kernel_type{_F} == 1 and {_SAME_TYPE} mcd_rt_running_kernel_type == 1)"
                " or vector(0)",
            ),
            number(
                "On another kernel",
                f"count(mcd_rt_desired_kernel_type{_F} == 1 unless {_SAME_TYPE} mcd_rt_running_kernel_type == 1)"
                " or vector(0)",
                bad=1,
            ),
            number(
                "Wait for a reboot",
                'count(mcd_rt_state{job=~"$job",state="staged"} == 1) or vector(0)',
            ),
            number(
                "Need a person",
                'count(mcd_rt_state{job=~"$job",state=~"blocked|held"} == 1) or vector(0)',
                about="States blocked and held.",
                bad=1,
            ),
            number(
                "Alerts that fire",
                'count(ALERTS{alertname=~"McdRt.*",alertstate="firing"}) or vector(0)',
                about="Of packaging/monitoring/mcd-rt.rules.yaml, where this Prometheus has them.",
                bad=1,
            ),
            panel("States", Form.STACK, (f"sum by (state) (mcd_rt_state{_F}) > 0", "{{state}}"), width=12),
            panel(
                "Kernels",
                Form.CURVES,
                (f"sum by (kernel_type) (mcd_rt_running_kernel_type{_F})", "runs {{kernel_type}}"),
                (f"sum by (kernel_type) (mcd_rt_desired_kernel_type{_F})", "asked for {{kernel_type}}"),
                width=12,
            ),
            panel(
                "Nodes with a failure that is not resolved",
                Form.TABLE,
                (f"mcd_rt_active_failure{_F} == 1", ""),
                about="`mcd-rt explain CODE` says what to do.",
                width=12,
            ),
            panel(
                "Nodes on another kernel than asked for",
                Form.TABLE,
                (f"mcd_rt_desired_kernel_type{_F} == 1 unless {_SAME_TYPE} mcd_rt_running_kernel_type == 1", ""),
                width=12,
            ),
        ),
    ),
    (
        "Switches",
        (
            number(
                "Came up in the last day",
                f"count(time() - mcd_rt_verified_timestamp_seconds{_F} < 86400) or vector(0)",
                about="Switches that were seen to run after their reboot.",
            ),
            number("Reboots in the last day", f"sum(mcd_rt_reboots_last_day{_F})"),
            number("Least reboots left", f"min(mcd_rt_reboot_budget_left{_F})", about="Of a node, in these 24 hours."),
            number("Least tries left", f"min(mcd_rt_target_tries_left{_F})", about="Of a node, for its target."),
            number("Median switch", f"quantile(0.5, mcd_rt_last_switch_duration_seconds{_F} > 0)", unit="s"),
            number("Longest switch", f"max(mcd_rt_last_switch_duration_seconds{_F})", unit="s"),
            panel(
                "Changes under way, by how far they came",
                Form.STACK,
                (f"sum by (phase) (mcd_rt_attempt_phase{_F})", "{{phase}}"),
                width=12,
            ),
            panel(
                "What reboots wait for",
                Form.STACK,
                (f"sum by (gate) (mcd_rt_reboot_gate{_F})", "{{gate}}"),
                width=12,
            ),
            panel(
                "Held by a person, and slots of locks that nodes have",
                Form.CURVES,
                (f"sum(mcd_rt_hold_active{_F})", "held"),
                (f"sum(mcd_rt_lock_held{_F})", "slots"),
                width=12,
            ),
            panel(
                "Longest wait for a reboot",
                Form.CURVES,
                (f"max(time() - (mcd_rt_staged_timestamp_seconds{_F} > 0)) or vector(0)", "staged"),
                unit="s",
                width=12,
            ),
            panel(
                "Switches: 9 of 10 are faster",
                Form.CURVES,
                (_slow("mcd_rt_switch_duration_seconds_bucket", "result"), "{{result}}"),
                unit="s",
                about="With all they waited for, boot included.",
            ),
            panel(
                "Hooks: 9 of 10 are faster",
                Form.CURVES,
                (_slow("mcd_rt_hook_duration_seconds_bucket", "occasion", "result"), "{{occasion}} {{result}}"),
                unit="s",
            ),
            panel(
                "Waits for a lock: 9 of 10 are shorter",
                Form.CURVES,
                (
                    _slow("mcd_rt_lock_wait_seconds_bucket"),
                    "wait",
                ),
                unit="s",
            ),
        ),
    ),
    (
        "Failures",
        (
            panel(
                "Failures, by code",
                Form.STACK,
                (f"sum by (code) (increase(mcd_rt_failures_total{_F}[$__rate_interval])) > 0", "{{code}}"),
                about="Counted from each start of the agent: what happened just before a reboot may be missing.",
                width=12,
            ),
            panel(
                "Passes that are tried again",
                Form.CURVES,
                ('sum(increase(mcd_rt_passes_total{job=~"$job",outcome="retry"}[$__rate_interval]))', "tried again"),
                (f"max(mcd_rt_consecutive_failures{_F})", "most in a row, of a node"),
                width=12,
            ),
        ),
    ),
    (
        "Content and transactions",
        (
            panel(
                "Fetched, by way",
                Form.CURVES,
                (f"sum by (way) (rate(mcd_rt_fetched_bytes_total{_F}[$__rate_interval]))", "{{way}}"),
                unit="Bps",
            ),
            panel(
                "Fetches: 9 of 10 are faster",
                Form.CURVES,
                (_slow("mcd_rt_fetch_duration_seconds_bucket", "way"), "{{way}}"),
                unit="s",
            ),
            panel(
                "Looked up in the cache",
                Form.STACK,
                (f"sum by (result) (increase(mcd_rt_cache_lookups_total{_F}[$__rate_interval]))", "{{result}}"),
            ),
            panel(
                "Transactions, by end",
                Form.STACK,
                (
                    f"sum by (method, outcome) (increase(mcd_rt_transactions_total{_F}[$__rate_interval])) > 0",
                    "{{method}} {{outcome}}",
                ),
            ),
            panel(
                "Transactions: 9 of 10 are faster",
                Form.CURVES,
                (_slow("mcd_rt_transaction_duration_seconds_bucket", "method"), "{{method}}"),
                unit="s",
            ),
            panel(
                "Waited for other clients",
                Form.CURVES,
                (f"sum(rate(mcd_rt_rpm_ostree_wait_seconds_sum{_F}[$__rate_interval]))", "seconds a second"),
                unit="s",
            ),
        ),
    ),
    (
        "Nodes and versions",
        (
            panel(
                "Least room in /boot",
                Form.TABLE,
                (f"bottomk(10, mcd_rt_boot_available_bytes{_F} + mcd_rt_boot_prunable_bytes)", ""),
                unit="bytes",
                about="What is free, and what dropping the rollback would give.",
            ),
            panel("Versions of mcd-rt", Form.TABLE, (f"count by (version) (mcd_rt_build_info{_F})", ""), unit="none"),
            panel(
                "Kernels and hosts",
                Form.TABLE,
                (f"count by (os_id, os_version, architecture, kernel_release) (mcd_rt_host_info{_F})", ""),
                unit="none",
            ),
        ),
    ),
)
