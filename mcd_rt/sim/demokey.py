"""The key that signs simulated packages: anybody has it, so it proves nothing beyond a demo.

Fixed, so that an image has the same bytes every time; a simulated node has the public half where hosts have
the keys of their vendor.
"""

FILE_NAME = "RPM-GPG-KEY-mcd-rt-demo"

PUBLIC_KEY = """\
-----BEGIN PGP PUBLIC KEY BLOCK-----

mDMEX14QABYJKwYBBAHaRw8BAQdADt/HK+xzRfg+T+/WypLXABsAUaefsOQGn1LZ
H5kkvYG0Mm1jZC1ydCBkZW1vIChzaWducyBub3RoaW5nIGJ1dCBzaW11bGF0ZWQg
cGFja2FnZXMpiJAEExYIADgWIQTMFaci+p9KpSXAM0MKFEoPVqzJEQUCX14QAAIb
AwULCQgHAgYVCgkICwIEFgIDAQIeAQIXgAAKCRAKFEoPVqzJEfoXAQDSjUP/6ju6
hX/rLQ2VOdNuj4WcWeMU+gr5CBMURvSPIQD+MQij90GCJY3neQakDEs9LvATIPY9
miVgdr0orMyjzwE=
=U1z3
-----END PGP PUBLIC KEY BLOCK-----
"""

SECRET_KEY = """\
-----BEGIN PGP PRIVATE KEY BLOCK-----

lFgEX14QABYJKwYBBAHaRw8BAQdADt/HK+xzRfg+T+/WypLXABsAUaefsOQGn1LZ
H5kkvYEAAP4wK1r6RCwRIoXmnSg3CBoiB46XzbBwm7m5kvuaGpEE8g7ptDJtY2Qt
cnQgZGVtbyAoc2lnbnMgbm90aGluZyBidXQgc2ltdWxhdGVkIHBhY2thZ2VzKYiQ
BBMWCAA4FiEEzBWnIvqfSqUlwDNDChRKD1asyREFAl9eEAACGwMFCwkIBwIGFQoJ
CAsCBBYCAwECHgECF4AACgkQChRKD1asyRH6FwEA0o1D/+o7uoV/6y0NlTnTbo+F
nFnjFPoK+QgTFEb0jyEA/jEIo/dBgiWN53kGpAxLPS7wEyD2PZolYHa9KKzMo88B
=3gf9
-----END PGP PRIVATE KEY BLOCK-----
"""  # noqa: S105 - published on purpose, it protects nothing
