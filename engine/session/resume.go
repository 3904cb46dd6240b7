package session

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"time"

	"jouletop/engine/event"
	"jouletop/engine/nulljson"
	"jouletop/gpu/regular"
)

// Resume goes on recording into dir: torn last lines are cut off, rows of
// points that have to run again are taken out, and the points that need not are
// returned. Errors are ReadManifest's, or wrap ErrInUse.
func Resume(dir string) (*Recorder, []event.PointDone, error) {
	m, err := ReadManifest(dir)
	if err != nil {
		return nil, nil, err
	}
	keep, err := ParseKeep(m.SampleKeep)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", dir, err)
	}
	l, err := lockFolder(dir)
	if err != nil {
		return nil, nil, err
	}
	done, err := (&Session{dir, m}).takeUp()
	if err != nil {
		l.release()
		return nil, nil, fmt.Errorf("resume session: %w", err)
	}
	m.Ended, m.Error, m.End = "", "", time.Time{}
	r, err := start(dir, *m, keep, l)
	return r, done, err
}

// takeUp mends the files and takes out what has to run again. It returns the
// points that stay.
func (s *Session) takeUp() ([]event.PointDone, error) {
	for _, name := range order {
		if err := mend(filepath.Join(s.Dir, name)); err != nil {
			return nil, err
		}
	}
	requests := map[string]int{} // by point
	if err := s.Requests(func(r *event.RequestEnergy) error { requests[r.PointID]++; return nil }); err != nil {
		return nil, err
	}
	var done []event.PointDone
	finished, dropped := map[string]bool{}, false
	err := s.Points(func(p *event.PointDone) error {
		if finished[p.PointID] || runsAgain(p, requests[p.PointID]) {
			dropped = true
			return nil
		}
		finished[p.PointID] = true
		done = append(done, *p)
		return nil
	})
	if err == nil && dropped {
		err = s.WritePoints(done)
	}
	if err == nil {
		err = s.dropUnfinished(finished)
	}
	return done, err
}

// runsAgain tells whether a recorded point does not count: it came to nothing, the
// backend died in it, its clock was not in force, or not all of its requests are
// there.
func runsAgain(p *event.PointDone, requests int) bool {
	failed := p.PointResult.Err != ""
	return p.Flags.ClockFailed() || p.Flags.Has(event.FlagBackendDied) || failed && math.IsNaN(p.LatencyS) || requests < p.Queries
}

// mend cuts off a last line without its end.
func mend(path string) error {
	f, err := regular.OpenInside(path, os.O_RDWR, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	end, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return err
	}
	const chunk = 1 << 16
	buf := make([]byte, chunk)
	for pos := end; pos > 0; {
		if end-pos > maxLine {
			return fmt.Errorf("%s: %w", path, errLongLine)
		}
		n := min(pos, chunk)
		pos -= n
		if _, err := f.ReadAt(buf[:n], pos); err != nil {
			return err
		}
		if i := bytes.LastIndexByte(buf[:n], '\n'); i >= 0 {
			return truncate(f, pos+int64(i)+1, end)
		}
	}
	return truncate(f, 0, end)
}

func truncate(f *os.File, size, was int64) error {
	if size == was {
		return nil
	}
	return f.Truncate(size)
}

// dropUnfinished takes out the requests of points not in finished, with their
// phases and outputs. events.jsonl keeps both attempts: it is the log of what happened.
func (s *Session) dropUnfinished(finished map[string]bool) error {
	var requests []event.RequestEnergy
	var phases []event.PhaseEnergy
	var dropped bool
	kept := map[string]bool{}
	err := s.Requests(func(r *event.RequestEnergy) error {
		if finished[r.PointID] {
			requests = append(requests, *r)
			kept[r.RequestID] = true
		} else {
			dropped = true
		}
		return nil
	})
	if err != nil {
		return err
	}
	err = s.Phases(func(p *event.PhaseEnergy) error {
		if finished[p.PointID] {
			phases = append(phases, *p)
		} else {
			dropped = true
		}
		return nil
	})
	if err != nil || !dropped {
		return err
	}
	if err := s.WriteRequests(requests); err != nil {
		return err
	}
	if err := s.WritePhases(phases); err != nil {
		return err
	}
	var outputs []byte
	err = s.Outputs(func(o OutputLine) error {
		if !kept[o.RequestID] {
			return nil
		}
		line, err := nulljson.Marshal(o)
		outputs = append(append(outputs, line...), '\n')
		return err
	})
	if err != nil {
		return err
	}
	return ReplaceFile(filepath.Join(s.Dir, OutputsFile), outputs)
}

// LastTime returns the latest time in ns that dir's files speak of, 0 for a
// session that got nowhere.
func LastTime(dir string) (int64, error) {
	m, err := ReadManifest(dir)
	if err != nil {
		return 0, err
	}
	s := &Session{dir, m}
	last := int64(0)
	err = errors.Join(
		s.Samples(func(r *event.Sample) error { last = max(last, r.TimeNS); return nil }),
		s.Events(func(e event.Event) error { last = max(last, e.When()); return nil }),
	)
	return last, err
}
