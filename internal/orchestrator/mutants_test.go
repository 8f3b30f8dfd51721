package orchestrator

// mutant is a planted bug: in a file of the module, one text in the place of another, or several.
type mutant struct {
	name  string
	edits []edit
}

type edit struct{ file, old, new string }

// mutants are bugs that the histories must find. Each stands for a promise that a change may break.
var mutants = []mutant{
	{"what an event said is never set right by heartbeats", []edit{{"internal/orchestrator/hosts.go",
		"	s.setInventory(host, e.Inventory)\n}",
		"	if s.seen.Host(host) == nil {\n\t\ts.setInventory(host, e.Inventory)\n\t}\n\ts.clock(host).seen(time.Now())\n}"}}},
	{"commands are sent without a lease", []edit{
		{"internal/orchestrator/act.go", "!s.config.Lease.Valid() || ", ""},
		{"internal/orchestrator/session.go", "s.confs.synced && s.config.Lease.Valid()", "s.confs.synced"}}},
	{"whatever has the id is stopped, whoever owns it", []edit{{"internal/scaler/remove.go",
		"h.Components[id]; ok && i.Application() == d.application {", "h.Components[id]; ok {"}}},
	{"a teardown record is removed before its work is done", []edit{{"internal/orchestrator/teardown.go",
		"if done && !r.removing && s.bucketsKnown() && !s.unsure() && !s.haunted(t.Application) && !s.pendingElsewhere(t) && s.confirmed(r, now) {",
		"if _ = done; !r.removing {"}}},
	{"what fails is tried again without a pause", []edit{{"internal/orchestrator/versions.go",
		"return time.Duration(float64(d) * (0.8 + 0.4*random))", "return time.Duration(float64(d) * random * 0)"}}},
	{"configurations are deleted while they are used", []edit{{"internal/scaler/remove.go",
		"	if !inUse {\n", "	if true {\n"}, {"internal/scaler/remove.go", "!stored || !inUse && d.seen.users[name] > 0 {", "!stored {"}}},
	{"a link is not put again when its configuration changes", []edit{{"internal/scaler/links.go",
		"if name := p.newerConfig(stored); name != \"\" {", "if name := p.newerConfig(stored); name == \"?\" {"}}},
	{"an expected effect is waited for without end", []edit{{"internal/orchestrator/items.go",
		"			if now.Before(it.deadline) {\n				later(it.deadline)\n", "			if true {\n				later(now.Add(time.Hour))\n"}}},
	{"what was decided for a record is sent when the record is gone", []edit{{"internal/orchestrator/teardown.go",
		"		b.void.Store(true)\n", "		_ = b\n"}}},
	{"hosts are not asked after a loss of the connection", []edit{{"internal/orchestrator/observe.go",
		"		h.seen(time.Now())\n	}\n	s.look()\n", "		h.seen(time.Now())\n	}\n"}}},
	{"a host that drains is given more", []edit{{"internal/scaler/component.go",
		"sp.Matches(h.Labels) && !h.Draining {", "sp.Matches(h.Labels) {"}}},
	{"an application that is not listed is torn down", []edit{{"internal/orchestrator/apps.go",
		"	if app == nil {\n		s.markRecords()\n",
		"	if app == nil {\n		s.records[k.name] = &record{id: k.name, teardown: Teardown{Application: k.name}, batches: map[*batch]bool{}}\n		s.markRecords()\n"}}},
}
