"""Imports of users from a file: the job, what of the file is still to be done, and the rows that were not imported.

https://docs.aws.amazon.com/cognito-user-identity-pools/latest/APIReference/API_UserImportJobType.html
The file lives in the database, in parts, because there is no disk that all machines share. A part is deleted in the
transaction that imports it: what is there is what is left to do, whoever does it and however often it was killed.
"""

from django.core.validators import RegexValidator
from django.db import models

from accounts import opaque, rules
from accounts.fields import EncryptedTextField
from accounts.models.pools import UserPool


def generate_job_id() -> str:
    return f"import-{opaque.random_mixed(10)}"


class ImportStatus(models.TextChoices):
    CREATED = "Created", "Created"
    PENDING = "Pending", "Pending"
    IN_PROGRESS = "InProgress", "In progress"
    STOPPING = "Stopping", "Stopping"
    EXPIRED = "Expired", "Expired"
    STOPPED = "Stopped", "Stopped"
    FAILED = "Failed", "Failed"
    SUCCEEDED = "Succeeded", "Succeeded"


class ImportFormat(models.TextChoices):
    CSV = "csv", "CSV, as Cognito takes it"
    JSON = "json", "JSON or JSON lines"


class UserImportJob(models.Model):
    """One file of users on its way into a pool. The columns are those of UserImportJobType."""

    job_id = models.CharField(max_length=55, unique=True, default=generate_job_id)
    job_name = models.CharField(max_length=128, validators=[RegexValidator(rules.NAME)])
    user_pool = models.ForeignKey(UserPool, models.CASCADE, related_name="user_import_jobs")
    status = models.CharField(max_length=10, choices=ImportStatus, default=ImportStatus.CREATED)
    format = models.CharField(max_length=4, choices=ImportFormat)
    created_by = models.CharField(max_length=150, help_text="The operator's username, or the command's name.")
    created_at = models.DateTimeField(auto_now_add=True)
    started_at = models.DateTimeField(null=True, blank=True)
    worked_at = models.DateTimeField(null=True, blank=True, help_text="When a part of it was done last.")
    finished_at = models.DateTimeField(null=True, blank=True)
    rows = models.PositiveIntegerField(default=0, help_text="How many rows the file has, without its header.")
    imported_users = models.PositiveIntegerField(default=0)
    skipped_users = models.PositiveIntegerField(default=0, help_text="Rows whose user existed already.")
    failed_users = models.PositiveIntegerField(default=0, help_text="Rows that were refused.")
    completion_message = models.CharField(max_length=300, blank=True, default="")

    class Meta:
        verbose_name = "user import"
        ordering = ["-id"]
        indexes = [models.Index(fields=["status", "worked_at"], name="import_to_work_on")]
        constraints = [
            models.CheckConstraint(condition=models.Q(status__in=ImportStatus.values), name="import_status_is_known")
        ]

    def __str__(self) -> str:
        return f"{self.job_name} ({self.job_id})"

    @property
    def row_word(self) -> str:
        """What a row of the file is called."""
        return "Line" if self.format == ImportFormat.CSV else "User"

    @property
    def done(self) -> int:
        """How many rows have been decided on."""
        return self.imported_users + self.skipped_users + self.failed_users


class UserImportPart(models.Model):
    """Some rows of the file of a job that are still to be done; sealed, for they hold what people are called by."""

    job = models.ForeignKey(UserImportJob, models.CASCADE, related_name="parts")
    number = models.PositiveIntegerField()
    payload = EncryptedTextField(help_text="JSON: a list of [line, UserType or why it cannot be read].")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["job", "number"], name="part_of_import")]

    def __str__(self) -> str:
        return f"part {self.number} of import {self.job_id}"


class UserImportProblem(models.Model):
    """A row that was not imported, and why. The first few thousand of a job are kept."""

    job = models.ForeignKey(UserImportJob, models.CASCADE, related_name="problems")
    line = models.PositiveIntegerField(help_text="The line of a CSV; in JSON, the number of the user.")
    username = models.CharField(max_length=128, blank=True, default="")
    skipped = models.BooleanField(default=False, help_text="The user existed already; else the row was refused.")
    reason = models.CharField(max_length=300)

    class Meta:
        ordering = ["id"]

    def __str__(self) -> str:
        return f"line {self.line} of import {self.job_id}"
