"""The same requests straight to a store and through the proxy over it, answers compared.

client       signed requests whose answers are kept as they were on the wire
fields       an answer as a flat table of comparable fields
session      one run of a scenario against one endpoint
scenarios    what is asked, by topic
differences  where the answers may differ, and why; shown in docs/compatibility.md
"""
