from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('accounts', '0003_saml'),
    ]

    operations = [
        migrations.CreateModel(
            name='JobRun',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('name', models.CharField(max_length=64, unique=True)),
                ('started_at', models.DateTimeField(blank=True, null=True)),
                ('finished_at', models.DateTimeField(blank=True, null=True)),
                ('succeeded_at', models.DateTimeField(blank=True, help_text='When it last did all that it had to.', null=True)),
                ('running_until', models.DateTimeField(blank=True, help_text='Until then nobody else begins it.', null=True)),
                ('result', models.JSONField(blank=True, default=dict, help_text='What it counted.')),
                ('failure', models.CharField(blank=True, default='', help_text='Why the newest run failed.', max_length=128)),
            ],
            options={
                'verbose_name': 'job',
                'ordering': ['name'],
            },
        ),
    ]
