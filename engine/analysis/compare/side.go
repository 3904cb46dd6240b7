// Package compare lays recorded runs of the same work beside each other: which differ,
// by how much and how well that is known ([jouletop/engine/analysis/verdict]), and which
// cannot be compared, and why.
package compare

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"

	"jouletop/engine/analysis/answers"
	"jouletop/engine/analysis/curve"
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

// query is one piece of work: the same on both sides, or not compared.
type query struct {
	model, dataset, id string
	batch              int
	event.Drafting
}

// figures are what a request came to.
type figures struct {
	joules, latency, ttft, prefill, decode, quality float64 // J and s; NaN unknown
	in, out                                         float64 // tokens
}

// Side is one side of a comparison: a session, or a setting or a point of one, or of
// several that are each other's repeats.
type Side struct {
	Name     string
	parts    []*Side // of several sessions; none of one
	manifest *session.Manifest
	runs     map[query]map[int][]figures // by repeat
	settings map[string]bool
	gpus     map[string]bool
	methods  map[string]float64 // J by how they were obtained
	flags    event.Flags
	failed   int
	throttle float64 // %, the most of any point; NaN unknown
	top      int     // MHz, the highest clock requested; 0 the driver's
}

// Setting names a request's clock, as it may be asked for: a fixed clock, a policy, or
// "none" for the driver's.
func Setting(policy string, mhz int) string {
	p := event.PolicyOf(policy)
	if p.Kind == event.NoPolicy && mhz > 0 {
		p = event.Policy{Kind: event.FixedClock, MHz: mhz}
	}
	return p.String()
}

func newSide(name string, m *session.Manifest) *Side {
	return &Side{
		Name: name, manifest: m, runs: map[query]map[int][]figures{}, settings: map[string]bool{},
		gpus: map[string]bool{}, methods: map[string]float64{}, throttle: math.NaN(),
	}
}

// paired are both sides with their work in the same words: where each ran one model, or
// at one batch size, or drafted in one way, and not the same, it is no part of what tells
// queries apart.
func paired(a, b *Side) (x, y map[query]map[int][]figures) {
	model := alone(a, b, func(q query) string { return q.model })
	batch := alone(a, b, func(q query) int { return q.batch })
	drafting := alone(a, b, func(q query) event.Drafting { return q.Drafting })
	if !model && !batch && !drafting {
		return a.runs, b.runs
	}
	without := func(runs map[query]map[int][]figures) map[query]map[int][]figures {
		out := map[query]map[int][]figures{}
		for q, r := range runs {
			if model {
				q.model = ""
			}
			if batch {
				q.batch = 0
			}
			if drafting {
				q.Drafting = event.Drafting{}
			}
			out[q] = r
		}
		return out
	}
	return without(a.runs), without(b.runs)
}

// alone tells whether each side has one value of something, and not the same.
func alone[T comparable](a, b *Side, of func(query) T) bool {
	only := func(s *Side) map[T]bool {
		values := map[T]bool{}
		for q := range s.runs {
			values[of(q)] = true
		}
		return values
	}
	x, y := only(a), only(b)
	return len(x) == 1 && len(y) == 1 && !maps.Equal(x, y)
}

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
func Sides(args []string, baseline string) ([]*Side, error) {
	var sides []*Side
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
			if len(whole.settings) > 1 {
				return nil, fmt.Errorf("%s ran several settings, %w: name one after it: %s", at, ErrAmbiguous, list(slices.Sorted(maps.Keys(whole.settings))))
			}
			sides = append(sides, whole)
			continue
		}
		for _, name := range slices.Sorted(maps.Keys(whole.settings)) {
			side, err := readAll(group, name)
			if err != nil {
				return nil, err
			}
			sides = append(sides, side)
		}
		slices.SortStableFunc(sides, func(a, b *Side) int { return cmp.Compare(b.rank(), a.rank()) })
	}
	if baseline != "" {
		at := slices.IndexFunc(sides, func(s *Side) bool { return s.Name == baseline || s.is(setting(baseline)) })
		if at < 0 {
			return nil, fmt.Errorf("--baseline %s: %w: there are %s", baseline, ErrNoSuchSide, list(names(sides)))
		}
		sides = slices.Insert(slices.Delete(slices.Clone(sides), at, at+1), 0, sides[at])
	}
	if len(sides) < 2 {
		return nil, fmt.Errorf("%s: %w: it has one setting, %s", strings.Join(args, " "), ErrOneSide, list(names(sides)))
	}
	return sides, nil
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
	var seen []os.FileInfo
	for _, name := range names {
		s, err := session.OpenForeign(name)
		if err != nil {
			return nil, err
		}
		info, err := os.Stat(name)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", plaintext.Line(name), err)
		}
		if slices.ContainsFunc(seen, func(x os.FileInfo) bool { return os.SameFile(x, info) }) {
			return nil, fmt.Errorf("%s: %w: it is named twice, and is no repeat of itself", plaintext.Line(arg), ErrAmbiguous)
		}
		out, seen = append(out, s), append(seen, info)
	}
	return out, nil
}

func list(names []string) string { return plaintext.Line(strings.Join(names, ", ")) }

func names(sides []*Side) []string {
	var out []string
	for _, s := range sides {
		out = append(out, s.Name)
	}
	return out
}

// is tells whether the side is of that setting alone.
func (s *Side) is(setting string) bool { return len(s.settings) == 1 && s.settings[setting] }

// rank orders settings as baselines: the driver's clock, then the highest, then what
// no single clock is.
func (s *Side) rank() int {
	switch {
	case s.is("none"):
		return math.MaxInt
	case s.top > 0:
		return s.top
	}
	return 0
}

// readAll reads a side of sessions that are each other's repeats: the repeats of one
// come after those of the one before.
func readAll(group []*session.Session, name string) (*Side, error) {
	var parts []*Side
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
	all := newSide(cmp.Or(name, strings.Join(dirs, ",")), parts[0].manifest)
	all.parts = parts
	before := 0
	for _, p := range parts {
		most := before
		for q, repeats := range p.runs {
			if all.runs[q] == nil {
				all.runs[q] = map[int][]figures{}
			}
			for r, f := range repeats {
				all.runs[q][before+r] = f
				most = max(most, before+r)
			}
		}
		before = most
		maps.Copy(all.settings, p.settings)
		maps.Copy(all.gpus, p.gpus)
		for m, j := range p.methods {
			all.methods[m] += j
		}
		all.flags, all.failed, all.top = all.flags.Union(p.flags), all.failed+p.failed, max(all.top, p.top)
		if !(all.throttle >= p.throttle) {
			all.throttle = p.throttle
		}
	}
	return all, nil
}

// read reads a side of a session: what ran under the setting, or the point, of that
// name; "" is all of it.
func read(s *session.Session, name string) (*Side, error) {
	side := newSide(cmp.Or(name, s.Dir), s.Manifest)
	wanted, all := setting(name), map[string]bool{}
	mine := func(pointID, policy string, mhz int) bool {
		all[Setting(policy, mhz)] = true
		return name == "" || pointID == name || Setting(policy, mhz) == wanted
	}
	batches, err := answers.BatchSizes(s)
	if err != nil {
		return nil, err
	}
	if err := s.Requests(func(r *event.RequestEnergy) error {
		if mine(r.PointID, r.Policy, r.RequestedSMMHz) {
			side.add(r, batches[r.PointID])
		}
		return nil
	}); err != nil {
		return nil, err
	}
	if err := s.Points(func(p *event.PointDone) error {
		if mine(p.PointID, p.Policy, p.RequestedSMMHz) {
			side.flags = side.flags.Union(p.Flags)
			if !(side.throttle >= p.ThrottledPct) && !math.IsNaN(p.ThrottledPct) {
				side.throttle = p.ThrottledPct
			}
		}
		return nil
	}); err != nil {
		return nil, err
	}
	if len(side.runs) == 0 {
		return nil, fmt.Errorf("%s: %w: %q; there are %s", s.Dir, ErrNoSuchSide, plaintext.Line(name), list(slices.Sorted(maps.Keys(all))))
	}
	return side, nil
}

func (s *Side) add(r *event.RequestEnergy, batch int) {
	s.flags = s.flags.Union(r.Flags)
	if r.Err != "" {
		s.failed++
		return
	}
	q := query{r.Model, r.Dataset, r.QueryID, batch, r.Drafting}
	if s.runs[q] == nil {
		s.runs[q] = map[int][]figures{}
	}
	s.runs[q][r.Repeat] = append(s.runs[q][r.Repeat], figures{
		r.EnergyJ, r.LatencyS(), r.TTFTS, r.PrefillS, r.DecodeS, r.Quality, event.Count(r.InputTokens), event.Count(r.OutputTokens),
	})
	s.settings[Setting(r.Policy, r.RequestedSMMHz)] = true
	s.gpus[r.GPU] = true
	s.top = max(s.top, r.RequestedSMMHz)
	if curve.Finite(r.EnergyJ) {
		s.methods[r.Method] += r.EnergyJ
	}
}

// method is how most of the energy was obtained.
func (s *Side) method() string {
	best := ""
	for _, m := range slices.Sorted(maps.Keys(s.methods)) {
		if best == "" || s.methods[m] > s.methods[best] {
			best = m
		}
	}
	return best
}

// simulated names what is not measured; "" where all is.
func (s *Side) simulated() string {
	if !s.manifest.Simulated {
		return ""
	}
	return "simulated"
}
