"""The operator, and the fleet as it sees it."""

from dashboards.panels import Dashboard, Panel, or_none, quantile, rate, stat

REFUSED = 'phoenix_operator_api_requests_total{code!~"2.."}'
OF_OPERATORS = "and on (job, instance) phoenix_operator_leading"

OPERATOR = Dashboard(
    "operator",
    "Phoenix / Operator",
    (
        (
            "Now",
            (
                stat("Leads", "max(phoenix_operator_leading)", words=((0, "NOBODY", "red"), (1, "yes", "green"))),
                stat("Makers", "max(phoenix_operator_makers)"),
                stat("Accounts", "max(phoenix_operator_accounts)"),
                stat("Venues out", "max(phoenix_operator_venue_outages)", words=((0, "none", "green"),)),
                stat(
                    "Redis", "max(phoenix_operator_redis_problem)", words=((0, "read", "green"), (1, "UNKNOWN", "red"))
                ),
                stat(
                    "Sees the cluster",
                    "max(phoenix_operator_watch_problem)",
                    words=((0, "yes", "green"), (1, "NOT ALL", "red")),
                ),
            ),
        ),
        (
            "The fleet, as it sees it",
            (
                Panel(
                    "Workers",
                    (("{{role}}, ready: {{ready}}", "max by (role, ready) (phoenix_operator_workers)"),),
                    stacked=True,
                ),
                Panel(
                    "Workers by the first reason that they tell",
                    (("{{reason}}", "max by (reason) (phoenix_operator_worker_reasons)"),),
                    stacked=True,
                ),
                Panel(
                    "Replaced in the last hour",
                    (("{{reason}}", "sum by (reason) (increase(phoenix_operator_restarts_total[1h]))"),),
                ),
                Panel(
                    "Generations that are not in force",
                    (("{{maker}}", "max by (maker) (phoenix_operator_maker_generations_behind)"),),
                ),
                Panel(
                    "Workers that lead",
                    (("{{maker}}", "max by (maker) (phoenix_operator_maker_leaders)"),),
                    text="One each; 0 and 2 are alerts.",
                ),
                Panel(
                    "Stopped accounts",
                    (("{{account}}", "max by (account) (phoenix_operator_account_emergency)"),),
                    text="0 none, 1 halt, 2 flatten.",
                ),
            ),
        ),
        (
            "Its work",
            (
                Panel(
                    "Rounds a second",
                    (
                        (
                            "{{kind}}, {{result}}",
                            f"sum by (kind, result) ({rate('phoenix_operator_reconcile_seconds_count')})",
                        ),
                    ),
                    stacked=True,
                ),
                Panel(
                    "A round, p99", (("{{kind}}", quantile(0.99, "phoenix_operator_reconcile_seconds", "kind")),), "s"
                ),
                Panel(
                    "Waiting",
                    (
                        ("resources", "max(phoenix_operator_queue_depth)"),
                        ("being looked at", "max(phoenix_operator_working)"),
                    ),
                ),
                Panel("The next has waited for", (("age", "max(phoenix_operator_queue_age_seconds)"),), "s"),
                Panel(
                    "Requests to the API server a second",
                    (
                        (
                            "{{verb}} {{resource}}",
                            f"sum by (verb, resource) ({rate('phoenix_operator_api_requests_total')})",
                        ),
                    ),
                    stacked=True,
                ),
                Panel(
                    "Refused by the API server, a second",
                    (
                        (
                            "{{code}}",
                            or_none(
                                f"sum by (code) ({rate(REFUSED)})",
                                "code",
                            ),
                        ),
                    ),
                ),
            ),
        ),
        (
            "The processes",
            (
                Panel(
                    "CPU",
                    (("{{instance}}", f"{rate('process_cpu_seconds_total')} {OF_OPERATORS}"),),
                    "percentunit",
                    "Of one core.",
                ),
                Panel("Memory", (("{{instance}}", f"process_resident_memory_bytes {OF_OPERATORS}"),), "bytes"),
                Panel("Who leads", (("{{instance}}", "phoenix_operator_leading"),), kind="state-timeline"),
            ),
        ),
    ),
)
