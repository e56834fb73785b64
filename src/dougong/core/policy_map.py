"""Dtype policies by layer: one object given to a whole model."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, MutableMapping
from typing import Any, Self

from dougong.core.dtypes import Policy, policy
from dougong.core.errors import ConfigError

__all__ = ["DTypePolicyMap"]


class DTypePolicyMap(MutableMapping[str, Policy]):
    """A policy for each layer whose path is a key or matches one as a regular expression; others get the default.

    Keras: equals ``keras.dtype_policies.DTypePolicyMap``.   Raises: ConfigError where two keys match one path.

    >>> policies = DTypePolicyMap(policy_map={"head_.*": "float64"})
    >>> policies["head_1"].name, policies["body"].name
    ('float64', 'float32')
    """

    def __init__(
        self, default_policy: str | Policy | None = None, policy_map: Mapping[str, str | Policy] | None = None
    ) -> None:
        self.default_policy = policy(default_policy)
        self._policies = {path: policy(one) for path, one in (policy_map or {}).items()}

    def __getitem__(self, key: str) -> Policy:
        if key in self._policies:
            return self._policies[key]
        found = [path for path in self._policies if re.search(path, key)]
        if len(found) > 1:
            raise ConfigError(f"layer {key!r} matches {len(found)} keys of the policy map: {', '.join(found)}")
        return self._policies[found[0]] if found else self.default_policy

    def __setitem__(self, key: str, value: str | Policy) -> None:
        if key in self._policies:
            raise ConfigError(f"the policy map has {key!r} already; delete it first")
        self._policies[key] = policy(value)

    def __delitem__(self, key: str) -> None:
        del self._policies[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._policies)

    def __len__(self) -> int:
        return len(self._policies)

    def get_config(self) -> dict[str, Any]:
        return {
            "default_policy": self.default_policy.name,
            "policy_map": {path: one.name for path, one in self._policies.items()},
        }

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        return cls(**config)
