"""Users from a file, many at a time, into a pool that serves meanwhile; and the users of a pool into a file.

https://docs.aws.amazon.com/cognito/latest/developerguide/cognito-user-pools-using-import-tool.html
``csv_format`` and ``json_format`` turn a file into rows, one UserType each. ``receive`` stores them in parts as a job
in state Created. ``work`` imports one part after another, each in a short transaction; ``batch`` decides what becomes
of its rows, by the rules of a pool file (accounts/poolfile). ``export`` writes what can be imported again.

Left out: changing users who exist (they are skipped, as in Cognito), and the log in CloudWatch, for which the report
of a job stands.
"""
