-- The co-pilot's API for Lua scripts inside a DAW: finds the server, asks it with curl, reads what it answers. Knows no DAW.
-- Notes are {onset, duration, pitch, instrument, velocity} in quarter notes from where the request begins; drums are 128.

local client = {}

-- Where `anticipate live` says where it is; the same places as access.py.
function client.link_file()
  local home = os.getenv("HOME") or ""
  local own, xdg, appdata = os.getenv("ANTICIPATION_CONFIG"), os.getenv("XDG_CONFIG_HOME"), os.getenv("APPDATA")
  local function readable(path)
    local file = io.open(path)
    if file then file:close() end
    return file and path
  end
  if own then return readable(own .. "/live.curl") end
  return (appdata and readable(appdata .. "/anticipation/live.curl"))
    or readable((xdg or home .. "/.config") .. "/anticipation/live.curl")
    or readable(home .. "/Library/Application Support/anticipation/live.curl")
end

-- What a command line writes, where the host has no way of its own to run one.
function client.shell(line)
  local pipe = assert(io.popen(line .. " 2>&1"))
  local text = pipe:read("a")
  pipe:close()
  return text
end

-- A client, or nil and why not. run(command line, seconds) -> what the command writes; the host's way of running one.
function client.connect(run)
  local path = client.link_file()
  if not path then return nil, "the co-pilot is not running: start `anticipate live` first" end
  local file = assert(io.open(path))
  local text = file:read("a")
  file:close()
  return setmetatable({ path = path, url = text:match("# url = (%S+)"), run = run }, { __index = client })
end

function client.encode(text)
  return (tostring(text):gsub("[^%w%-_%.~]", function(c) return ("%%%02X"):format(c:byte()) end))
end

-- method, path -> the text of the answer, or nil and one line. The token stays in a file: a command line can be seen.
function client:ask(method, path, body, seconds)
  local line = ('curl -sS --max-time %d -K "%s" -X %s'):format(seconds or 10, self.path, method)
  local draft
  if body then
    draft = self.draft or (self.path .. ".body")
    local file, problem = io.open(draft, "wb")
    if not file then return nil, problem end
    file:write(body)
    file:close()
    line = line .. (' --data-binary "@%s"'):format(draft)
  end
  local answer = self.run(line .. (' "%s%s"'):format(self.url, path), seconds or 10) or ""
  if draft and not self.draft then os.remove(draft) end
  if not answer:match("^%s*[{%[]") then return nil, "the co-pilot does not answer: " .. answer:gsub("%s+", " "):sub(1, 200) end
  local problem = answer:match('^%s*{"error": "(.-[^\\])"}')
  if problem then return nil, (problem:gsub('\\"', '"')) end
  return answer
end

-- A number as JSON has it: a host that took over a language's commas, as Ardour does, has them in its Lua, too.
function client.number(value)
  return (("%.6f"):format(value):gsub(",", "."))
end

local function rows_text(rows)
  local parts = {}
  for i, row in ipairs(rows) do
    parts[i] = ("[%s,%s,%d,%d,%d]"):format(client.number(row[1]), client.number(math.max(row[2], 0.001)), row[3], row[4], row[5])
  end
  return "[" .. table.concat(parts, ",") .. "]"
end

local function points_text(points)
  local parts = {}
  for i, point in ipairs(points) do
    local numbers = {}
    for j, value in ipairs(point) do numbers[j] = client.number(value) end
    parts[i] = "[" .. table.concat(numbers, ",") .. "]"
  end
  return "[" .. table.concat(parts, ",") .. "]"
end

-- Start a job. options: name -> value as the command's flags; what is empty is left out, and what a script offers for all
-- tasks and this one has no use for: bars, rhythm ("1": it is kept), instruments. tempos: {quarter, bpm} pairs, meters:
-- {quarter, numerator, denominator}. Returns its id, or nil and one line.
function client:submit(task, options, notes, tempos, meters)
  local query, rewrites = "?task=" .. client.encode(task), task == "infill" or task == "vary"
  local rhythm = rewrites and options.rhythm or ""
  local useless = { rhythm = not rewrites, instruments = task == "vary" or rhythm ~= "",
    bars = task == "continue" or task == "harmonize" }
  for name, value in pairs(options) do
    if value ~= "" and not useless[name] then query = query .. "&" .. name .. "=" .. client.encode(value) end
  end
  local body = ('{"unit":"quarters","notes":%s,"tempos":%s,"meters":%s}'):format(
    rows_text(notes), points_text(tempos), points_text(meters))
  local answer, problem = self:ask("POST", "/api/jobs" .. query, body)
  return answer and answer:match('"id": "(%w+)"'), problem
end

-- How a job stands: its state ("waiting", "running", "done", "failed", "cancelled"), its progress 0-1, how many takes.
function client:look(id)
  local answer, problem = self:ask("GET", "/api/jobs/" .. id)
  if not answer then return "failed", 0, 0, problem end
  local _, takes = answer:gsub('"mid": ', "")
  return answer:match('"state": "(%w+)"'), tonumber(answer:match('"progress": ([%d%.]+)')), takes,
    answer:match('"error": "(.-)"')
end

-- One take: lists of notes `written` and `notes` (the written and the given), `names` of instruments, `chords`, `remarks`.
function client:take(id, number)
  local answer, problem = self:ask("GET", ("/api/jobs/%s/%d.json"):format(id, number), nil, 30)
  if not answer then return nil, problem end
  local take = { names = {}, chords = answer:match('"chords": "(.-)"'), remarks = answer:match('"remarks": "(.-)"') }
  for _, kind in ipairs { "written", "notes" } do
    take[kind] = {}
    for row in answer:match('"' .. kind .. '": (%b[])'):sub(2, -2):gmatch("%b[]") do
      local note = {}
      for number_ in row:gmatch("[%-%d%.e]+") do note[#note + 1] = tonumber(number_) end
      table.insert(take[kind], note)
    end
  end
  for instrument, name in answer:match('"instruments": (%b{})'):gmatch('"(%d+)": "(.-)"') do
    take.names[tonumber(instrument)] = name
  end
  return take
end

-- What lies ahead on the DAW's timeline: notes from quarter `from` of the song on, which replace what was sent before.
function client:timeline(notes, from)
  return self:ask("POST", "/api/timeline",
    ('{"unit":"quarters","notes":%s,"replace_from":%s}'):format(rows_text(notes), client.number(from)), 2)
end

-- The notes of a take by instrument, and what to call the track: a variation has the notes that stayed as well.
function client.tracks(task, take, number)
  local parts = {}
  for _, note in ipairs(task == "vary" and take.notes or take.written) do
    local part = parts[note[4]]
    if not part then
      part = { name = ("take %d: %s"):format(number, take.names[note[4]] or "given"), notes = {}, drums = note[4] == 128 }
      parts[note[4]] = part
    end
    table.insert(part.notes, note)
  end
  local order = {}
  for instrument, part in pairs(parts) do
    part.instrument = instrument
    order[#order + 1] = part
  end
  table.sort(order, function(a, b) return a.instrument < b.instrument end)
  return order
end

return client
