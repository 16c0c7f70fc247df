"""Everything the service can be asked."""

from dataclasses import dataclass
from typing import Self

from library_common.clock import Clock
from users_service.application.editing import ChangeStatus, Editing, EditProfile, Promote
from users_service.application.leaving import Erase, Export
from users_service.application.password_policy import PasswordPolicy
from users_service.application.ports import EmailKey, Members, MembersLoans, Passwords
from users_service.application.reading import FindUsers, ReadUser
from users_service.application.registration import Register
from users_service.application.session_cases import SessionCases
from users_service.domain.membership import Terms


@dataclass(frozen=True)
class UseCases:
    """The use cases, ready to be called."""

    register: Register
    read: ReadUser
    find: FindUsers
    edit_profile: EditProfile
    change_status: ChangeStatus
    promote: Promote
    export: Export
    erase: Erase
    sessions: SessionCases

    @classmethod
    def of(
        cls,
        *,
        members: Members,
        passwords: Passwords,
        loans: MembersLoans,
        policy: PasswordPolicy,
        email_key: EmailKey,
        terms: Terms,
        clock: Clock,
        sessions: SessionCases,
    ) -> Self:
        """The use cases on these parts."""
        editing = Editing(members, clock)
        return cls(
            register=Register(members, passwords, policy, email_key, terms, clock),
            read=ReadUser(members, clock),
            find=FindUsers(members, email_key, clock),
            edit_profile=EditProfile(editing, email_key),
            change_status=ChangeStatus(editing, terms),
            promote=Promote(editing, terms),
            export=Export(members, loans, clock),
            erase=Erase(members, loans, clock),
            sessions=sessions,
        )
