// Package gpu says what a GPU can tell and do: the [Device] interface, its
// readings and what it can be asked to do. It knows nothing of language models.
// Implementations are gpu/nvml (a real GPU) and gpu/simgpu (a simulated one);
// gpu/sampler polls one.
//
// Unknown numbers are NaN, unknown whole numbers -1: never 0 for unknown.
package gpu

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

// Errors that a caller decides by; wrapped with what was tried.
var (
	// ErrNoGPU: no NVIDIA library or driver that works, or no device of that index.
	ErrNoGPU = errors.New("no NVIDIA GPU")
	// ErrNoDriver: nothing of an NVIDIA driver is on this machine, so that it has no
	// such GPU to be used. It is ErrNoGPU too.
	ErrNoDriver = fmt.Errorf("%w and no driver of one", ErrNoGPU)
	// ErrNoPermission: the call needs root (or the guard service).
	ErrNoPermission = errors.New("no permission")
	// ErrNotSupported: this GPU, driver or MIG mode does not offer it.
	ErrNotSupported = errors.New("not supported by this GPU or driver")
	// ErrLost: the GPU fell off the bus or needs a reset.
	ErrLost = errors.New("GPU lost")
	// ErrBadClock: a clock that the GPU does not support.
	ErrBadClock = errors.New("unsupported SM clock")
	// ErrAbsurd: the call succeeded, but with a value that cannot be.
	ErrAbsurd = errors.New("impossible value")
	// ErrReadOnly: clock control was switched off (--read-only).
	ErrReadOnly = errors.New("read-only: clocks are never set")
)

// Device is one GPU. Methods may be called from several goroutines.
type Device interface {
	// Info returns what does not change while the program runs.
	Info() Info
	// Poll reads everything cheap at once: clocks, utilisation, temperature,
	// memory, throttle reasons (together some 20 µs on a real GPU).
	Poll() (Sample, error)
	// PowerSources lists the sources this GPU has, each tried once.
	PowerSources() []PowerSource
	// ReadPower reads one polled source (SourceAverage or SourceInstant), or
	// SourceCounter (3.8 ms a call: at most twice a second).
	ReadPower(source string) (PowerReading, error)
	// ReadPowerBuffer returns the driver-side sample buffer's readings newer
	// than after (ns of the device's time base), oldest first; ErrNotSupported
	// without one.
	ReadPowerBuffer(after int64) ([]PowerReading, error)
	// Processes lists the processes that hold a context on the GPU.
	Processes() ([]Process, error)
	// SetSMClock locks the SM clock to mhz, one of Info().SMClocks
	// (ErrBadClock otherwise). It blocks for the driver's call time; the clock
	// settles later.
	SetSMClock(mhz int) error
	// ResetSMClock gives the clock back to the driver.
	ResetSMClock() error
	// Close releases the device; it does not reset clocks.
	Close() error
}

// Info identifies a GPU and its fixed limits.
type Info struct {
	Index       int     `json:"index"`
	UUID        string  `json:"uuid"`
	Name        string  `json:"name"` // "" unknown, like Driver and VBIOS
	Driver      string  `json:"driver"`
	VBIOS       string  `json:"vbios"`
	Profile     string  `json:"profile,omitempty"`       // simulated GPUs: h100, rtx-pro-6000
	SMClocks    []int   `json:"sm_clocks_mhz"`           // supported at the default memory clock, ascending, MHz; empty unknown
	MemMHz      int     `json:"mem_clock_mhz" null:"-1"` // default memory clock; -1 unknown
	PowerLimitW float64 `json:"power_limit_w"`           // NaN unknown
	// PowerLimitMaxW is the highest limit that can be set; 0 unknown.
	PowerLimitMaxW float64  `json:"power_limit_max_w,omitempty"`
	MemoryMiB      int      `json:"memory_mib" null:"-1"` // -1 unknown
	Hidden         []string `json:"hidden,omitempty"`     // what MIG or the driver hides, a sentence each
	Members        []string `json:"members,omitempty"`    // ids, where Together made it of several
	// PCI is where on the bus it is, as CUDA libraries say it: "0000:01:00.0"; ""
	// unknown or on none.
	PCI string `json:"pci,omitempty"`
}

// UnknownInfo describes a GPU of which nothing is known but its index.
func UnknownInfo(index int) Info {
	return Info{Index: index, MemMHz: -1, PowerLimitW: math.NaN(), MemoryMiB: -1}
}

// Simulated tells whether the GPU is a simulated one.
func (i Info) Simulated() bool { return i.Profile != "" }

// MostPowerLimitW is the power limit in W that the board has or may be given while
// it is watched; 0 or NaN unknown.
func (i Info) MostPowerLimitW() float64 {
	if i.PowerLimitW > i.PowerLimitMaxW {
		return i.PowerLimitW
	}
	return i.PowerLimitMaxW
}

// ID is the value of every file's gpu column: "0:GPU-1a2b3c4d" for a real GPU
// (index and the UUID's head), "sim:h100" for a simulated one, "sim:h100:1" for the
// second of several. GPUs that work on
// one job have theirs joined by "+" in the rows about the job.
func (i Info) ID() string {
	if len(i.Members) > 0 {
		return strings.Join(i.Members, memberMark)
	}
	if i.Simulated() {
		id := "sim:" + i.Profile
		if i.Index > 0 {
			id += ":" + strconv.Itoa(i.Index)
		}
		return id
	}
	uuid := i.UUID
	if const8 := len("GPU-") + 8; len(uuid) > const8 {
		uuid = uuid[:const8]
	}
	return fmt.Sprintf("%d:%s", i.Index, uuid)
}

const memberMark = "+"

// MemberIDs returns the ids of the GPUs that an id stands for: itself, or those
// that [Together] joined.
func MemberIDs(id string) []string { return strings.Split(id, memberMark) }

// Together describes GPUs that work on one job as if they were one: the SM clocks
// that all of them support, memory and power limits added up, the rest the
// first's. Of one GPU it is its own description.
func Together(infos ...Info) Info {
	all := infos[0]
	if len(infos) == 1 {
		return all
	}
	names := []string{}
	all.SMClocks, all.Hidden, all.MemoryMiB, all.PowerLimitW, all.PowerLimitMaxW = slices.Clone(all.SMClocks), nil, 0, 0, 0
	for _, i := range infos {
		all.Members = append(all.Members, i.ID())
		all.SMClocks = slices.DeleteFunc(all.SMClocks, func(mhz int) bool { return !slices.Contains(i.SMClocks, mhz) })
		if i.MemoryMiB < 0 || all.MemoryMiB < 0 {
			all.MemoryMiB = -1
		} else {
			all.MemoryMiB += i.MemoryMiB
		}
		all.PowerLimitW += i.PowerLimitW
		all.PowerLimitMaxW += i.PowerLimitMaxW
		for _, h := range i.Hidden {
			all.Hidden = append(all.Hidden, i.ID()+": "+h)
		}
		if !slices.Contains(names, i.Name) {
			names = append(names, i.Name)
		}
	}
	all.PCI = ""
	all.Name = strings.Join(names, " + ")
	if len(names) == 1 {
		all.Name = fmt.Sprintf("%d × %s", len(infos), names[0])
	}
	return all
}

// MinSM and MaxSM return the lowest and highest supported SM clock in MHz, 0
// when none is known.
func (i Info) MinSM() int {
	if len(i.SMClocks) == 0 {
		return 0
	}
	return i.SMClocks[0]
}

// MaxSM returns the highest supported SM clock in MHz; see MinSM.
func (i Info) MaxSM() int {
	if len(i.SMClocks) == 0 {
		return 0
	}
	return i.SMClocks[len(i.SMClocks)-1]
}

// NearestClock returns the one of clocks (MHz) that is nearest to mhz, the first of two;
// 0 where there is none.
func NearestClock(clocks []int, mhz int) int {
	off := func(c int) int { return max(c-mhz, mhz-c) }
	best := 0
	for i, c := range clocks {
		if i == 0 || off(c) < off(best) {
			best = c
		}
	}
	return best
}

// CheckSMClock returns nil if mhz is a supported SM clock, else an error
// wrapping ErrBadClock that names the nearest ones.
func (i Info) CheckSMClock(mhz int) error { return checkClock(KnobSM.Title(), i.SMClocks, mhz) }

// checkClock is CheckSMClock for any list of clocks, ascending.
func checkClock(title string, clocks []int, mhz int) error {
	lo, hi := -1, -1
	for _, c := range clocks {
		if c == mhz {
			return nil
		}
		if c < mhz {
			lo = c
		} else if hi < 0 {
			hi = c
		}
	}
	of := fmt.Errorf("%w: %d MHz", ErrBadClock, mhz)
	if title != KnobSM.Title() {
		of = fmt.Errorf("%w: %s %d MHz", ErrBadValue, title, mhz)
	}
	switch {
	case lo < 0 && hi < 0:
		return fmt.Errorf("%w: this GPU lists no supported clocks", of)
	case lo < 0:
		return fmt.Errorf("%w: the lowest is %d MHz", of, hi)
	case hi < 0:
		return fmt.Errorf("%w: the highest is %d MHz", of, lo)
	}
	return fmt.Errorf("%w: the nearest are %d and %d MHz", of, lo, hi)
}

// Sample is one poll of the cheap readings, without its time.
type Sample struct {
	SMMHz      int     // achieved SM clock, MHz; -1 unknown
	MemMHz     int     // memory clock, MHz; -1 unknown
	TempC      float64 // GPU temperature, °C
	GPUUtil    float64 // share of time with a kernel running, %
	DRAMUtil   float64 // share of memory bandwidth in use, % (GPM)
	TensorUtil float64 // share of tensor-core cycles in use, % (GPM)
	MemUsedMiB float64
	Throttle   Throttle
}

// UnknownSample is a Sample that knows nothing.
func UnknownSample() Sample {
	nan := math.NaN()
	return Sample{SMMHz: -1, MemMHz: -1, TempC: nan, GPUUtil: nan, DRAMUtil: nan, TensorUtil: nan, MemUsedMiB: nan}
}

// Knows tells whether anything of the sample is known.
func (s *Sample) Knows() bool {
	return s.SMMHz >= 0 || s.MemMHz >= 0 || s.Throttle != 0 ||
		!(math.IsNaN(s.TempC) && math.IsNaN(s.GPUUtil) && math.IsNaN(s.DRAMUtil) && math.IsNaN(s.TensorUtil) && math.IsNaN(s.MemUsedMiB))
}

// MostBoardW is more than any board draws, W.
const MostBoardW = 5000

// Plausible tells whether a power source may mean what it says: a number, more than
// nothing, which no GPU draws that answers, and no more than any board draws.
func Plausible(watts float64) bool { return watts >= 0.5 && watts <= MostBoardW }

// Names of the power sources, as they stand in power.csv.
const (
	SourceAverage = "average" // nvmlDeviceGetPowerUsage: trailing 1 s mean on recent GPUs
	SourceInstant = "instant" // NVML_FI_DEV_POWER_INSTANT
	SourceBuffer  = "buffer"  // nvmlDeviceGetSamples(NVML_TOTAL_POWER_SAMPLES)
	SourceCounter = "counter" // nvmlDeviceGetTotalEnergyConsumption
)

// PowerSource describes one way to learn of power or energy. Zero durations
// are unknown until found by measurement (gpu/energy's discovery).
type PowerSource struct {
	Name     string  `json:"name"`
	PeriodMS float64 `json:"period_ms,omitzero"` // how often its value is renewed
	// SeenPeriodMS is how often new values were seen while recording; one renewed
	// to an equal value was not.
	SeenPeriodMS float64 `json:"seen_period_ms,omitzero"`
	WindowMS     float64 `json:"window_ms,omitzero"` // how long each value averages over
	CallMS       float64 `json:"call_ms,omitzero"`   // what one read costs
	Note         string  `json:"note,omitempty"`
}

// PowerReading is one reading of a power source at its own time.
type PowerReading struct {
	TimeNS   int64   // device's time base (see gpu/timebase); end of the averaging window
	Source   string  // a Source… constant
	PowerW   float64 // NaN for the counter
	CounterJ float64 // NaN for all but the counter
	// Fresh is false where a poll returned a value the source had not renewed
	// since the poll before: a repetition, not new evidence.
	Fresh bool
}
