-- Decide whether a hit of some cost passes: only if it stays within the limit for the window that ends with it.
--
-- The key is a list of the times of the hits that passed, in microseconds of the server's clock, oldest first. A hit
-- that costs 3 is in it three times. Hits older than the window are found by bisection and cut off at once.
--
-- KEYS[1]  list key of the identity
-- ARGV[1]  the limit
-- ARGV[2]  the length of the window in microseconds
-- ARGV[3]  what the hit costs
-- ARGV[4]  "hit" to note it, "peek" to look only
--
-- Returns {1 if the hit passes or else 0, how much of the limit is used afterwards, microseconds until none of it is
-- used, microseconds until the hit would pass}. O(cost + log(limit)), and the cost of removing old hits.
--#include foreign
local key, limit, window, cost, hit = KEYS[1], tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), ARGV[4] == 'hit'
local call = redis.call
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local size = call('LLEN', key)
local other
local function at(index)
  local word = call('LINDEX', key, index)
  if not word:find('^%d+$') then
    other = word
  end
  return tonumber(word) or 0
end
-- The index of the first hit that is later than a time, or size if none is later.
local function later(than)
  local low, high = 0, size
  while low < high do
    local mid = math.floor((low + high) / 2)
    if at(mid) > than then
      high = mid
    else
      low = mid + 1
    end
  end
  return low
end
local function note(count)
  local word, words = ('%.0f'):format(now), {}
  for i = 1, math.min(count, 1000) do
    words[i] = word
  end
  for left = count, 1, -1000 do
    call('RPUSH', key, unpack(words, 1, math.min(left, 1000)))
  end
end
local function refuse()
  return foreign('an element that is not the time of a hit', other)
end
local last = size > 0 and at(0) and at(-1) or 0
local ms = ('%.0f'):format(math.ceil(window / 1000) + 1000)
-- If the clock was set back, there are hits in the future. They count as hits of now.
if hit and last > now then
  local first = later(now)
  if other then
    return refuse()
  end
  call('PEXPIRE', key, ms)
  call('LTRIM', key, -size, first - size - 1)
  note(size - first)
  call('PEXPIRE', key, ms)
end
local gone = later(now - window)
local used = size - gone
local passes = used + cost <= limit
local reset, retry = 0, 0
if used > 0 then
  reset = math.min(at(-1), now) + window - now
end
if not passes then
  retry = math.min(at(gone + used + cost - limit - 1), now) + window - now
end
if other then
  return refuse()
end
if hit and gone > 0 then
  call('LTRIM', key, gone, -1)
end
if hit and passes then
  local there = call('PEXPIRE', key, ms) -- before the rest: if it is forbidden, nothing was written
  note(cost)
  if there == 0 then
    call('PEXPIRE', key, ms)
  end
  used, reset = used + cost, window
end
return {passes and 1 or 0, used, reset, retry}
