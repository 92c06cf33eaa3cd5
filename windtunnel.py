"""windtunnel: the front door. Commands only; what they do is in scenarios, results and loadtests."""

from pathlib import Path
from typing import Annotated, Any

import typer

from gateway import audit_commands
from gateway import commands as gateway_commands
from loadtests import bench_commands, capacity_commands, disaster_drill, drill_commands, load_commands
from loadtests.drill_names import SENTENCES
from scenarios import commands

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="A wind tunnel for marketing policy: run the real decision engine against a synthetic population before any "
    "customer meets the change. Nothing leaves this machine; no customer data is needed.",
)

drill = typer.Typer(no_args_is_help=True, help="Break something on purpose; say what was lost, and how long it took.")
app.add_typer(drill, name="drill")

audit = typer.Typer(no_args_is_help=True, help="Who did what at a gateway, and whether the log of it is whole.")
app.add_typer(audit, name="audit")

ScenarioFile = Annotated[Path, typer.Argument(help="A *.scenario.yaml file.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output and nothing else.")]
Out = Annotated[Path, typer.Option("--out", help="Folder that keeps the runs.")]


@app.command()
def new(
    folder: Annotated[Path, typer.Argument(help="Folder to write into; must not exist or be empty.")],
    preset: Annotated[str, typer.Option(help="Which preset: bank-card, coupon-platform.")] = "bank-card",
) -> None:
    """Write a policy, a population and a scenario with comments, runnable at once."""
    finish(commands.new(folder, preset))


@app.command()
def run(
    scenario: ScenarioFile,
    customers: Annotated[int | None, typer.Option(help="How many customers (100 to 100 million).")] = None,
    days: Annotated[int | None, typer.Option(help="Length of the campaign in days.")] = None,
    before: Annotated[int | None, typer.Option(help="Days lived under the baseline first.")] = None,
    after: Annotated[int | None, typer.Option(help="Days after the campaign.")] = None,
    seed: Annotated[int | None, typer.Option(help="Study seed: same seed, same run.")] = None,
    policy: Annotated[Path | None, typer.Option(help="Another policy file instead of the scenario's.")] = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", help="A field set: policy.fatigue.caps[1].most=3 or population.….")
    ] = None,
    shards: Annotated[int | None, typer.Option(help="Run on Ray with so many shards.")] = None,
    inline: Annotated[bool, typer.Option("--inline", help="Run in this process, whatever the size.")] = False,
    address: Annotated[str | None, typer.Option(help="An existing Ray cluster, as host:port.")] = None,
    record: Annotated[bool, typer.Option("--record", help="Keep every event and decision.")] = False,
    out: Out = Path("runs"),
    as_json: Json = False,
) -> None:
    """Run a scenario and write its report."""
    given = commands.scenario_options(
        customers=customers, days=days, before=before, after=after, seed=seed, policy=policy
    )
    how = {"shards": shards, "inline": inline, "record": record, "address": address}
    finish(commands.run(scenario, given, set_ or [], as_json, out, **how))


@app.command()
def compare(
    scenario: ScenarioFile,
    policy: Annotated[
        list[Path] | None, typer.Option(help="A policy file; the first is what the others are compared with.")
    ] = None,
    without: Annotated[list[str] | None, typer.Option(help="The scenario's policy without this campaign.")] = None,
    each: Annotated[bool, typer.Option("--each", help="Leave out each campaign in turn, and all of them.")] = False,
    each_rule: Annotated[
        bool, typer.Option("--each-rule", help="Leave out each fraud rule that answers in turn, and all of them.")
    ] = False,
    set_: Annotated[
        list[str] | None, typer.Option("--set", help="The scenario's policy with a field set: fatigue.caps[1].most=3.")
    ] = None,
    vary: Annotated[
        list[str] | None, typer.Option(help="A policy for each value of a field: fraud.let_through=0%,1%,2%.")
    ] = None,
    customers: Annotated[int | None, typer.Option(help="Customers of one world.")] = None,
    worlds: Annotated[int | None, typer.Option(help="At most so many worlds, each with its own population.")] = None,
    seed: Annotated[int | None, typer.Option(help="Study seed: same seed, same worlds.")] = None,
    early: Annotated[bool, typer.Option("--early", help="Stop as soon as the verdict is clear.")] = False,
    assumption_sets: Annotated[int | None, typer.Option(help="How many joint draws over what is assumed.")] = None,
    address: Annotated[str | None, typer.Option(help="An existing Ray cluster, as host:port.")] = None,
    out: Out = Path("runs"),
    as_json: Json = False,
) -> None:
    """Compare policies in twin worlds and say which is better, by how much, and how sure that is."""
    given = {"policy": policy or [], "without": without or [], "set": set_ or [], "vary": vary or [],
             "each": each, "each_rule": each_rule}  # fmt: skip
    how = {"customers": customers, "worlds": worlds, "seed": seed, "early": early, "address": address}
    finish(commands.compare(scenario, given, as_json, out, assumption_sets=assumption_sets, **how))


@app.command()
def check(
    paths: Annotated[
        list[Path] | None, typer.Argument(help="Files or folders with *.scenario.yaml; without any, the library.")
    ] = None,
    junit: Annotated[Path | None, typer.Option(help="Write JUnit XML here.")] = None,
    customers: Annotated[int | None, typer.Option(help="So many customers in every scenario.")] = None,
    beside: Annotated[int | None, typer.Option(help="Scenarios at the same time; without, one for each core.")] = None,
    minutes: Annotated[float | None, typer.Option(help="What has not begun by then is not judged, and missed.")] = None,
    update: Annotated[bool, typer.Option("--update", help="Accept what is decided: write the baselines.")] = False,
    against: Annotated[Path | None, typer.Option(help="Another version's baselines: changes are only told.")] = None,
    markdown: Annotated[Path | None, typer.Option(help="Write Markdown for a pull request here.")] = None,
    mutate: Annotated[
        bool, typer.Option("--mutate", help="Change the policies line by line; say which changes nobody notices.")
    ] = False,
    mutants: Annotated[int | None, typer.Option(help="With --mutate: so many, drawn by --seed; without, all.")] = None,
    seed: Annotated[int | None, typer.Option(help="With --mutate: same seed, same sample.")] = None,
    aim: Annotated[str | None, typer.Option(help="With --mutate: the share to be noticed; without, 95%.")] = None,
    out: Out = Path("runs"),
    as_json: Json = False,
) -> None:
    """Run scenarios and say which expectations are missed, and what is decided otherwise than in the baseline; or, with
    --mutate, what they would not notice."""
    written = {"junit": junit, "markdown": markdown}
    how = {"customers": customers, "update": update, "against": against}
    mutation = {"mutate": mutate, "mutants": mutants, "seed": seed, "aim": aim}
    finish(commands.check(paths or [], how, beside, minutes, written, out, as_json, mutation))


@app.command()
def report(
    run_folder: Annotated[Path, typer.Argument(help="The folder of a run, a comparison or a drill.")],
    as_json: Json = False,
) -> None:
    """Write a run's report again and say where it is."""
    finish(commands.report(run_folder, as_json))


@app.command()
def explain(
    run_folder: Annotated[Path, typer.Argument(help="A run's folder.")],
    customer: Annotated[int, typer.Option(help="Number of the customer, from 0.")],
    level: Annotated[str, typer.Option(help="For whom: customer, support or auditor.")] = "support",
    as_json: Json = False,
) -> None:
    """Live one customer's run again and say what each message met, reason by reason."""
    finish(commands.explain(run_folder, customer, level, as_json))


@app.command()
def replay(
    run_folder: Annotated[Path, typer.Argument(help="The folder of a run made with --record.")],
    policy: Annotated[Path | None, typer.Option(help="Another policy file to decide on the same events.")] = None,
    as_json: Json = False,
) -> None:
    """Meet a recorded run again, decision by decision; say what another policy would have decided and granted."""
    finish(commands.replay(run_folder, policy, as_json))


@app.command()
def lint(
    policy: Annotated[Path | None, typer.Argument(help="A policy file; none is needed with --schema.")] = None,
    schema: Annotated[bool, typer.Option("--schema", help="Print the JSON Schema for editors instead.")] = False,
    as_json: Json = False,
) -> None:
    """Check a policy: what is wrong, what is dubious, what to ask counsel about."""
    finish(commands.lint(policy, schema, as_json))


@app.command()
def answer(
    question: Annotated[str | None, typer.Argument(help="What a customer types; none is needed with --judge.")] = None,
    base: Annotated[Path | None, typer.Option(help="Another base of answers; without, the one of the library.")] = None,
    judge: Annotated[bool, typer.Option("--judge", help="Say how the base's held-out questions are sorted.")] = False,
    as_json: Json = False,
) -> None:
    """Ask the support bot: the answer found, how sure it is, and what else it thought of."""
    finish(commands.answer(question, base, judge, as_json))


@app.command()
def serve(
    policy: Annotated[Path, typer.Argument(help="A policy file.")],
    folder: Annotated[Path, typer.Option(help="Keeps customers, journals and keys.")] = Path("gateway-data"),
    customers: Annotated[int, typer.Option(help="Room for so many customers; fixed when the folder begins.")] = 100_000,
    shards: Annotated[int, typer.Option(help="Shards of customers; fixed when the folder begins.")] = 2,
    host: Annotated[str, typer.Option(help="Where it listens.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Where it listens.")] = 8080,
    standby: Annotated[bool, typer.Option("--standby", help="A standby beside every shard and the Ledger.")] = False,
    address: Annotated[str | None, typer.Option(help="An existing Ray cluster, as host:port.")] = None,
    vault_key: Annotated[
        Path | None, typer.Option(help="File of the key that seals what identifies; or WINDTUNNEL_VAULT_KEY.")
    ] = None,
    certificate: Annotated[Path | None, typer.Option(help="For TLS: a PEM file, with the chain.")] = None,
    private_key: Annotated[Path | None, typer.Option(help="Of the certificate: a PEM file.")] = None,
    private_key_password_env: Annotated[
        str | None, typer.Option(help="The environment's variable that has the private key's password.")
    ] = None,
    plain_http_beyond_this_machine: Annotated[
        bool, typer.Option("--plain-http-beyond-this-machine", help="Without TLS on a --host that others can reach.")
    ] = False,
    log_requests: Annotated[bool, typer.Option("--log-requests", help="A line in the log per request.")] = False,
) -> None:
    """Decide for real customers over HTTP: the engine of the simulations, kept on disk."""
    how = {"customers": customers, "shards": shards, "host": host, "port": port, "standby": standby}
    tls = {
        "certificate": certificate, "private_key": private_key, "private_key_password_env": private_key_password_env,
        "plain_http_beyond_this_machine": plain_http_beyond_this_machine,
    }  # fmt: skip
    finish(
        gateway_commands.serve(
            policy, folder, **how, **tls, address=address, vault_key=vault_key, log_requests=log_requests
        )
    )


@app.command()
def certificate(
    folder: Annotated[Path, typer.Argument(help="Where certificate.pem and private-key.pem are written.")],
    host: Annotated[
        list[str] | None, typer.Option(help="A name or address that callers use; several are fine.")
    ] = None,
) -> None:
    """Make a self-signed certificate for trials of `serve` with TLS."""
    finish(gateway_commands.certificate(folder, host or ["localhost", "127.0.0.1"]))


@app.command()
def keys(
    folder: Annotated[Path, typer.Argument(help="The folder that `serve` uses.")],
    name: Annotated[str | None, typer.Option(help="Make a key of this name; without, say which there are.")] = None,
    role: Annotated[str, typer.Option(help="What it is for: client, operator, strategist, auditor.")] = "client",
    as_json: Json = False,
) -> None:
    """Make an API key, which is shown once, or list those there are."""
    finish(gateway_commands.keys(folder, name, role, as_json))


@app.command()
def vault_key(file: Annotated[Path, typer.Argument(help="A new file, kept apart from the gateway's folder.")]) -> None:
    """Make the key that opens what `serve` seals of customers."""
    finish(gateway_commands.vault_key(file))


@audit.command()
def verify(
    folder: Annotated[Path, typer.Argument(help="The folder that `serve` uses.")],
    head: Annotated[str | None, typer.Option(help="A hash that you kept: it must be on the way.")] = None,
) -> None:
    """Say whether the log is whole: no entry changed, gone, added or put elsewhere."""
    finish(audit_commands.verify(folder, head))


@audit.command()
def show(
    folder: Annotated[Path, typer.Argument(help="The folder that `serve` uses.")],
    customer: Annotated[str | None, typer.Option(help="Your id of a customer: what was done to this one.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object for each entry.")] = False,
) -> None:
    """Print entries."""
    finish(audit_commands.show(folder, customer, as_json))


@app.command()
def openapi(
    out: Annotated[Path | None, typer.Option("--out", help="Write it to this file instead.")] = None,
) -> None:
    """Print the gateway's OpenAPI document; nothing is started."""
    finish(gateway_commands.openapi(out))


@app.command()
def load(
    profile: Annotated[str, typer.Argument(help=f"One of {load_commands.KNOWN}, or capacity: search the rate.")],
    rate: Annotated[float, typer.Option(help="Arrivals a second at most (1 to 20,000).")] = 200.0,
    seconds: Annotated[float, typer.Option(help="How long (1 to 14,400).")] = 30.0,
    slo: Annotated[str | None, typer.Option(help="An objective for the response time, like p99=25ms.")] = None,
    scenario: Annotated[Path | None, typer.Option(help="Whose people and policy; without, account_ring.")] = None,
    customers: Annotated[int, typer.Option(help="How many customers (100 to 200,000).")] = 2_000,
    days: Annotated[int, typer.Option(help="Days of theirs that are taken.")] = 2,
    seed: Annotated[int, typer.Option(help="Same seed, same requests at the same moments.")] = 1,
    arrivals: Annotated[str, typer.Option(help="poisson or uniform.")] = "poisson",
    connections: Annotated[int, typer.Option(help="At most so many at once.")] = 200,
    generators: Annotated[int, typer.Option(help="Locust processes.")] = 1,
    shards: Annotated[str, typer.Option(help="Of our gateway; capacity: also several, like 1,2,4.")] = "2",
    standby: Annotated[bool, typer.Option("--standby", help="A standby beside every shard and the Ledger.")] = False,
    url: Annotated[str, typer.Option(help="A service that runs already, instead of our gateway.")] = "",
    key: Annotated[str, typer.Option(help="Its key.", envvar="WINDTUNNEL_LOAD_KEY")] = "",
    adapter: Annotated[Path | None, typer.Option(help="A file of Python that says how it is asked.")] = None,
    ca_file: Annotated[str, typer.Option(help="Certificate that vouches for it.")] = "",
    hot_customers: Annotated[float, typer.Option(help="Share of page views that are of the busiest 20.")] = 0.0,
    hot_coupon: Annotated[float, typer.Option(help="Share of claims that are for one coupon.")] = 0.0,
    bulk: Annotated[float, typer.Option(help="Share of requests that bring 200 events at once.")] = 0.005,
    drill: Annotated[str, typer.Option(help=f"Break our gateway meanwhile: {', '.join(load_commands.STRIKES)}.")] = "",
    trial_seconds: Annotated[float, typer.Option(help="capacity: how long a rate is tried (1 to 600).")] = 8.0,
    repeats: Annotated[int, typer.Option(help="capacity: how often it is searched (1 to 10).")] = 3,
    peak: Annotated[float, typer.Option(help="capacity: how many machines does this rate need?")] = 0.0,
    baseline: Annotated[Path | None, typer.Option(help="capacity: the capacity.json of a search before.")] = None,
    at_shards: Annotated[
        int | None, typer.Option(help="capacity: what would so many do? Twice the most, at most.")
    ] = None,
    out: Out = Path("runs"),
    as_json: Json = False,
) -> None:
    """Offer our gateway, or any HTTP service, a load of synthetic customers; say what it held."""
    how: dict[str, Any] = {"rate": rate, "seconds": seconds, "scenario": scenario, "customers": customers, "days": days}
    how |= {"seed": seed, "law": arrivals, "connections": connections, "generators": generators, "shards": shards}
    how |= {"standby": standby, "url": url, "key": key, "adapter": adapter, "ca_file": ca_file}
    how |= {"hot_customers": hot_customers, "hot_coupon": hot_coupon, "bulk": bulk}
    if profile == load_commands.CAPACITY:
        search = {"trial_seconds": trial_seconds, "repeats": repeats, "peak": peak, "baseline": baseline}
        search["at_shards"] = at_shards
        finish(capacity_commands.capacity(slo or load_commands.SLO, search, out, as_json, **how))
    finish(load_commands.load(profile, slo, out, as_json, drill=drill, **how))


@app.command()
def bench(
    only: Annotated[str | None, typer.Option(help="One of engine, simulation, durable, gateway, …")] = None,
    seconds: Annotated[float, typer.Option(help="Of the gateway's open loop: 1 to 3,600.")] = 60.0,
    as_json: Json = False,
) -> None:
    """Measure this machine, each figure as a ratio to a named baseline in the same run."""
    finish(commands.bench(only, as_json, bench_commands.benchmarks(seconds)))


def add_drill(name: str, sentence: str) -> None:
    def hold(
        customers: Annotated[int, typer.Option(help="How many customers (100 to 2 million).")] = 20_000,
        days: Annotated[int, typer.Option(help="Days of traffic.")] = 2,
        shards: Annotated[int, typer.Option(help="Shards of customers.")] = 2,
        standby: Annotated[
            bool, typer.Option("--standby", help="A standby beside every shard and the Ledger.")
        ] = False,
        promise: Annotated[str, typer.Option(help="What an answer promises: durable, interval, memory.")] = "durable",
        interval_ms: Annotated[int, typer.Option(help="What interval may forget: 10 to 60,000 ms.")] = 1_000,
        objective: Annotated[float, typer.Option(help="Seconds that an answer should take at most.")] = 1.0,
        times: Annotated[int, typer.Option(help="How often random-kills strikes.")] = 20,
        seed: Annotated[int, typer.Option(help="Of when it strikes, and whom.")] = 1,
        address: Annotated[str | None, typer.Option(help="An existing Ray cluster, as host:port.")] = None,
        out: Out = Path("runs"),
        as_json: Json = False,
    ) -> None:
        given = {"customers": customers, "days": days, "shards": shards, "standby": standby, "promise": promise}
        how: dict[str, Any] = {
            "interval_ms": interval_ms,
            "objective_s": objective,
            "times": times,
            "seed": seed,
            "address": address,
        }
        finish(drill_commands.drill(name, out, as_json, **given, **how))

    drill.command(name, help=f"{sentence[0].upper()}{sentence[1:]}, while traffic runs on Ray.")(hold)


for _name, _sentence in SENTENCES.items():
    add_drill(_name, _sentence)


@drill.command()
def disasters(
    seeds: Annotated[int | None, typer.Option(help="How many disasters; without, 500.")] = None,
    first: Annotated[int | None, typer.Option(help="Seed of the first; without, 0.")] = None,
    seed: Annotated[int | None, typer.Option(help="Only the disaster of this seed, again.")] = None,
    minutes: Annotated[float | None, typer.Option(help="As many disasters as fit into so many minutes.")] = None,
    as_json: Json = False,
) -> None:
    """Simulate hosts that die, freeze and lose messages and data, by seed, and hold them to their promises."""
    finish(disaster_drill.disasters(seeds, first, seed, minutes, as_json))


@app.command()
def grade(
    studies: Annotated[int | None, typer.Option(help="Studies a row (100 to 100 000); without, 2 000.")] = None,
    only: Annotated[str | None, typer.Option(help="One subject: holdout, rare, clicks, spend, paired, …")] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="The simulation, the purchase process and the known cases too (minutes).")
    ] = False,
    out: Out = Path("runs"),
    as_json: Json = False,
) -> None:
    """Put every interval to studies with a known truth and say which of them hold."""
    finish(commands.grade(studies, only, everything, out, as_json))


def finish(code: int) -> None:
    raise typer.Exit(code)


def main() -> None:
    """Entry point of the console script."""
    app()


if __name__ == "__main__":
    main()
