-- Say what keys hold, whatever it is, and never fail over one of them.
--
-- KEYS  the keys
--
-- Returns for each key its type ('none' if there is no such key), how many elements it has, the milliseconds it has
-- left as PTTL says it, its bytes of memory and its encoding; false (nil) for what does not apply to its type, and for
-- what the server knows no command for or does not let this user ask. O(n) for n keys.
local counting = {list = 'LLEN', hash = 'HLEN', set = 'SCARD', zset = 'ZCARD', stream = 'XLEN'}
local function ask(...)
  local reply = redis.pcall(...)
  if type(reply) == 'table' then
    return reply.ok or false
  end
  return reply
end
local found = {}
for i, key in ipairs(KEYS) do
  local kind = ask('TYPE', key)
  local length = kind and counting[kind] and ask(counting[kind], key) or false
  found[i] = {kind, length, ask('PTTL', key), ask('MEMORY', 'USAGE', key), ask('OBJECT', 'ENCODING', key)}
end
return found
