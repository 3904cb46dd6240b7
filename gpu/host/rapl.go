package host

import (
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/procfs/sysfs"
)

// countersEvery is how often counters are read. A read costs some tens of µs a domain.
const countersEvery = 100 * time.Millisecond

// remedyRAPL is what to do about counters that only root may read.
const remedyRAPL = "run as root, or run the clock guard's service (`jouletop clock-guard --serve …` as root, see the README), which reads them for its users"

// ReadRAPL reads RAPL's counters below root ("" is this machine's /sys). Those that
// cannot be read are missing; the error tells where none can, and wraps ErrNone where
// there is none.
func ReadRAPL(root string) ([]Counter, error) {
	zones, err := zones(root)
	if err != nil {
		return nil, err
	}
	var out []Counter
	var failed error
	for _, z := range zones {
		uj, err := z.GetEnergyMicrojoules()
		if err != nil {
			failed = err
			continue
		}
		out = append(out, Counter{filepath.Base(z.Path), domainOf(z), z.MaxMicrojoules, uj})
	}
	if len(out) == 0 {
		return nil, failed
	}
	return out, nil
}

// zones lists RAPL's, each domain once: where registers and memory tell of the same
// package, the registers do.
func zones(root string) ([]sysfs.RaplZone, error) {
	fs, err := sysfs.NewFS(filepath.Join("/", root, "sys"))
	if err != nil {
		return nil, fmt.Errorf("%w: %v", ErrNone, err)
	}
	all, err := sysfs.GetRaplZones(fs)
	if errors.Is(err, os.ErrNotExist) {
		if entries, e := os.ReadDir(filepath.Join("/", root, "sys/class/powercap")); e != nil || len(entries) == 0 {
			return nil, fmt.Errorf("%w: no powercap (a virtual machine, or a kernel without intel_rapl)", ErrNone)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("list powercap: %w", err)
	}
	byRegister := map[string]bool{}
	for _, z := range all {
		if !mapped(z) {
			byRegister[domainOf(z)] = true
		}
	}
	var out []sysfs.RaplZone
	for _, z := range all {
		if mapped(z) && byRegister[domainOf(z)] {
			continue
		}
		out = append(out, z)
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("%w: powercap has no RAPL domain", ErrNone)
	}
	return out, nil
}

// mapped tells of a zone that is read through mapped memory.
func mapped(z sysfs.RaplZone) bool {
	return strings.HasPrefix(filepath.Base(z.Path), "intel-rapl-mmio")
}

func domainOf(z sysfs.RaplZone) string { return fmt.Sprintf("%s-%d", z.Name, z.Index) }

func findRAPL(o Options) ([]Source, []Problem) {
	zones, err := zones(o.Root)
	if err != nil {
		return nil, []Problem{{RAPL, err.Error(), ""}}
	}
	var out []Source
	var refused error
	for _, z := range zones {
		s := counterSource(filepath.Base(z.Path), domainOf(z), z.MaxMicrojoules)
		s.read = func() (float64, error) {
			uj, err := z.GetEnergyMicrojoules()
			return joules(uj), err
		}
		if _, err := s.read(); err != nil {
			refused = err
			continue
		}
		out = append(out, s)
	}
	if refused == nil {
		return nest(out), nil
	}
	if errors.Is(refused, os.ErrPermission) && len(out) == 0 && o.Counters != nil {
		through, err := throughOthers(o.Counters)
		if err == nil {
			return nest(through), nil
		}
		return nil, []Problem{{RAPL, fmt.Sprintf("the counters are root's alone, and %s does not read them: %v", o.Counters.Name(), err), remedyRAPL}}
	}
	problem := Problem{RAPL, refused.Error(), ""}
	if errors.Is(refused, os.ErrPermission) {
		problem.What, problem.Remedy = "the counters are root's alone", remedyRAPL
	}
	return nest(out), []Problem{problem}
}

func counterSource(zone, domain string, rangeUJ uint64) Source {
	return Source{ID: string(RAPL) + ":" + domain, Kind: RAPL, Domain: domain, RangeJ: joules(rangeUJ), PeriodMS: 1, every: countersEvery, zone: zone}
}

func joules(uj uint64) float64 { return float64(uj) / 1e6 }

// nest says which domain lies within which, and leaves out those without a range, of
// which nobody could tell a wrap.
func nest(all []Source) []Source {
	id := map[string]string{}
	for _, s := range all {
		id[s.zone] = s.ID
	}
	var out []Source
	for _, s := range all {
		if !s.Counter() {
			continue
		}
		// Memory has a zone below its package's and is no part of it (Intel SDM vol. 3B,
		// 16.10.2).
		if i := strings.LastIndexByte(s.zone, ':'); strings.Count(s.zone, ":") > 1 && s.name() != "dram" {
			s.Within = id[s.zone[:i]]
		}
		out = append(out, s)
	}
	return out
}

// throughOthers makes sources of counters that somebody else reads: once for all that
// are read at about the same time.
func throughOthers(c Counters) ([]Source, error) {
	first, err := c.Read()
	if err != nil {
		return nil, err
	}
	if len(first) == 0 {
		return nil, ErrNone
	}
	var (
		mu    sync.Mutex
		at    time.Time
		known map[string]uint64
		last  error
	)
	read := func(zone string) (float64, error) {
		mu.Lock()
		defer mu.Unlock()
		if time.Since(at) > countersEvery/4 {
			var all []Counter
			all, last = c.Read()
			at, known = time.Now(), map[string]uint64{}
			for _, x := range all {
				known[x.Zone] = x.Energy
			}
		}
		if last != nil {
			return math.NaN(), last
		}
		uj, ok := known[zone]
		if !ok {
			return math.NaN(), fmt.Errorf("%s: %w", zone, os.ErrNotExist)
		}
		return joules(uj), nil
	}
	var out []Source
	for _, x := range first {
		s := counterSource(x.Zone, x.Domain, x.Range)
		s.Through = c.Name()
		s.read = func() (float64, error) { return read(x.Zone) }
		out = append(out, s)
	}
	return out, nil
}
