// Package export writes recorded sessions in formats that other programs read: a trace
// for Perfetto ([Perfetto]), Parquet files ([Parquet]) and OpenTelemetry's protocol
// ([OTLP]). The session's CSV files are what they are made of: figures that are not
// stated there are in none of them.
//
// Nothing is written through a link or over what is there, and what could not be
// written whole is removed.
package export

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"

	"jouletop/engine/event"
	"jouletop/engine/session"
	"jouletop/gpu/plaintext"
	"jouletop/gpu/regular"
)

// ErrNoEnergy: the session has neither an energy nor a reading of a power source.
var ErrNoEnergy = errors.New("holds no energy: no request, phase or pass has one, and there is no reading of a power source")

// Totals is what a session's requests come to.
type Totals struct {
	Requests   int
	Unresolved int     // of them, whose energy is not stated
	EnergyJ    float64 // the sum of the others'
	ErrJ       float64 // the sum of their intervals' halves, as if all were off alike; NaN: one's is not known
}

// String says it in words.
func (t Totals) String() string {
	if t.Requests == 0 {
		return "no requests"
	}
	joules := plaintext.Significant(t.EnergyJ, 7) + " J"
	if known(t.ErrJ) {
		joules += fmt.Sprintf(" (± %s J)", plaintext.Significant(t.ErrJ, 3))
	}
	all := plaintext.Plural(t.Requests, "request")
	switch t.Unresolved {
	case 0:
		return all + ", " + joules
	case t.Requests:
		return all + ", the energy of none stated"
	}
	return fmt.Sprintf("%s, %s of %d; the energy of the others is not stated", all, joules, t.Requests-t.Unresolved)
}

func (t *Totals) add(e event.Energy) {
	t.Requests++
	if !known(e.EnergyJ) {
		t.Unresolved++
		return
	}
	t.EnergyJ += e.EnergyJ
	t.ErrJ += e.EnergyErrJ
}

func known(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }

// Sum adds up a session's requests. The error wraps ErrNoEnergy where there is nothing
// that an export would be for.
func Sum(s *session.Session) (Totals, error) {
	var t Totals
	some := false
	stop := errors.New("found")
	err := errors.Join(
		s.Requests(func(r *event.RequestEnergy) error { t.add(r.Energy); return nil }),
		s.Phases(func(r *event.PhaseEnergy) error { some = some || known(r.EnergyJ); return nil }),
		s.Iterations(func(r *event.IterationEnergy) error { some = some || known(r.EnergyJ); return nil }),
	)
	if err == nil && !some && t.Requests == t.Unresolved {
		err = s.Power(func(r *event.Power) error {
			if some = known(r.PowerW) || known(r.CounterJ); some {
				return stop
			}
			return nil
		})
		if errors.Is(err, stop) {
			err = nil
		} else if err == nil {
			err = fmt.Errorf("%s %w", s.Dir, ErrNoEnergy)
		}
	}
	return t, err
}

// create writes a new file.
func create(path string, write func(io.Writer) error) (err error) {
	f, err := regular.OpenInside(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if errors.Is(err, os.ErrExist) {
		return fmt.Errorf("%s is there already: name a new file", path)
	}
	if err != nil {
		return fmt.Errorf("export: %w", err)
	}
	defer func() {
		if err != nil {
			_ = os.Remove(path)
		}
	}()
	b := bufio.NewWriterSize(f, 1<<18)
	err = write(b)
	if e := b.Flush(); err == nil { // what the first says the others say again
		err = e
	}
	if e := f.Close(); err == nil {
		err = e
	}
	if err != nil {
		return fmt.Errorf("export to %s: %w", path, err)
	}
	return nil
}

// createFolder makes a folder, or takes an empty one; made tells which.
func createFolder(path string) (made bool, err error) {
	switch st, err := os.Lstat(path); {
	case errors.Is(err, os.ErrNotExist):
		if err := os.MkdirAll(path, 0o755); err != nil {
			return false, fmt.Errorf("export: %w", err)
		}
		return true, nil
	case err != nil:
		return false, fmt.Errorf("export: %w", err)
	case !st.IsDir():
		return false, fmt.Errorf("%s is there already, and no folder: name a new one", path)
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		return false, fmt.Errorf("export: %w", err)
	}
	if len(entries) > 0 {
		return false, fmt.Errorf("%s is not empty: name a new folder", path)
	}
	return false, nil
}

// title names the session; what is simulated says so.
func title(s *session.Session) string {
	name := plaintext.Line(filepath.Base(s.Dir))
	if s.Manifest.Simulated {
		return "SIMULATED " + name
	}
	return name
}
