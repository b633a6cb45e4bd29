-- What every script begins with.
local FIRST_UNEXACT = 9007199254740992 -- 2^53

-- The number that a field holds, or nil where that is no integer as workers write them: digits alone, exact, in its bounds.
-- What Lua itself would take for a number (nan, inf, 1e300, 1.5, 0x1f) is none.
local function integer(text, least, most)
  local value = type(text) == 'string' and #text <= 17 and string.match(text, '^%-?%d+$') and tonumber(text)
  if value and value >= (least or 0) and value <= (most or FIRST_UNEXACT - 1) then
    return value
  end
end

-- A switch as it lies under a key: level and epoch, which are both there or both not; nil where no worker wrote it.
local function switch_of(level, epoch)
  if not level and not epoch then
    return 0, -1
  end
  return integer(level, 0, 2), integer(epoch)
end

local function no_switch(key)
  return redis.error_reply('FOREIGN ' .. key .. ' holds no switch (level and epoch): move it away, it is not ours')
end

-- The text, or where it is longer its beginning and `mark`, in no more bytes than `most`; never half a character.
local function shortened(text, most, mark)
  if #text <= most then
    return text
  end
  local last = most - #mark
  while last > 0 and string.find(string.sub(text, last + 1, last + 1), '[\128-\191]') do
    last = last - 1
  end
  return string.sub(text, 1, last) .. mark
end

