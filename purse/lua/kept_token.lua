-- Included, behind foreign.lua, kept.lua and whole.lua, by scripts that read a fence.

-- kept_token() is the token under a key, or false if there is none, or an error if the key holds something else.
local function kept_token(key)
  local token, fault = kept('GET', key)
  if token and not whole(token) then
    return nil, foreign('a fence that is not a token', token)
  end
  return token, fault
end
