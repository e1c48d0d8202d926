import accounts.fields
import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('accounts', '0002_federated_sign_in'),
    ]

    operations = [
        migrations.CreateModel(
            name='SamlKey',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('use', models.CharField(choices=[('signing', 'signs requests'), ('encryption', 'decrypts assertions')], max_length=10)),
                ('certificate', models.TextField(help_text='Base64 of the DER.')),
                ('fingerprint', models.CharField(help_text='SHA-256 of the DER.', max_length=64, unique=True)),
                ('private_key', accounts.fields.EncryptedTextField(help_text='PEM. Cleared once the key signs no more.')),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('not_after', models.DateTimeField(help_text='When the certificate expires.')),
                ('activated_at', models.DateTimeField(blank=True, help_text='Since when the key is used.', null=True)),
                ('retired_at', models.DateTimeField(blank=True, help_text='Since when another one is used instead.', null=True)),
            ],
            options={
                'verbose_name': 'SAML key',
                'ordering': ['user_pool_id', 'use', 'id'],
            },
        ),
        migrations.CreateModel(
            name='SignOutRequest',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('digest', models.CharField(help_text='Of the RelayState.', max_length=43, unique=True)),
                ('url', models.TextField(blank=True, default='', help_text='Where the app wants the browser back; a proven address.')),
                ('created_at', models.DateTimeField()),
                ('expires_at', models.DateTimeField(db_index=True)),
                ('consumed_at', models.DateTimeField(blank=True, null=True)),
            ],
        ),
        migrations.CreateModel(
            name='UsedSamlMessage',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('digest', models.CharField(help_text="Of the issuer and the message's ID.", max_length=43)),
                ('expires_at', models.DateTimeField(db_index=True)),
            ],
        ),
        migrations.RemoveConstraint(
            model_name='signinattempt',
            name='outcome_is_known',
        ),
        migrations.AddField(
            model_name='signinattempt',
            name='document',
            field=models.TextField(blank=True, default='', help_text='The refused SAML message, without its values.'),
        ),
        migrations.AddField(
            model_name='signinsession',
            name='authn_instant',
            field=models.DateTimeField(blank=True, help_text='When the provider authenticated the user.', null=True),
        ),
        migrations.AddField(
            model_name='signinsession',
            name='name_id_format',
            field=models.CharField(blank=True, default='', max_length=256),
        ),
        migrations.AddField(
            model_name='signinsession',
            name='name_qualifier',
            field=models.CharField(blank=True, default='', max_length=1024),
        ),
        migrations.AddField(
            model_name='signinsession',
            name='sp_name_qualifier',
            field=models.CharField(blank=True, default='', max_length=1024),
        ),
        migrations.AlterField(
            model_name='providerdocument',
            name='kind',
            field=models.CharField(help_text='discovery, jwks or saml.', max_length=16),
        ),
        migrations.AlterField(
            model_name='signinattempt',
            name='outcome',
            field=models.CharField(choices=[('signed_in', 'Signed in'), ('refused', 'Refused'), ('signed_out', 'Signed out')], max_length=16),
        ),
        migrations.AddConstraint(
            model_name='signinattempt',
            constraint=models.CheckConstraint(condition=models.Q(('outcome__in', ['signed_in', 'refused', 'signed_out'])), name='outcome_is_known'),
        ),
        migrations.AddField(
            model_name='samlkey',
            name='user_pool',
            field=models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='saml_keys', to='accounts.userpool'),
        ),
        migrations.AddField(
            model_name='signoutrequest',
            name='provider',
            field=models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to='accounts.identityprovider'),
        ),
        migrations.AddField(
            model_name='signoutrequest',
            name='user_pool',
            field=models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to='accounts.userpool'),
        ),
        migrations.AddField(
            model_name='usedsamlmessage',
            name='user_pool',
            field=models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to='accounts.userpool'),
        ),
        migrations.AddConstraint(
            model_name='samlkey',
            constraint=models.CheckConstraint(condition=models.Q(('use__in', ['signing', 'encryption'])), name='saml_key_use_is_known'),
        ),
        migrations.AddConstraint(
            model_name='samlkey',
            constraint=models.UniqueConstraint(condition=models.Q(('activated_at__isnull', False), ('retired_at__isnull', True)), fields=('user_pool', 'use'), name='one_active_saml_key'),
        ),
        migrations.AddConstraint(
            model_name='samlkey',
            constraint=models.UniqueConstraint(condition=models.Q(('activated_at__isnull', True), ('retired_at__isnull', True)), fields=('user_pool', 'use'), name='one_next_saml_key'),
        ),
        migrations.AddConstraint(
            model_name='usedsamlmessage',
            constraint=models.UniqueConstraint(fields=('user_pool', 'digest'), name='saml_message_is_used_once'),
        ),
    ]
