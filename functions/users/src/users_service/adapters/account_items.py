"""Accounts and credentials as items of the users table: keys, attributes, conditions and the writes of changes.

Writes name the attributes they set or remove, and readers ignore attributes they do not know. So what a newer version
of the service has stored, also inside `preferences`, survives every change by this version.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from library_common.clock import from_rfc3339, to_rfc3339
from library_common.dynamodb import Check, Expression, Item, Update
from library_common.events import OUTBOX_ATTRIBUTE, Envelope, to_outbox
from users_service.application.sorting import sort_name
from users_service.domain.model import Member, Preferences
from users_service.domain.search import Position

DIRECTORY = "MEMBERS"

_PREFERENCES = (
    "language",
    "notification_email",
    "notification_sms",
    "keep_history",
    "share_for_recommendations",
)


# -- keys -----------------------------------------------------------------------------------------


def account_key(user_id: str) -> dict[str, str]:
    return {"pk": f"USER#{user_id}", "sk": "PROFILE"}


def credentials_key(user_id: str) -> dict[str, str]:
    return {"pk": f"USER#{user_id}", "sk": "CREDENTIALS"}


def directory_entry(position: Position) -> dict[str, str]:
    """The account's key attributes in the index `by_name`."""
    return {"directory": DIRECTORY, "directory_name": f"{position.sort_name}\t{position.user_id}"}


# -- accounts -------------------------------------------------------------------------------------


def new_account(member: Member, happened: Sequence[Envelope]) -> Item:
    """The item of an account that does not exist yet."""
    return {
        **account_key(member.id),
        **_attributes(member),
        "preferences": {name: getattr(member.preferences, name) for name in _PREFERENCES},
        OUTBOX_ATTRIBUTE: to_outbox(happened),
    }


def account_change(member: Member, before: Member, happened: Sequence[Envelope]) -> Update:
    """Writes what differs between two versions of an account; without events, earlier ones are removed.

    Fails unless the account is of the version of `before`.
    """
    old, new = _attributes(before), _attributes(member)
    changes: list[tuple[Sequence[str], Any]] = [([name], new[name]) for name in new if new[name] != old[name]]
    changes += [
        (["preferences", name], value)
        for name in _PREFERENCES
        if (value := getattr(member.preferences, name)) != getattr(before.preferences, name)
    ]
    changes.append(([OUTBOX_ATTRIBUTE], to_outbox(happened)))
    return Update(account_key(member.id), setting(changes), of_version(before))


def read_account(item: Mapping[str, Any] | None) -> Member | None:
    """The account in an item. None for a missing one and for the tombstone of an erased account."""
    if item is None or item.get("erased"):
        return None
    preferences = item["preferences"]
    return Member(
        id=item["user_id"],
        name=item["name"],
        email=item["email"],
        email_key=item["email_key"],
        role=item["role"],
        stored_status=item["status"],
        status_reason=item.get("status_reason"),
        suspended_until=_time(item.get("suspended_until")),
        phone=item.get("phone"),
        phone_confirmed=item.get("phone_confirmed", False),
        preferences=Preferences(**{name: preferences[name] for name in _PREFERENCES if name in preferences}),
        expires_at=_time(item.get("expires_at")),
        email_verified_at=_time(item.get("email_verified_at")),
        session_epoch=item.get("session_epoch", 0),
        created_at=from_rfc3339(item["created_at"]),
        version=item["version"],
    )


def _attributes(member: Member) -> dict[str, Any]:
    """The attributes of an account except preferences and events. None for absent ones."""
    return {
        **directory_entry(Position(sort_name(member.name), member.id)),
        "user_id": member.id,
        "name": member.name,
        "email": member.email,
        "email_key": member.email_key,
        # Text, also of the enumerations of this version.
        "role": str(member.role),
        "status": str(member.stored_status),
        "status_reason": member.status_reason,
        "suspended_until": _text(member.suspended_until),
        "phone": member.phone,
        "phone_confirmed": member.phone_confirmed,
        "expires_at": _text(member.expires_at),
        "email_verified_at": _text(member.email_verified_at),
        "session_epoch": member.session_epoch,
        "created_at": to_rfc3339(member.created_at),
        "version": member.version,
    }


# -- conditions -----------------------------------------------------------------------------------


def of_version(member: Member) -> Expression:
    return Expression("#version = :read", names={"version": "version"}, values={"read": member.version})


def still_as_read(member: Member) -> Check:
    """For a transaction that must not overtake a change of this account: a suspension, another role, a new password."""
    return Check(account_key(member.id), of_version(member))


# -- credentials ----------------------------------------------------------------------------------


def credentials(password_hash: str, now: datetime) -> Item:
    """The attributes of an account's credentials."""
    return {"password_hash": password_hash, "changed_at": to_rfc3339(now)}


# -- update expressions ---------------------------------------------------------------------------


def setting(changes: Iterable[tuple[Sequence[str], Any]]) -> Expression:
    """An update that sets the attributes at these paths, and removes those whose value is None."""
    names: dict[str, str] = {}
    values: dict[str, Any] = {}
    sets: list[str] = []
    removes: list[str] = []
    for number, (path, value) in enumerate(changes):
        names |= {name: name for name in path}
        written = ".".join(f"#{name}" for name in path)
        if value is None:
            removes.append(written)
        else:
            sets.append(f"{written} = :set{number}")
            values[f"set{number}"] = value
    clauses = [f"{word} {', '.join(parts)}" for word, parts in (("SET", sets), ("REMOVE", removes)) if parts]
    return Expression(" ".join(clauses), names, values)


def _text(at: datetime | None) -> str | None:
    return to_rfc3339(at) if at is not None else None


def _time(text: str | None) -> datetime | None:
    return from_rfc3339(text) if text is not None else None
