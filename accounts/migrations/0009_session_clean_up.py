from django.db import migrations, models

from accounts.migration_operations import AddIndexOnline


class Migration(migrations.Migration):

    atomic = False

    dependencies = [
        ('accounts', '0008_alerts'),
    ]

    operations = [
        AddIndexOnline(
            model_name='signinsession',
            index=models.Index(condition=models.Q(('name_id', '')), fields=['expires_at'], name='session_not_of_saml'),
        ),
    ]
