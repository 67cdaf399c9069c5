-- Included by scripts that may find something that no purse has written.

-- foreign() is the error that says so, with the beginning of what was found in printable characters.
local function foreign(what, found)
  local shown = string.gsub(string.sub(found, 1, 80), '[^\32-\126]', function(c)
    return string.format('\\x%02x', string.byte(c))
  end)
  return redis.error_reply('WRONGTYPE purse found ' .. what .. ': ' .. shown)
end

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
