-- REAPER: select MIDI items (and, for a hole, a time selection), run this action, choose a task: the takes come back as new items on
-- new tracks. Needs `anticipate live`. Load it with Actions > New action > Load ReaScript, from the folder it lies in.

local folder = ({ reaper.get_action_context() })[2]:match("^(.*[/\\])")
local client = dofile(folder .. "client.lua")
local host = dofile(folder .. "reaper_notes.lua")

local FIELDS = { "Task (accompany infill continue vary harmonize)", "Instruments (GM names)", "Takes", "Scale (C major)",
  "Chords (| C | Am F |)", "Bars to continue", "Keep the rhythm: infill or vary (yes)" }

local function tell(text) reaper.ShowMessageBox(text, "Anticipation", 0) end

-- The options of the task that was asked for, or nil.
local function ask()
  local given, text = reaper.GetUserInputs("Anticipation", #FIELDS,
    table.concat(FIELDS, ",") .. ",extrawidth=240,separator=\n", "accompany\npiano\n2\n\n\n8\nno")
  if not given then return end
  local values = {}
  for value in (text .. "\n"):gmatch("(.-)\n") do values[#values + 1] = value end
  return values[1], { instruments = values[2], takes = values[3], scale = values[4], chords = values[5],
    rhythm = values[7]:match("^%s*[yY1]") and "1" or "" }, tonumber(values[6])
end

local function place(parts, zero, ending)
  for _, part in ipairs(parts) do
    local index = reaper.CountTracks(0)
    reaper.InsertTrackAtIndex(index, true)
    local track = reaper.GetTrack(0, index)
    reaper.GetSetMediaTrackInfo_String(track, "P_NAME", part.name, true)
    local last = ending
    for _, note in ipairs(part.notes) do last = math.max(last, zero + note[1] + note[2]) end
    local item = reaper.CreateNewMIDIItemInProj(track, zero, last, true)
    local take = reaper.GetActiveTake(item)
    for _, note in ipairs(part.notes) do
      reaper.MIDI_InsertNote(take, false, false, reaper.MIDI_GetPPQPosFromProjQN(take, zero + note[1]),
        reaper.MIDI_GetPPQPosFromProjQN(take, zero + note[1] + note[2]), part.drums and 9 or 0, note[3], note[5], true)
    end
    reaper.MIDI_Sort(take)
  end
end

local function main()
  local server, problem = client.connect(host.run)
  if not server then return tell(problem) end
  local count = reaper.CountSelectedMediaItems(0)
  if count == 0 then return tell("Select a MIDI item first.") end
  local task, options, bars = ask()
  if not task then return end

  local first, last = math.huge, 0
  for i = 0, count - 1 do
    local from, to = host.extent(reaper.GetSelectedMediaItem(0, i))
    first, last = math.min(first, from), math.max(last, to)
  end
  local _, zero = reaper.TimeMap_QNToMeasures(0, first + 1e-6) -- the bar line before: the model counts bars from there
  local notes = {}
  for i = 0, count - 1 do host.gather(reaper.GetSelectedMediaItem(0, i), first - 1e-6, last, zero, notes) end
  local from, to = reaper.GetSet_LoopTimeRange(false, false, 0, 0, false)
  if to > from and task ~= "continue" and task ~= "harmonize" then
    options.start = client.number(math.max(0, reaper.TimeMap2_timeToQN(0, from) - zero))
    options["end"] = client.number(math.min(last, reaper.TimeMap2_timeToQN(0, to)) - zero)
  end
  local tempos, meters = host.tempo_map(zero)
  if task == "continue" then
    local at = reaper.TimeMap2_QNToTime(0, last)
    local numerator, denominator, bpm = reaper.TimeMap_GetTimeSigAtTime(0, at)
    options.seconds = client.number((bars or 8) * numerator * 4 / denominator * 60 / bpm)
  end

  local id
  id, problem = server:submit(task, options, notes, tempos, meters)
  if not id then return tell(problem) end

  local function wait() -- REAPER goes on while the model writes; closing it lets the job's lease run out
    local state, progress, takes, trouble = server:look(id)
    if state == "waiting" or state == "running" then
      if reaper.Help_Set then reaper.Help_Set(("Anticipation: %s %d %%"):format(state, progress * 100), true) end
      return reaper.defer(wait)
    end
    if state ~= "done" then return tell(trouble) end
    reaper.Undo_BeginBlock()
    reaper.PreventUIRefresh(1)
    local remarks = ""
    for number = 1, takes do
      local take, failed = server:take(id, number)
      if not take then tell(failed) break end
      place(client.tracks(task, take, number), zero, last)
      remarks = take.remarks
    end
    reaper.PreventUIRefresh(-1)
    reaper.Undo_EndBlock("Anticipation: " .. task, -1)
    reaper.UpdateArrange()
    if remarks ~= "" then tell(remarks) end
  end
  wait()
end

main()
