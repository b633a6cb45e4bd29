"""Private keys of tests, each drawn anew: none is written down anywhere."""

from Crypto.PublicKey import ECC


def ed25519_pair() -> tuple[str, str]:
    """Private and public half, as `openssl genpkey -algorithm ed25519` and `openssl pkey -pubout` write them."""
    key = ECC.generate(curve="Ed25519")
    return key.export_key(format="PEM"), key.public_key().export_key(format="PEM")


def encrypted() -> str:
    key = ECC.generate(curve="Ed25519")
    protection = "PBKDF2WithHMAC-SHA512AndAES256-CBC"
    return key.export_key(
        format="PEM", passphrase="a passphrase", protection=protection, prot_params={"iteration_count": 1}
    )


def of_curve(curve: str) -> str:
    return ECC.generate(curve=curve).export_key(format="PEM")
