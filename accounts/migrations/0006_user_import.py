import accounts.fields
import accounts.models.user_imports
import django.core.validators
import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('accounts', '0005_auth_events'),
    ]

    operations = [
        migrations.AlterModelOptions(
            name='pooluser',
            options={'ordering': ['username'], 'permissions': [('export_pooluser', 'Can export users'), ('export_password_hashes', 'Can export users with their password hashes')]},
        ),
        migrations.CreateModel(
            name='UserImportJob',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('job_id', models.CharField(default=accounts.models.user_imports.generate_job_id, max_length=55, unique=True)),
                ('job_name', models.CharField(max_length=128, validators=[django.core.validators.RegexValidator('(?a)^[\\w\\s+=,.@-]{1,128}\\Z')])),
                ('status', models.CharField(choices=[('Created', 'Created'), ('Pending', 'Pending'), ('InProgress', 'In progress'), ('Stopping', 'Stopping'), ('Expired', 'Expired'), ('Stopped', 'Stopped'), ('Failed', 'Failed'), ('Succeeded', 'Succeeded')], default='Created', max_length=10)),
                ('format', models.CharField(choices=[('csv', 'CSV, as Cognito takes it'), ('json', 'JSON or JSON lines')], max_length=4)),
                ('created_by', models.CharField(help_text="The operator's username, or the command's name.", max_length=150)),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('started_at', models.DateTimeField(blank=True, null=True)),
                ('worked_at', models.DateTimeField(blank=True, help_text='When a part of it was done last.', null=True)),
                ('finished_at', models.DateTimeField(blank=True, null=True)),
                ('rows', models.PositiveIntegerField(default=0, help_text='How many rows the file has, without its header.')),
                ('imported_users', models.PositiveIntegerField(default=0)),
                ('skipped_users', models.PositiveIntegerField(default=0, help_text='Rows whose user existed already.')),
                ('failed_users', models.PositiveIntegerField(default=0, help_text='Rows that were refused.')),
                ('completion_message', models.CharField(blank=True, default='', max_length=300)),
                ('user_pool', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='user_import_jobs', to='accounts.userpool')),
            ],
            options={
                'verbose_name': 'user import',
                'ordering': ['-id'],
            },
        ),
        migrations.CreateModel(
            name='UserImportPart',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('number', models.PositiveIntegerField()),
                ('payload', accounts.fields.EncryptedTextField(help_text='JSON: a list of [line, UserType or why it cannot be read].')),
                ('job', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='parts', to='accounts.userimportjob')),
            ],
        ),
        migrations.CreateModel(
            name='UserImportProblem',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('line', models.PositiveIntegerField(help_text='The line of a CSV; in JSON, the number of the user.')),
                ('username', models.CharField(blank=True, default='', max_length=128)),
                ('skipped', models.BooleanField(default=False, help_text='The user existed already; else the row was refused.')),
                ('reason', models.CharField(max_length=300)),
                ('job', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='problems', to='accounts.userimportjob')),
            ],
            options={
                'ordering': ['id'],
            },
        ),
        migrations.AddIndex(
            model_name='userimportjob',
            index=models.Index(fields=['status', 'worked_at'], name='import_to_work_on'),
        ),
        migrations.AddConstraint(
            model_name='userimportjob',
            constraint=models.CheckConstraint(condition=models.Q(('status__in', ['Created', 'Pending', 'InProgress', 'Stopping', 'Expired', 'Stopped', 'Failed', 'Succeeded'])), name='import_status_is_known'),
        ),
        migrations.AddConstraint(
            model_name='userimportpart',
            constraint=models.UniqueConstraint(fields=('job', 'number'), name='part_of_import'),
        ),
    ]
