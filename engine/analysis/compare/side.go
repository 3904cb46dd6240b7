// Package compare reads recorded runs of the same work, and lays beside each other which
// differ, by how much and how well that is known, and which cannot be compared, and why
// ([jouletop/engine/analysis/paired]).
package compare

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"

	"jouletop/engine/analysis/answers"
	"jouletop/engine/analysis/paired"
	"jouletop/engine/event"
	"jouletop/engine/session"
	"jouletop/gpu/plaintext"
)

// Errors of what was asked for.
var (
	ErrNoSuchSide = errors.New("no such setting or point")
	ErrOneSide    = errors.New("nothing to compare with")
	ErrAmbiguous  = errors.New("not clear which is meant")
)

// ErrEmpty: a session holds nothing to compare.
var ErrEmpty = errors.New("nothing to compare")

// setting is the setting that text means: 1005 is fixed:1005, driver's is none.
func setting(text string) string {
	if mhz, err := strconv.Atoi(text); err == nil {
		return event.Policy{Kind: event.FixedClock, MHz: mhz}.String()
	}
	switch text {
	case "driver", "default", "driver's":
		return event.Policy{}.String()
	}
	return text
}

// Sides reads the sides that arguments name: a session's folder is a side as a whole,
// and so are several with commas between them; what follows and is no folder is a
// setting or a point of it. A session alone is all its settings. The first is the one that the others are compared with: of one
// session's settings the baseline asked for, else the driver's clock, else the highest.
// Errors wrap ErrNoSuchSide, ErrAmbiguous, ErrOneSide or those of the session.
func Sides(args []string, baseline string) ([]*paired.Side, error) {
	var sides []*paired.Side
	groups := 0
	for _, a := range args {
		if folders(a) != nil {
			groups++
		}
	}
	for i := 0; i < len(args); {
		at := args[i]
		group, err := open(at)
		if err != nil {
			return nil, err
		}
		named := false
		for i++; i < len(args) && folders(args[i]) == nil; i++ {
			side, err := readAll(group, args[i])
			if err != nil {
				return nil, err
			}
			if groups > 1 {
				side.Name = at + " " + side.Name
			}
			sides, named = append(sides, side), true
		}
		if named {
			continue
		}
		whole, err := readAll(group, "")
		if err != nil {
			return nil, err
		}
		if len(args) > 1 {
			if ran := settings(whole); len(ran) > 1 {
				return nil, fmt.Errorf("%s ran several settings, %w: name one after it: %s", at, ErrAmbiguous, list(ran))
			}
			sides = append(sides, whole)
			continue
		}
		for _, name := range settings(whole) {
			side, err := readAll(group, name)
			if err != nil {
				return nil, err
			}
			sides = append(sides, side)
		}
		slices.SortStableFunc(sides, func(a, b *paired.Side) int { return cmp.Compare(b.Rank(), a.Rank()) })
	}
	if baseline != "" {
		at := slices.IndexFunc(sides, func(s *paired.Side) bool { return s.Name == baseline || s.Is(event.PolicyOf(setting(baseline))) })
		if at < 0 {
			return nil, fmt.Errorf("--baseline %s: %w: it ran %s", baseline, ErrNoSuchSide, list(names(sides)))
		}
		sides = slices.Insert(slices.Delete(slices.Clone(sides), at, at+1), 0, sides[at])
	}
	if len(sides) < 2 {
		return nil, fmt.Errorf("%s: %w: it has one setting, %s%s", plaintext.Line(strings.Join(args, " ")), ErrOneSide, list(names(sides)), pointsHint(sides))
	}
	return sides, nil
}

// pointsHint tells whose points alone are left to compare.
func pointsHint(sides []*paired.Side) string {
	if len(sides) != 1 || len(sides[0].Points()) < 2 {
		return ""
	}
	points := sides[0].Points()
	const most = 4
	more := ""
	if len(points) > most {
		points, more = points[:most], ", …"
	}
	return "; two of its points can be named after it: " + plaintext.Line(strings.Join(points, ", ")) + more
}

// settings names those that a side ran under.
func settings(s *paired.Side) []string {
	var out []string
	for _, p := range s.Settings() {
		out = append(out, p.String())
	}
	slices.Sort(out)
	return out
}

func isFolder(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir() || err != nil && !errors.Is(err, fs.ErrNotExist) || strings.ContainsRune(path, os.PathSeparator) && !strings.Contains(path, ":")
}

// folders are those that an argument names, one or several with commas between them;
// nil where it names none.
func folders(arg string) []string {
	if isFolder(arg) {
		return []string{arg}
	}
	parts := strings.Split(arg, ",")
	if len(parts) < 2 || slices.ContainsFunc(parts, func(p string) bool { return !isFolder(p) }) {
		return nil
	}
	return parts
}

// open opens the sessions that an argument names.
func open(arg string) ([]*session.Session, error) {
	names := folders(arg)
	if names == nil {
		names = []string{arg}
	}
	var out []*session.Session
	for _, name := range names {
		s, err := session.OpenForeign(name)
		if err != nil {
			return nil, err
		}
		if slices.ContainsFunc(out, func(x *session.Session) bool { return session.SameRecording(x, s) }) {
			return nil, fmt.Errorf("%s: %w: one recording is named twice, or a copy of it, and is no repeat of itself", plaintext.Line(arg), ErrAmbiguous)
		}
		out = append(out, s)
	}
	return out, nil
}

// list names settings; that of no policy says what it is.
func list(names []string) string {
	out := slices.Clone(names)
	for i, n := range out {
		if n == (event.Policy{}).String() {
			out[i] = n + " (the driver's clock)"
		}
	}
	return plaintext.Line(strings.Join(out, ", "))
}

func names(sides []*paired.Side) []string {
	var out []string
	for _, s := range sides {
		out = append(out, s.Name)
	}
	return out
}

// readAll reads a side of sessions that are each other's repeats.
func readAll(group []*session.Session, name string) (*paired.Side, error) {
	var parts []*paired.Side
	var dirs []string
	for _, s := range group {
		p, err := read(s, name)
		if err != nil {
			return nil, err
		}
		parts, dirs = append(parts, p), append(dirs, s.Dir)
	}
	if len(parts) == 1 {
		return parts[0], nil
	}
	return paired.Join(cmp.Or(name, strings.Join(dirs, ",")), parts), nil
}

// read reads a side of a session: what ran under the setting, or the point, of that
// name; "" is all of it.
func read(s *session.Session, name string) (*paired.Side, error) {
	side := paired.NewSide(cmp.Or(name, s.Dir), s.Dir, facts(s.Manifest))
	wanted, all := setting(name), map[string]bool{}
	mine := func(pointID, policy string, mhz int) bool {
		of := paired.Setting(policy, mhz).String()
		all[of] = true
		return name == "" || pointID == name || of == wanted
	}
	batches, err := answers.BatchSizes(s)
	if err != nil {
		return nil, err
	}
	jobs, err := jobs(s)
	if err != nil {
		return nil, err
	}
	if err := s.Requests(func(r *event.RequestEnergy) error {
		if mine(r.PointID, r.Policy, r.RequestedSMMHz) {
			side.Add(jobs[r.PointID], r, batches[r.PointID])
		}
		return nil
	}); err != nil {
		return nil, err
	}
	if side.Rows() == 0 && name == "" {
		return nil, fmt.Errorf("%s: %w: no request of it was answered", s.Dir, ErrEmpty)
	}
	if side.Rows() == 0 {
		return nil, fmt.Errorf("%s: %w, nor a folder: %q; it ran %s", s.Dir, ErrNoSuchSide, plaintext.Line(name), list(slices.Sorted(maps.Keys(all))))
	}
	points, err := answers.Points(s)
	for _, p := range points {
		if mine(p.PointID, p.Policy, p.RequestedSMMHz) {
			side.Point(jobs[p.PointID], &p)
		}
	}
	return side, err
}

// jobs tells by its id which job of a session a point is of, from 1. What is no
// dashboard's session is one piece of work, however often it was taken up again: 0.
func jobs(s *session.Session) (map[string]int, error) {
	if s.Manifest.Name != "dashboard" {
		return nil, nil
	}
	of, job := map[string]int{}, 0
	return of, s.Events(func(e event.Event) error {
		switch e := e.(type) {
		case event.RunStart:
			job++
		case event.PointStart:
			of[e.PointID] = job
		}
		return nil
	})
}

// facts are what a session's manifest tells.
func facts(m *session.Manifest) paired.Facts {
	f := paired.Facts{Simulated: m.Simulated, Backend: m.Backend, Models: map[string]string{}, Datasets: map[string]string{}}
	for _, g := range m.GPUs {
		text := g.Name + " " + g.ID
		if g.PowerLimitW > 0 {
			text += fmt.Sprintf(" %.0f W", g.PowerLimitW)
		}
		f.GPUs = append(f.GPUs, paired.GPU{ID: g.ID, Text: text})
	}
	for _, x := range m.Models {
		f.Models[x.Name] = strings.TrimSpace(fmt.Sprintf("%s %s %.12s on %s", x.Name, x.Quantisation, x.SHA256, strings.Join(x.Devices, "+")))
	}
	if l := m.Plan.Serving; l != nil {
		f.Load = []paired.Fact{
			{Name: "load", Value: cmp.Or(l.Arrivals, fmt.Sprintf("%d at once", l.Concurrency))}, {Name: "slots", Value: fmt.Sprint(l.Slots)}, {Name: "tokens of a prefill's pass", Value: fmt.Sprint(l.Chunk)},
			{Name: "schedule", Value: l.Schedule}, {Name: "energy split", Value: l.EnergySplit},
		}
	}
	for _, d := range m.Datasets {
		if _, told := f.Datasets[d.Name]; d.SHA256 != "" && !told {
			f.Datasets[d.Name] = fmt.Sprintf("%s %.12s", d.Name, d.SHA256)
		}
	}
	return f
}
