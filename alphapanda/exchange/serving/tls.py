"""The certificate that the exchange shows."""

import ssl
from pathlib import Path

from alphapanda.errors import CannotStart


def context_of(certificate: Path | None, key: Path | None) -> ssl.SSLContext | None:
    """None: plain HTTP. Raises CannotStart where the two do not make a certificate."""
    if certificate is None or key is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_cert_chain(certificate, key, password="")  # else OpenSSL asks at the terminal for one
    except OSError as error:  # ssl.SSLError is one
        reason = error.strerror or str(error)
        raise CannotStart(
            f"--tls-cert {certificate} with --tls-key {key} cannot be used: {reason}; "
            "give a PEM file each, the key without a passphrase"
        ) from error
    return context
