"""What the library costs on AWS in a month: from the templates, from what a loan takes (`loan_units`) and from prices.

`make bench` prints the sums and writes the tables into docs/architecture.md, where a test compares them. What templates
do not say is assumed here, always rather too much than too little.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from library_common.telemetry import NAMESPACE
from localstack.embedded import template
from localstack.embedded.layout import ROOT
from tests.performance.loan_units import BYTES_AROUND_A_LINE, LOAN, NOTICE
from tests.performance.measuring import Measurement
from tests.performance.prices import PRICES

LOANS = 10_000
"""A month's loans in the second table."""

IDLE_BUDGET, WORK_BUDGET = 1.00, 1.50
"""US dollars a month, after what AWS gives away for good."""

DAYS = 365 / 12
MINUTES = DAYS * 24 * 60

POLLS_PER_MINUTE = 3
"""Of one poller of a queue: each waits twenty seconds for a message."""

POLLERS, POLLERS_WITH_MAXIMUM_CONCURRENCY = 2, 5
"""Of an idle queue: https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-scaling.html"""

REQUESTS_PER_MESSAGE = 3
"""Put on the queue, taken, deleted: each alone."""

WARM_SECONDS, COLD_SECONDS, LOGIN_SECONDS = 0.2, 3.0, 0.6
"""How long an invocation takes on AWS: functions that are called seldom start anew each time."""

SELDOM = 24 * DAYS
"""Runs a month from which on a scheduled function is found running."""

HOURS_OF_TROUBLE = 24
"""In which each alarm's metric is sent: CloudWatch charges for the hours in which a metric is."""

LINE_BYTES = 600 + BYTES_AROUND_A_LINE
STORED_GB, BYTES_PER_LOAN, BYTES_PER_EVENT = 0.1, 10_000, 1_500

REMINDERS = 1
"""Messages to a member about each loan, beside those of checkout and return: that it is due soon."""

KEY_SECONDS = 300
"""How long DynamoDB goes on with a table's own key for one caller."""

NEW_PROCESSES = 0.03
"""Of all invocations while people borrow. Functions decrypt keys when they start, and then when a key has changed."""


@dataclass(frozen=True)
class Run:
    """What one run of a scheduled function asks of AWS while nobody borrows."""

    read_units: float = 0.0
    queue_requests: float = 0.0
    keys: float = 0.0


@dataclass(frozen=True)
class Line:
    """So many units of a price. free: how many of these cost nothing."""

    what: str
    price: str
    quantity: float
    free: float = 0.0

    @property
    def list_price(self) -> float:
        return self.quantity * PRICES[self.price].usd

    @property
    def usd(self) -> float:
        return (self.quantity - self.free) * PRICES[self.price].usd


class System:
    """The stacks' templates, by name, as far as they cost money."""

    def __init__(self, stacks: Mapping[str, template.Template]) -> None:
        self._stacks = stacks

    def of_type(self, resource_type: str) -> dict[str, dict[str, Any]]:
        """By stack and logical id, since stacks may call things the same."""
        return {
            f"{name}.{logical_id}": properties
            for name, stack in self._stacks.items()
            for logical_id, properties in template.resources_of(stack, resource_type).items()
        }

    def count(self, resource_type: str) -> int:
        return len(self.of_type(resource_type))

    @property
    def pollers(self) -> dict[str, int]:
        """By queue that a function works on."""
        found = {}
        for mapping in self.of_type("AWS::Lambda::EventSourceMapping").values():
            queue, attribute = mapping["EventSourceArn"]["Fn::GetAtt"]
            if attribute == "Arn":
                limited = "MaximumConcurrency" in mapping.get("ScalingConfig", {})
                found[queue] = POLLERS_WITH_MAXIMUM_CONCURRENCY if limited else POLLERS
        return found

    @property
    def streams(self) -> list[str]:
        """Mappings that read a table's stream; reading itself is free of charge."""
        mappings = self.of_type("AWS::Lambda::EventSourceMapping").items()
        return [name for name, found in mappings if found["EventSourceArn"]["Fn::GetAtt"][1] == "StreamArn"]

    @property
    def runs(self) -> dict[str, float]:
        """By scheduled function: how often it is started in a month."""
        return {
            name.split(".")[1]: sum(
                runs_a_month(event["Properties"]["Schedule"])
                for event in function.get("Events", {}).values()
                if event["Type"].startswith("Schedule")
            )
            for name, function in self.of_type(template.FUNCTION).items()
            if any(event["Type"].startswith("Schedule") for event in function.get("Events", {}).values())
        }

    def gigabytes(self, function: str) -> float:
        """Memory of a function, by its logical id."""
        for stack in self._stacks.values():
            if (found := template.resources_of(stack, template.FUNCTION).get(function)) is not None:
                of_all = stack.get("Globals", {}).get("Function", {})
                return float(found.get("MemorySize", of_all["MemorySize"])) / 1024
        raise KeyError(function)

    @property
    def metrics(self) -> set[tuple[str, str]]:
        """What the library's own metrics are: those that alarms watch, as another test makes sure."""
        alarms = self.of_type("AWS::CloudWatch::Alarm").values()
        return {(a["MetricName"], str(a["Dimensions"])) for a in alarms if a.get("Namespace") == NAMESPACE}

    @property
    def dead_letter_queues(self) -> int:
        return sum(name.endswith("DeadLetters") for name in self.of_type("AWS::SQS::Queue"))

    @property
    def kms_tables(self) -> int:
        """Tables with the account's own key, for whose use KMS charges."""
        tables = self.of_type(template.TABLE).values()
        return sum(bool(table.get("SSESpecification", {}).get("SSEEnabled")) for table in tables)


def runs_a_month(schedule: str) -> float:
    """Of `rate(5 minutes)` or a cron expression that names one minute and one hour of every day."""
    if rate := re.fullmatch(r"rate\((\d+) (minute|hour|day)s?\)", schedule):
        return MINUTES / (int(rate[1]) * {"minute": 1, "hour": 60, "day": 24 * 60}[rate[2]])
    if re.fullmatch(r"cron\(\d+ \d+ \* \* \? \*\)", schedule):
        return DAYS
    raise NotImplementedError(schedule)


def run_of(system: System) -> dict[str, Run]:
    """What one run of each scheduled function takes. A further one has to say it here."""
    return {
        "SweepFunction": Run(read_units=4, queue_requests=1),  # eight queries of the index, half a unit each
        "DeadLettersWatch": Run(queue_requests=system.dead_letter_queues),
        "LoansRetention": Run(read_units=2, keys=1),
        "RotationFunction": Run(keys=12),
        "MembershipExpiry": Run(read_units=100),
        "AnalyticsRebuild": Run(read_units=2),
    }


def idle(system: System) -> list[Line]:
    """A month in which nobody borrows."""
    runs, of_run = system.runs, run_of(system)

    def total(attribute: str) -> float:
        return float(sum(number * getattr(of_run[function], attribute) for function, number in runs.items()))

    in_trouble = len(system.metrics) * HOURS_OF_TROUBLE / (24 * DAYS)
    polls = [POLLS_PER_MINUTE * MINUTES * pollers for pollers in system.pollers.values()]
    seconds = {name: COLD_SECONDS if number < SELDOM else WARM_SECONDS for name, number in runs.items()}
    tables = key_requests(system, [*([MINUTES] * len(system.streams)), *runs.values()])
    return [
        Line(f"Lambda asks {len(polls)} queues for messages", "queue requests", sum(polls)),
        Line(f"{len(runs)} scheduled functions: queues they look into", "queue requests", total("queue_requests")),
        Line(f"{len(runs)} scheduled functions: invocations", "lambda requests", sum(runs.values())),
        Line(
            f"{len(runs)} scheduled functions: time",
            "lambda time",
            sum(number * seconds[name] * system.gigabytes(name) for name, number in runs.items()),
        ),
        Line(f"{len(runs)} scheduled functions: reads", "read units", total("read_units")),
        Line(f"{len(runs)} scheduled functions: log lines", "logs", sum(runs.values()) * LINE_BYTES / 1e9),
        Line("log lines kept", "kept logs", sum(runs.values()) * LINE_BYTES / 1e9),
        Line(f"{system.count('AWS::CloudWatch::Alarm')} alarms", "alarms", system.count("AWS::CloudWatch::Alarm")),
        Line(f"{len(system.metrics)} metrics, sent one day a month", "metrics", in_trouble),
        Line("dashboards", "dashboards", system.count("AWS::CloudWatch::Dashboard")),
        Line("parameters, keys among them", "parameters", system.count("AWS::SSM::Parameter")),
        Line("secrets", "secrets", system.count("AWS::SecretsManager::Secret")),
        Line("keys of KMS", "keys", system.count("AWS::KMS::Key")),
        Line("keys read", "key requests", total("keys") + tables),
        Line(f"tables of {STORED_GB * 1000:g} MB", "tables", STORED_GB),
        Line("their continuous backup", "continuous backup", STORED_GB),
    ]


def work(system: System) -> list[Line]:
    """What `LOANS` loans take, each with its notices and statistics, on top of the idle month."""
    loan = {name: getattr(LOAN, name) + REMINDERS * getattr(NOTICE, name) for name in vars(LOAN)}
    gigabytes = loan["invocations"] * WARM_SECONDS * 0.5 + LOGIN_SECONDS * system.gigabytes("UsersFunction")
    # At most every function with a table is somebody who comes with each loan.
    tables = key_requests(system, [LOANS] * system.count(template.FUNCTION))
    logs, stored = LOANS * loan["log_bytes"] / 1e9, LOANS * BYTES_PER_LOAN / 1e9
    archive = system.count("AWS::Events::Archive") * LOANS * loan["events"] * BYTES_PER_EVENT / 1e9
    # Each new process reads as many keys as an authorizer does: those of all services.
    decrypted = LOANS * loan["invocations"] * NEW_PROCESSES * system.count("Custom::ServiceIdentity")
    return [
        Line("requests, from outside and between services", "api requests", LOANS * loan["api_requests"]),
        Line("invocations, the authorizer's among them", "lambda requests", LOANS * loan["invocations"]),
        Line("their time", "lambda time", LOANS * gigabytes),
        Line("writes", "write units", LOANS * loan["write_units"]),
        Line("reads", "read units", LOANS * loan["read_units"]),
        Line("messages through queues", "queue requests", LOANS * loan["messages"] * REQUESTS_PER_MESSAGE),
        Line("events", "events", LOANS * loan["events"]),
        Line("events put into the archive", "archiving events", archive),
        Line("events kept there", "archived events", archive),
        Line("log lines", "logs", logs),
        Line("log lines kept", "kept logs", logs),
        Line("keys read", "key requests", decrypted + tables),
        Line(f"{LOANS:,} loans in tables", "tables", stored),
        Line("their continuous backup", "continuous backup", stored),
    ]


def key_requests(system: System, uses: Iterable[float]) -> float:
    """For tables with the account's own key: one each time a caller comes, but at most one in `KEY_SECONDS`. uses: how
    often each caller comes in a month.
    """
    most = DAYS * 24 * 3600 / KEY_SECONDS
    return sum(min(number, most) for number in uses) if system.kms_tables else 0.0


def messages() -> list[Line]:
    """What providers charge for the messages themselves."""
    each = LOAN.emails + REMINDERS * NOTICE.emails
    return [
        Line(f"{each:g} e-mails a loan, through SES", "e-mails", LOANS * each),
        Line("or one text message a loan (United States), through SNS", "text messages", LOANS),
    ]


def charged(lines: Sequence[Line], before: Sequence[Line] = ()) -> list[Line]:
    """The lines with what is left of AWS's free units after those before."""
    left = {name: price.free for name, price in PRICES.items()}
    for line in before:
        left[line.price] -= line.free
    done = []
    for line in lines:
        free = min(line.quantity, left[line.price])
        left[line.price] -= free
        done.append(replace(line, free=free))
    return done


def _table(heading: str, lines: Sequence[Line]) -> Iterator[str]:
    yield f"| {heading} | units | list price | to pay |"
    yield "|---|---|---|---|"
    for line in lines:
        if line.quantity:
            units = f"{line.quantity:,.0f}" if line.quantity >= 10 else f"{line.quantity:.2g}"
            yield f"| {line.what} | {units} {PRICES[line.price].unit} | {line.list_price:.2f} | {line.usd:.2f} |"
    listed, to_pay = sum(line.list_price for line in lines), sum(line.usd for line in lines)
    yield f"| **together** | | **{listed:.2f}** | **{to_pay:.2f}** |"


def report(system: System) -> str:
    """All tables, in Markdown."""
    at_rest = charged(idle(system))
    parts = [
        _table("idle month", at_rest),
        _table(f"{LOANS:,} loans on top", charged(work(system), at_rest)),
        _table(f"messages of {LOANS:,} loans", charged(messages())),
    ]
    return "\n\n".join("\n".join(part) for part in parts)


def measurements(system: System) -> Iterator[Measurement]:
    """The sums, beside their budgets."""
    at_rest = charged(idle(system))
    on_top = charged(work(system), at_rest)
    loans = f"{LOANS:,} loans on top"
    yield Measurement("an idle month", sum(line.usd for line in at_rest), "USD", IDLE_BUDGET)
    yield Measurement("an idle month at list prices", sum(line.list_price for line in at_rest), "USD")
    yield Measurement(loans, sum(line.usd for line in on_top), "USD", WORK_BUDGET)
    yield Measurement(f"{loans} at list prices", sum(line.list_price for line in on_top), "USD")
    for line in charged(messages()):
        yield Measurement(line.what, line.usd, "USD")


PAGE = ROOT / "docs" / "architecture.md"
BEGIN, END = "<!-- costs: written by `make bench ARGS=--costs` -->", "<!-- end of costs -->"


def page_with(text: str, tables: str) -> str:
    """The page with these tables between its markers."""
    before, rest = text.split(BEGIN)
    return f"{before}{BEGIN}\n\n{tables}\n\n{END}{rest.split(END)[1]}"


def write(system: System) -> None:
    """Puts the tables into the page."""
    PAGE.write_text(page_with(PAGE.read_text(encoding="utf-8"), report(system)), encoding="utf-8")
