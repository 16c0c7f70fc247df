"""A busy day as analytics tells it, and as it must: what is told of the day's own members, titles and genres, and by
how much what is told of the whole library has grown."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from tests.support.busy_day import Acts, Day, Truth

type Ask = Callable[[str], dict[str, Any]]
"""A report by what follows /api/analytics/ in its address."""


def whole_library(ask: Ask) -> Counter[str]:
    """Numbers that everybody's loans are in."""
    trend, dashboard = ask("borrowing-trends"), ask("dashboard")
    engagement, overdue = ask("engagement"), ask("overdue-patterns")
    turnover = ask("collection-turnover")
    found = Counter(
        {
            "loans": trend["loans"],
            "returns": trend["returns"],
            "renewals": trend["renewals"],
            "open": dashboard["open_loans"],
            "overdue": dashboard["overdue_loans"],
            "loans by month": sum(month["loans"] for month in engagement["months"]),
            "active by month": sum(month["active_members"] for month in engagement["months"]),
            "active by loans": sum(sum(month["by_loans"].values()) for month in engagement["months"]),
            "new members": sum(month["new_members"] for month in engagement["months"]),
            "returns, of which late": overdue["returns"],
            "late": overdue["late_returns"],
            "titles": turnover["titles"],
            "copies": turnover["copies"],
        }
    )
    found.update({f"loans of {role}": number for role, number in trend["by_role"].items()})
    for measure in ("loans", "returns", "renewals", "late_returns"):
        found[f"{measure} by day"] = sum(point[measure] for point in trend["points"])
    return found


@dataclass(frozen=True)
class Told:
    """members, titles, genres: what was done by whom, with what. holdings: titles and copies by genre, with loans.
    late: returns that came late, however they are told. library: by how much the whole library's numbers have grown,
    where they have.
    """

    members: Mapping[str, Acts]
    titles: Mapping[str, tuple[int, int]]
    genres: Mapping[str, Acts]
    holdings: Mapping[str, tuple[int, int, int]]
    late: int
    library: Mapping[str, int]


def told(ask: Ask, day: Day, before: Mapping[str, int]) -> Told:
    """What reports say. before: the whole library's numbers before the day."""
    ours = set(day.books.values())
    members = {member: ask(f"member-activity/{member}") for member in day.members}
    genres = {each["genre"]: each for each in ask("genres")["items"] if each["genre"] in ours}
    turnover = [each for each in ask("collection-turnover")["items"] if each["genre"] in ours]
    now = whole_library(ask)
    return Told(
        members={member: _acts(each) for member, each in members.items()},
        titles={
            each["book_id"]: (each["loans"], each["renewals"])
            for each in ask("popular-books?limit=100")["items"]
            if each["book_id"] in day.books
        },
        genres={genre: _acts(each) for genre, each in genres.items()},
        holdings={each["genre"]: (each["titles"], each["copies"], each["loans"]) for each in turnover},
        late=sum(each["late_returns"] for each in (*members.values(), *genres.values())),
        library={name: grown for name in now if (grown := now[name] - before.get(name, 0))},
    )


def to_be_told(truth: Truth) -> Told:
    """What they must say, by the loans."""
    day, acts = truth.day, truth.acts
    genres, titles = truth.by_genre(), Counter(day.books.values())
    # Whoever comes before and after midnight at the end of a month is active in both.
    months = {
        (loan["user_id"], loan[moment][:7])
        for loan in truth.listed
        for moment in ("issue_date", "return_date")
        if loan[moment] is not None
    }
    library = {
        "loans": acts.loans,
        "loans by day": acts.loans,
        "loans by month": acts.loans,
        "returns": acts.returns,
        "returns by day": acts.returns,
        "returns, of which late": acts.returns,
        "renewals": acts.renewals,
        "renewals by day": acts.renewals,
        "open": truth.open,
        "active by month": len(months),
        "active by loans": len(months),
        "new members": len(day.members),
        "titles": len(day.books),
        "copies": len(day.books) * day.copies,
        **{f"loans of {role}": each.loans for role, each in truth.by_role().items()},
    }
    return Told(
        members=truth.by_member(),
        titles={title: (each.loans, each.renewals) for title, each in truth.by_title().items()},
        genres=genres,
        holdings={
            genre: (number, number * day.copies, genres.get(genre, Acts()).loans) for genre, number in titles.items()
        },
        late=0,
        library={name: number for name, number in library.items() if number},
    )


def _acts(told_of: Mapping[str, Any]) -> Acts:
    return Acts(told_of["loans"], told_of["returns"], told_of["renewals"])
