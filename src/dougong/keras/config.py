"""``keras.config``: settings of the process."""

from dougong.core.dtypes import default_policy as dtype_policy
from dougong.core.dtypes import set_default_policy as set_dtype_policy
from dougong.core.names import reset_names as clear_session

__all__ = ["clear_session", "dtype_policy", "set_dtype_policy"]
