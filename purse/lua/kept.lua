-- Included, behind foreign.lua, by scripts that read keys beside the one that the caller knows.

-- kept() is what a command reads of a key beside the one that the caller knows, and an error that names this key if it
-- is of another type.
local function kept(command, key, ...)
  local found = redis.pcall(command, key, ...)
  local refused = type(found) == 'table' and found.err
  if refused and string.sub(refused, 1, 9) == 'WRONGTYPE' then
    return nil, foreign('another type under the key', key)
  end
  return found, refused and found
end
