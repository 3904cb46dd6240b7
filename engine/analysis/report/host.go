package report

import (
	"fmt"
	"math"
	"strings"

	"jouletop/engine/analysis/curve"
	"jouletop/engine/analysis/table"
	"jouletop/engine/event"
	"jouletop/engine/session"
	"jouletop/gpu/host"
)

// HostEnergy is what the machine around the GPUs drew while a session's requests ran.
type HostEnergy struct {
	StartNS, EndNS int64 // from the first request's start to the last one's end
	Sources        []host.Source
	Of             map[string]host.Energy // by source
}

// HostEnergyOf reads it; ok is false where the session tells of no host.
func HostEnergyOf(s *session.Session) (e HostEnergy, ok bool, err error) {
	if len(s.Manifest.HostSources) == 0 {
		return e, false, nil
	}
	e = HostEnergy{StartNS: math.MaxInt64, Sources: s.Manifest.HostSources, Of: map[string]host.Energy{}}
	if err := s.Requests(func(r *event.RequestEnergy) error {
		e.StartNS, e.EndNS = min(e.StartNS, r.StartNS), max(e.EndNS, r.EndNS)
		return nil
	}); err != nil {
		return e, false, err
	}
	meters := map[string]*host.Meter{}
	for _, source := range e.Sources {
		meters[source.ID] = host.NewMeter(source)
	}
	if err := s.Host(func(r *event.HostPower) error {
		if m := meters[r.Source]; m != nil {
			m.Add(host.Reading{TimeNS: r.TimeNS, Source: r.Source, PowerW: r.PowerW, CounterJ: r.CounterJ})
		}
		return nil
	}); err != nil {
		return e, false, err
	}
	if e.EndNS <= e.StartNS {
		return e, false, nil
	}
	for id, m := range meters {
		e.Of[id] = m.Window(e.StartNS, e.EndNS)
	}
	return e, true, nil
}

// Seconds is how long the requests ran, with the time between them.
func (e HostEnergy) Seconds() float64 { return float64(e.EndNS-e.StartNS) / 1e9 }

// Table lists what each source told.
func (e HostEnergy) Table(title string) table.Table {
	t := table.Table{ID: "host", Title: title, Columns: []string{"source", "J", "W", ""}}
	row := func(name string, x host.Energy, remark string) {
		if !x.Known() {
			remark = strings.TrimPrefix(remark+"; not stated: "+x.Why, "; ")
		}
		j := curve.Stat{Mean: x.Joules, Half: x.ErrJ}
		w := curve.Stat{Mean: x.Joules / e.Seconds(), Half: x.ErrJ / e.Seconds()}
		t.Rows = append(t.Rows, []table.Cell{table.Word(name), rounded(j), rounded(w), table.Word(remark)})
	}
	for _, s := range e.Sources {
		remark := ""
		switch {
		case s.Within != "":
			remark = "part of " + strings.TrimPrefix(s.Within, "rapl:")
		case s.Kind == host.DCMI:
			remark = "the whole server, GPUs too"
		}
		row(s.Domain, e.Of[s.ID], remark)
	}
	if sum, domains, ok := host.Total(e.Sources, e.Of); ok && len(domains) > 1 {
		row("host", sum, strings.Join(domains, " + "))
	}
	t.Notes = []string{fmt.Sprintf("Of the machine around the GPUs in the %.1f s from the first request to the end of the last; none of it is in any other figure. ± is what the readings leave open; the sensors' own gain is not known.", e.Seconds())}
	return t
}

// hostTables are of each session that tells of its host.
func (r *Sessions) hostTables() (out []table.Table, err error) {
	for _, s := range r.sessions {
		e, ok, err := HostEnergyOf(s)
		if err != nil {
			return nil, err
		}
		if !ok {
			continue
		}
		title := "host energy"
		if len(r.sessions) > 1 {
			title += " of " + s.Dir
		}
		out = append(out, e.Table(title))
	}
	return out, nil
}
