"""What a server carries out as one step, in its own language; each script names one key, so that it works in a cluster."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

from providers.keyvalue.backends.redis_errors import OVERFLOW


@dataclass(frozen=True)
class Script:
    """Its text, and the sum under which a server knows it."""

    text: str
    sha: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "sha", hashlib.sha1(self.text.encode(), usedforsecurity=False).hexdigest())


# Its numbers are exact to 53 bits: a larger sum is read as text. Bounds of 64 bits are those of INCRBY itself.
INCREMENT = Script(f"""
local sum = redis.pcall('INCRBY', KEYS[1], ARGV[1])
if type(sum) == 'table' then return sum end
if sum < tonumber(ARGV[2]) or sum > tonumber(ARGV[3]) then
    redis.call('DECRBY', KEYS[1], ARGV[1])
    return {{err = '{OVERFLOW}'}}
end
if sum > -{1 << 53} and sum < {1 << 53} then return sum end
return redis.call('GET', KEYS[1])
""")

LIST_ADD = Script("""
local length = redis.pcall('LLEN', KEYS[1])
if type(length) == 'table' then return length end
if length >= tonumber(ARGV[2]) then return -1 end
return redis.pcall('RPUSH', KEYS[1], ARGV[1])
""")

SET_ADD = Script("""
local there = redis.pcall('SISMEMBER', KEYS[1], ARGV[1])
if type(there) == 'table' then return there end
if there == 1 then return 0 end
if redis.call('SCARD', KEYS[1]) >= tonumber(ARGV[2]) then return -1 end
return redis.pcall('SADD', KEYS[1], ARGV[1])
""")

# The moment of expiry in milliseconds: Redis 7 tells it, an older one what is left.
ENTRY = Script("""
local kind = redis.call('TYPE', KEYS[1]).ok
local items = {}
if kind == 'string' then items = {redis.call('GET', KEYS[1])} end
if kind == 'list' then items = redis.call('LRANGE', KEYS[1], 0, -1) end
if kind == 'set' then items = redis.call('SMEMBERS', KEYS[1]) end
local left = redis.call('PTTL', KEYS[1])
if left < 0 then return {kind, '0', items} end
local moment = redis.pcall('PEXPIRETIME', KEYS[1])
if type(moment) == 'table' then
    local now = redis.call('TIME')
    moment = now[1] * 1000 + math.floor(now[2] / 1000) + left
end
return {kind, string.format('%.0f', moment), items}
""")

# Of what has more than 1000 members, 1000 are weighed.
WEIGHT = Script("""
local kind = redis.call('TYPE', KEYS[1]).ok
local size, some = 0, {}
if kind == 'string' then size = redis.call('STRLEN', KEYS[1]) end
if kind == 'list' then some = redis.call('LRANGE', KEYS[1], 0, 999) end
if kind == 'set' then some = redis.call('SRANDMEMBER', KEYS[1], 1000) end
for _, item in ipairs(some) do size = size + #item end
if #some == 1000 then
    size = math.floor(size / 1000 * redis.call(kind == 'list' and 'LLEN' or 'SCARD', KEYS[1]))
end
return {kind, redis.call('PTTL', KEYS[1]) >= 0 and 1 or 0, size}
""")

# unpack() takes some thousands at most.
PUT = Script("""
redis.call('DEL', KEYS[1])
if ARGV[1] == 'SET' then
    redis.call('SET', KEYS[1], ARGV[3])
else
    for i = 3, #ARGV, 1000 do redis.call(ARGV[1], KEYS[1], unpack(ARGV, i, math.min(i + 999, #ARGV))) end
end
if ARGV[2] ~= '0' then redis.call('PEXPIREAT', KEYS[1], ARGV[2]) end
return 1
""")
