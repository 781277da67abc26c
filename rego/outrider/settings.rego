package outrider

# METADATA
# description: |
#   What `data.outrider.rules` says of each code: mode, severity, limits, approval, owner, runbook.
#   One line a code, each key constant: a variable key would reach into the teams' packages. It is a
#   function: an object would be made whole for each decision. A code without a line is enforced.
# scope: document
settings("AP-01") := data.outrider.rules["AP-01"]

settings("AP-02") := data.outrider.rules["AP-02"]

settings("CE-01") := data.outrider.rules["CE-01"]

settings("CE-02") := data.outrider.rules["CE-02"]

settings("DL-01") := data.outrider.rules["DL-01"]

settings("DL-02") := data.outrider.rules["DL-02"]

settings("DL-03") := data.outrider.rules["DL-03"]

settings("DL-04") := data.outrider.rules["DL-04"]

settings("EF-00") := data.outrider.rules["EF-00"]

settings("EF-01") := data.outrider.rules["EF-01"]

settings("EF-02") := data.outrider.rules["EF-02"]

settings("EF-03") := data.outrider.rules["EF-03"]

settings("EF-04") := data.outrider.rules["EF-04"]

settings("EF-05") := data.outrider.rules["EF-05"]

settings("EF-06") := data.outrider.rules["EF-06"]

settings("EF-07") := data.outrider.rules["EF-07"]

settings("EF-08") := data.outrider.rules["EF-08"]

settings("GV-05") := data.outrider.rules["GV-05"]

settings("HD-01") := data.outrider.rules["HD-01"]

settings("HD-02") := data.outrider.rules["HD-02"]

settings("IA-03") := data.outrider.rules["IA-03"]

settings("ID-02") := data.outrider.rules["ID-02"]

settings("ID-03") := data.outrider.rules["ID-03"]

settings("ID-04") := data.outrider.rules["ID-04"]

settings("JT-01") := data.outrider.rules["JT-01"]

settings("MM-01") := data.outrider.rules["MM-01"]

settings("MM-02") := data.outrider.rules["MM-02"]

settings("PV-01") := data.outrider.rules["PV-01"]

settings("PV-02") := data.outrider.rules["PV-02"]

settings("PV-03") := data.outrider.rules["PV-03"]

settings("PV-04") := data.outrider.rules["PV-04"]

settings("PV-05") := data.outrider.rules["PV-05"]

settings("PV-06") := data.outrider.rules["PV-06"]

settings("RL-01") := data.outrider.rules["RL-01"]

settings("RL-02") := data.outrider.rules["RL-02"]

settings("RL-03") := data.outrider.rules["RL-03"]

settings("SC-01") := data.outrider.rules["SC-01"]

settings("SC-02") := data.outrider.rules["SC-02"]

settings("SQ-01") := data.outrider.rules["SQ-01"]

settings("SQ-02") := data.outrider.rules["SQ-02"]

settings("SQ-03") := data.outrider.rules["SQ-03"]

settings("SQ-04") := data.outrider.rules["SQ-04"]

settings("SQ-05") := data.outrider.rules["SQ-05"]

settings("SQ-06") := data.outrider.rules["SQ-06"]

settings("SQ-07") := data.outrider.rules["SQ-07"]

settings("SQ-08") := data.outrider.rules["SQ-08"]

settings("SQ-09") := data.outrider.rules["SQ-09"]

settings("SQ-10") := data.outrider.rules["SQ-10"]

settings("SQ-11") := data.outrider.rules["SQ-11"]

settings("SQ-12") := data.outrider.rules["SQ-12"]

settings("SQ-13") := data.outrider.rules["SQ-13"]

settings("SQ-14") := data.outrider.rules["SQ-14"]

settings("SQ-15") := data.outrider.rules["SQ-15"]

settings("SQ-16") := data.outrider.rules["SQ-16"]

settings("SQ-17") := data.outrider.rules["SQ-17"]

settings("SQ-18") := data.outrider.rules["SQ-18"]

settings("SQ-19") := data.outrider.rules["SQ-19"]

settings("SQ-20") := data.outrider.rules["SQ-20"]

settings("SQ-21") := data.outrider.rules["SQ-21"]

settings("SQ-22") := data.outrider.rules["SQ-22"]

settings("SQ-23") := data.outrider.rules["SQ-23"]

settings("SQ-24") := data.outrider.rules["SQ-24"]

settings("SQ-25") := data.outrider.rules["SQ-25"]

settings("SQ-26") := data.outrider.rules["SQ-26"]

settings("SQ-27") := data.outrider.rules["SQ-27"]

settings("SQ-28") := data.outrider.rules["SQ-28"]

settings("SQ-29") := data.outrider.rules["SQ-29"]

settings("SQ-30") := data.outrider.rules["SQ-30"]

settings("SQ-31") := data.outrider.rules["SQ-31"]

settings("SQ-32") := data.outrider.rules["SQ-32"]

settings("TS-02") := data.outrider.rules["TS-02"]

settings("TS-05") := data.outrider.rules["TS-05"]

settings("TS-06") := data.outrider.rules["TS-06"]

settings("TS-07") := data.outrider.rules["TS-07"]

settings("TS-08") := data.outrider.rules["TS-08"]
