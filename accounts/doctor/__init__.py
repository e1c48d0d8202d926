"""The doctor: what is wrong with a deployment, from where it runs, and how each thing is mended, in words.

``examination.examine`` yields findings, which ``manage.py doctor`` prints and others may show. The modules beside it
look at one thing each. They change nothing, and what they cost is bounded: they count in SQL, look at samples, and say
at how many.
"""
