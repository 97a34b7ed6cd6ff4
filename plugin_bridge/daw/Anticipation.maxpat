{
 "patcher": {
  "fileversion": 1,
  "appversion": {
   "major": 8,
   "minor": 6,
   "revision": 0,
   "architecture": "x64",
   "modernui": 1
  },
  "classnamespace": "box",
  "rect": [
   60,
   90,
   760,
   500
  ],
  "openinpresentation": 1,
  "devicewidth": 300,
  "boxes": [
   {
    "box": {
     "id": "live",
     "maxclass": "newobj",
     "numinlets": 1,
     "numoutlets": 2,
     "patching_rect": [
      300,
      300,
      140,
      22
     ],
     "outlettype": [
      "",
      ""
     ],
     "text": "js anticipation-live.js"
    }
   },
   {
    "box": {
     "id": "node",
     "maxclass": "newobj",
     "numinlets": 1,
     "numoutlets": 2,
     "patching_rect": [
      300,
      360,
      260,
      22
     ],
     "outlettype": [
      "",
      ""
     ],
     "text": "node.script anticipation-node.js @autostart 1"
    }
   },
   {
    "box": {
     "id": "show",
     "maxclass": "textedit",
     "numinlets": 1,
     "numoutlets": 4,
     "patching_rect": [
      300,
      420,
      300,
      22
     ],
     "presentation_rect": [
      8,
      142,
      284,
      22
     ],
     "readonly": 1,
     "outlettype": [
      "",
      "",
      "",
      ""
     ],
     "text": "select a MIDI clip",
     "presentation": 1
    }
   },
   {
    "box": {
     "id": "task",
     "maxclass": "umenu",
     "numinlets": 1,
     "numoutlets": 3,
     "patching_rect": [
      20,
      20,
      120,
      22
     ],
     "items": [
      "accompany",
      ",",
      "infill",
      ",",
      "continue",
      ",",
      "vary",
      ",",
      "harmonize"
     ],
     "presentation_rect": [
      8,
      8,
      120,
      22
     ],
     "outlettype": [
      "",
      "",
      ""
     ],
     "presentation": 1
    }
   },
   {
    "box": {
     "id": "task-to",
     "maxclass": "newobj",
     "numinlets": 1,
     "numoutlets": 1,
     "patching_rect": [
      20,
      50,
      90,
      22
     ],
     "outlettype": [
      ""
     ],
     "text": "prepend task"
    }
   },
   {
    "box": {
     "id": "instruments-name",
     "maxclass": "comment",
     "numinlets": 1,
     "numoutlets": 0,
     "patching_rect": [
      20,
      100,
      80,
      20
     ],
     "presentation_rect": [
      8,
      34,
      76,
      20
     ],
     "text": "instruments",
     "presentation": 1
    }
   },
   {
    "box": {
     "id": "instruments",
     "maxclass": "textedit",
     "numinlets": 1,
     "numoutlets": 4,
     "patching_rect": [
      20,
      120,
      150,
      22
     ],
     "keymode": 1,
     "lines": 1,
     "outputmode": 1,
     "presentation_rect": [
      88,
      34,
      204,
      20
     ],
     "outlettype": [
      "",
      "",
      "",
      ""
     ],
     "text": "piano",
     "presentation": 1
    }
   },
   {
    "box": {
     "id": "instruments-to",
     "maxclass": "newobj",
     "numinlets": 1,
     "numoutlets": 1,
     "patching_rect": [
      180,
      120,
      110,
      22
     ],
     "outlettype": [
      ""
     ],
     "text": "prepend instruments"
    }
   },
   {
    "box": {
     "id": "takes-name",
     "maxclass": "comment",
     "numinlets": 1,
     "numoutlets": 0,
     "patching_rect": [
      20,
      160,
      80,
      20
     ],
     "presentation_rect": [
      8,
      55,
      76,
      20
     ],
     "text": "takes",
     "presentation": 1
    }
   },
   {
    "box": {
     "id": "takes",
     "maxclass": "textedit",
     "numinlets": 1,
     "numoutlets": 4,
     "patching_rect": [
      20,
      180,
      150,
      22
     ],
     "keymode": 1,
     "lines": 1,
     "outputmode": 1,
     "presentation_rect": [
      88,
      55,
      204,
      20
     ],
     "outlettype": [
      "",
      "",
      "",
      ""
     ],
     "text": "2",
     "presentation": 1
    }
   },
   {
    "box": {
     "id": "takes-to",
     "maxclass": "newobj",
     "numinlets": 1,
     "numoutlets": 1,
     "patching_rect": [
      180,
      180,
      110,
      22
     ],
     "outlettype": [
      ""
     ],
     "text": "prepend takes"
    }
   },
   {
    "box": {
     "id": "scale-name",
     "maxclass": "comment",
     "numinlets": 1,
     "numoutlets": 0,
     "patching_rect": [
      20,
      220,
      80,
      20
     ],
     "presentation_rect": [
      8,
      76,
      76,
      20
     ],
     "text": "scale",
     "presentation": 1
    }
   },
   {
    "box": {
     "id": "scale",
     "maxclass": "textedit",
     "numinlets": 1,
     "numoutlets": 4,
     "patching_rect": [
      20,
      240,
      150,
      22
     ],
     "keymode": 1,
     "lines": 1,
     "outputmode": 1,
     "presentation_rect": [
      88,
      76,
      204,
      20
     ],
     "outlettype": [
      "",
      "",
      "",
      ""
     ],
     "text": "",
     "presentation": 1
    }
   },
   {
    "box": {
     "id": "scale-to",
     "maxclass": "newobj",
     "numinlets": 1,
     "numoutlets": 1,
     "patching_rect": [
      180,
      240,
      110,
      22
     ],
     "outlettype": [
      ""
     ],
     "text": "prepend scale"
    }
   },
   {
    "box": {
     "id": "chords-name",
     "maxclass": "comment",
     "numinlets": 1,
     "numoutlets": 0,
     "patching_rect": [
      20,
      280,
      80,
      20
     ],
     "presentation_rect": [
      8,
      97,
      76,
      20
     ],
     "text": "chords",
     "presentation": 1
    }
   },
   {
    "box": {
     "id": "chords",
     "maxclass": "textedit",
     "numinlets": 1,
     "numoutlets": 4,
     "patching_rect": [
      20,
      300,
      150,
      22
     ],
     "keymode": 1,
     "lines": 1,
     "outputmode": 1,
     "presentation_rect": [
      88,
      97,
      204,
      20
     ],
     "outlettype": [
      "",
      "",
      "",
      ""
     ],
     "text": "",
     "presentation": 1
    }
   },
   {
    "box": {
     "id": "chords-to",
     "maxclass": "newobj",
     "numinlets": 1,
     "numoutlets": 1,
     "patching_rect": [
      180,
      300,
      110,
      22
     ],
     "outlettype": [
      ""
     ],
     "text": "prepend chords"
    }
   },
   {
    "box": {
     "id": "bars-name",
     "maxclass": "comment",
     "numinlets": 1,
     "numoutlets": 0,
     "patching_rect": [
      20,
      340,
      80,
      20
     ],
     "presentation_rect": [
      8,
      118,
      76,
      20
     ],
     "text": "bars",
     "presentation": 1
    }
   },
   {
    "box": {
     "id": "bars",
     "maxclass": "textedit",
     "numinlets": 1,
     "numoutlets": 4,
     "patching_rect": [
      20,
      360,
      150,
      22
     ],
     "keymode": 1,
     "lines": 1,
     "outputmode": 1,
     "presentation_rect": [
      88,
      118,
      80,
      20
     ],
     "outlettype": [
      "",
      "",
      "",
      ""
     ],
     "text": "",
     "presentation": 1
    }
   },
   {
    "box": {
     "id": "bars-to",
     "maxclass": "newobj",
     "numinlets": 1,
     "numoutlets": 1,
     "patching_rect": [
      180,
      360,
      110,
      22
     ],
     "outlettype": [
      ""
     ],
     "text": "prepend bars"
    }
   },
   {
    "box": {
     "id": "rhythm-name",
     "maxclass": "comment",
     "numinlets": 1,
     "numoutlets": 0,
     "patching_rect": [
      50,
      400,
      80,
      20
     ],
     "presentation_rect": [
      200,
      118,
      92,
      20
     ],
     "text": "keep rhythm",
     "presentation": 1
    }
   },
   {
    "box": {
     "id": "rhythm",
     "maxclass": "toggle",
     "numinlets": 1,
     "numoutlets": 1,
     "patching_rect": [
      20,
      420,
      22,
      22
     ],
     "presentation_rect": [
      176,
      117,
      22,
      22
     ],
     "outlettype": [
      ""
     ],
     "presentation": 1
    }
   },
   {
    "box": {
     "id": "rhythm-to",
     "maxclass": "newobj",
     "numinlets": 1,
     "numoutlets": 1,
     "patching_rect": [
      180,
      420,
      110,
      22
     ],
     "outlettype": [
      ""
     ],
     "text": "prepend rhythm"
    }
   },
   {
    "box": {
     "id": "make",
     "maxclass": "textbutton",
     "numinlets": 1,
     "numoutlets": 3,
     "patching_rect": [
      300,
      20,
      70,
      22
     ],
     "presentation_rect": [
      222,
      8,
      70,
      22
     ],
     "outlettype": [
      "",
      "",
      ""
     ],
     "text": "Make",
     "presentation": 1
    }
   },
   {
    "box": {
     "id": "make-to",
     "maxclass": "message",
     "numinlets": 2,
     "numoutlets": 1,
     "patching_rect": [
      300,
      50,
      50,
      22
     ],
     "outlettype": [
      ""
     ],
     "text": "make"
    }
   },
   {
    "box": {
     "id": "ahead",
     "maxclass": "toggle",
     "numinlets": 1,
     "numoutlets": 1,
     "patching_rect": [
      420,
      20,
      22,
      22
     ],
     "presentation_rect": [
      136,
      8,
      22,
      22
     ],
     "outlettype": [
      ""
     ],
     "presentation": 1
    }
   },
   {
    "box": {
     "id": "ahead-name",
     "maxclass": "comment",
     "numinlets": 1,
     "numoutlets": 0,
     "patching_rect": [
      450,
      20,
      50,
      20
     ],
     "presentation_rect": [
      160,
      9,
      50,
      20
     ],
     "text": "ahead",
     "presentation": 1
    }
   },
   {
    "box": {
     "id": "clock",
     "maxclass": "newobj",
     "numinlets": 2,
     "numoutlets": 1,
     "patching_rect": [
      420,
      50,
      80,
      22
     ],
     "outlettype": [
      ""
     ],
     "text": "metro 1000"
    }
   },
   {
    "box": {
     "id": "ahead-to",
     "maxclass": "message",
     "numinlets": 2,
     "numoutlets": 1,
     "patching_rect": [
      420,
      80,
      60,
      22
     ],
     "outlettype": [
      ""
     ],
     "text": "timeline"
    }
   },
   {
    "box": {
     "id": "in",
     "maxclass": "newobj",
     "numinlets": 1,
     "numoutlets": 1,
     "patching_rect": [
      620,
      300,
      50,
      22
     ],
     "outlettype": [
      ""
     ],
     "text": "midiin"
    }
   },
   {
    "box": {
     "id": "out",
     "maxclass": "newobj",
     "numinlets": 1,
     "numoutlets": 0,
     "patching_rect": [
      620,
      340,
      50,
      22
     ],
     "text": "midiout"
    }
   }
  ],
  "lines": [
   {
    "patchline": {
     "source": [
      "live",
      0
     ],
     "destination": [
      "node",
      0
     ]
    }
   },
   {
    "patchline": {
     "source": [
      "node",
      0
     ],
     "destination": [
      "live",
      0
     ]
    }
   },
   {
    "patchline": {
     "source": [
      "live",
      1
     ],
     "destination": [
      "show",
      0
     ]
    }
   },
   {
    "patchline": {
     "source": [
      "task",
      1
     ],
     "destination": [
      "task-to",
      0
     ]
    }
   },
   {
    "patchline": {
     "source": [
      "task-to",
      0
     ],
     "destination": [
      "live",
      0
     ]
    }
   },
   {
    "patchline": {
     "source": [
      "instruments",
      0
     ],
     "destination": [
      "instruments-to",
      0
     ]
    }
   },
   {
    "patchline": {
     "source": [
      "instruments-to",
      0
     ],
     "destination": [
      "live",
      0
     ]
    }
   },
   {
    "patchline": {
     "source": [
      "takes",
      0
     ],
     "destination": [
      "takes-to",
      0
     ]
    }
   },
   {
    "patchline": {
     "source": [
      "takes-to",
      0
     ],
     "destination": [
      "live",
      0
     ]
    }
   },
   {
    "patchline": {
     "source": [
      "scale",
      0
     ],
     "destination": [
      "scale-to",
      0
     ]
    }
   },
   {
    "patchline": {
     "source": [
      "scale-to",
      0
     ],
     "destination": [
      "live",
      0
     ]
    }
   },
   {
    "patchline": {
     "source": [
      "chords",
      0
     ],
     "destination": [
      "chords-to",
      0
     ]
    }
   },
   {
    "patchline": {
     "source": [
      "chords-to",
      0
     ],
     "destination": [
      "live",
      0
     ]
    }
   },
   {
    "patchline": {
     "source": [
      "bars",
      0
     ],
     "destination": [
      "bars-to",
      0
     ]
    }
   },
   {
    "patchline": {
     "source": [
      "bars-to",
      0
     ],
     "destination": [
      "live",
      0
     ]
    }
   },
   {
    "patchline": {
     "source": [
      "rhythm",
      0
     ],
     "destination": [
      "rhythm-to",
      0
     ]
    }
   },
   {
    "patchline": {
     "source": [
      "rhythm-to",
      0
     ],
     "destination": [
      "live",
      0
     ]
    }
   },
   {
    "patchline": {
     "source": [
      "make",
      0
     ],
     "destination": [
      "make-to",
      0
     ]
    }
   },
   {
    "patchline": {
     "source": [
      "make-to",
      0
     ],
     "destination": [
      "live",
      0
     ]
    }
   },
   {
    "patchline": {
     "source": [
      "ahead",
      0
     ],
     "destination": [
      "clock",
      0
     ]
    }
   },
   {
    "patchline": {
     "source": [
      "clock",
      0
     ],
     "destination": [
      "ahead-to",
      0
     ]
    }
   },
   {
    "patchline": {
     "source": [
      "ahead-to",
      0
     ],
     "destination": [
      "live",
      0
     ]
    }
   },
   {
    "patchline": {
     "source": [
      "in",
      0
     ],
     "destination": [
      "out",
      0
     ]
    }
   }
  ]
 }
}
