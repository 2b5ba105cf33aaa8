"""The dashboard of one node: titles, queries, units."""

from panels import Form, Rows, number, panel

_N = '{job=~"$job",instance=~"$instance"}'

NODE: Rows = (
    (
        "Now",
        (
            panel("State", Form.WORD, (f"mcd_rt_state{_N} == 1", "{{state}}"), width=4),
            panel("Asked for", Form.WORD, (f"mcd_rt_desired_kernel_type{_N} == 1", "{{kernel_type}}"), width=4),
            panel("Runs", Form.WORD, (f"mcd_rt_running_kernel_type{_N} == 1", "{{kernel_type}}"), width=4),
            panel("Staged", Form.WORD, (f"mcd_rt_staged_kernel_type{_N} == 1", "{{kernel_type}}"), width=4),
            panel(
                "Not resolved",
                Form.WORD,
                (f"mcd_rt_active_failure{_N} == 1", "{{code}}"),
                about="`mcd-rt explain CODE` says what to do.",
                width=8,
            ),
            panel("States", Form.TIMELINE, (f"mcd_rt_state{_N} == 1", "{{state}}"), width=24),
            panel("Kernels", Form.TIMELINE, (f"mcd_rt_running_kernel_type{_N} == 1", "{{kernel_type}}"), width=12),
            panel("Failures", Form.TIMELINE, (f"mcd_rt_active_failure{_N} == 1", "{{code}}"), width=12),
            panel(
                "Host",
                Form.TABLE,
                (f"mcd_rt_host_info{_N} * on (job, instance) group_left (version) mcd_rt_build_info", ""),
                width=24,
            ),
        ),
    ),
    (
        "Switch and brake",
        (
            panel(
                "The reboot waits for",
                Form.TIMELINE,
                (f"mcd_rt_reboot_gate{_N} == 1", "{{gate}}"),
                about="`mcd-rt status` says it with names and times.",
                width=16,
            ),
            number("Hold", f"mcd_rt_hold_active{_N}", about="1: a person said `mcd-rt hold`."),
            number("Slot of a lock", f"mcd_rt_lock_held{_N}", about="1: other nodes may have to wait for it."),
            number("In this state for", f"time() - mcd_rt_state_entered_timestamp_seconds{_N}", unit="s"),
            number("Looks again in", f"(mcd_rt_next_attempt_timestamp_seconds{_N} > 0) - time()", unit="s"),
            number("Staged for", f"time() - (mcd_rt_staged_timestamp_seconds{_N} > 0)", unit="s"),
            number("Last switch took", f"mcd_rt_last_switch_duration_seconds{_N}", unit="s"),
            number("Tries left", f"mcd_rt_target_tries_left{_N}"),
            number("Reboots left today", f"mcd_rt_reboot_budget_left{_N}"),
            panel(
                "Passes",
                Form.STACK,
                (f"sum by (outcome) (increase(mcd_rt_passes_total{_N}[$__rate_interval])) > 0", "{{outcome}}"),
            ),
            panel(
                "Verified after a reboot",
                Form.CURVES,
                (f"sum by (result) (mcd_rt_verifications_total{_N})", "{{result}}"),
                about="Since the agent started.",
            ),
            panel(
                "Hooks took",
                Form.CURVES,
                (f"sum by (occasion, result) (mcd_rt_hook_duration_seconds_sum{_N})", "{{occasion}} {{result}}"),
                unit="s",
                about="Since the agent started.",
            ),
            panel(
                "Asked a lock server",
                Form.CURVES,
                (f"sum by (answer) (mcd_rt_lock_requests_total{_N})", "{{answer}}"),
                about="Since the agent started.",
            ),
            panel(
                "Transactions",
                Form.CURVES,
                (f"sum by (method, outcome) (mcd_rt_transactions_total{_N}) > 0", "{{method}} {{outcome}}"),
                about="Since the agent started.",
            ),
        ),
    ),
    (
        "Content and room",
        (
            panel(
                "Fetched, by way",
                Form.CURVES,
                (f"sum by (way) (mcd_rt_fetched_bytes_total{_N}) > 0", "{{way}}"),
                unit="bytes",
                about="Since the agent started.",
            ),
            panel(
                "/boot",
                Form.CURVES,
                (f"mcd_rt_boot_available_bytes{_N}", "free"),
                (f"mcd_rt_boot_prunable_bytes{_N}", "dropping the rollback gives"),
                (f"mcd_rt_boot_kernel_bytes{_N}", "the largest kernel takes"),
                unit="bytes",
            ),
            panel("Cache", Form.CURVES, (f"mcd_rt_cache_size_bytes{_N}", "kept"), unit="bytes"),
            panel(
                "Memory of the agent",
                Form.CURVES,
                (f"mcd_rt_process_resident_memory_bytes{_N}", "resident"),
                unit="bytes",
                width=12,
            ),
            panel(
                "Processor of the agent",
                Form.CURVES,
                (f"rate(mcd_rt_process_cpu_seconds_total{_N}[$__rate_interval])", "of one"),
                unit="percentunit",
                width=12,
            ),
        ),
    ),
)
