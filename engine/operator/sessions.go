package operator

import (
	"errors"
	"os"
	"path/filepath"
	"slices"

	"jouletop/engine/analysis/answers"
	"jouletop/engine/command"
	"jouletop/engine/event"
	"jouletop/engine/session"
)

// listSessions describes the sessions in a folder, newest first. What is no
// session is passed over.
func listSessions(dir string) ([]command.SessionInfo, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var out []command.SessionInfo
	for _, e := range entries {
		s, err := session.Open(filepath.Join(dir, e.Name()))
		if err != nil {
			continue
		}
		out = append(out, describeSession(s))
	}
	slices.SortFunc(out, func(a, b command.SessionInfo) int { return b.Start.Compare(a.Start) })
	return out, nil
}

func describeSession(s *session.Session) command.SessionInfo {
	m := s.Manifest
	info := command.SessionInfo{
		Path: s.Dir, Name: filepath.Base(s.Dir), Start: m.Start, Simulated: m.Simulated,
		Points: s.Rows(session.PointsFile), Requests: s.Rows(session.RequestsFile), How: m.Ended,
	}
	if _, err := os.Lstat(filepath.Join(s.Dir, session.PointsFile)); err != nil { // a plain run: its requests name them
		ids := map[string]bool{}
		_ = s.Requests(func(r *event.RequestEnergy) error { ids[r.PointID] = true; return nil }) // what was read counts
		info.Points = len(ids)
	}
	if !m.End.IsZero() {
		info.Duration = m.End.Sub(m.Start)
	}
	for _, g := range m.GPUs {
		info.GPU = g.ID
	}
	for _, mod := range m.Models {
		info.Models = append(info.Models, mod.Name)
	}
	for _, f := range sessionFiles(s.Dir) {
		info.Bytes += f.Bytes
	}
	return info
}

// openSession reads a session's results.
func openSession(path string) (command.SessionDetail, error) {
	s, err := session.OpenForeign(path)
	if err != nil {
		return command.SessionDetail{}, err
	}
	d := command.SessionDetail{SessionInfo: describeSession(s)}
	if d.Points, err = answers.Points(s); err == nil {
		err = s.Requests(func(r *event.RequestEnergy) error { d.Requests = append(d.Requests, *r); return nil })
	}
	d.SessionInfo.Requests, d.SessionInfo.Points = len(d.Requests), len(d.Points)
	return d, err
}
