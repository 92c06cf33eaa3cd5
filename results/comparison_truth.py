"""Truth, estimate and naive figure of a campaign side by side: what twin worlds show, what its holdout says of it, and
what a report without a holdout would have claimed."""

from markupsafe import Markup

from results.comparison_marks import Findings, ends, head, left, right, row, rows_table, shown, sources
from results.markup import number, queried, sentence, words
from results.query import quoted
from results.statistics import Estimate
from results.words import goal, plain

ONCE_ONLY = ("first_use", "card_bound", "register")  # goals that cannot repeat: growth on the days before means nothing


def grows(opened: Findings, campaign: str) -> bool:
    """Whether before and after can be compared at all, and are what is asked about: arms ask another question."""
    if winner(opened, campaign):
        return False
    once = opened.manifest["goals"].get(campaign) in ONCE_ONLY
    found = opened.found.get(f"growth[{campaign}/shown]")
    return not once and found is not None and found.value is not None


def truth_sentence(opened: Findings, campaign: str) -> Markup:
    """Truth by twin worlds first, then the estimate, then what would have been claimed."""
    if opened.found[f"true_lift[{campaign}]"].value is None:
        return sentence("The “{name}” campaign reached nobody in any world.", name=plain(campaign))
    parts = [best_arm(opened, campaign)] if winner(opened, campaign) else []
    parts += [true_growth(opened, campaign) if grows(opened, campaign) else true_lift(opened, campaign)]
    parts += [estimated(opened, campaign), claimed(opened, campaign), worth(opened, campaign)]
    if lived_arms(opened, campaign) and not winner(opened, campaign):
        parts.append(sentence("No arm of “{name}” is worth more than every other beyond chance.", name=plain(campaign)))
    return Markup(" ").join(part for part in parts if part)


def lived_arms(opened: Findings, campaign: str) -> list[str]:
    """Arms that had worlds of their own; none where they were not asked for."""
    names = [arm["name"] for arm in opened.campaign(campaign)["arms"]]
    return [a for a in names if any(f"arm_profit[{campaign}/{a}/{b}]" in opened.found for b in names)]


def winner(opened: Findings, campaign: str) -> str | None:
    """The arm that is worth more than every other one beyond chance."""
    arms = lived_arms(opened, campaign)

    def beats(a: str, b: str) -> bool:
        low = opened.found[f"arm_profit[{campaign}/{a}/{b}]"].low
        return low is not None and low > 0

    return next((a for a in arms if all(beats(a, b) for b in arms if b != a)), None)


def best_arm(opened: Findings, campaign: str) -> Markup:
    """The winner against each other arm; and the arm that is clicked most, where that is another."""
    arms, found, best = lived_arms(opened, campaign), opened.found, winner(opened, campaign)
    assert best is not None

    def key(word: str, a: str, b: str) -> str:
        return f"{word}[{campaign}/{a}/{b}]"

    clicked = max(arms, key=lambda a: sum(found[key("first_clicks", a, b)].value or 0.0 for b in arms if b != a))
    others = [(b, key("arm_profit", best, b)) for b in arms if b != best]
    gains = [sentence("{value} against {other}", value=shown(k, found[k], "+"), other=plain(b)) for b, k in others]
    against = Markup(", ").join(gains)
    text = "“{best}” is worth most of the arms of “{name}”: {against}, a customer reached."
    main = sentence(text, best=plain(best), name=plain(campaign), against=against)
    if clicked == best:
        return main
    clicks, closes = (key(word, clicked, best) for word in ("first_clicks", "first_closes"))
    more = sentence(
        "“{clicked}” is clicked {clicks} times as often, and closed {closes} times as often.", clicked=plain(clicked),
        clicks=shown(clicks, found[clicks]), closes=shown(closes, found[closes]),
    )  # fmt: skip
    return main + " " + more


def true_lift(opened: Findings, campaign: str) -> Markup:
    found = opened.found
    lift, relative = found[f"true_lift[{campaign}]"], found[f"true_relative_lift[{campaign}]"]
    text = (
        "The “{name}” campaign, in worlds with and without it: {what} of customers reached goes from {base} to {to}, "
    )
    text += "{lift} ({span}), {relative} relative ({relative_span})."
    keys = {word: f"true_uptake[{campaign}/{word}]" for word in ("held_out", "shown")}
    return sentence(
        text, name=plain(campaign), what=goal(opened.campaign(campaign)["goal"])[0],
        base=shown(keys["held_out"], found[keys["held_out"]]), to=shown(keys["shown"], found[keys["shown"]]),
        lift=shown(f"true_lift[{campaign}]", lift, "+"), span=ends(f"true_lift[{campaign}]", lift),
        relative=shown(f"true_relative_lift[{campaign}]", relative, "+"),
        relative_span=ends(f"true_relative_lift[{campaign}]", relative),
    )  # fmt: skip


def true_growth(opened: Findings, campaign: str) -> Markup:
    keys = [f"growth[{campaign}/shown]", f"growth[{campaign}/held_out]", f"true_increment[{campaign}]"]
    grown, anyway, increment = (shown(key, opened.found[key], "+") for key in keys)
    text = "The “{name}” campaign: {what} grew by {grown} over the days before; {anyway} would have come without it"
    share = anyway_share(opened, campaign)
    text += " ({share} of the growth). The campaign itself added {increment} of the level before ({span})."
    return sentence(
        text if share else text.replace(" ({share} of the growth)", ""), name=plain(campaign),
        what=goal(opened.campaign(campaign)["goal"])[0], grown=grown, anyway=anyway, share=share,
        increment=increment, span=ends(keys[2], opened.found[keys[2]]),
    )  # fmt: skip


def anyway_share(opened: Findings, campaign: str) -> Markup:
    """What would have come anyway, of the growth; only where there was growth."""
    grown, found = opened.found[f"growth[{campaign}/shown]"], opened.found[f"anyway_share[{campaign}]"]
    if found.value is None or (grown.value or 0.0) <= 0 or not 0 <= found.value <= 1:
        return Markup("")
    return shown(f"anyway_share[{campaign}]", found)


def estimated(opened: Findings, campaign: str) -> Markup:
    key = f"estimated_increment[{campaign}]" if grows(opened, campaign) else f"estimated_relative_lift[{campaign}]"
    found = opened.found.get(key)
    if found is None or found.value is None:
        return Markup("Nobody was held out of it, so a real test could not have told.")
    text = "Its holdout estimates {value} ({span})"
    hits = opened.found.get(f"covered[{campaign}]")
    if hits is None or grows(opened, campaign):
        return sentence(text + ".", value=shown(key, found, "+"), span=ends(key, found))
    text += "; in {hits} of {worlds} worlds its interval covers that world's truth."
    covering = f"covered[{campaign}]"
    return sentence(
        text, value=shown(key, found, "+"), span=ends(key, found), hits=shown(covering, hits),
        worlds=queried(opened.database, "SELECT count(DISTINCT world) FROM lives", "count"),
    )  # fmt: skip


def claimed(opened: Findings, campaign: str) -> Markup:
    """The naive figure: whatever followed an exposure, or whatever grew."""
    if grows(opened, campaign):
        key = f"last_touch[{campaign}]"
        return sentence("A last-touch report would claim {value}.", value=shown(key, opened.found[key], "+"))
    query = claimed_sql(campaign)
    value = opened.database.value(query)
    if value is None:
        return Markup("")
    text = "Counting every conversion that followed an exposure would claim {value} per customer reached."
    return sentence(text, value=number(float(value), "+points:1", query))


def claimed_sql(campaign: str) -> str:
    """Conversions credited to exposures, per customer shown: as if nobody had come anyway."""
    where = f"campaign = {quoted(campaign)} AND NOT held_out"
    return f"SELECT sum(conversions) / nullif(sum(customers), 0) FROM holdouts WHERE {where}"


def worth(opened: Findings, campaign: str) -> Markup:
    key = f"true_profit[{campaign}]"
    found = opened.found[key]
    if found.value is None or found.low is None:
        return Markup("")
    doubt = "" if found.high is not None and (found.low > 0 or found.high < 0) else ", which may be none at all"
    text = "In all it changes profit by {value} for each customer at launch ({span}){doubt}."
    return sentence(text, value=shown(key, found, "+"), span=ends(key, found), doubt=doubt)


# --- the section ------------------------------------------------------------------------------------------------------
def truth_table(opened: Findings, campaign: str) -> Markup:
    """Truth, estimate, naive: one row each."""
    rows = growth_rows(opened, campaign) if grows(opened, campaign) else lift_rows(opened, campaign)
    key = f"true_profit[{campaign}]"
    rows.append(line("truth", words("profit for each customer at launch, with it and without"), opened, key))
    queries = [query for key in keys_of(opened, campaign) for query in pair_of(opened.found[key])]
    return rows_table(("", "what it says", "figure", "95 % interval"), rows, 2) + sources(queries)


def pair_of(estimate: Estimate) -> tuple[str, str]:
    return estimate.query, estimate.counts_query


def keys_of(opened: Findings, campaign: str) -> list[str]:
    of_growth = ("growth", "true_increment", "increment_over_held_out", "last_touch", "estimated_increment")
    of_lift = ("true_uptake", "true_lift", "true_relative_lift", "estimated_lift", "estimated_relative_lift")
    names = of_growth if grows(opened, campaign) else of_lift
    return [
        key for key in opened.found if key.startswith(tuple(f"{name}[{campaign}" for name in (*names, "true_profit")))
    ]


def line(kind: str, what: Markup, opened: Findings, key: str, css: str = "") -> Markup:
    found = opened.found[key]
    label = Markup('<span class="badge {}">{}</span>').format(css or {"truth": "holds"}.get(kind, ""), kind)
    return row(head(label), left(what), right(shown(key, found, "+")), right(ends(key, found)))


def lift_rows(opened: Findings, campaign: str) -> list[Markup]:
    what = goal(opened.campaign(campaign)["goal"])[0]
    rows = [
        line("truth", words(f"{what}, shown less not shown, per customer reached"), opened, f"true_lift[{campaign}]"),
        line("truth", words("the same, relative"), opened, f"true_relative_lift[{campaign}]"),
    ]
    if f"estimated_lift[{campaign}]" in opened.found:
        rows.append(
            line("estimate", words("of the holdout, per customer assigned"), opened, f"estimated_lift[{campaign}]")
        )
        rows.append(line("estimate", words("the same, relative"), opened, f"estimated_relative_lift[{campaign}]"))
    query = claimed_sql(campaign)
    value = opened.database.value(query)
    if value is not None:
        naive = (
            head(naive_badge()),
            left("conversions credited to an exposure, per customer reached, as if none would have come"),
        )
        rows.append(row(*naive, right(number(float(value), "+points:1", query)), right("")))
    rate = rate_sql(campaign, opened.reference)
    value = opened.database.value(rate)
    if value is not None:
        described = (head(naive_badge()), left("conversions credited, per exposure"))
        rows.append(row(*described, right(number(float(value), "percent:1", rate)), right("")))
    return rows


def naive_badge() -> Markup:
    return Markup('<span class="badge undecided">naive</span>')


def rate_sql(campaign: str, policy: str) -> str:
    where = f"campaign = {quoted(campaign)} AND policy = {quoted(policy)}"
    return f"SELECT sum(conversions)::DOUBLE / nullif(sum(exposures), 0) FROM by_campaign WHERE {where}"


def growth_rows(opened: Findings, campaign: str) -> list[Markup]:
    what = goal(opened.campaign(campaign)["goal"])[0]
    rows = [
        line("naive", words(f"growth of {what} over the days before"), opened, f"growth[{campaign}/shown]",
             "undecided"),
        line("naive", words("last touch: credited conversions, of the level before"), opened, f"last_touch[{campaign}]",
             "undecided"),
        line("truth", words("growth without the campaign: came anyway"), opened, f"growth[{campaign}/held_out]"),
        line("truth", words("what the campaign added, of the level before"), opened, f"true_increment[{campaign}]"),
        line("truth", words("the same, over those held out"), opened, f"increment_over_held_out[{campaign}]"),
    ]  # fmt: skip
    if opened.found[f"estimated_increment[{campaign}]"].value is not None:
        text = words("of the holdout, of the level before")
        rows.append(line("estimate", text, opened, f"estimated_increment[{campaign}]"))
    return rows
