ardour {
  ["type"] = "EditorAction",
  name = "Anticipation",
  author = "Anticipation",
  license = "Apache-2.0",
  description = [[Select a MIDI region, choose a task, get the takes as regions on new tracks. Needs `anticipate live`.]],
}

-- Copy this one file to Ardour's scripts folder (see README.md). The rest is read from where the co-pilot lies.

local TASKS = { "accompany", "infill", "continue", "vary", "harmonize" }

function factory() return function()
  local function tell(text)
    if LuaDialog then LuaDialog.Message("Anticipation", text, LuaDialog.MessageType.Info, LuaDialog.ButtonType.Close):run()
    else print(text) end
  end

  -- client.lua, from the folder that the link file names. Ardour takes dofile and require away, not loadfile.
  local function library()
    local home = os.getenv("HOME") or ""
    local config = os.getenv("XDG_CONFIG_HOME") or home .. "/.config"
    local places = { (os.getenv("ANTICIPATION_CONFIG") or "") .. "/live.curl", config .. "/anticipation/live.curl",
      home .. "/Library/Application Support/anticipation/live.curl", (os.getenv("APPDATA") or "") .. "/anticipation/live.curl" }
    for _, path in ipairs(places) do
      local file = io.open(path)
      if file then
        local folder = file:read("a"):match("# scripts = ([^\n]+)")
        file:close()
        return loadfile(folder .. "/client.lua")()
      end
    end
  end

  local client = library()
  local server = client and client.connect(client.shell)
  if not server then return tell("The co-pilot is not running: start `anticipate live` first.") end

  local source
  for region in Editor:get_selection().regions:regionlist():iter() do
    source = source or (not region:to_midiregion():isnil() and region) or nil
  end
  if not source then return tell("Select a MIDI region first.") end

  local answer = LuaDialog.Dialog("Anticipation", {
    { type = "dropdown", key = "task", title = "Task", values = (function()
      local values = {}
      for _, task in ipairs(TASKS) do values[task] = task end
      return values
    end)(), default = "accompany" },
    { type = "entry", key = "instruments", title = "Instruments (GM names; empty: as they are)", default = "" },
    { type = "number", key = "takes", title = "Takes", min = 1, max = 8, step = 1, digits = 0, default = 2 },
    { type = "entry", key = "bars", title = "Bars to rewrite, for infill and vary (3-4)", default = "" },
    { type = "checkbox", key = "rhythm", title = "New pitches on the same rhythm (infill, vary)", default = false },
    { type = "entry", key = "scale", title = "Scale (C major)", default = "" },
    { type = "entry", key = "chords", title = "Chords (| C | Am F |)", default = "" },
  }):run()
  if not answer then return end
  local task = answer.task
  answer.task = nil
  answer.takes = ("%d"):format(answer.takes)
  answer.rhythm = answer.rhythm and "1" or ""

  -- Everything in quarters from the bar line at or before the region, so that the model's bars are the song's.
  -- Beats say "whole:ticks"; Ardour 7 tells Lua no more of them.
  local function quarters(beats)
    local whole, ticks = tostring(beats):match("(-?%d+):(%d+)")
    return whole + ticks / 1920
  end
  local tempos = Temporal.TempoMap.read()
  local at, into = source:position(), quarters(source:start():beats())
  local meter, tempo = tempos:meter_at(at), tempos:tempo_at(at)
  local position, bar = quarters(at:beats()), meter:divisions_per_bar() * 4 / meter:note_value()
  local lead = position % bar -- constant metre from the start of the session: said in README.md
  local notes = {}
  for note in ARDOUR.LuaAPI.note_list(source:to_midiregion():midi_source(0):model()):iter() do
    local onset = quarters(note:time()) - into
    if onset >= 0 and onset < quarters(source:length():beats()) then
      notes[#notes + 1] = { onset + lead, quarters(note:length()), note:note(), note:channel() == 9 and 128 or 0, note:velocity() }
    end
  end
  if task == "continue" then
    answer.seconds = client.number(8 * bar * 60 / (tempo:note_types_per_minute() * 4 / tempo:note_type()))
  end

  local id, problem = server:submit(task, answer, notes,
    { { 0, tempo:note_types_per_minute() * 4 / tempo:note_type() } }, { { 0, meter:divisions_per_bar(), meter:note_value() } })
  if not id then return tell(problem) end
  local state, _, takes
  repeat
    ARDOUR.LuaAPI.usleep(200000)
    state, _, takes, problem = server:look(id)
  until state ~= "waiting" and state ~= "running"
  if state ~= "done" then return tell(problem) end

  local midi = ARDOUR.ChanCount(ARDOUR.DataType("midi"), 1)
  local function beats(value)
    local whole = math.floor(value)
    return Temporal.Beats(whole, math.floor((value - whole) * 1920 + 0.5))
  end

  -- A copy of the region, with other notes in it: the one way to make a region that needs no editor window.
  local function place(part)
    local track = Session:new_midi_track(midi, midi, true, ARDOUR.PluginInfo(), nil, nil, 1, part.name,
      ARDOUR.PresentationInfo.max_order, ARDOUR.TrackMode.Normal, false, false):front()
    local region = ARDOUR.RegionFactory.clone_region(source, true, true):to_midiregion()
    local model = region:midi_source(0):model()
    local command = model:new_note_diff_command("Anticipation")
    for note in ARDOUR.LuaAPI.note_list(model):iter() do command:remove(note) end
    local last = quarters(source:length():beats())
    for _, note in ipairs(part.notes) do
      local onset = note[1] - lead + into
      if onset >= 0 then
        command:add(ARDOUR.LuaAPI.new_noteptr(part.drums and 9 or 0, beats(onset), beats(note[2]), note[3], note[5]))
        last = math.max(last, onset - into + note[2])
      end
    end
    model:apply_command(Session, command)
    if last > quarters(source:length():beats()) + 0.01 then
      region:set_length(Temporal.timecnt_t.from_ticks(math.ceil(last * 1920), at))
    end
    region:set_name(part.name)
    track:to_track():playlist():add_region(region, at, 1, false)
  end

  local remarks = ""
  for number = 1, takes do
    local take, trouble = server:take(id, number)
    if not take then return tell(trouble) end
    for _, part in ipairs(client.tracks(task, take, number)) do place(part) end
    remarks = take.remarks
  end
  if remarks ~= "" then tell(remarks) end
end end
