"""The Lua scripts as the programs send them: the build puts the prelude, and what a folder's scripts share, before each."""

import os

from edge import ROOT

_ALONE = ("collector/store.lua", "collector/fold.lua", "dashboard-feed/read.lua")


def script_text(path):
    """Of a script by its path in the source, such as collector/register.lua."""
    before = [] if path in _ALONE else ["lib/lua/prelude.lua"]
    if path == "collector/register.lua":
        before.append("collector/shard_store.lua")
    if path in ("collector/position.lua", "collector/claim.lua"):
        before = ["collector/shard_store.lua"]
    if path.startswith("cli/"):
        before.append("cli/article.lua")
    return b"".join(open(os.path.join(ROOT, part), "rb").read() for part in before + [path])
