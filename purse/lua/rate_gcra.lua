-- Decide whether a hit of some cost passes, by the generic cell rate algorithm, drawn in purse/_coordination/rates.py.
--
-- Every time is a number of whole microseconds and a part of one, counted in ARGV[1]ths. So it is exact even if the
-- time that one hit costs is not a whole number. The key holds the time when the level will be zero,
-- "1763400000142857 1".
--
-- KEYS[1]  string key of the identity
-- ARGV[1]  how many parts a microsecond has
-- ARGV[2]  how high the level may be: microseconds, and
-- ARGV[3]  parts
-- ARGV[4]  by how much this hit raises it: microseconds, and
-- ARGV[5]  parts
-- ARGV[6]  "hit" to raise it, "peek" to look only
--
-- Returns {1 if the hit passes or else 0, the level afterwards: microseconds, parts}. O(1).
--#include foreign
local key, parts = KEYS[1], tonumber(ARGV[1])
local most, most_part = tonumber(ARGV[2]), tonumber(ARGV[3])
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local level, part, lowered = 0, 0, false
local stored = redis.call('GET', key)
if stored then
  local zero, zero_part = string.match(stored, '^(%d+) (%d+)$')
  if not zero then
    return foreign('a string that is not the state of this limiter', stored)
  end
  level, part = zero - now, tonumber(zero_part)
  if part >= parts then -- written when the rate was another
    level, part = level + 1, 0
  end
  if level < 0 then
    level, part = 0, 0
  elseif level > most or (level == most and part > most_part) then
    -- The limit was higher before, or the clock was set back: the bucket is full, and the level sinks from now on.
    level, part, lowered = most, most_part, true
  end
end
local raised, raised_part = level + ARGV[4], part + ARGV[5]
if raised_part >= parts then
  raised, raised_part = raised + 1, raised_part - parts
end
local passes = raised < most or (raised == most and raised_part <= most_part)
if ARGV[6] == 'hit' and (passes or lowered) then
  if passes then
    level, part = raised, raised_part
  end
  -- A second more than needed: the time at which the server expires keys is not exactly the time above.
  local ms = math.ceil(level / 1000) + 1000
  redis.call('SET', key, string.format('%.0f %.0f', now + level, part), 'PX', string.format('%.0f', ms))
end
return {passes and 1 or 0, level, part}
