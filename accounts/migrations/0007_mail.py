import accounts.fields
import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('accounts', '0006_user_import'),
    ]

    operations = [
        migrations.CreateModel(
            name='OutgoingMail',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('kind', models.CharField(max_length=32)),
                ('recipient', models.CharField(max_length=320)),
                ('subject', models.CharField(max_length=200)),
                ('text', accounts.fields.EncryptedTextField(blank=True, default='')),
                ('html', accounts.fields.EncryptedTextField(blank=True, default='')),
                ('message_id', models.CharField(help_text='The same in every attempt.', max_length=320, unique=True)),
                ('key', models.CharField(blank=True, default='', help_text='Of two with one key there is one.', max_length=128)),
                ('created_at', models.DateTimeField()),
                ('expires_at', models.DateTimeField(blank=True, help_text='It is worth nothing afterwards.', null=True)),
                ('retry_until', models.DateTimeField()),
                ('next_attempt_at', models.DateTimeField(blank=True, null=True)),
                ('attempts', models.PositiveIntegerField(default=0)),
                ('sent_at', models.DateTimeField(blank=True, null=True)),
                ('given_up_at', models.DateTimeField(blank=True, null=True)),
                ('failure', models.CharField(blank=True, default='', help_text='Why the newest attempt failed.', max_length=64)),
                ('user_pool', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.CASCADE, related_name='outgoing_mail', to='accounts.userpool')),
            ],
            options={
                'verbose_name': 'outgoing mail',
                'verbose_name_plural': 'outgoing mail',
                'ordering': ['-id'],
                'indexes': [models.Index(condition=models.Q(('next_attempt_at__isnull', False)), fields=['next_attempt_at'], name='mail_that_is_due'), models.Index(fields=['created_at'], name='mail_by_age'), models.Index(fields=['recipient'], name='mail_by_recipient')],
                'constraints': [models.UniqueConstraint(condition=models.Q(('key', ''), _negated=True), fields=('key', 'recipient'), name='mail_is_queued_once'), models.CheckConstraint(condition=models.Q(('sent_at__isnull', True), ('given_up_at__isnull', True), _connector='OR'), name='mail_ends_one_way')],
            },
        ),
    ]
