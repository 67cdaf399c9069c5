-- Included by scripts that search a list for a value which may be stored in several byte forms.

-- equal_forms() searches a list for elements that equal one of the forms, except for the order of the members of
-- objects and for the spaces that redis-purse 2.x wrote. It returns the forms, followed by those elements.
--
-- To compare two texts, strings, arrays and objects are replaced by numbers from the inside out. Equal ones get the
-- same number, and the members of an object are sorted before it gets its number. JSON never contains \1, \2 and \3.
local function equal_forms(key, forms)
  local numbers, count, lengths, wanted, known, found = {}, 0, {}, {}, {}, {}
  local function number(text)
    if not numbers[text] then
      count = count + 1
      numbers[text] = '\1' .. count .. '\2'
    end
    return numbers[text]
  end
  local function part(open, body, close)
    if open == '{' then
      local members = {}
      for member in string.gmatch(body .. ',', '([^,]*),') do
        members[#members + 1] = member
      end
      table.sort(members)
      body = table.concat(members, ',')
    end
    return number(open .. body .. close)
  end
  local function whole(text)
    local again
    text = string.gsub(text, '\\(.)', function(c) return '\3' .. string.byte(c) end)
    text = string.gsub(string.gsub(text, '"[^"]*"', number), '([,:]) ', '%1')
    repeat
      text, again = string.gsub(text, '([%[{])([^%[%]{}]*)([%]}])', part)
    until again == 0
    return text
  end
  for _, form in ipairs(forms) do
    lengths[#form], wanted[whole(form)], known[form] = true, true, true
    found[#found + 1] = form
  end
  for start = 0, redis.call('LLEN', key) - 1, 500 do
    for _, element in ipairs(redis.call('LRANGE', key, start, start + 499)) do
      -- Without spaces, only an element of the same length can be equal.
      local likely = lengths[#element] or string.find(element, '[,:] ')
      if likely and not known[element] and not string.find(element, '[\1\2\3]') and wanted[whole(element)] then
        known[element] = true
        found[#found + 1] = element
      end
    end
  end
  return found
end
