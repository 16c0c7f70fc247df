"""The notifications table: items, keys and access patterns.

    item                             pk              sk                      written by
    a notice in a member's list      MEMBER#<user>   NOTICE#<id>             planning; reading; senders
    a notice was planned             MEMBER#<user>   TOLD#<identity>         planning, in one transaction with it all
    a message on its way             MEMBER#<user>   OUT#<channel>#<notice>  planning; every step of the sender
    a reminder to come               MEMBER#<user>   REMINDER#<id>           planning; firing or dropping it
    the lease of a channel           MEMBER#<user>   LEASE#<channel>         senders
    the member was erased            MEMBER#<user>   ERASED                  erasure, before anything else
    preferences                      MEMBER#<user>   PREFERENCES             adapters/preferences.py
    the account's language           MEMBER#<user>   LANGUAGE                adapters/account_languages.py
    a device, the list of devices    MEMBER#<user>   DEVICE#<id>, DEVICES    adapters/devices.py
    whose device has a token         TOKEN#<digest>  OWNER                   adapters/devices.py
    an announcement                  BROADCAST#<id>  BROADCAST               sending it; each page of it; cancelling it
    an announcement's request        IDEMPOTENT#<..> IDEMPOTENT              sending it (library_common.idempotency)
    a template, its versions         TEMPLATE#<name> NEWEST, <language>#v<n> adapters/stored_templates.py

    access                                           how                                          request units
    plan a notice with n messages and a reminder     transaction, with a check of ERASED          2 x (4 + n) write
    a member's list, newest first                    partition, prefix NOTICE#                    by size
    unread ones, and how many                        index by_agenda (keys), UNREAD#<user>        1 read or so
    what is due                                      index by_agenda (keys), DUE#<bucket>         1 read per bucket
    what of a member and channel is open             partition, prefix OUT#<channel>#, consistent by size
    messages that failed, newest first               index by_agenda (keys), FAILED; batch get    by size

The index by_agenda is sparse and holds keys only: `agenda` names the list that an item is in, `at` its place there. A
message or a reminder is in DUE#<bucket> at the time at which something has to be done about it, until nothing has. A
message that is being sent is there at the end of the sender's lease, so that a sender's death is found. A notice is in
UNREAD#<user> until it is read. Eight buckets by the member's id keep the sweep cheap and each partition far from its
limits. FAILED is one partition: that many failures are a matter for people, and throttled writes are retried.

Ids of notices sort by their time, so a list needs no index. Sizes: 0.3 to 0.7 KB each. A message that was sent loses
its data at once. Expiry: notices and planned marks 180 days, messages 30 days after they were sent or dropped,
failed ones 90, the tombstone of a member 400.

While a deployment runs, or after a roll-back, a newer version of this code may have written an item. So an existing
item is never replaced: writers set and remove named attributes (`changes`). Readers ignore attributes that they do not
know and carry unknown kinds, channels and states through as they are.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any
from zlib import crc32

from library_common.clock import from_rfc3339
from library_common.dynamodb import Expression
from notifications_service.application.ports import BUCKETS

EXPIRES = "expires_at_epoch"
AGENDA = "agenda"
AT = "at"
BY_AGENDA = "by_agenda"
FAILED = "FAILED"

KEEP_NOTICES = timedelta(days=180)
KEEP_DONE = timedelta(days=30)
KEEP_FAILED = timedelta(days=90)
KEEP_ERASED = timedelta(days=400)
"""Longer than any event could be on its way, dead-letter queues and replays included."""

NOTICE = "NOTICE#"
REMINDER = "REMINDER#"
DEVICE = "DEVICE#"
_DELIVERY = "OUT#"
_MEMBER = "MEMBER#"
_ANNOUNCEMENT = "BROADCAST#"

type Keys = dict[str, str]


def changes(attributes: Mapping[str, Any], remove: Iterable[str] = ()) -> Expression:
    """An update that sets the named attributes and removes those that are None, and leaves all others as they are.

    Names and values are called after the attributes, so a condition beside it needs other names for its values.
    """
    given = {name: value for name, value in attributes.items() if value is not None}
    gone = [*(name for name, value in attributes.items() if value is None), *remove]
    text = "SET " + ", ".join(f"#{name} = :{name}" for name in given) if given else ""
    if gone:
        text = f"{text} REMOVE {', '.join(f'#{name}' for name in gone)}".strip()
    return Expression(text, {name: name for name in (*given, *gone)}, given)


def epoch(moment: datetime) -> int:
    """A time as TTL attributes have it."""
    return int(moment.timestamp())


def optional_time(text: str | None) -> datetime | None:
    return from_rfc3339(text) if text else None


# -- lists of the index ---------------------------------------------------------------------------


def bucket_of(name: str) -> str:
    """The list of due tasks for a member or an announcement."""
    return due_in(crc32(name.encode()) % BUCKETS)


def due_in(bucket: int) -> str:
    return f"DUE#{bucket}"


def unread_of(user_id: str) -> str:
    return f"UNREAD#{user_id}"


# -- keys: every item's are made here -------------------------------------------------------------


def member(user_id: str) -> str:
    return _MEMBER + user_id


def user_id_of(item: Mapping[str, Any]) -> str:
    return str(item["pk"]).removeprefix(_MEMBER)


def erased_key(user_id: str) -> Keys:
    return {"pk": member(user_id), "sk": "ERASED"}


def planned_key(user_id: str, identity: str) -> Keys:
    return {"pk": member(user_id), "sk": f"TOLD#{identity}"}


def notice_key(user_id: str, notice_id: str) -> Keys:
    return {"pk": member(user_id), "sk": NOTICE + notice_id}


def lease_key(user_id: str, channel: str) -> Keys:
    return {"pk": member(user_id), "sk": f"LEASE#{channel}"}


def delivery_key(user_id: str, channel: str, notice_id: str) -> Keys:
    return {"pk": member(user_id), "sk": f"{delivery_prefix(channel)}{notice_id}"}


def delivery_prefix(channel: str) -> str:
    return f"{_DELIVERY}{channel}#"


def channel_and_notice(sort_key: str) -> tuple[str, str] | None:
    """What a delivery's key names; None for any other key."""
    if not sort_key.startswith(_DELIVERY):
        return None
    channel, _, notice_id = sort_key.removeprefix(_DELIVERY).partition("#")
    return channel, notice_id


def reminder_key(user_id: str, its_id: str) -> Keys:
    return {"pk": member(user_id), "sk": REMINDER + its_id}


def preferences_key(user_id: str) -> Keys:
    return {"pk": member(user_id), "sk": "PREFERENCES"}


def language_key(user_id: str) -> Keys:
    return {"pk": member(user_id), "sk": "LANGUAGE"}


def device_key(user_id: str, device_id: str) -> Keys:
    return {"pk": member(user_id), "sk": DEVICE + device_id}


def device_list_key(user_id: str) -> Keys:
    return {"pk": member(user_id), "sk": "DEVICES"}


def token_key(digest: str) -> Keys:
    return {"pk": f"TOKEN#{digest}", "sk": "OWNER"}


def announcement_key(announcement_id: str) -> Keys:
    return {"pk": _ANNOUNCEMENT + announcement_id, "sk": "BROADCAST"}


def announcement_id_of(item: Mapping[str, Any]) -> str | None:
    """The id in an announcement's key; None for any other item."""
    partition = str(item["pk"])
    return partition.removeprefix(_ANNOUNCEMENT) if partition.startswith(_ANNOUNCEMENT) else None


def template_head_key(name: str) -> Keys:
    return {"pk": f"TEMPLATE#{name}", "sk": "NEWEST"}


def template_version_key(name: str, language: str, version: int) -> Keys:
    return {"pk": f"TEMPLATE#{name}", "sk": f"{language}#v{version:06d}"}
