"""What an app is told when an identity is genuine and cannot come in (W 3.8); each protocol puts it into its form."""

from accounts.linking import IdentityRefused

CONSTRAINT = "1 validation error detected: Value at 'userName' failed to satisfy constraint:"


def words(refused: IdentityRefused) -> str:
    names = ", ".join(refused.names)
    told = {
        "attributes_required": f"attributes required: [{names}]",
        "attribute_immutable": f"user.{names}: Attribute cannot be updated.",
        "attribute_too_long": f"user.{names}: Attribute value is too long.",
        "attribute_invalid": f"user.{names}: Invalid attribute value, {refused.words}.",
        "alias_taken": f"An account with the given {names} already exists.",
        "user_disabled": "User is disabled.",
        "provider_deleted": "The identity provider does not exist any more.",
        "username_taken": "Already found an entry for this username",
        "username_too_long": f"{CONSTRAINT} Member must have length less than or equal to 128",
        "username_invalid": f"{CONSTRAINT} Member must satisfy regular expression pattern",
        "subject_invalid": "The provider's subject cannot be used.",
    }
    return told[refused.reason]
