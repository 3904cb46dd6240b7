package host

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"jouletop/gpu/timebase"
)

// madeUp is a RAPL domain of a made-up /sys, with a power that changes.
type madeUp struct {
	folder  string
	rangeUJ uint64
	offset  uint64  // µJ that its counter began at
	watts   float64 // on average
}

// truth are the joules that it took by t, in s: its power goes up and down by a half.
func (d madeUp) truth(t float64) float64 { return d.watts * (t + 0.5*(1-math.Cos(t))) }

func (d madeUp) energy(t float64) string {
	return fmt.Sprint((d.offset + uint64(d.truth(t)*1e6)) % d.rangeUJ)
}

// What a made-up /sys does to its counters in turn: they wrap all the time, and at random
// moments a domain vanishes and comes back, is nobody's to read, tells nonsense, stands
// still or begins anew. Whatever window is asked for, its joules are the truth within
// their interval or not stated; where nothing was wrong, they are stated.
func TestNeverAWrongJoule(t *testing.T) {
	for seed := range uint64(3) {
		if t.Failed() {
			break
		}
		rnd := rand.New(rand.NewPCG(seed, 19))
		domains := []*madeUp{
			{"intel-rapl:0", 1_300_000_000, 1_000_000_000, 180}, {"intel-rapl:0:0", 65_532_610_987, 65_532_000_000, 25}, {"intel-rapl:1", 262_143_328_850, 262_143_000_000, 90}, {"intel-rapl:2", 65_532_610_987, 0, 400},
		}
		files := map[string]string{}
		for i, d := range domains {
			zone(files, d.folder, []string{"package-0", "dram", "package-1", "psys"}[i], d.energy(0))
			files["sys/class/powercap/"+d.folder+"/max_energy_range_uj"] = fmt.Sprint(d.rangeUJ)
		}
		root := tree(t, files)
		path := func(d *madeUp) string { return filepath.Join(root, "sys/class/powercap", d.folder, "energy_uj") }
		synctest.Test(t, func(t *testing.T) {
			sources, problems := findRAPL(Options{Root: root})
			if len(sources) != len(domains) || len(problems) != 0 {
				t.Fatal(ids(sources), problems)
			}
			byDomain := map[*madeUp]*Meter{}
			for _, s := range sources {
				meter := NewMeter(s)
				for j, d := range domains {
					if s.zone == d.folder {
						byDomain[domains[j]] = meter
					}
				}
			}
			clock := timebase.Monotonic()
			begin := clock.Now()
			w := Watch(clock, sources, func(r Reading) {
				r.TimeNS -= begin
				for _, m := range byDomain {
					m.Add(r)
				}
			}, func(error) {})
			// Each of the domains is as it should be just before each reading, or is not.
			wrong := map[*madeUp][]float64{} // when it was not, s
			until := map[*madeUp]float64{}
			fault := map[*madeUp]int{}
			time.Sleep(99 * time.Millisecond)
			for tick := 1; tick <= 400; tick++ {
				at := float64(tick) / 10
				for _, d := range domains {
					if at > until[d] && fault[d] != 0 {
						fault[d] = 0
						wrong[d] = append(wrong[d], at)
					}
					if fault[d] == 0 && at > until[d]+4 && rnd.Float64() < 0.01 {
						faults := 5
						if d.rangeUJ < 10_000_000_000 { // where a reset may look like a wrap, as no real one does
							faults = 4
						}
						fault[d], until[d] = 1+rnd.IntN(faults), at+0.2+3*rnd.Float64()
						wrong[d] = append(wrong[d], at)
					}
					var err error
					switch fault[d] {
					case 0:
						err = os.WriteFile(path(d), []byte(d.energy(at)+"\n"), 0o644)
					case 1: // it vanishes
						if err = os.Remove(path(d)); errors.Is(err, os.ErrNotExist) {
							err = nil
						}
					case 2:
						err = os.WriteFile(path(d), []byte("\n"), 0o644)
					case 3:
						err = os.WriteFile(path(d), []byte(fmt.Sprint(d.rangeUJ+7)+"\n"), 0o644)
					case 4: // it stands still
					case 5: // it begins anew, and goes on from there
						d.offset = d.rangeUJ - uint64(d.truth(at)*1e6)%d.rangeUJ
						fault[d], until[d] = 0, at
						err = os.WriteFile(path(d), []byte(d.energy(at)+"\n"), 0o644)
					}
					if err != nil {
						t.Fatal(err)
					}
				}
				time.Sleep(100 * time.Millisecond)
			}
			w.Stop()
			stated, clean := 0, 0
			for range 2000 {
				d := domains[rnd.IntN(len(domains))]
				from := 0.2 + 38*rnd.Float64()
				to := from + 0.3 + (39.5-from-0.3)*rnd.Float64()*rnd.Float64()
				e := byDomain[d].Window(int64(from*1e9), int64(to*1e9))
				if e.Known() {
					stated++
					if want := d.truth(to) - d.truth(from); !(math.Abs(e.Joules-want) <= e.ErrJ+1e-3) {
						t.Errorf("seed %d, %s from %.2f to %.2f s: %+v, truth %.3f J", seed, d.folder, from, to, e, want)
					}
					continue
				}
				near := false
				for _, x := range wrong[d] {
					near = near || x > from-4 && x < to+4
				}
				if !near {
					clean++
					t.Errorf("seed %d, %s from %.2f to %.2f s, when nothing was wrong: %s", seed, d.folder, from, to, e.Why)
				}
			}
			if stated < 200 || clean > 0 {
				t.Errorf("seed %d: %d windows stated", seed, stated)
			}
		})
	}
}
