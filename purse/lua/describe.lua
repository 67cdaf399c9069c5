-- Describe keys of any type. A problem with one of them never makes the script fail.
--
-- KEYS  the keys
--
-- Returns for each key its type ('none' if there is no such key), its number of elements, the milliseconds it has
-- left as PTTL returns them, its bytes of memory and its encoding. A part is false (nil) if it does not apply to the
-- type, if the server does not have the command, or if this user may not use it. O(n) for n keys.
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
