-- Ardour, headless: a melody is recorded from a player; then Ardour plays it to the co-pilot and records what comes back.
-- Run by round_trip.py, which checks the recording. Says "roll" when the melody goes out and "over" at the end.
local TOOLS, FOLDER, SECONDS = os.getenv("TOOLS"), os.getenv("FOLDER"), tonumber(os.getenv("SECONDS"))
local wait = function(seconds) ARDOUR.LuaAPI.usleep(seconds * 1000000) end
AudioEngine:set_backend("JACK", "ardour", "")
assert(AudioEngine:start() == 0, "no engine")
create_session(FOLDER .. "/session", "session", 48000)
assert(Session, "no session")
local one = ARDOUR.ChanCount(ARDOUR.DataType("midi"), 1)
local function new_track(name)
  local list = Session:new_midi_track(one, one, true, ARDOUR.PluginInfo(), nil, nil, 1, name,
    ARDOUR.PresentationInfo.max_order, ARDOUR.TrackMode.Normal, false, false)
  return list:front()
end
local function record(track, seconds, meanwhile)
  track:rec_enable_control():set_value(1, PBD.GroupControlDisposition.NoGroup)
  Session:goto_start(false); wait(0.6)
  Session:maybe_enable_record(false); wait(0.3)
  local source = ARDOUR.TransportRequestSource and ARDOUR.TransportRequestSource.TRS_UI or 0
  Session:request_roll(source)
  if meanwhile then meanwhile() end
  wait(seconds)
  Session:request_stop(false, false, source); wait(1)
  Session:disable_record(false, false); wait(0.3)
  track:rec_enable_control():set_value(0, PBD.GroupControlDisposition.NoGroup); wait(0.3)
end
local function show(name, track)
  for region in track:to_track():playlist():region_list():iter() do
    for note in ARDOUR.LuaAPI.note_list(region:to_midiregion():midi_source(0):model()):iter() do
      print(name, note:note(), note:velocity(), tostring(note:time()), tostring(note:length()))
    end
  end
end
local melody, band = new_track("Melody"), new_track("Band")
wait(0.5)
record(melody, 1, function() os.execute(TOOLS .. " player 'ardour:Melody/midi_in 1'") end)
os.execute("jack_connect 'ardour:Melody/midi_out 1' 'Anticipation:in'")
os.execute("jack_connect 'Anticipation-01:out' 'ardour:Band/midi_in 1'")
print("roll"); io.stdout:flush()
record(band, SECONDS, function() os.execute(TOOLS .. " start") end)
show("melody", melody)
show("band", band)
print("over"); io.stdout:flush()
Session:save_state(""); close_session(); AudioEngine:stop(); quit()
