package host

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"
)

// Kind is where a source comes from.
type Kind string

// The kinds.
const (
	RAPL  Kind = "rapl"  // energy counters of processors and memory
	HWMon Kind = "hwmon" // power meters that the kernel knows
	DCMI  Kind = "dcmi"  // the whole server, by its management controller
)

// Source is something whose energy or power can be read.
type Source struct {
	ID     string `json:"id"` // "rapl:package-0", "hwmon:acpi_power_meter-0:power1", "dcmi"
	Kind   Kind   `json:"kind"`
	Domain string `json:"domain"` // package-0, dram-0, core-0, psys-0; a power meter's label; server
	// RangeJ is where a counter begins again at 0, in J; 0 for a source of power.
	RangeJ float64 `json:"range_j,omitempty"`
	// PeriodMS is how often the source renews its value as it says itself, in ms; for
	// RAPL about 1 (Intel SDM vol. 3B, 16.10). 0 unknown.
	PeriodMS float64 `json:"period_ms"`
	// StepW is in what steps a power is told, in W; 0 unknown, or a counter.
	StepW float64 `json:"step_w,omitempty"`
	// Within is the ID of the source that this one is a part of; "" none known.
	Within string `json:"within,omitempty"`
	// Through says who reads it, where this program may not: the clock guard's service.
	Through string `json:"through,omitempty"`

	read  func() (float64, error) // J of a counter, W of a power
	every time.Duration           // how often it is read
	zone  string                  // name of a RAPL zone's folder: intel-rapl:0:1
}

// Counter tells whether the source counts joules; else it tells watts.
func (s Source) Counter() bool { return s.RangeJ > 0 }

// name is the domain without its number.
func (s Source) name() string { n, _, _ := strings.Cut(s.Domain, "-"); return n }

// processor and memory tell what may be added up.
func (s Source) processor() bool { return s.Kind == RAPL && s.Within == "" && s.name() == "package" }
func (s Source) memory() bool    { return s.Kind == RAPL && s.name() == "dram" }

// Problem is a source that is there and cannot be read, or none at all.
type Problem struct {
	Kind   Kind   `json:"kind"`
	What   string `json:"what"`
	Remedy string `json:"remedy,omitempty"`
}

func (p Problem) String() string {
	if p.Remedy == "" {
		return fmt.Sprintf("%s: %s", p.Kind, p.What)
	}
	return fmt.Sprintf("%s: %s: %s", p.Kind, p.What, p.Remedy)
}

// Options say where to look. The zero value is this machine.
type Options struct {
	Root string // before /sys and /dev; "" none
	// Counters reads RAPL's counters where this program may not (they are root's alone,
	// for what runs can be learned from them: CVE-2020-8694); nil: nobody does.
	Counters Counters
	// IPMITool is the path of ipmitool; "" is looked for.
	IPMITool string
}

// Root is the folder before /sys and /dev that JOULETOP_HOST_ROOT names: where a
// container has the machine's mounted.
func Root() string { return os.Getenv("JOULETOP_HOST_ROOT") }

// Counters reads RAPL's counters for somebody who may not.
type Counters interface {
	// Read returns all counters there are.
	Read() ([]Counter, error)
	// Name says who it is, for people.
	Name() string
}

// Counter is one RAPL counter as it stands.
type Counter struct {
	Zone   string // folder's name in powercap
	Domain string // package-0
	Range  uint64 // µJ
	Energy uint64 // µJ
}

// ErrNone: the machine has nothing of the kind.
var ErrNone = errors.New("this machine has none")

// Find lists what can be read, and the problems of what cannot.
func Find(o Options) ([]Source, []Problem) {
	var out []Source
	var problems []Problem
	for _, find := range []func(Options) ([]Source, []Problem){findRAPL, findHWMon, findDCMI} {
		s, p := find(o)
		out, problems = append(out, s...), append(problems, p...)
	}
	slices.SortStableFunc(out, func(a, b Source) int { return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(a.ID, b.ID)) })
	return out, problems
}

// rank puts first what people look for first.
func rank(s Source) int {
	return slices.Index([]bool{s.processor(), s.memory(), s.Kind == RAPL, s.Kind == DCMI, true}, true)
}
