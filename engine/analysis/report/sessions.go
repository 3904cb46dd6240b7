package report

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"jouletop/engine/analysis/answers"
	"jouletop/engine/analysis/plot"
	"jouletop/engine/analysis/table"
	"jouletop/engine/event"
	"jouletop/engine/session"
	"jouletop/engine/usage"
)

// AddWorkload puts the study's workload tables and pictures into a report of
// sessions that ran several models, and what routing came to; where their queries cannot be had again a
// note says so.
func (r *Sessions) AddWorkload() error {
	if slices.ContainsFunc(r.sessions, func(s *session.Session) bool { return s.Manifest.Plan.Route != "" }) {
		a, err := answers.New(r.sessions)
		if err != nil {
			return err
		}
		r.routed = Routed(a)
	}
	models := map[string]bool{}
	for _, p := range r.points {
		models[p.Model] = true
	}
	if len(models) < 2 {
		return nil
	}
	queries, err := answers.Queries(r.sessions)
	if errors.Is(err, answers.ErrQueries) {
		r.Notes = append(r.Notes, "no tables of the workload: "+err.Error())
		return nil
	}
	if err != nil {
		return err
	}
	w := &answers.Characterized{Queries: queries}
	if err := w.Characterize(r.sessions); err != nil {
		return err
	}
	r.Notes = append(r.Notes, w.Notes...)
	r.workload = w
	return nil
}

// PlotWorkload draws the pictures into dir and names them on stderr.
func PlotWorkload(w *answers.Characterized, dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("plots: %w", err)
	}
	files, err := plot.Workload(w.Workload, dir)
	for _, f := range files {
		fmt.Fprintln(os.Stderr, "wrote", f)
	}
	return err
}

// Sessions are one or several sessions read, for tables and pictures.
type Sessions struct {
	sessions  []*session.Session
	points    []event.PointDone
	simulated bool
	Notes     []string
	workload  *answers.Characterized // nil where the sessions do not have one
	routed    table.Table
	served    []table.Table
	commands  []table.Table
	host      []table.Table
	minutes   table.Table
}

// Tables are the tables that have rows.
func (r *Sessions) Tables(slowdown float64, paper bool) []table.Table {
	var out []table.Table
	for _, t := range Study(r.points, slowdown) {
		if len(t.Rows) > 0 {
			out = append(out, t)
		}
	}
	for i := range out {
		out[i].Simulated = r.simulated
	}
	if r.workload != nil {
		out = append(out, Workload(r.workload.Workload, paper)...)
	}
	if len(r.routed.Rows) > 0 {
		out = append(out, r.routed)
	}
	if len(r.minutes.Rows) > 0 {
		out = append(out, r.minutes)
	}
	return slices.Concat(out, r.served, r.commands, r.host)
}

// Load reads recorded sessions; one without a finished point or request is an error.
func Load(dirs []string) (*Sessions, error) {
	r := &Sessions{}
	for _, dir := range dirs {
		s, err := session.OpenForeign(dir)
		if err != nil {
			return nil, err
		}
		if at := slices.IndexFunc(r.sessions, func(x *session.Session) bool { return session.SameRecording(x, s) }); at >= 0 {
			return nil, usage.Errorf("%s: it is the same recording as %s: counted twice, its intervals would be narrower than they are", dir, r.sessions[at].Dir)
		}
		points, err := answers.Points(s)
		if err != nil {
			return nil, err
		}
		if len(points) == 0 {
			return nil, fmt.Errorf("%s: the session has no finished point or request", dir)
		}
		r.sessions = append(r.sessions, s)
		if s.Manifest.Command == nil { // what a command did is no point of a study
			r.points = append(r.points, answers.Unrouted(points)...)
		}
		r.simulated = r.simulated || s.Manifest.Simulated
		if s.Manifest.Note != "" {
			r.Notes = append(r.Notes, dir+": "+s.Manifest.Note)
		}
	}
	for _, s := range r.sessions {
		t, ok, err := Command(s)
		if err != nil {
			return nil, err
		}
		if ok {
			r.commands = append(r.commands, t)
		}
	}
	var err error
	if r.minutes, err = Minutes(r.sessions); err != nil {
		return nil, err
	}
	r.minutes.Simulated = r.simulated
	r.host, err = r.hostTables()
	return r, err
}

// Formats are the formats of a report: each writes tables, with notes before them; paper
// lays the published numbers beside ours.
var Formats = map[string]func(w io.Writer, tables []table.Table, notes []string, paper bool) error{
	"text": func(w io.Writer, tables []table.Table, notes []string, paper bool) error {
		if err := table.WriteLines(w, strings.Join(append(notes, ""), "\n")+"\n"); err != nil {
			return err
		}
		for _, t := range tables {
			if err := t.WriteText(w, paper); err != nil {
				return err
			}
		}
		return nil
	},
	"md": func(w io.Writer, tables []table.Table, notes []string, paper bool) error {
		for _, n := range notes {
			fmt.Fprintf(w, "> %s\n\n", n)
		}
		for _, t := range tables {
			if err := t.WriteMarkdown(w, paper); err != nil {
				return err
			}
		}
		return nil
	},
	"csv": func(w io.Writer, tables []table.Table, _ []string, _ bool) error {
		return table.WriteCSV(w, tables)
	},
	"json": func(w io.Writer, tables []table.Table, _ []string, _ bool) error {
		return table.WriteJSON(w, tables)
	},
}
