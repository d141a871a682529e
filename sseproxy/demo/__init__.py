"""`sseproxy demo`: an embedded store, the proxy, and what each of them sees.

`stage` has what the steps work with, `disk` reads the store's files, `steps` are what is shown,
`run` starts, shows and stops. The clients and the store are an extra: sseproxy[demo].
"""

from sseproxy.demo.run import run_demo

__all__ = ["run_demo"]
