"""Where the classes that `thetac.load` makes are imported from: a private cache of this user.

They have names of their own here, so that they can be pickled, and unpickled by other processes of the same user.
"""

from __future__ import annotations

from thetac.runtime.private_folder import private_folder

__path__ = [str(private_folder())]
