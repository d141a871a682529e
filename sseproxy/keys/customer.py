"""Customer keys (SSE-C): what is stored to recognise one, and how it is compared.

The customer key lives as long as the request. What stays is the verifier, an HMAC salted per
envelope under a pepper from the attribute key, inside the sealed attributes (format.md 4.1).
"""

from __future__ import annotations

import hmac

from sseproxy.errors import CustomerKeyMissing, CustomerKeyWrong, IntegrityError
from sseproxy.format.derive import verifier
from sseproxy.secret import Secret


def check_customer_key(
    customer: Secret | None, stored_verifier: bytes | None, ak: Secret, envelope_salt: bytes
) -> Secret:
    """The customer key, if it is the one that the object was written with (format.md 4.1).

    stored_verifier: from the opened attributes. ak: of the version that the envelope names.
    Raises CustomerKeyMissing, CustomerKeyWrong; IntegrityError for an SSE-C envelope without
    verifier, which no writer makes. Constant time.
    """
    if customer is None:
        raise CustomerKeyMissing("the object is encrypted with a customer key, and none was given")
    if stored_verifier is None:
        raise IntegrityError("envelope", "an SSE-C envelope has no verifier")
    if not hmac.compare_digest(verifier(customer, ak, envelope_salt), stored_verifier):
        raise CustomerKeyWrong("the object is encrypted with another customer key")
    return customer
