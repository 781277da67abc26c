package outrider

# METADATA
# description: |
#   What `data.outrider.rules` says of each code: mode, severity, limits, approval, owner, runbook.
#   One line a code, each key constant: a variable key would reach into the teams' packages. A
#   code without a line is enforced.
# scope: document
settings["EF-00"] := data.outrider.rules["EF-00"]

settings["EF-01"] := data.outrider.rules["EF-01"]

settings["EF-02"] := data.outrider.rules["EF-02"]

settings["EF-03"] := data.outrider.rules["EF-03"]

settings["EF-04"] := data.outrider.rules["EF-04"]

settings["EF-05"] := data.outrider.rules["EF-05"]

settings["EF-06"] := data.outrider.rules["EF-06"]

settings["EF-07"] := data.outrider.rules["EF-07"]

settings["EF-08"] := data.outrider.rules["EF-08"]

settings["HD-01"] := data.outrider.rules["HD-01"]

settings["HD-02"] := data.outrider.rules["HD-02"]

settings["ID-02"] := data.outrider.rules["ID-02"]

settings["ID-03"] := data.outrider.rules["ID-03"]

settings["ID-04"] := data.outrider.rules["ID-04"]

settings["PV-01"] := data.outrider.rules["PV-01"]

settings["PV-02"] := data.outrider.rules["PV-02"]

settings["PV-03"] := data.outrider.rules["PV-03"]

settings["PV-04"] := data.outrider.rules["PV-04"]

settings["PV-05"] := data.outrider.rules["PV-05"]

settings["PV-06"] := data.outrider.rules["PV-06"]

settings["SQ-31"] := data.outrider.rules["SQ-31"]

settings["TS-02"] := data.outrider.rules["TS-02"]

settings["TS-05"] := data.outrider.rules["TS-05"]
