-- Included by scripts that remove elements of a list.

-- remove_forms() removes elements that are one of the forms: all for a count of 0, the first n from the head for n > 0,
-- the last -n for n < 0. It returns how many. The mark does not equal any element. If a command is forbidden, the first
-- one fails, before anything is written.
local function remove_forms(key, count, mark, forms)
  local removed = redis.call('LREM', key, 0, mark)
  local rank = count < 0 and -1 or 1
  if count == 0 then
    for _, form in ipairs(forms) do
      removed = removed + redis.call('LREM', key, 0, form)
    end
  end
  while removed < math.abs(count) do
    local found
    for _, form in ipairs(forms) do
      local at = redis.call('LPOS', key, form, 'RANK', rank)
      if at and (not found or (at - found) * rank < 0) then
        found = at
      end
    end
    if not found then
      break
    end
    redis.call('LSET', key, found, mark)
    redis.call('LREM', key, rank, mark)
    removed = removed + 1
  end
  return removed
end
