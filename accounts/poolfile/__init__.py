"""Pools as files: what ``manage.py apply`` reads and ``manage.py export`` prints (docs: the README's section on it).

Field names, types, limits and defaults are those of the Cognito API (CreateUserPool, UserPoolClientType and their
neighbours), so that what ``aws cognito-idp describe-*`` prints can be pasted in. The modules, in the order of work:

load      text of a file -> plain data, with the line of each value
values    the types of fields and what each refuses
fields    the tables: wire name, type, where the model keeps it
read      plain data -> checked documents, every problem with its path
write     documents -> rows, in one transaction; users, secrets and schemas have modules of their own
diff      what was changed, readable, secrets masked
export    rows -> the same shape

What is left out: signing keys. A pool that is applied elsewhere makes its own, and tokens of the old ones die.
"""
