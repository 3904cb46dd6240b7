// Package arrivals says when requests come: by a process with a rate, or as a trace
// recorded them. A [Process] of the same text and seed gives the same arrivals.
package arrivals

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"

	"jouletop/workloads/traces"
)

// Arrival is one request to come.
type Arrival struct {
	At time.Duration // after the first could come; never goes back
	// Tokens of its prompt, and to be generated, where a trace says so; else 0.
	Input, Output int
}

// Process gives arrivals in order. It is used by one goroutine.
type Process interface {
	// Next returns the next arrival; io.EOF where there is none.
	Next() (Arrival, error)
	// Close frees what it reads from.
	Close() error
}

// Spec is a process as --arrivals takes it: poisson:RATE, gamma:RATE:CV (requests a
// second; the coefficient of variation of the times between them, 1 is Poisson's) or
// trace:FILE[:SPEED] (2 is twice as fast as recorded).
type Spec struct {
	Kind string  // poisson, gamma, trace
	Rate float64 // of poisson and gamma, 1/s
	CV   float64 // of gamma; 1 of poisson
	File string  // of trace
	// Speed is how many times as fast as recorded.
	Speed float64
}

// Bounds of rates (1/s), coefficients of variation and speeds that mean something.
const (
	minRate, maxRate   = 1e-6, 1e6
	minCV, maxCV       = 1e-3, 100
	minSpeed, maxSpeed = 1e-6, 1e6
)

// Parse reads what --arrivals takes.
func Parse(text string) (Spec, error) {
	kind, rest, _ := strings.Cut(text, ":")
	s := Spec{Kind: kind, CV: 1, Speed: 1}
	var err error
	switch kind {
	case "poisson":
		s.Rate, err = number(text, "rate", rest, minRate, maxRate)
	case "gamma":
		rate, cv, found := strings.Cut(rest, ":")
		if !found {
			return Spec{}, fmt.Errorf("%q: want gamma:RATE:CV, such as gamma:4:2", text)
		}
		if s.Rate, err = number(text, "rate", rate, minRate, maxRate); err == nil {
			s.CV, err = number(text, "coefficient of variation", cv, minCV, maxCV)
		}
	case "trace":
		s.File = rest
		if at := strings.LastIndexByte(rest, ':'); at >= 0 {
			// A name of a file may have a colon; a speed is a number.
			if _, wrong := strconv.ParseFloat(rest[at+1:], 64); wrong == nil {
				s.File = rest[:at]
				s.Speed, err = number(text, "speed", rest[at+1:], minSpeed, maxSpeed)
			}
		}
		if s.File == "" {
			return Spec{}, fmt.Errorf("%q: want trace:FILE or trace:FILE:SPEED", text)
		}
	default:
		return Spec{}, fmt.Errorf("%q: want poisson:RATE, gamma:RATE:CV or trace:FILE[:SPEED]", text)
	}
	if err != nil {
		return Spec{}, err
	}
	return s, nil
}

func number(text, what, s string, least, most float64) (float64, error) {
	v, err := strconv.ParseFloat(s, 64)
	switch {
	case err != nil:
		return 0, fmt.Errorf("%q: %s %q is no number", text, what, s)
	case !(v >= least && v <= most):
		return 0, fmt.Errorf("%q: %s %s: want %g to %g", text, what, s, least, most)
	}
	return v, nil
}

// String is what Parse reads.
func (s Spec) String() string {
	switch s.Kind {
	case "poisson":
		return fmt.Sprintf("poisson:%g", s.Rate)
	case "gamma":
		return fmt.Sprintf("gamma:%g:%g", s.Rate, s.CV)
	}
	if s.Speed == 1 {
		return "trace:" + s.File
	}
	return fmt.Sprintf("trace:%s:%g", s.File, s.Speed)
}

// Open begins the process. Errors are those of opening a trace.
func (s Spec) Open(seed uint64) (Process, error) {
	if s.Kind == "trace" {
		r, err := traces.Open(s.File)
		if err != nil {
			return nil, err
		}
		return &recorded{r, s.Speed}, nil
	}
	shape := 1 / (s.CV * s.CV)
	return &renewal{rng: rand.New(rand.NewPCG(seed, 0x0a221fa15)), shape: shape, scale: 1 / (s.Rate * shape)}, nil
}

// renewal has independent times between arrivals, gamma-distributed; with shape 1
// they are exponential, and the process is Poisson's.
type renewal struct {
	rng          *rand.Rand
	shape, scale float64 // scale in s
	at           float64 // s
}

// Next never ends.
func (r *renewal) Next() (Arrival, error) {
	r.at += r.scale * gamma(r.rng, r.shape)
	// A time.Duration holds 292 years.
	return Arrival{At: time.Duration(min(r.at*1e9, math.MaxInt64/2))}, nil
}

// Close does nothing.
func (r *renewal) Close() error { return nil }

// gamma draws from the gamma distribution of the given shape and scale 1 (Marsaglia
// and Tsang, A simple method for generating gamma variables, ACM TOMS 26, 2000).
func gamma(rng *rand.Rand, shape float64) float64 {
	if shape == 1 {
		return rng.ExpFloat64()
	}
	boost := 1.0
	if shape < 1 {
		// In logarithms: of a small shape the power may be far below what is above 0.
		boost = math.Exp(math.Log(1-rng.Float64()) / shape)
		shape++
	}
	d := shape - 1.0/3
	c := 1 / math.Sqrt(9*d)
	for {
		x := rng.NormFloat64()
		v := 1 + c*x
		if v <= 0 {
			continue
		}
		v = v * v * v
		if math.Log(1-rng.Float64()) < x*x/2+d-d*v+d*math.Log(v) {
			return boost * d * v
		}
	}
}

// recorded is a trace at another speed.
type recorded struct {
	*traces.Reader
	speed float64
}

// Next returns the next row's arrival.
func (r *recorded) Next() (Arrival, error) {
	row, err := r.Reader.Next()
	if err != nil {
		return Arrival{}, err
	}
	return Arrival{At: time.Duration(min(float64(row.At)/r.speed, math.MaxInt64/2)), Input: row.Input, Output: row.Output}, nil
}

// Left are rows of a trace that were left out.
type Left = traces.Skipped

// Skipped are the rows that a process left out; none but a trace's.
func Skipped(p Process) Left {
	if r, ok := p.(*recorded); ok {
		return r.Reader.Skipped()
	}
	return Left{}
}
