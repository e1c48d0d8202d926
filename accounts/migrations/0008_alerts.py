import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('accounts', '0007_mail'),
    ]

    operations = [
        migrations.AddField(
            model_name='operator',
            name='receives_alerts',
            field=models.BooleanField(db_default=False, default=False, help_text='Is told by e-mail what needs an operator: failing jobs and providers, expiring keys.'),
        ),
        migrations.CreateModel(
            name='Alert',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('key', models.CharField(max_length=200, unique=True)),
                ('severity', models.PositiveSmallIntegerField()),
                ('words', models.CharField(max_length=500, verbose_name='what')),
                ('mend', models.CharField(max_length=1000, verbose_name='what to do')),
                ('since', models.DateTimeField()),
                ('told_severity', models.PositiveSmallIntegerField(default=0, help_text='0: nobody was told.')),
                ('told_at', models.DateTimeField(blank=True, null=True)),
                ('over_at', models.DateTimeField(blank=True, db_index=True, null=True)),
                ('user_pool', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.CASCADE, related_name='alerts', to='accounts.userpool')),
            ],
        ),
    ]
