// Package recorded is what the dashboard's tests and benches are shown: sessions
// that the simulator recorded, and a controller that notes what it is asked and
// does nothing.
package recorded

import (
	"fmt"
	"os"
	"path/filepath"
	"time"

	"jouletop/engine/analysis/answers"
	"jouletop/engine/command"
	"jouletop/engine/event"
	"jouletop/engine/session"
	"jouletop/gpu"
	"jouletop/workloads/features"
)

// Session is a recorded session.
type Session struct {
	dir      string
	manifest *session.Manifest
	GPUs     []gpu.Info
	Events   []event.Event // in the order that a replay shows them in
}

// Open reads the session in dir.
func Open(dir string) (*Session, error) {
	s, err := session.Open(dir)
	if err != nil {
		return nil, err
	}
	out := &Session{dir: dir, manifest: s.Manifest}
	for _, g := range s.Manifest.GPUs {
		out.GPUs = append(out.GPUs, g.Info)
	}
	for e, err := range s.Replay() {
		if err != nil {
			return nil, err
		}
		out.Events = append(out.Events, e)
	}
	if len(out.Events) == 0 || len(out.GPUs) == 0 {
		return nil, fmt.Errorf("%s: nothing was recorded", dir)
	}
	return out, nil
}

// start and end are the session's first and last time, ns.
func (s *Session) start() int64 { return s.Events[0].When() }

func (s *Session) end() int64 {
	var end int64
	for _, e := range s.Events {
		end = max(end, e.When())
	}
	return end
}

// info describes the session as the list of sessions does.
func (s *Session) info() (command.SessionInfo, []command.File) {
	out := command.SessionInfo{
		Path: s.dir, Name: filepath.Base(s.dir), Start: s.manifest.Start, Duration: s.manifest.End.Sub(s.manifest.Start).Truncate(time.Second),
		GPU: s.GPUs[0].ID(), Simulated: s.manifest.Simulated, Requests: s.manifest.Requests, How: s.manifest.Ended,
	}
	var files []command.File
	for _, name := range session.Files() {
		st, err := os.Stat(filepath.Join(s.dir, name))
		if err != nil {
			continue
		}
		out.Bytes += st.Size()
		files = append(files, command.File{Name: name, Bytes: st.Size()})
	}
	for _, e := range s.Events {
		if _, ok := e.(event.PointDone); ok {
			out.Points++
		}
	}
	return out, files
}

// detail are the session's results.
func (s *Session) detail() command.SessionDetail {
	info, _ := s.info()
	d := command.SessionDetail{SessionInfo: info}
	for _, e := range s.Events {
		switch e := e.(type) {
		case event.PointDone:
			d.Points = append(d.Points, e)
		case event.RequestEnergy:
			d.Requests = append(d.Requests, e)
		}
	}
	return d
}

// workload measures the session's queries.
func (s *Session) workload() (command.Workload, error) {
	queries, err := answers.Queries([]*session.Session{{Dir: s.dir, Manifest: s.manifest}})
	if err != nil {
		return command.Workload{}, err
	}
	w := command.Workload{Features: []command.Feature{
		{Name: "length", Unit: "tokens"}, {Name: "token entropy", Unit: "bits"}, {Name: "entity density"}, {Name: "complexity score"},
	}}
	for _, q := range queries {
		if f, ok := features.Of(q); ok {
			w.Queries = append(w.Queries, command.WorkloadQuery{
				Dataset: q.Dataset, ID: q.ID, Class: string(f.Class), Text: q.Question,
				Values: []float64{float64(f.Tokens), f.TokenEntropyBits, f.EntityDensity, f.ComplexityScore},
			})
		}
	}
	return w, nil
}
